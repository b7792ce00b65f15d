"""What a metric declares under its arguments; mixed precisions and libraries; precision where terms cancel."""

import itertools

import numpy as np
import pytest
import torch

import akpsim
from akpsim import METRICS
from akpsim.comparing.compare import CANCELS
from akpsim.errors import MisalignedSamples, UndefinedMetric


def arrays(count=3, n=20, width=4, seed=0):
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, width))
    return [shared + rng.normal(size=(n, width)) for _ in range(count)]


def test_a_matching_that_is_not_symmetric_gives_both_directions():
    x, y, z = arrays()
    found = akpsim.compare([x, y, z], metric="correlation", match="soft")
    assert found.attrs["symmetric"] == 0
    r = np.corrcoef(x.T, y.T)[:4, 4:]
    assert found[0, 1].item() == pytest.approx(r.max(axis=1).mean(), abs=1e-12)
    assert found[1, 0].item() == pytest.approx(r.max(axis=0).mean(), abs=1e-12)
    assert akpsim.compare([x, y, z], metric="correlation").attrs["symmetric"] == 1


@pytest.mark.parametrize(
    ("name", "arguments", "invariances"),
    [
        ("rsa", {}, "permutation scaling"),
        ("rsa", {"rdm": "cosine"}, "permutation rotation scaling"),
        ("rsa", {"rdm": "euclidean"}, "permutation rotation scaling translation"),
        ("rsa", {"rdm": "squared_euclidean", "compare": "cosine"}, "permutation rotation scaling translation"),
        ("cka_rbf", {"sigma": 2.0}, "permutation rotation translation"),
        ("cka_rbf_debiased", {"sigma": 2.0}, "permutation rotation translation"),
        ("correlation", {"match": "hungarian"}, "permutation scaling translation"),
        ("correlation", {"match": "soft"}, "permutation scaling translation"),
    ],
)
def test_invariances_are_those_under_the_arguments(name, arguments, invariances):
    metric = METRICS[name].under(METRICS[name].arguments(arguments))
    assert metric.invariant_to == set(invariances.split())
    rng = np.random.default_rng(0)
    moves = {
        "permutation": lambda x: x[:, [2, 0, 3, 1]],
        "rotation": lambda x: x @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4))).Q,
        "scaling": lambda x: 2.5 * x,
        "translation": lambda x: x + np.array([1.0, -2.0, 0.5, 3.0]),
    }
    x, y = arrays(2, n=int(rng.integers(20, 30)))
    for move, function in moves.items():
        same = np.isclose(metric(function(x), y, **arguments), metric(x, y, **arguments), rtol=1e-9)
        assert same == (move in metric.invariant_to), move


def test_an_absolute_bandwidth_is_in_the_units_of_the_data_in_any_precision():
    x, y = (a.astype(np.float32) for a in arrays(2))
    expected = METRICS["cka_rbf"](x, y, sigma=2.0)
    big = [a * np.float32(1e10) for a in (x, y)]
    assert METRICS["cka_rbf"](*big, sigma=2e10) == pytest.approx(expected, abs=1e-5)
    assert akpsim.compare(big, metric="cka_rbf", sigma=2e10)[0, 1].item() == pytest.approx(expected, abs=1e-5)


def test_rv_has_the_null_of_cka_unless_it_is_modified():
    xs = arrays()
    rv, cka = (akpsim.significance(xs, metric=name) for name in ("rv", "cka"))
    np.testing.assert_array_equal(rv.z, cka.z)
    assert rv.attrs["metric"] == "rv"
    with pytest.raises(akpsim.AkpsimError, match="rv has no closed-form null; give `permutations`, such as 199"):
        akpsim.significance(xs, metric="rv", modified=True)


def test_rsa_has_a_noise_ceiling_but_not_with_kendall():
    members = akpsim.compare(arrays(), metric="rsa").assign_coords(family=("member", ["a"] * 3))
    assert 0 < akpsim.noise_ceiling(members).lower.item() < akpsim.noise_ceiling(members).upper.item() <= 1
    kendall = akpsim.compare(arrays(), metric="rsa", compare="kendall").assign_coords(family=("member", ["a"] * 3))
    with pytest.raises(akpsim.AkpsimError, match="cosines"):
        akpsim.noise_ceiling(kendall)


