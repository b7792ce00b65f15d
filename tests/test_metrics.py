"""Every metric has exactly the properties it declares, in both directions, over the whole registry."""

import contextlib
import math
import warnings

import numpy as np
import pytest
import torch

import akpsim
from akpsim import METRICS, Metric
from akpsim.errors import AkpsimError, AkpsimWarning, MisalignedSamples, UndefinedMetric, UnknownName

N, D = 30, 5
NAMES = list(METRICS)
LABELS = np.arange(N) % D
TRANSFORMATIONS = {
    "translation": lambda x, rng: x + 3 * rng.normal(size=x.shape[1]),
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2)).Q,
    "permutation": lambda x, rng: x[:, rng.permutation(x.shape[1])[::1] if x.shape[1] < 3 else np.roll(range(D), 1)],
    "scaling": lambda x, rng: x * rng.uniform(2, 3),
    "linear": lambda x, rng: x @ rng.normal(size=(x.shape[1],) * 2),
}


def data(metric, rng, *, count=2, n=N, width=D):
    """Representations that are related, with means away from zero; probabilities for metrics of outputs."""
    shared = rng.normal(size=(n, width))
    found = [shared + rng.normal(size=(n, width)) + rng.normal(size=width) for _ in range(count)]
    if metric.data == "outputs":
        return [np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in found]
    return found


def arguments(name, n=N):
    return {"labels": (np.arange(n) % D)} if name == "accuracy_difference" else {}


def value(metric, x, y):
    """Return the value, or None if it has none."""
    try:
        return metric(x, y, **arguments(metric.name, len(x)))
    except UndefinedMetric:
        return None


def test_there_are_at_least_25_and_each_says_what_it_is():
    assert len(METRICS) >= 25
    for name, metric in METRICS.items():
        assert name == metric.name
        for text in (metric.summary, metric.formula, metric.source, metric.beware):
            assert text, name


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_invariant_to_what_it_declares_and_to_nothing_else(name, transformation):
    metric, move = METRICS[name], TRANSFORMATIONS[transformation]
    unchanged = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, y = data(metric, rng)
        before = value(metric, x, y)
        for one, two in ((move(x, rng), y), (x, move(y, rng))):
            after = value(metric, one, two)
            unchanged.append(after is not None and math.isclose(before, after, rel_tol=1e-8, abs_tol=1e-9))
    assert all(unchanged) == (transformation in metric.invariant_to)


@pytest.mark.parametrize("name", NAMES)
def test_symmetric_if_and_only_if_it_declares_so(name):
    metric = METRICS[name]
    same = []
    for seed in range(4):
        x, y = data(metric, np.random.default_rng(seed))
        same.append(math.isclose(value(metric, x, y), value(metric, y, x), rel_tol=1e-9, abs_tol=1e-10))
    assert all(same) == metric.symmetric


@pytest.mark.parametrize("name", NAMES)
def test_values_lie_in_the_declared_range_and_a_thing_is_most_like_itself(name):
    metric = METRICS[name]
    low, high = metric.range
    for seed in range(4):
        x, y = data(metric, np.random.default_rng(seed))
        assert low - 1e-12 <= value(metric, x, y) <= high + 1e-12
        if metric.kind != "similarity":
            assert value(metric, x, x) == pytest.approx(0, abs=1e-7)
        elif name not in ("ridge_cv", "soft_match"):
            assert value(metric, x, x) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].kind == "metric"])
def test_metrics_obey_the_triangle_inequality(name):
    metric = METRICS[name]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y, z = data(metric, rng, count=3)
        # A point between two is where the inequality is tight.
        z = (x + y) / 2 if seed % 2 else z
        assert value(metric, x, y) <= value(metric, x, z) + value(metric, z, y) + 1e-9


