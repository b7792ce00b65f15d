"""Null, p-values, intervals and ceilings: exact where they can be, calibrated where not."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.comparing.null import moments
from akpsim.errors import AkpsimError, UndefinedMetric


def related(rng, n=20, width=4, count=3, noise=1.0):
    shared = rng.normal(size=(n, width))
    return [shared + noise * rng.normal(size=(n, width)) for _ in range(count)]


@pytest.mark.parametrize("metric", ["cka", "cka_debiased"])
def test_mean_and_sd_equal_those_of_all_5040_orders_of_seven_samples(metric):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.exponential(size=(7, 5))
    found = akpsim.significance([x, y], metric=metric)
    embed = akpsim.METRICS[metric].embed
    k, m = embed(x).reshape(7, 7), embed(y).reshape(7, 7)
    orders = np.array(list(permutations(range(7))))
    assert len(orders) == 5040
    values = np.einsum("ij,pij->p", k, m[orders[:, :, None], orders[:, None, :]])
    assert found.null_mean[0, 1].item() == pytest.approx(values.mean(), abs=1e-12)
    assert found.null_sd[0, 1].item() == pytest.approx(values.std(), abs=1e-12)
    z = (found.similarity[0, 1].item() - values.mean()) / values.std()
    assert found.z[0, 1].item() == pytest.approx(z, abs=1e-9)


def test_z_is_about_standard_for_unrelated_data_of_any_width():
    rng = np.random.default_rng(1)
    z = [
        akpsim.significance([rng.normal(size=(24, 3)), rng.normal(size=(24, width))], metric="cka").z[0, 1].item()
        for width in (2, 30, 300)
        for _ in range(40)
    ]
    assert abs(np.mean(z)) < 3 / np.sqrt(len(z))
    assert 0.75 < np.std(z) < 1.25


def test_p_values_find_the_related_pair_and_count_themselves():
    rng = np.random.default_rng(0)
    x, y = related(rng, noise=0.5, count=2)
    found = akpsim.significance([x, y, rng.normal(size=(20, 4))], permutations=99, correction="max")
    assert found.p[0, 1].item() == pytest.approx(1 / 100)  # the smallest that 99 permutations can give
    assert found.attrs["smallest_p"] == pytest.approx(0.01)
    assert found.p_corrected[0, 1].item() <= 0.05
    assert found.p_corrected[0, 2].item() > 0.05
    assert (found.p_corrected.values[~np.isnan(found.p)] >= found.p.values[~np.isnan(found.p)] - 1e-12).all()


def test_fdr_is_benjamini_and_hochberg_s():
    xs = related(np.random.default_rng(3), count=4, noise=2)
    found = akpsim.significance(xs, permutations=49, correction="fdr", seed=2)
    upper = np.triu_indices(4, 1)
    p, corrected = found.p.values[upper], found.p_corrected.values[upper]
    # by hand: the smallest over larger p of p m / rank
    order = np.argsort(p)
    expected = np.minimum.accumulate((p[order] * 6 / np.arange(1, 7))[::-1])[::-1]
    np.testing.assert_allclose(corrected[order], np.minimum(expected, 1))


def test_metrics_without_a_closed_form_take_their_null_from_permutations():
    x, y, z = related(np.random.default_rng(0), noise=0.3)
    with pytest.raises(AkpsimError, match="procrustes has no closed-form null; give `permutations`, such as 199"):
        akpsim.significance([x, y, z], metric="procrustes")
    found = akpsim.significance([x, y, z], metric="procrustes", permutations=30)
    assert found.z[0, 1].item() > 3  # smaller distances are more alike
    assert found.p[0, 1].item() == pytest.approx(1 / 31)


def test_the_same_seed_gives_the_same_result_and_another_does_not():
    xs = related(np.random.default_rng(0))
    one, two, other = (akpsim.significance(xs, permutations=20, resamples=10, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_identical(one, two)
    assert not one.equals(other)


def test_a_bootstrap_would_lie_and_halves_do_not():
    """Why `resamples` are halves: samples drawn twice make independent data look alike."""
    rng = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {"bootstrap": [], "half": []}
    for _ in range(25):
        x, y = rng.normal(size=(30, 20)), rng.normal(size=(30, 20))
        for name, rows in (("bootstrap", rng.integers(30, size=30)), ("half", rng.permutation(30)[:15])):
            drawn[name].append(akpsim.METRICS["cka_debiased"](x[rows], y[rows]))
    assert np.mean(drawn["bootstrap"]) > 0.2
    assert abs(np.mean(drawn["half"])) < 0.1


def test_an_interval_holds_its_value_and_narrows_with_samples():
    width = {}
    for n in (20, 320):
        found = akpsim.significance(related(np.random.default_rng(0), n=n), metric="cka_debiased", resamples=60)
        assert found.similarity_lower[0, 1] < found.similarity[0, 1] < found.similarity_upper[0, 1]
        width[n] = (found.similarity_upper - found.similarity_lower)[0, 1].item()
    assert 2 < width[20] / width[320] < 8  # about the root of 16


@pytest.mark.slow
def test_the_interval_covers_the_value_of_many_samples():
    rng = np.random.default_rng(0)
    truth = akpsim.METRICS["cka_debiased"](*related(rng, n=4000, count=2))
    covered = 0
    for _ in range(200):
        found = akpsim.significance(related(rng, n=60, count=2), metric="cka_debiased", resamples=100, seed=rng)
        covered += found.similarity_lower[0, 1].item() <= truth <= found.similarity_upper[0, 1].item()
    print(f"coverage of a nominal 95 % interval at n = 60: {covered / 200:.3f}")  # noqa: T201
    assert covered / 200 > 0.88


def test_too_few_samples_for_an_interval_or_a_null_are_refused():
    with pytest.raises(UndefinedMetric, match="an interval needs at least 8 samples, got 7"):
        akpsim.significance(related(np.random.default_rng(0), n=7), resamples=5)
    with pytest.raises(UndefinedMetric, match="the permutation null is undefined below 4 samples, got 3"):
        akpsim.significance(related(np.random.default_rng(0), n=3))


def test_a_constant_member_has_no_null():
    xs = related(np.random.default_rng(0))
    found = akpsim.significance([*xs, np.ones((20, 2))], permutations=9)
    for name in ("similarity", "z", "p", "p_corrected", "null_sd"):
        assert np.isnan(found[name][3]).all()
        assert np.isfinite(found[name][0, 1])


def family_matrix():
    xs = related(np.random.default_rng(0), count=5)
    families = ["a", "a", "a", "b", "b"]
    stack = xr.DataArray(np.stack(xs), dims=("member", "sample", "neuron"), coords={"family": ("member", families)})
    return xs, akpsim.compare(stack)


def test_the_noise_ceiling_is_that_of_mean_points():
    xs, matrix = family_matrix()
    found = akpsim.noise_ceiling(matrix)
    points = np.stack([akpsim.METRICS["cka"].embed(x) for x in xs[:3]])
    mean = points.mean(axis=0)
    assert found.upper[0].item() == pytest.approx(np.mean(points @ mean) / np.linalg.norm(mean))
    others = [points[[j for j in range(3) if j != i]].mean(axis=0) for i in range(3)]
    expected = np.mean([p @ o / np.linalg.norm(o) for p, o in zip(points, others, strict=True)])
    assert found.lower[0].item() == pytest.approx(expected)
    assert found.members.values.tolist() == [3, 2]


def test_members_of_one_seed_are_no_others_in_a_noise_ceiling():
    rng = np.random.default_rng(0)
    starts = rng.normal(size=(3, 20, 4))
    xs = [starts[seed] + 1e-3 * rng.normal(size=(20, 4)) for seed in (0, 1, 2, 0, 1, 2)]
    stack = xr.DataArray(
        np.stack(xs),
        dims=("member", "sample", "neuron"),
        coords={"stress": ("member", ["none"] * 6), "seed": ("member", [0, 1, 2, 0, 1, 2])},
    )
    points = np.stack([akpsim.METRICS["cka"].embed(start) for start in starts])
    others = [points[[j for j in range(3) if j != i]].mean(axis=0) for i in range(3)]
    expected = np.mean([p @ o / np.linalg.norm(o) for p, o in zip(points, others, strict=True)])
    found = akpsim.noise_ceiling(akpsim.compare(stack), by="stress")
    assert found.lower.item() == pytest.approx(expected, abs=1e-3)
    assert found.lower.item() < found.upper.item()
    assert np.isnan(akpsim.noise_ceiling(akpsim.compare(stack[[0, 3]]), by="stress").lower.item())


def test_a_small_variance_of_many_samples_is_none_of_rounding():
    n = 10**5
    trace = np.sqrt((1 - 1e-5) * (n - 1)) * np.ones(2)  # all responses nearly at right angles, each as long
    a = 1e-5 * (n - 1)
    expected = 2 * a**2 / ((n + 1) * (n - 1) ** 2 * (n - 2)) + 4 * a**2 / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    found = moments(trace, trace**2 / n, n).sd  # with a constant diagonal B = -2 A
    np.testing.assert_allclose(found, np.sqrt(expected), rtol=1e-6)
    equal = np.sqrt(n - 1) * np.ones(2)
    assert np.isnan(moments(equal, equal**2 / n, n).sd).all()


def test_a_noise_ceiling_needs_a_cosine():
    _, matrix = family_matrix()
    with pytest.raises(AkpsimError, match="a noise ceiling is of metrics that are cosines, such as cka; nbs is none"):
        akpsim.noise_ceiling(matrix.assign_attrs(cosine=0, metric="nbs"))