@pytest.mark.parametrize(("n", "width"), [(300, 50), (8, 2048), (32, 5000)])
@pytest.mark.parametrize("outlier", [1, 100, 1000])
def test_single_precision_is_within_a_millionth_where_terms_cancel(n, width, outlier):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(n, width)) for _ in range(2)]
    xs = [(x * np.where(np.arange(n) == 3, outlier, 1)[:, None]).astype(np.float32) for x in xs]
    grams = []
    for x in xs:  # HSIC_1 by its definition, in extended precision
        x = x.astype(np.longdouble)
        k = (x - x.mean(axis=0)) @ (x - x.mean(axis=0)).T
        np.fill_diagonal(k, 0)
        r = k.sum(axis=0)
        k = k - (r[:, None] + r) / (n - 2) + r.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(k, 0)
        grams.append(k / np.sqrt((k * k).sum()))
    found = akpsim.compare(xs, metric="cka_debiased")
    assert found[0, 1].item() == pytest.approx(float((grams[0] * grams[1]).sum()), abs=1e-6)
    assert CANCELS > 1


def test_precisions_may_be_mixed_and_libraries_may_not():
    x, y, z = arrays()
    single = x.astype(np.float32)
    for name in ("cka", "cka_debiased", "rv", "rsa", "procrustes"):
        expected = METRICS[name](single.astype(float), y)
        assert METRICS[name](torch.from_numpy(single), torch.from_numpy(y)) == pytest.approx(expected, abs=1e-6)
        found = akpsim.compare([torch.from_numpy(single), torch.from_numpy(y)], metric=name)
        assert found[0, 1].item() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(MisalignedSamples, match="must be of one library, got a ndarray and a Tensor"):
        METRICS["cka"](x, torch.from_numpy(y))
    with pytest.raises(MisalignedSamples, match="all torch tensors or none, got 'a', a ndarray, and 'c', a Tensor"):
        akpsim.compare({"a": x, "b": y, "c": torch.from_numpy(z)})


def test_names_that_are_there_twice_are_refused():
    x, y, z = arrays()
    with pytest.raises(MisalignedSamples, match="members need names of their own, got '1' twice"):
        akpsim.compare({1: x, "1": y, "b": z})


def test_an_interval_that_halves_of_the_samples_do_not_have_says_why():
    with pytest.raises(
        UndefinedMetric,
        match=r"there is no interval: on 5 of 5 random halves of 10 samples 0 has no value, .*neighbours",
    ):
        akpsim.significance(arrays(2), metric="mutual_knn", resamples=5)


def test_intervals_are_the_spread_over_halves_of_the_samples():
    xs = arrays(2, n=24)
    found = akpsim.significance(xs, metric="procrustes", resamples=50, level=0.9, seed=3)
    rng = np.random.default_rng(3)
    halves = [np.sort(rng.permutation(24)[:12]) for _ in range(50)]
    drawn = np.array([METRICS["procrustes"](xs[0][rows], xs[1][rows]) for rows in halves])
    low, high = np.quantile(drawn - drawn.mean(), [0.05, 0.95])  # half of the samples: n_half / (n - n_half) is one
    value = METRICS["procrustes"](*xs)
    assert found.similarity_lower[0, 1].item() == pytest.approx(value + low, abs=1e-12)
    assert found.similarity_upper[0, 1].item() == pytest.approx(value + high, abs=1e-12)


def test_the_largest_z_of_each_permutation_corrects_step_by_step():
    xs = arrays(4, n=12, seed=5)
    found = akpsim.significance(xs, permutations=39, correction="max", seed=1)
    rng = np.random.default_rng(1)
    orders = [rng.permutation(12) for _ in range(39)]
    pairs = list(itertools.combinations(range(4), 2))
    mean, sd, z = ({pair: found[name][pair].item() for pair in pairs} for name in ("null_mean", "null_sd", "z"))
    drawn = [{(i, j): (METRICS["cka"](xs[i], xs[j][o]) - mean[i, j]) / sd[i, j] for i, j in pairs} for o in orders]
    largest_first = sorted(pairs, key=z.get, reverse=True)
    before = 0.0
    for place, pair in enumerate(largest_first):  # Westfall and Young 1993, algorithm 2.8
        left = largest_first[place:]
        p = (1 + sum(max(one[other] for other in left) >= z[pair] for one in drawn)) / 40
        before = max(before, p)
        assert found.p_corrected[pair].item() == pytest.approx(before, abs=1e-12)
    assert (found.p_corrected.values >= found.p.values - 1e-12)[tuple(zip(*pairs, strict=True))].all()
    assert not np.allclose(*(found[name].values[tuple(zip(*pairs, strict=True))] for name in ("p", "p_corrected")))


