"""Every metric against its formula in extended precision, over means, scales, counts and widths, or refused.

The formulas are written out here for clarity, in numpy's longdouble where they are sums and products, and with scipy's
decompositions of data that were centred and scaled in longdouble where they are not.  `Undefined` is what the
mathematics or the documented rule of a metric leaves without a value.
"""

import functools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import torch

from akpsim import METRICS
from akpsim.errors import UndefinedMetric

pytestmark = pytest.mark.filterwarnings("ignore::akpsim.errors.AkpsimWarning")  # counts are small on purpose


class Undefined(Exception):
    """The formula has no value."""


def centre(x):
    x = x - x[:1]  # exact for constant columns
    return x - x.mean(axis=0)


def norm(a):
    return np.sqrt((a * a).sum())


def unit(a):
    if not a.any():
        raise Undefined
    return a / norm(a)


def rows(x):
    lengths = np.sqrt((x * x).sum(axis=1, keepdims=True))
    if not lengths.all():
        raise Undefined
    return x / lengths


def double(a):
    return a.astype(np.float64)


def cosine(a, b):
    return (unit(a) * unit(b)).sum()


def squared_distances(x):
    return ((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)


def doubly_centred(k):
    return k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()


def u_centred(k):
    n = len(k)
    k = np.where(np.eye(n, dtype=bool), 0, k)
    r = k.sum(axis=0)
    return np.where(np.eye(n, dtype=bool), 0, k - (r + r[:, None]) / (n - 2) + r.sum() / ((n - 1) * (n - 2)))


def gram(x):
    x = unit(centre(x))
    return x @ x.T


def rbf(x):
    d = squared_distances(unit(centre(x)))
    sigma = np.median(np.sqrt(d[np.triu_indices(len(d), 1)]))
    return np.exp(-d / (2 * sigma**2))


def distances(x):
    return np.sqrt(squared_distances(unit(centre(x))))


# Spaces


def span(x, most):
    """Orthonormal basis of the columns; undefined if it holds everything there is."""
    lengths = np.sqrt((x * x).sum(axis=0))
    u, s, _ = scipy.linalg.svd(double(x / np.where(lengths > 0, lengths, 1)), full_matrices=False)
    kept = int((s > 1e-9 * max(s[0], 1e-300)).sum())
    if kept in (0, most):
        raise Undefined
    return u[:, :kept]


def centred_span(x):
    return span(centre(x), len(x) - 1)


def canonical(x, y):
    return scipy.linalg.svdvals(centred_span(x).T @ centred_span(y))


def svcca(x, y):
    kept = []
    for a in (x, y):
        u, s, _ = scipy.linalg.svd(double(unit(centre(a))), full_matrices=False)
        k = int(np.argmax(np.cumsum(s**2) >= 0.99 * (1 - 1e-15))) + 1
        if k == len(a) - 1:
            raise Undefined
        kept.append(u[:, :k])
    return scipy.linalg.svdvals(kept[0].T @ kept[1]).mean()


def pwcca(x, y):
    u = centred_span(x)
    left, rho, _ = scipy.linalg.svd(u.T @ centred_span(y), full_matrices=False)
    equal = -np.diff(rho) < 1e-8
    if equal.any() and not equal.all():
        raise Undefined
    alpha = np.abs((u @ left).T @ double(unit(centre(x)))).sum(axis=1)
    return (alpha * rho).sum() / alpha.sum()


def eigenspace_overlap(x, y):
    u, v = span(x, len(x)), span(y, len(y))
    return ((u.T @ v) ** 2).sum() / max(u.shape[1], v.shape[1])


def linear_regression(x, y):
    return ((centred_span(y).T @ double(unit(centre(x)))) ** 2).sum()


def ridge_cv(x, y):
    n = len(x)
    x, y = unit(centre(x)), unit(centre(y))
    rest = total = 0
    for fold in np.array_split(np.random.default_rng(0).permutation(n), folds_of(n)):
        train = np.setdiff1d(np.arange(n), fold)
        known, answers = y[train] - y[train].mean(axis=0), x[train] - x[train].mean(axis=0)
        shift = 0.1 * (known**2).sum() / min(len(train), y.shape[1])
        weights = scipy.linalg.solve(double(known.T @ known + shift * np.eye(y.shape[1])), double(known.T @ answers))
        asked = x[fold] - x[train].mean(axis=0)
        rest += ((asked - (y[fold] - y[train].mean(axis=0)) @ weights) ** 2).sum()
        total += (asked**2).sum()
    return 1 - rest / total


# Shapes


def chord(x, y):
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(double(a), ((0, 0), (0, width - a.shape[1]))) for a in (x, y))
    return norm(x @ scipy.linalg.orthogonal_procrustes(x, y)[0] - y)


