"""Kernels, dissimilarities, neighbours and products of many terms are right to rounding, and ties are ties."""

import re
from fractions import Fraction

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch

import akpsim
from akpsim import METRICS
from akpsim.errors import UndefinedMetric
from akpsim.metrics import distances, products
from akpsim.metrics.distances import squared_distances, tied

NEIGHBOURS = ["knn_jaccard", "mutual_knn", "cknna", "second_order_cosine", "rank_similarity"]
LIBRARIES = pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


def normal(n, width, *, seed=0, count=2):
    return np.random.default_rng(seed).normal(size=(count, n, width))


def binary(n=30, width=6, *, seed=0):
    """Two tables of zeros and ones, none of whose rows is zero."""
    x = (np.random.default_rng(seed).uniform(size=(2, n, width)) < 0.5).astype(float)
    x[:, :, 0] = 1.0
    return x


def aligned(k, m):
    """The alignment of two kernel matrices, in long double: H K H and H L H written out."""
    k, m = (np.asarray(a, dtype=np.longdouble) for a in (k, m))
    k, m = (a - a.mean(0) - a.mean(1)[:, None] + a.mean() for a in (k, m))
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def exact_pdist(x):
    """Squared distances of all pairs from differences, in long double."""
    x = np.asarray(x, dtype=np.longdouble)
    return ((x[:, None] - x[None]) ** 2).sum(axis=2)


# --- bandwidth ------------------------------------------------------------------------------------------------------


@LIBRARIES
@pytest.mark.parametrize("n", [4, 13, 16])  # 6, 78 and 120 pairs: even, so that the median is a mean of two
def test_the_bandwidth_is_a_fraction_of_numpy_s_median_of_distances(library, n):
    x, y = normal(n, 4)
    kernels = []
    for z in (x, y):
        d = scipy.spatial.distance.pdist(z)
        kernels.append(np.exp(-(scipy.spatial.distance.squareform(d) ** 2) / (2 * (0.7 * np.median(d)) ** 2)))
    assert METRICS["cka_rbf"](library(x), library(y), fraction=0.7) == pytest.approx(aligned(*kernels), abs=1e-13)


@pytest.mark.parametrize("fraction", [1e4, 1e6, 1e9])
def test_a_wide_bandwidth_loses_no_digits(fraction):
    # exp(-d / 2w^2) - 1 is -d / 2w^2 (1 - d / 4w^2 + ...): to 1e-8 the alignment is that of squared distances
    x, y = normal(12, 5)
    expected = aligned(-exact_pdist(x), -exact_pdist(y))
    assert METRICS["cka_rbf"](x, y, fraction=fraction) == pytest.approx(expected, abs=10 / fraction**2 + 1e-12)
    debiased = METRICS["cka_rbf_debiased"](x, y, fraction=fraction)
    assert debiased == pytest.approx(METRICS["cka_debiased"](x, y), abs=10 / fraction**2 + 1e-12)


