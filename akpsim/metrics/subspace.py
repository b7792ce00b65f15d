r"""Canonical correlations and their kin: how much of one space of responses lies in another.

With orthonormal bases :math:`U, V` of the centred columns of :math:`X, Y`, the canonical correlations :math:`\rho_i`
are the singular values of :math:`U^\top V`.  Where a representation spans every centred response (as many independent
neurons as samples less one) all correlations are 1 whatever the other is, and the value is refused.
"""

import math
from functools import partial

from array_api_compat import array_namespace

from akpsim.checks import generator
from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME
from akpsim.metrics.metric import Array, Invariances, Metric, Parameter, centred, each_pair, precise, scaled
from akpsim.metrics.span import basis as basis
from akpsim.metrics.span import narrow, span


def rank(u: Array) -> int:
    """Return the number of columns of a basis."""
    return int(u.shape[1])


def rank_of_first(point: tuple[Array, Array]) -> int:
    """Return the number of columns of the basis that a point begins with."""
    return rank(point[0])


def canonical_basis(x: Array, *, name: str = "cca") -> Array:
    """Return an orthonormal basis of the centred columns of a representation."""
    return narrow(span(x, name), name)


def main_basis(x: Array, *, variance: float, components: int | None) -> Array:
    """Return the leading left singular vectors, as many as keep a share of the variance, or a given number."""
    xp = array_namespace(x)
    u, s = basis(x, "svcca")
    if components is not None:
        if u.shape[1] < components:
            raise UndefinedMetric(f"svcca is undefined: {components} components asked of rank {u.shape[1]}")
        return narrow(u[:, :components], "svcca")
    share = xp.cumulative_sum(s**2) / xp.sum(s**2)
    enough = xp.astype(share < variance * (1 - 4 * float(xp.finfo(s.dtype).eps)), xp.int64)
    return narrow(u[:, : min(int(xp.sum(enough)) + 1, u.shape[1])], "svcca")


def correlations(u: Array, v: Array) -> Array:
    """Return the canonical correlations of two orthonormal bases."""
    xp = array_namespace(u)
    return xp.linalg.svdvals(u.T @ v)


def mean_correlation(u: Array, v: Array) -> float:
    """Return the mean canonical correlation."""
    xp = array_namespace(u)
    return float(xp.mean(correlations(u, v)))


def squared_overlap(u: Array, v: Array) -> float:
    """Return the sum of squared canonical correlations over the smaller rank."""
    xp = array_namespace(u)
    return float(xp.sum((u.T @ v) ** 2) / min(u.shape[1], v.shape[1]))


def largest_overlap(u: Array, v: Array) -> float:
    """Return the sum of squared cosines between two spaces over the larger rank."""
    xp = array_namespace(u)
    return float(xp.sum((u.T @ v) ** 2) / max(u.shape[1], v.shape[1]))