def test_batches_count_by_pairs_of_samples_and_err_by_the_jackknife():
    x, y = arrays(2, n=40)
    cuts = [slice(0, 5), slice(5, 17), slice(17, 40)]
    sums = []
    for cut in cuts:
        n = cut.stop - cut.start
        k, m = ((a[cut] - a[cut].mean(axis=0)) @ (a[cut] - a[cut].mean(axis=0)).T for a in (x, y))
        for gram in (k, m):
            np.fill_diagonal(gram, 0)
        one = np.ones(n)
        terms = []
        for a, b in ((k, m), (k, k), (m, m)):  # Song et al. 2012, equation 5
            hsic = (
                np.trace(a @ b)
                + one @ a @ one * (one @ b @ one) / ((n - 1) * (n - 2))
                - 2 / (n - 2) * one @ a @ b @ one
            )
            terms.append(hsic / (n * (n - 3)) * n * (n - 1))
        sums.append(terms)
    sums = np.array(sums)
    ratio = lambda t: t[0] / np.sqrt(t[1] * t[2])  # noqa: E731
    without = np.array([ratio(sums.sum(axis=0) - one) for one in sums])
    found = akpsim.minibatch_cka([(x[cut], y[cut]) for cut in cuts])
    assert found.similarity.item() == pytest.approx(ratio(sums.sum(axis=0)), abs=1e-12)
    error = np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum())
    assert found.standard_error.item() == pytest.approx(error, abs=1e-12)
    tiny = akpsim.minibatch_cka([(x[cut] * 1e-120, y[cut] * 1e80) for cut in cuts])
    assert tiny.similarity.item() == pytest.approx(found.similarity.item(), abs=1e-12)


def test_batches_that_have_no_value_are_named():
    x, y = arrays(2, n=8)
    dead = x.copy()
    dead[2, 1] = np.nan
    for batches, error, message in (
        ([(dead, y)], UndefinedMetric, "minibatch_cka is undefined: neuron 1 is NaN at sample 2"),
        ([(np.eye(7), np.eye(7))], UndefinedMetric, "the first representation does not vary within batches"),
        (
            [(x, y), (x, y[:, :2])],
            MisalignedSamples,
            "the second side must have the same neurons in all batches, got 4 and 2",
        ),
        ([(x[..., None], y)], UndefinedMetric, r"minibatch_cka compares arrays \(sample, neuron\)"),
    ):
        with pytest.raises(error, match=message):
            akpsim.minibatch_cka(batches)


def test_maps_are_placed_by_a_seed_and_tested_too():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(9, 3, 4, 4)) for _ in range(2)]
    found = akpsim.compare(maps, maps="flatten", positions=5, maps_seed=7)
    expected = METRICS["cka"](*(akpsim.from_maps(m, "flatten", positions=5, seed=7) for m in maps))
    assert found[0, 1].item() == pytest.approx(expected, abs=1e-12)
    assert found.attrs["maps_seed"] == 7
    tested = akpsim.significance(maps, maps="flatten", positions=5, maps_seed=7)
    assert tested.similarity[0, 1].item() == found[0, 1].item()


def test_results_say_which_versions_made_them():
    attrs = akpsim.compare(arrays()).attrs
    assert attrs["numpy_version"] == np.__version__
    assert {"akpsim_version", "scipy_version"} <= set(attrs)


def test_two_samples_have_a_value_and_a_caution():
    x, y, _ = arrays(n=2)
    with pytest.warns(akpsim.AkpsimWarning, match="of 2 samples any two representations have the value 1"):
        assert METRICS["cka"](x, y) == pytest.approx(1, abs=1e-12)


def test_what_is_no_set_of_arrays_is_refused():
    x, y, _ = arrays()
    with pytest.raises(MisalignedSamples, match=r"representations must be a DataArray .*, got str"):
        akpsim.compare("runs/digits")
    with pytest.raises(UndefinedMetric, match="representations must be whole, got a masked array"):
        akpsim.compare([np.ma.masked_where(x > 2, x), y])


def test_a_metric_of_your_own_that_no_order_changes_has_no_null():
    mine = akpsim.Metric(
        name="mean_response",
        summary="distance of mean responses",
        embed=lambda x: x.mean(axis=0),
        score=lambda one, two: np.array([[np.linalg.norm(a - b) for b in two] for a in one]),
        kind="metric",
        invariant_to=frozenset({"rotation"}),
        range=(0, np.inf),
        formula="",
        source="",
        beware="",
    )
    with pytest.raises(akpsim.AkpsimError, match="mean_response does not change with the order of the samples"):
        akpsim.significance(arrays(), metric=mine, permutations=19)


@pytest.mark.parametrize(("metric", "steps"), [("riemannian", 6), ("soft_match", 6), ("nbs", 6), ("rsa", 3)])
def test_progress_counts_points_and_the_rows_of_slow_pairs(metric, steps, monkeypatch, capsys):
    monkeypatch.setattr("akpsim.progress.LINE_EVERY", 0)
    akpsim.compare(arrays(), metric=metric, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (6 if steps == 6 else 3)
    assert lines[-1].startswith(f"representations and their pairs: {steps}/{steps} ")


def test_the_range_of_uniformity_is_that_of_its_temperature():
    assert akpsim.compare(arrays(), metric="uniformity", temperature=5.0).attrs["range"] == "[0, 10.0]"