def angle(x, y):
    return 2 * math.asin(chord(unit(x), unit(y)) / 2)


def procrustes_distance(x, y):
    x, y = centre(x), centre(y)
    unit(x), unit(y)
    scale = max(norm(x), norm(y))
    return scale * chord(x / scale, y / scale)


def partly_white(x):
    u, s, _ = scipy.linalg.svd(double(unit(centre(x))), full_matrices=False)
    s = s[s > 1e-9]
    return u[:, : len(s)] * (s + 1 / math.sqrt(len(s))) / 2


def best(table):
    return scipy.optimize.linear_sum_assignment(double(table), maximize=True)


def same_width(x, y):
    if x.shape[1] != y.shape[1]:
        raise Undefined


def permutation_procrustes(x, y):
    same_width(x, y)
    x, y = unit(centre(x)), unit(centre(y))
    one, two = best(x.T @ y)
    return norm(x[:, one] - y[:, two])


# Neurons


def correlations(x, y):
    return rows(centre(x).T) @ rows(centre(y).T).T


def correlation(x, y):
    same_width(x, y)
    return np.diag(correlations(x, y)).mean()


def hard_match(x, y):
    table = correlations(x, y)
    return table[best(table)].mean()


def rsa(x, y):
    vectors = []
    for a in (x, y):
        a = a - a[:, :1]
        a = rows(a - a.mean(axis=1, keepdims=True))
        d = 1 - (a @ a.T)[np.triu_indices(len(a), 1)]
        vectors.append(scipy.stats.rankdata(np.round(d, 15)))
    return cosine(*(unit(v - v.mean()) for v in vectors))


# Neighbours


def neighbours(x):
    s = rows(x) @ rows(x).T
    tied = np.round(s, 15)
    if np.ptp(tied[~np.eye(len(s), dtype=bool)]) == 0:  # nobody is nearer than anybody
        raise Undefined
    order = [sorted((j for j in range(len(s)) if j != i), key=lambda j, i=i: -tied[i, j]) for i in range(len(s))]
    return s, [row[: k_of(len(s))] for row in order]


def of_neighbours(function):
    """A mean over samples of a function of similarities and neighbours, nearest first, in both representations."""

    def mean(x, y):
        (s, a), (t, b) = neighbours(x), neighbours(y)
        return np.mean([function(s[i], a[i], t[i], b[i]) for i in range(len(x))])

    return mean


def jaccard(s, a, t, b):
    return len({*a} & {*b}) / len({*a} | {*b})


def second_order(s, a, t, b):
    union = sorted({*a} | {*b})
    return cosine(s[union], t[union])


def rank_agreement(s, a, t, b):
    common = {*a} & {*b}
    found = sum(2 / ((1 + abs(a.index(j) - b.index(j))) * (a.index(j) + b.index(j) + 2)) for j in common)
    return found / sum(1 / m for m in range(1, len(common) + 1)) if common else 0


