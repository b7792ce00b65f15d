r"""Nearest neighbours: whether samples are close to the same samples.

Neighbours are by cosine similarity of responses; a sample is never its own neighbour, by its number and not by its
distance, and of others that are equally close, to rounding, the earlier comes first.  :math:`N_k(i)` and
:math:`M_k(i)` are the k nearest neighbours of sample i in the two representations.
"""

import math
from functools import partial

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import EVEN, SAME
from akpsim.metrics.distances import rounding, tied, upper
from akpsim.metrics.metric import Array, Invariances, Metric, Parameter, each_pair, precise, scaled

NEIGHBOURS = {"k": Parameter(10, "number of neighbours", low=1)}
Point = tuple[Array, Array, Array]


def neighbourhood(x: Array, *, k: int, name: str) -> Point:
    """Return cosine similarities (sample, sample), ranks of others from 1 (0 for itself), and who is a neighbour.

    Similarities that are equal but for rounding are equal.
    """
    xp = array_namespace(x)
    n = x.shape[0]
    if k > n - 2:
        raise UndefinedMetric(
            f"{name} is undefined: {k} neighbours need at least {k + 2} samples, got {n}: "
            "all others would be neighbours"
        )
    if not bool(xp.any(x != x[0, :])):
        raise UndefinedMetric(f"{name} is undefined: {SAME}")
    x = scaled(precise(x))
    norm = xp.linalg.vector_norm(x, axis=1)
    if bool(xp.any(norm == 0)):
        place = int(xp.argmin(norm))
        raise UndefinedMetric(f"{name} is undefined: sample {place} has no response, and so no cosine")
    x = x / norm[:, None]
    similarity = xp.reshape(tied(xp.reshape(x @ x.T, (-1,)), rounding(x)), (n, n))
    pairs = upper(similarity)
    if not bool(xp.any(pairs != pairs[0])):
        raise UndefinedMetric(f"{name} is undefined: {EVEN}")
    self = xp.eye(n, dtype=x.dtype, device=x.device)
    apart = similarity - self * 4  # cosines are at least -1, so that itself comes last
    order = xp.argsort(-apart, axis=1, stable=True)
    ranks = xp.argsort(order, axis=1, stable=True) + 1
    ranks = xp.where(self > 0, xp.zeros_like(ranks), ranks)
    return similarity, ranks, (ranks >= 1) & (ranks <= k)


def counts(mask: Array) -> Array:
    """Return how many are true in each row."""
    xp = array_namespace(mask)
    return xp.sum(xp.astype(mask, xp.float64), axis=1)


def jaccard(one: Point, two: Point) -> float:
    """Return the mean share of common neighbours among all neighbours."""
    xp = array_namespace(one[0])
    return float(xp.mean(counts(one[2] & two[2]) / counts(one[2] | two[2])))


def mutual(one: Point, two: Point, *, k: int) -> float:
    """Return the mean share of the k neighbours that are common."""
    xp = array_namespace(one[0])
    return float(xp.mean(counts(one[2] & two[2]))) / k


def local_alignment(one: Point, two: Point) -> float:
    """Return the alignment of similarities less their row means, over pairs that are neighbours in both."""
    xp = array_namespace(one[0])
    k, m = (point[0] - xp.mean(point[0], axis=1)[:, None] for point in (one, two))

    def align(first: Array, second: Array, mask: Array) -> float:
        return float(xp.sum(xp.where(mask, first * second, xp.zeros_like(first))))

    own, other = align(k, k, one[2]), align(m, m, two[2])
    if own == 0 or other == 0:
        raise UndefinedMetric("cknna is undefined: all neighbours are as similar as samples are on average")
    return align(k, m, one[2] & two[2]) / math.sqrt(own * other)


def second_order(one: Point, two: Point) -> float:
    """Return the mean cosine between a sample's similarities to the neighbours it has in either representation."""
    xp = array_namespace(one[0])
    union = one[2] | two[2]
    s, t = (xp.where(union, point[0], xp.zeros_like(point[0])) for point in (one, two))
    norms = xp.sum(s * s, axis=1) * xp.sum(t * t, axis=1)
    if bool(xp.any(norms == 0)):
        place = int(xp.argmin(norms))
        raise UndefinedMetric(f"second_order_cosine is undefined: sample {place} is orthogonal to all its neighbours")
    return float(xp.mean(xp.sum(s * t, axis=1) / norms**0.5))