@LIBRARIES
@pytest.mark.parametrize("name", ["cka_rbf", "cka_rbf_debiased"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("power", [-60, 33, 60])
def test_an_absolute_bandwidth_has_the_unit_of_the_data(library, name, dtype, power):
    x, y = normal(30, 5).astype(dtype)
    metric, scale = METRICS[name], dtype(2.0**power)  # exact
    found = metric(library(x * scale), library(y * scale), sigma=2.0 * float(scale))
    assert found == pytest.approx(metric(x.astype(float), y.astype(float), sigma=2.0), abs=1e-13)


def test_an_absolute_bandwidth_is_not_rescaled_between_members():
    x, y = (normal(30, 5) * 1e10).astype(np.float32)
    k, m = (np.exp(-exact_pdist(z) / (2 * np.longdouble(2e10) ** 2)) for z in (x, y))
    found = akpsim.compare([x, y], metric="cka_rbf", sigma=2e10)
    assert float(found[0, 1]) == pytest.approx(aligned(k, m), abs=1e-12)


@pytest.mark.parametrize("sigma", [1e-300, 1e-9, 1e9])
def test_a_bandwidth_that_tells_no_pair_from_another_is_refused(sigma):
    x = np.arange(6.0)[:, None] * (1e-160 if sigma == 1e9 else 1.0)
    with pytest.raises(UndefinedMetric, match=f"bandwidth {re.escape(f'{sigma:g}')} makes all pairs of"):
        METRICS["cka_rbf"](x, x, sigma=sigma)


# --- distances ------------------------------------------------------------------------------------------------------


@LIBRARIES
def test_distances_are_right_beside_an_outlier_and_far_from_zero(library, monkeypatch):
    monkeypatch.setattr(distances, "PART", 16)  # three pairs at a time
    x = normal(13, 5, count=1)[0]
    x[3] = x[7]
    x[0] *= 1e8
    for moved in (x, x[1:] + 1e6, x[1:] * 1e-6 + np.repeat([[0.0], [10.0]], 6, axis=0)):
        found = np.asarray(squared_distances(library(moved)))
        np.testing.assert_allclose(found, exact_pdist(moved).astype(float), rtol=1e-13)
    assert np.asarray(squared_distances(library(x)))[3, 7] == 0


def test_debiased_distance_correlation_bears_an_outlier():
    x, y = normal(13, 5)
    x[0] *= 1e6
    u = []
    for z in (x, y):  # Székely and Rizzo 2014, section 2.1, in long double
        a, n = np.sqrt(exact_pdist(z)), len(z)
        a = a - (a.sum(0)[:, None] + a.sum(0)) / (n - 2) + a.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(a, 0)
        u.append(a)
    expected = float((u[0] * u[1]).sum() / np.sqrt((u[0] ** 2).sum() * (u[1] ** 2).sum()))
    assert METRICS["distance_correlation"](x, y, debiased=True) == pytest.approx(expected, rel=1e-8)


@LIBRARIES
def test_values_within_a_tolerance_tie_at_the_smallest(library):
    values = library(np.array([3.0, 1.0, 3.0 + 1e-12, 2.0, 1.0 - 1e-12]))
    assert np.asarray(tied(values, 1e-11)).tolist() == [3.0, 1.0 - 1e-12, 3.0, 2.0, 1.0 - 1e-12]
    assert np.asarray(tied(values, 1e-13)).tolist() == np.asarray(values).tolist()
    wide = library(np.array([0.0, 0.0, 0.0, 1.5, 0.0]))  # of the value 2: it may be 1 or 3
    assert np.asarray(tied(values, wide)).tolist() == [1.0, 1.0, 3.0 + 1e-12, 1.0, 1.0 - 1e-12]


# --- ties of dissimilarities ----------------------------------------------------------------------------------------

COMPARISONS = {"spearman": scipy.stats.spearmanr, "kendall": scipy.stats.kendalltau, "pearson": scipy.stats.pearsonr}


def exact(x, rdm):
    """Dissimilarities of all pairs, rounded so that those equal in exact arithmetic are equal."""
    if "euclidean" in rdm:
        squared = np.rint(scipy.spatial.distance.pdist(x, "sqeuclidean"))
        return np.sqrt(squared) if rdm == "euclidean" else squared
    return np.round(scipy.spatial.distance.pdist(x, rdm), 11)


@LIBRARIES
@pytest.mark.parametrize("rdm", ["euclidean", "squared_euclidean", "correlation", "cosine"])
@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("scale", [1.0, 3.3])
def test_dissimilarities_of_whole_numbers_tie(library, rdm, compare, scale):
    x, y = np.random.default_rng(0).integers(0, 3, size=(2, 30, 6)).astype(float)
    varied = (x.std(axis=1) > 0) & (y.std(axis=1) > 0)
    x, y = x[varied], y[varied]
    expected = COMPARISONS[compare](exact(x, rdm), exact(y, rdm)).statistic
    found = METRICS["rsa"](library(x * scale), library(y * scale), rdm=rdm, compare=compare)
    assert found == pytest.approx(expected, abs=1e-10)
    itself = METRICS["rsa"](library(x), library(x * 3.3), rdm=rdm, compare=compare)
    assert itself == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dissimilarities_of_rectified_responses_tie(dtype):
    # Four neurons, one or two of them active: many correlations are equal, whatever the activations
    x, y = np.maximum(normal(40, 4, seed=3), 0).astype(dtype)
    varied = (x.std(axis=1) > 0) & (y.std(axis=1) > 0)
    x, y = x[varied], y[varied]
    for compare in ("spearman", "kendall"):
        expected = COMPARISONS[compare](*(exact(z.astype(float), "correlation") for z in (x, y)))
        assert METRICS["rsa"](x, y, compare=compare) == pytest.approx(expected.statistic, abs=1e-10)


def test_repeated_samples_tie():
    x, y = normal(60, 200)
    x[20:40] = x[40:] = x[:20]
    y[30:] = y[:30]
    for rdm in ("euclidean", "correlation"):
        one, two = (np.round(scipy.spatial.distance.pdist(z, rdm), 12) for z in (x, y))
        found = METRICS["rsa"](x, 3.3 * y, rdm=rdm)
        assert found == pytest.approx(scipy.stats.spearmanr(one, two).statistic, abs=1e-12)


@LIBRARIES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_correlations_of_two_neurons_are_one_or_minus_one(library, dtype):
    # Of two neurons only the sign of the difference counts: dissimilarities are 0 or 2
    x, y = normal(13, 2, seed=1).astype(dtype)
    signs = [np.sign(z[:, 0] - z[:, 1]) for z in (x, y)]
    one, two = ((s[:, None] != s)[np.triu_indices(13, 1)] for s in signs)
    found = METRICS["rsa"](library(x), library(y))
    assert found == pytest.approx(scipy.stats.spearmanr(one, two).statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("compare", ["spearman", "kendall", "pearson"])
def test_equal_dissimilarities_are_refused_as_flat(compare, seed):
    x, y = normal(4, 2, seed=seed)
    x[:, 1] += 10  # the second neuron answers more to all four samples: any two correlate fully
    with pytest.raises(UndefinedMetric, match="rsa is undefined: all pairs of samples are equally far apart"):
        METRICS["rsa"](x, y, compare=compare)


def test_a_sample_without_contrast_is_refused_though_rounding_leaves_some():
    x, y = normal(6, 3)
    x[4] = [0.1 + 0.2, 0.3, 0.3]
    with pytest.raises(UndefinedMetric, match="sample 4 has the same response of all neurons"):
        METRICS["rsa"](x, y)


# --- neighbours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEIGHBOURS)
@LIBRARIES
def test_neighbours_of_equal_responses_are_undefined(library, name):
    x = normal(30, 5, count=1)[0]
    for flat in (np.full((30, 5), 0.1), np.tile(x[:1], (30, 1))):
        for one, two in ((flat, x), (x, flat), (flat, 3 * flat)):
            with pytest.raises(UndefinedMetric, match=f"{name} is undefined: all samples have the same response"):
                METRICS[name](library(one), library(two))
    for even in (np.eye(30), x[:1] * np.linspace(0.1, 2, 30)[:, None]):
        with pytest.raises(UndefinedMetric, match=f"{name} is undefined: all pairs of samples are equally alike"):
            METRICS[name](library(even), library(x))


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_what_keeps_neighbours_from_a_value_is_said_by_the_metric_s_name(name):
    x, y = normal(11, 4)
    with pytest.raises(UndefinedMetric, match=f"{name} is undefined: 10 neighbours need at least 12 samples, got 11"):
        METRICS[name](x, y)
    x[3] = 0
    with pytest.raises(UndefinedMetric, match=f"{name} is undefined: sample 3 has no response"):
        METRICS[name](x, y, k=2)


def exact_ranks(x):
    """Ranks of neighbours of binary rows, by exact cosines: of equally close ones the earlier comes first."""
    x = x.astype(int).tolist()
    dot = [[sum(a * b for a, b in zip(p, q, strict=True)) for q in x] for p in x]
    ranks = []
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        others.sort(key=lambda j: (-Fraction(dot[i][j] ** 2, dot[j][j]), j))
        ranks.append({j: place + 1 for place, j in enumerate(others)})
    return ranks


@LIBRARIES
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1.0, 3.3])
def test_of_equally_close_neighbours_the_earlier_comes_first(library, seed, scale):
    x, y = binary(width=12, seed=seed)
    k, shared, jaccard, ranked = 5, [], [], []
    for r, q in zip(exact_ranks(x), exact_ranks(y), strict=True):
        one, two = ({j for j in own if own[j] <= k} for own in (r, q))
        shared.append(len(one & two) / k)
        jaccard.append(len(one & two) / len(one | two))
        weights = sum(2 / ((1 + abs(r[j] - q[j])) * (r[j] + q[j])) for j in one & two)
        ranked.append(weights / sum(1 / m for m in range(1, len(one & two) + 1)) if one & two else 0.0)
    x, y = library(x * scale), library(y)
    assert METRICS["mutual_knn"](x, y, k=k) == pytest.approx(np.mean(shared), abs=1e-12)
    assert METRICS["knn_jaccard"](x, y, k=k) == pytest.approx(np.mean(jaccard), abs=1e-12)
    assert METRICS["rank_similarity"](x, y, k=k) == pytest.approx(np.mean(ranked), abs=1e-12)


# --- many terms in float32 ------------------------------------------------------------------------------------------


@LIBRARIES
@pytest.mark.parametrize("name", ["cka", "cka_debiased", "rv"])
@pytest.mark.parametrize("n", [1000, 2000])
def test_products_of_many_terms_in_float32_are_right(library, name, n):
    x = normal(n, 64, count=1)[0].astype(np.float32)
    y = (x + normal(n, 64, seed=1, count=1)[0]).astype(np.float32)
    # tr(K L) = |X'Y|^2, and U-centring of K written with the row sums of the Gram matrix, as Song et al. 2012
    cx, cy = (z.astype(float) - z.astype(float).mean(axis=0) for z in (x, y))

    def product(a, b):
        d, e = (a * a).sum(axis=1), (b * b).sum(axis=1)
        found = ((a.T @ b) ** 2).sum()
        if name == "cka_debiased":
            found += d.sum() * e.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (d @ e) - d @ e
        return found

    expected = product(cx, cy) / np.sqrt(product(cx, cx) * product(cy, cy))
    assert METRICS[name](library(x), library(y)) == pytest.approx(expected, abs=3e-7)
    assert METRICS[name](library(x), library(x)) == pytest.approx(1, abs=3e-7)


@LIBRARIES
def test_products_are_the_same_part_by_part(library, monkeypatch):
    monkeypatch.setattr(products, "PART", 12)
    x = normal(3, 50, count=1)[0].astype(np.float32)
    found = products.precise_products([*library(x)], [*library(x[:2])])
    np.testing.assert_allclose(np.asarray(found), x.astype(float) @ x[:2].astype(float).T, rtol=1e-14)
    with pytest.raises(UndefinedMetric, match="nothing there"):
        products.precise_unit(library(x[0] * 0), "nothing there")