def cknna(x, y):
    (s, a), (t, b) = neighbours(x), neighbours(y)
    s, t = (m - m.mean(axis=1, keepdims=True) for m in (s, t))

    def align(first, second, pairs):
        return sum(first[i, j] * second[i, j] for i, js in enumerate(pairs) for j in js)

    own, other = align(s, s, a), align(t, t, b)
    if min(own, other) < 1e-30:
        raise Undefined
    return align(s, t, [{*p} & {*q} for p, q in zip(a, b, strict=True)]) / np.sqrt(own * other)


# Matrices


def gulp(x, y):
    shrunk = [scipy.linalg.solve(k + 0.01 * np.eye(len(k)), k) for k in (double(gram(x)), double(gram(y)))]
    return norm(shrunk[0] - shrunk[1])


def riemannian(x, y):
    k, m = (double(0.9 * gram(a) + 0.1 / len(a) * np.eye(len(a))) for a in (x, y))
    return norm(np.log(scipy.linalg.eigvalsh(m, k)))


# Statistics of one side, and outputs


def uniformity(x):
    return np.log(np.exp(-2 * squared_distances(rows(x))).mean())


def concentricity(x):
    return (rows(x) @ unit(x.mean(axis=0))).mean()


def jsd(x, y):
    same_width(x, y)
    p, q = (np.exp(a - a.max(axis=1, keepdims=True)) for a in (x, y))
    p, q = (a / a.sum(axis=1, keepdims=True) for a in (p, q))
    middle = np.where(p + q > 0, (p + q) / 2, 1)
    logs = [a * np.log2(np.where(a > 0, a, middle) / middle) for a in (p, q)]
    return sum(logs).sum(axis=1).mean() / 2


def disagreement(x, y):
    same_width(x, y)
    return (x.argmax(axis=1) != y.argmax(axis=1)).mean()


def accuracy(x):
    return (x.argmax(axis=1) == labels_of(len(x))).mean()


def apart(statistic):
    return lambda x, y: abs(statistic(x) - statistic(y))


FORMULAS = {
    "cka": lambda x, y: cosine(gram(x), gram(y)),
    "cka_debiased": lambda x, y: cosine(u_centred(gram(x)), u_centred(gram(y))),
    "cka_rbf": lambda x, y: cosine(doubly_centred(rbf(x)), doubly_centred(rbf(y))),
    "cka_rbf_debiased": lambda x, y: cosine(u_centred(rbf(x)), u_centred(rbf(y))),
    "rv": lambda x, y: cosine(gram(x), gram(y)),
    "cca": lambda x, y: canonical(x, y).mean(),
    "cca_squared": lambda x, y: (canonical(x, y) ** 2).mean(),
    "svcca": svcca,
    "pwcca": pwcca,
    "eigenspace_overlap": eigenspace_overlap,
    "procrustes": lambda x, y: angle(centre(x), centre(y)),
    "procrustes_distance": procrustes_distance,
    "shape": lambda x, y: angle(partly_white(x), partly_white(y)),
    "nbs": lambda x, y: scipy.linalg.svdvals(double(unit(centre(x)).T @ unit(centre(y)))).sum(),
    "permutation_procrustes": permutation_procrustes,
    "rsa": rsa,
    "correlation": correlation,
    "hard_match": hard_match,
    "soft_match": lambda x, y: correlations(x, y).max(axis=1).mean(),
    "knn_jaccard": of_neighbours(jaccard),
    "mutual_knn": of_neighbours(lambda s, a, t, b: len({*a} & {*b}) / len(a)),
    "cknna": cknna,
    "second_order_cosine": of_neighbours(second_order),
    "rank_similarity": of_neighbours(rank_agreement),
    "linear_regression": linear_regression,
    "ridge_cv": ridge_cv,
    "distance_correlation": lambda x, y: np.sqrt(cosine(doubly_centred(distances(x)), doubly_centred(distances(y)))),
    "gulp": gulp,
    "riemannian": riemannian,
    "magnitude": apart(lambda x: norm(x.mean(axis=0))),
    "uniformity": apart(uniformity),
    "concentricity": apart(concentricity),
    "jsd": jsd,
    "disagreement": disagreement,
    "accuracy_difference": apart(accuracy),
}