def rank_agreement(one: Point, two: Point) -> float:
    """Return the mean agreement of the ranks of common neighbours, the nearest counting most; 0 without common ones."""
    xp = array_namespace(one[0])
    both = one[2] & two[2]
    r, q = (xp.astype(point[1], one[0].dtype) for point in (one, two))
    ones = xp.ones_like(r)
    weight = xp.where(both, 2 / ((1 + xp.abs(r - q)) * xp.where(both, r + q, ones)), xp.zeros_like(r))
    number = counts(both)
    harmonic = xp.cumulative_sum(1 / xp.arange(1, both.shape[0] + 1, dtype=number.dtype, device=number.device))
    most = xp.take(harmonic, xp.astype(xp.where(number > 0, number - 1, xp.zeros_like(number)), xp.int64))
    return float(xp.mean(xp.astype(xp.sum(weight, axis=1), number.dtype) / most))


COSINE: Invariances = frozenset({"rotation", "permutation", "scaling"})

knn_jaccard = Metric(
    name="knn_jaccard",
    summary="mean Jaccard index of sets of nearest neighbours",
    embed=partial(neighbourhood, name="knn_jaccard"),
    score=each_pair(jaccard),
    kind="similarity",
    invariant_to=COSINE,
    range=(0, 1),
    formula=r"\frac{1}{n} \sum_i \frac{|N_k(i) \cap M_k(i)|}{|N_k(i) \cup M_k(i)|}",
    source="Wang, Rao, Guo, Wang, Liu, Guan 2022, IEEE TKDE 34; Klabunde et al. 2025, ACM Computing Surveys 57, "
    "section 3.4",
    beware="k / (2 n - k) or so for independent data; not mutual_knn, which divides by k",
    parameters=NEIGHBOURS,
)

mutual_knn = Metric(
    name="mutual_knn",
    summary="mean share of common nearest neighbours",
    embed=partial(neighbourhood, name="mutual_knn"),
    score=each_pair(mutual),
    kind="similarity",
    invariant_to=COSINE,
    range=(0, 1),
    formula=r"\frac{1}{n k} \sum_i |N_k(i) \cap M_k(i)|",
    source="Huh, Cheung, Wang, Isola 2024, ICML, appendix A",
    beware="k / (n - 1) for independent data; grows with k",
    parameters=NEIGHBOURS,
)

cknna = Metric(
    name="cknna",
    summary="kernel alignment over common nearest neighbours",
    embed=partial(neighbourhood, name="cknna"),
    score=each_pair(local_alignment),
    kind="similarity",
    invariant_to=COSINE,
    range=(-1, 1),
    formula=r"\frac{a(K, L)}{\sqrt{a(K, K) \, a(L, L)}}, \quad a(K, L) = \sum_i \sum_{j \in N_k(i) \cap M_k(i)}"
    r" (K_{ij} - \bar K_i)(L_{ij} - \bar L_i)",
    source="Huh, Cheung, Wang, Isola 2024, ICML, appendix A",
    beware="K is of cosine similarities; not the debiased option of its authors' code",
    parameters=NEIGHBOURS,
)

second_order_cosine = Metric(
    name="second_order_cosine",
    summary="mean cosine between samples' similarities to their neighbours in either representation",
    embed=partial(neighbourhood, name="second_order_cosine"),
    score=each_pair(second_order),
    kind="similarity",
    invariant_to=COSINE,
    range=(-1, 1),
    formula=r"\frac{1}{n} \sum_i \cos\left(s_i(j), t_i(j)\right)_{j \in N_k(i) \cup M_k(i)}",
    source="Hamilton, Leskovec, Jurafsky 2016, EMNLP, section 2",
    beware="near 1 whenever all responses point the same way: similarities are not centred",
    parameters=NEIGHBOURS,
)

rank_similarity = Metric(
    name="rank_similarity",
    summary="mean agreement of the ranks of common nearest neighbours",
    embed=partial(neighbourhood, name="rank_similarity"),
    score=each_pair(rank_agreement),
    kind="similarity",
    invariant_to=COSINE,
    range=(0, 1),
    formula=r"\frac{1}{n} \sum_i \frac{1}{H_i} \sum_{j \in N_k(i) \cap M_k(i)}"
    r" \frac{2}{(1 + |r_i(j) - q_i(j)|)(r_i(j) + q_i(j))}, \quad H_i = \sum_{m=1}^{|N_k(i) \cap M_k(i)|} \frac{1}{m}",
    source="Wang, Rao, Guo, Wang, Liu, Guan 2022, IEEE TKDE 34; Klabunde et al. 2025, ACM Computing Surveys 57, "
    "section 3.4",
    beware="not a rank correlation; a sample without common neighbours counts 0",
    parameters=NEIGHBOURS,
)