def test_a_dissimilarity_is_no_metric():
    # Jensen-Shannon divergence of (1, 0), (0, 1) and their middle, by hand: 1 > 2 (1.5 - .75 log2 3) = .62
    p, q = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    jsd = METRICS["jsd"]
    assert jsd(p, q) == pytest.approx(1)
    assert jsd(p, (p + q) / 2) == pytest.approx(1.5 - 0.75 * math.log2(3))
    assert jsd(p, q) > 2 * jsd(p, (p + q) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_cosines_give_euclidean_distances(name):
    metric = METRICS[name]
    if not metric.cosine:
        return
    xs = data(metric, np.random.default_rng(0), count=8)
    s = np.array([[value(metric, x, y) for y in xs] for x in xs])
    assert np.linalg.eigvalsh(s).min() > -1e-10


@pytest.mark.parametrize("name", NAMES)
def test_unequal_widths_work_both_ways_round_or_are_refused(name):
    metric, rng = METRICS[name], np.random.default_rng(0)
    (x,), (y,) = data(metric, rng, count=1), data(metric, rng, count=1, width=3)
    refused = metric.widths == "equal" or name == "correlation"
    for one, two in ((x, y), (y, x)):
        if refused:
            with pytest.raises(UndefinedMetric, match="needs equal numbers of"):
                metric(one, two)
        else:
            assert math.isfinite(value(metric, one, two))


@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_with_float64_on_the_same_numbers(name):
    metric = METRICS[name]
    x, y = (a.astype(np.float32) for a in data(metric, np.random.default_rng(0)))
    assert value(metric, x, y) == pytest.approx(value(metric, x.astype(float), y.astype(float)), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_torch_tensors_go_through_the_same_lines(name):
    metric = METRICS[name]
    x, y = data(metric, np.random.default_rng(0))
    found = metric(torch.from_numpy(x), torch.from_numpy(y), **arguments(name))
    assert found == pytest.approx(value(metric, x, y), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].data == "activations"])
def test_means_far_from_zero_cost_no_accuracy(name):
    metric = METRICS[name]
    x, y = data(metric, np.random.default_rng(0))
    # Rounded so that adding a mean is exact: the moved data are the same numbers but for the mean.
    x, y = np.round(x * 2**30) / 2**30, np.round(y * 2**30) / 2**30
    before = value(metric, x, y)
    for mean in (1, 10, 100, 1000):
        if "translation" in metric.invariant_to:
            assert value(metric, x + mean, y + mean) == pytest.approx(before, abs=1e-10)
        one, two = (x + mean).astype(np.float32), (y + mean).astype(np.float32)
        assert value(metric, one, two) == pytest.approx(value(metric, one.astype(float), two.astype(float)), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if "scaling" in METRICS[name].invariant_to])
@pytest.mark.parametrize("scale", [1e-10, 1e10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scales_cost_no_accuracy(name, scale, dtype):
    metric = METRICS[name]
    x, y = (a.astype(dtype) for a in data(metric, np.random.default_rng(0)))
    scale = dtype(2.0 ** round(math.log2(scale)))  # exact
    assert value(metric, x * scale, y * scale) == pytest.approx(value(metric, x, y), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].data == "activations"])
@pytest.mark.parametrize("power", [-1000, 1000])  # 1e-301 and 1e301: no square is a number
def test_numbers_near_the_ends_of_the_range_are_right_or_refused(name, power):
    metric = METRICS[name]
    x, y = data(metric, np.random.default_rng(0))
    far = [a * 2.0**power for a in (x, y)]
    if name == "procrustes_distance" and power > 0:
        with pytest.raises(UndefinedMetric, match="responses above 1e\\+150 have no squares"):
            metric(*far)
        return
    found = akpsim.compare([*far, far[0]], metric=name).values[0, 1] if "cka" in name else metric(*far)
    expected = value(metric, x, y) * (1 if "scaling" in metric.invariant_to else 2.0**power)
    assert found == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-160, 1e-10, 1e10, 1e140])
def test_distances_of_size_keep_their_digits_at_any_scale(scale):
    # By hand: centred, (-1, 1) and (-2, 2) are sqrt(2) (2 - 1) apart; the nearest power of two moves no digit
    x, power = np.array([[0.0], [2.0]]), 2.0 ** round(math.log2(scale))
    assert METRICS["procrustes_distance"](x * power, 2 * x * power) == pytest.approx(2**0.5 * power, rel=1e-15, abs=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("bad", "says"), [(np.nan, "is NaN at sample 3"), (np.inf, "is infinite at sample 3")])