def weighted_point(x: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis of the centred columns, and those columns."""
    return canonical_basis(x, name="pwcca"), scaled(centred(precise(x)))


def weighted_correlation(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Return canonical correlations weighted by how much of the first representation's neurons they account for."""
    (u, x), (v, _) = one, two
    xp = array_namespace(u)
    left, rho, _ = xp.linalg.svd(u.T @ v, full_matrices=False)
    gaps = (rho[:-1] - rho[1:]) <= float(xp.finfo(rho.dtype).eps) ** 0.5
    if bool(xp.any(gaps)) and not bool(xp.all(gaps)):
        raise UndefinedMetric(
            "pwcca is undefined: canonical correlations are equal, so that their variates and weights are not unique; "
            "take more samples"
        )
    weight = xp.sum(xp.abs((u @ left).T @ x), axis=1)
    return float(xp.sum(weight * rho) / xp.sum(weight))


def left_basis(x: Array) -> Array:
    """Return an orthonormal basis of the columns as they are."""
    return narrow(span(x, "eigenspace_overlap", centre=False), "eigenspace_overlap", centre=False)


LINEAR: Invariances = frozenset({"translation", "rotation", "permutation", "scaling", "linear"})

cca = Metric(
    name="cca",
    summary="mean canonical correlation",
    embed=canonical_basis,
    score=each_pair(mean_correlation),
    kind="similarity",
    invariant_to=LINEAR,
    range=(0, 1),
    formula=r"\frac{1}{r} \sum_{i=1}^{r} \rho_i, \quad r = \min(\mathrm{rank}\, X_c, \mathrm{rank}\, Y_c)",
    source="Hotelling 1936, Biometrika 28; Raghu et al. 2017, NeurIPS, section 2",
    beware="far above 0 for independent data unless samples far outnumber neurons; see cca_squared for squares",
    dimension=rank,
)

cca_squared = Metric(
    name="cca_squared",
    summary="mean squared canonical correlation, Yanai's coefficient for equal ranks",
    embed=partial(canonical_basis, name="cca_squared"),
    score=each_pair(squared_overlap),
    kind="similarity",
    invariant_to=LINEAR,
    range=(0, 1),
    formula=r"\frac{1}{r} \sum_{i=1}^{r} \rho_i^2, \quad r = \min(\mathrm{rank}\, X_c, \mathrm{rank}\, Y_c)",
    source="Ramsay, ten Berge, Styan 1984, Psychometrika 49 (Yanai's GCD); Kornblith et al. 2019, ICML, table 1",
    beware="for unequal ranks Yanai divides by the root of their product and eigenspace_overlap by the larger",
    dimension=rank,
)

svcca = Metric(
    name="svcca",
    summary="mean canonical correlation of leading principal components",
    embed=main_basis,
    score=each_pair(mean_correlation),
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(0, 1),
    formula=r"\frac{1}{r} \sum_{i=1}^{r} \rho_i\left(X_c V_{:k}, Y_c W_{:l}\right), \quad r = \min(k, l)",
    source="Raghu et al. 2017, NeurIPS, section 2.1",
    beware="kept variance is of squared singular values; some codes take the sum of singular values; where unequal "
    "numbers of components are kept, the mean is over the smaller, as in the source, and grows with the larger by "
    "chance alone: give `components` to compare pairs",
    parameters={
        "variance": Parameter(0.99, "share of the variance that is kept", low=1e-9, high=1),
        "components": Parameter(None, "number of components instead", low=1, whole=True),
    },
    dimension=rank,
)

pwcca = Metric(
    name="pwcca",
    summary="canonical correlations weighted by their share in the first representation",
    embed=weighted_point,
    score=each_pair(weighted_correlation),
    kind="similarity",
    invariant_to=frozenset({"translation", "permutation", "scaling"}),
    range=(0, 1),
    formula=r"\frac{\sum_i \alpha_i \rho_i}{\sum_i \alpha_i}, \quad \alpha_i = \sum_j |\langle h_i, x_j \rangle|,"
    r" \; h_i \text{ the canonical variates in } X",
    source="Morcos, Raghu, Bengio 2018, NeurIPS, section 3",
    beware="not symmetric: weights come from the first; a rotation of its neurons changes them",
    symmetric=False,
    dimension=rank_of_first,
)

eigenspace_overlap = Metric(
    name="eigenspace_overlap",
    summary="overlap of the column spaces, without centring",
    embed=left_basis,
    score=each_pair(largest_overlap),
    kind="similarity",
    invariant_to=frozenset({"rotation", "permutation", "scaling", "linear"}),
    range=(0, 1),
    formula=r"\frac{\|U^\top V\|_F^2}{\max(\mathrm{rank}\, X, \mathrm{rank}\, Y)}",
    source="May, Zhang, Dao, Ré 2019, NeurIPS, section 3",
    beware="columns are not centred, and the larger rank divides: see cca_squared",
    smallest=2,
    dimension=rank,
)


def regression_point(x: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis of the centred columns, and those columns."""
    return span(x, "linear_regression"), scaled(centred(precise(x)))


def explained(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Return the share of the first representation's variance that the second explains by least squares."""
    u, y = narrow(two[0], "linear_regression"), one[1]
    xp = array_namespace(u)
    return float(xp.sum((u.T @ y) ** 2) / xp.sum(y**2))


linear_regression = Metric(
    name="linear_regression",
    summary="share of variance of the first that the second explains, in sample",
    embed=regression_point,
    score=each_pair(explained),
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(0, 1),
    formula=r"R^2 = \frac{\|V^\top X_c\|_F^2}{\|X_c\|_F^2}, \quad V \text{ an orthonormal basis of } Y_c",
    source="Kornblith et al. 2019, ICML, table 1",
    beware="not symmetric: the second predicts the first; in sample it grows with the second's rank: see ridge_cv",
    symmetric=False,
    dimension=rank_of_first,
)


def ridge_point(x: Array) -> Array:
    """Return a representation scaled so that no square over- or underflows; refuse a constant one."""
    xp = array_namespace(x)
    x = scaled(centred(precise(x)))
    if not bool(xp.any(x != 0)):
        raise UndefinedMetric(f"ridge_cv is undefined: {SAME}")
    return x


def held_out(y: Array, x: Array, *, penalty: float, folds: int, seed: int) -> float:
    """Return the share of variance of held-out rows of `y` that a ridge regression on `x` explains."""
    import numpy as np

    xp = array_namespace(x)
    n = x.shape[0]
    if n < 2 * folds:
        raise UndefinedMetric(f"ridge_cv is undefined: {folds} folds need at least {2 * folds} samples, got {n}")
    order = generator(seed).permutation(n)
    rest = total = 0.0
    for fold in np.array_split(order, folds):
        test = xp.asarray(np.sort(fold), device=x.device)
        train = xp.asarray(np.sort(np.setdiff1d(order, fold)), device=x.device)
        known, answers = xp.take(x, train, axis=0), xp.take(y, train, axis=0)
        mean, target = xp.mean(known, axis=0), xp.mean(answers, axis=0)
        known, answers = known - mean, answers - target
        kernel = known @ known.T
        trace = float(xp.linalg.trace(kernel))
        if trace == 0:
            raise UndefinedMetric("ridge_cv is undefined: all samples but those held out have the same response")
        shift = penalty * trace / min(kernel.shape[0], x.shape[1])
        weights = xp.linalg.solve(kernel + shift * xp.eye(kernel.shape[0], dtype=x.dtype, device=x.device), answers)
        found = (xp.take(x, test, axis=0) - mean) @ (known.T @ weights)
        asked = xp.take(y, test, axis=0) - target
        rest += float(xp.sum((asked - found) ** 2))
        total += float(xp.sum(asked**2))
    return 1 - rest / total


ridge_cv = Metric(
    name="ridge_cv",
    summary="share of variance of the first that ridge regression on the second predicts, cross-validated",
    embed=ridge_point,
    score=each_pair(held_out),
    kind="similarity",
    invariant_to=frozenset({"translation", "rotation", "permutation", "scaling"}),
    range=(-math.inf, 1),
    formula=r"1 - \frac{\sum_{i} \|x_i - \hat x_{-f(i)}(y_i)\|^2}{\sum_i \|x_i - \bar x_{-f(i)}\|^2}, \quad f(i) \text{"
    r" the fold of sample } i",
    source="Hoerl and Kennard 1970, Technometrics 12; cross-validated R squared, by folds",
    beware="not symmetric: the second predicts the first; negative where the mean would predict better; not "
    "Brain-Score, which is Pearson's r of predictions by partial least squares",
    symmetric=False,
    smallest=4,
    parameters={
        "penalty": Parameter(0.1, "penalty as a multiple of the mean squared singular value", low=1e-12),
        "folds": Parameter(5, "number of folds", low=2),
        "seed": Parameter(0, "seed of the assignment of samples to folds", low=0),
    },
)