def k_of(n):
    return max(1, min(3, n - 2))


def folds_of(n):
    return max(2, min(5, n // 2))


def labels_of(n):
    return np.arange(n) % 3


def arguments(name, n):
    if "k" in METRICS[name].parameters:
        return {"k": k_of(n)}
    return {
        "ridge_cv": {"folds": folds_of(n)},
        "jsd": {"logits": True},
        "accuracy_difference": {"labels": labels_of(n)},
    }.get(name, {})


def related(n=13, first=4, second=4, mean=0.0, scale=1.0, other=None):
    """Two related representations, each neuron with its own mean in standard deviations, then scaled."""
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(n, max(first, second)))
    x, y = (shared[:, :d] + rng.normal(size=(n, d)) + mean * rng.normal(size=d) for d in (first, second))
    return x * scale, y * (scale if other is None else other)


def filled(value, *, side, columns=slice(None)):
    """The same, with some neurons of one side that always answer with `value`."""
    pair = related()
    pair[side][:, columns] = value
    return pair


def repeated(*, side, samples):
    """The same, with samples of one side that all have the response to the first of them."""
    pair = related()
    pair[side][samples] = pair[side][samples[0]]
    return pair


CASES = {
    "plain": related(),
    **{f"mean {mean}": related(mean=mean) for mean in (1, 10, 100, 1000)},
    **{f"scale {scale:g}": related(scale=scale) for scale in (1e-10, 1e10)},
    **{f"mean 1000, scale {scale:g}": related(mean=1000, scale=scale) for scale in (1e-10, 1e10)},
    "scales apart": related(scale=1e-10, other=1e10),
    **{f"n = {n}": related(n=n) for n in (2, 3, 4)},
    **{f"n = {n}, one neuron": related(n=n, first=1, second=1) for n in (2, 3, 4)},
    "n = 4, two neurons": related(n=4, first=2, second=2),
    "wide": related(first=20, second=20),
    "wide first": related(first=20),
    "wide second": related(second=20),
    "as many neurons as free samples": related(first=12),
    "more neurons first": related(first=6, second=3),
    "more neurons second": related(first=3, second=6),
    "dead neuron first": filled(3.3, side=0, columns=1),
    "dead neuron second": filled(3.3, side=1, columns=1),
    "constant first": filled(0.1, side=0),
    "constant second": filled(0.1, side=1),
    "one response first": repeated(side=0, samples=range(13)),
    "one response second": repeated(side=1, samples=range(13)),
    "equal samples first": repeated(side=0, samples=[2, 5, 7]),
    "equal samples second": repeated(side=1, samples=[3, 9]),
    "zero first": filled(0.0, side=0),
    "zero second": filled(0.0, side=1),
}
WITHIN = {np.float32: 1e-5, np.float64: 1e-9}
OF_SIZE = ("magnitude", "procrustes_distance")  # as large as the data: digits count


def expected(name, x, y):
    """The value of the formula, or None if there is none."""
    if len(x) < METRICS[name].smallest:
        return None
    try:
        return float(FORMULAS[name](x.astype(np.longdouble), y.astype(np.longdouble)))
    except Undefined:
        return None


def test_every_metric_has_its_formula_here():
    assert set(FORMULAS) == set(METRICS)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula_or_refused(name, case):
    more = arguments(name, len(CASES[case][0]))
    for dtype, within in WITHIN.items():
        x, y = (a.astype(dtype) for a in CASES[case])
        value = expected(name, x, y)
        for library in (np.asarray, torch.asarray):
            call = functools.partial(METRICS[name], library(x), library(y), **more)
            if value is None:
                with pytest.raises(UndefinedMetric):
                    call()
            else:
                assert call() == pytest.approx(value, rel=within, abs=0 if name in OF_SIZE else within)