def test_numbers_that_are_none_are_named(name, bad, says):
    metric = METRICS[name]
    x, y = data(metric, np.random.default_rng(0))
    x[3, 1] = bad
    with pytest.raises(UndefinedMetric, match=f"{name} is undefined: neuron 1 {says}"):
        metric(x, y, **arguments(name))


CONSTANT_IS_FINE = {"magnitude", "uniformity", "concentricity", "eigenspace_overlap"} | {
    "jsd", "disagreement", "accuracy_difference"
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_constant_representation_is_refused_with_the_reason(name, constant):
    metric = METRICS[name]
    (x,) = data(metric, np.random.default_rng(0), count=1)
    flat = np.full_like(x, constant)
    if name in CONSTANT_IS_FINE and (constant or name in ("magnitude", "disagreement", "accuracy_difference")):
        return
    for one, two in ((flat, x), (x, flat)):
        with pytest.raises(UndefinedMetric, match="undefined"):
            metric(one, two, **arguments(name))


@pytest.mark.parametrize("name", NAMES)
def test_few_samples_are_right_or_refused_by_name(name):
    metric = METRICS[name]
    for n in (1, 2, 3, 4):
        x, y = data(metric, np.random.default_rng(n), n=n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AkpsimWarning)  # CKA of two samples is always 1
            found = value(metric, x, y)
        if found is not None:
            assert n >= metric.smallest
            assert metric.range[0] - 1e-9 <= found <= metric.range[1] + 1e-9
        if n < metric.smallest:
            with pytest.raises(UndefinedMetric, match=f"{name} is undefined below {metric.smallest} samples, got {n}"):
                metric(x, y, **arguments(name, n))


@pytest.mark.parametrize("name", NAMES)
def test_more_neurons_than_samples_are_right_or_refused_by_name(name):
    metric = METRICS[name]
    if metric.data == "outputs":
        return
    x, y = data(metric, np.random.default_rng(0), n=16, width=40)
    neighbours = "k" in metric.parameters
    refused = {"svcca", "cca", "cca_squared", "pwcca", "linear_regression", "eigenspace_overlap"}
    if name in refused:
        with pytest.raises(UndefinedMetric, match=r"1[56] independent neurons span every response to 16 samples"):
            metric(x, y)
    else:
        with pytest.warns(AkpsimWarning, match="of 15 other") if neighbours else contextlib.nullcontext():
            found = value(metric, x, y)
        assert metric.range[0] - 1e-9 <= found <= metric.range[1] + 1e-9


@pytest.mark.parametrize("name", ["cca", "cca_squared", "svcca", "pwcca", "linear_regression", "ridge_cv"])
def test_dead_and_doubled_neurons_do_not_change_a_subspace(name):
    metric = METRICS[name]
    x, y = data(metric, np.random.default_rng(0))
    more = np.concatenate([x, np.full((N, 2), 4.0)], axis=1)
    assert value(metric, more, y) == pytest.approx(value(metric, x, y), abs=1e-9)
    if "linear" in metric.invariant_to:
        doubled = np.concatenate([x, x[:, :2]], axis=1)
        assert value(metric, doubled, y) == pytest.approx(value(metric, x, y), abs=1e-9)


SPACES = ["cca", "cca_squared", "svcca", "pwcca", "eigenspace_overlap", "linear_regression", "shape", "gulp"]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", ["neurons", "spectrum"])
def test_float32_keeps_every_dimension_that_the_same_numbers_have_in_float64(name, kind):
    rng = np.random.default_rng(0)
    if kind == "neurons":  # of very unequal scales
        scales = np.logspace(4, -4, 9)
        x = rng.normal(size=(40, 9))
        x, y = x * scales, (x @ rng.normal(size=(9, 9)) + rng.normal(size=(40, 9))) * scales[::-1]
    else:  # many samples, a spectrum down to 1e-5, turned so that no neuron is small
        spectrum, (turn, _) = np.logspace(0, -5, 20), np.linalg.qr(rng.normal(size=(20, 20)))
        x = rng.normal(size=(2000, 20)) * spectrum
        x, y = x @ turn, (x / 2 + rng.normal(size=(2000, 20)) * spectrum) @ turn.T
    x, y = x.astype(np.float32), y.astype(np.float32)
    expected = METRICS[name](x.astype(float), y.astype(float))
    assert METRICS[name](x, y) == pytest.approx(expected, abs=1e-9)
    assert METRICS[name](torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["cca", "cca_squared", "eigenspace_overlap"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mean", [0, 3, 1000])
def test_neurons_computed_from_others_add_no_dimension(name, dtype, mean):
    rng = np.random.default_rng(0)
    x, y = data(METRICS[name], rng, n=60)
    x, y = (x + mean).astype(dtype), y.astype(dtype)
    more = np.concatenate([x, x[:, :2], x @ rng.normal(size=(D, 9)).astype(dtype)], axis=1)  # in that precision
    assert METRICS[name](more, y) == pytest.approx(METRICS[name](x, y), abs=1e-9 if dtype is np.float64 else 1e-3)
    assert METRICS[name].dimension(METRICS[name].embed(more)) == D


@pytest.mark.parametrize("name", [name for name in SPACES if "translation" in METRICS[name].invariant_to])
def test_samples_that_differ_by_rounding_alone_are_refused(name):
    (y,) = data(METRICS[name], np.random.default_rng(0), count=1)
    x = (1 + 2.0**-23 * (np.arange(N)[:, None] % 2)).astype(np.float32)  # 1 and the next number
    with pytest.raises(UndefinedMetric, match=f"^{name} is undefined: samples differ by no more than the rounding of"):
        METRICS[name](x, y)


def test_different_numbers_of_samples_are_refused():
    with pytest.raises(MisalignedSamples, match="must have the same samples, got 5 and 6"):
        METRICS["cka"](np.eye(5), np.eye(6))


def test_other_things_than_tables_of_real_numbers_are_refused():
    cka = METRICS["cka"]
    with pytest.raises(UndefinedMetric, match=r"cka compares arrays \(sample, neuron\), got one of shape \(3,\)"):
        cka(np.ones(3), np.ones(3))
    with pytest.raises(UndefinedMetric, match="must be real, got complex"):
        cka(np.eye(3) * 1j, np.eye(3))
    with pytest.raises(UndefinedMetric, match="must be numbers, got <U1"):
        cka(np.array([["a"], ["b"]]), np.eye(2))
    assert cka([[0], [1], [2]], [[1], [0], [3]]) == pytest.approx(3 / 7)  # r^2 by hand: x = -1 0 1, y = -1/3 -4/3 5/3


def test_parameters_are_checked_and_the_nearest_is_suggested():
    x, y = data(METRICS["svcca"], np.random.default_rng(0))
    with pytest.raises(UnknownName, match="unknown parameter of svcca 'component': did you mean 'components'"):
        METRICS["svcca"](x, y, component=2)
    with pytest.raises(AkpsimError, match="`components` must be a whole number from 1 or none, got 0"):
        METRICS["svcca"](x, y, components=0)
    with pytest.raises(AkpsimError, match="`alpha` must be a number from 0 to 1, got 2"):
        METRICS["shape"](x, y, alpha=2)
    with pytest.raises(UnknownName, match="unknown `rdm` 'euclid': did you mean 'euclidean'"):
        METRICS["rsa"](x, y, rdm="euclid")
    with pytest.raises(UnknownName, match="unknown parameter of cka 'k'"):
        METRICS["cka"](x, y, k=2)
    assert METRICS["svcca"](x, y, components="2") == METRICS["svcca"](x, y, components=2)


def test_a_metric_of_one_s_own_joins_the_registry():
    mine = Metric(
        **{key: getattr(METRICS["cka"], key) for key in ("embed", "score", "kind", "invariant_to", "range")},
        **dict.fromkeys(("summary", "formula", "source", "beware"), "mine"),
        name="mine",
    )
    METRICS.add(mine)
    try:
        assert METRICS["mine"](np.eye(4), np.eye(4)) == pytest.approx(1)
        with pytest.raises(AkpsimError, match="a metric named 'mine' exists already"):
            METRICS.add(mine)
    finally:
        del METRICS["mine"]
