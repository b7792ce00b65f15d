r"""Distance correlation, GULP and the Riemannian distance: each sends a representation to one symmetric matrix."""

import math
from collections.abc import Mapping
from typing import Any

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME, gram, unit_u_centred
from akpsim.metrics.distances import squared_distances
from akpsim.metrics.metric import (
    Array,
    Invariances,
    Metric,
    Parameter,
    differences,
    each_pair,
    inner_products,
    precise,
    scaled,
    unit,
)
from akpsim.metrics.subspace import basis

WORST_CONDITION = 1e7
"""Ratio of eigenvalues up to which a distance has nine digits or so in float64."""

ROTATIONS: Invariances = frozenset({"translation", "rotation", "permutation", "scaling"})


def centred_distances(x: Array, *, debiased: bool) -> Array:
    """Return the centred (U-centred if `debiased`) matrix of Euclidean distances as a vector of unit length."""
    xp = array_namespace(x)
    distance = squared_distances(x) ** 0.5
    if not bool(xp.any(distance > 0)):
        raise UndefinedMetric(f"distance_correlation is undefined: {SAME}")
    if debiased:
        return unit_u_centred(distance, "distance_correlation")
    rows = xp.mean(distance, axis=0)
    return unit(
        xp.reshape(distance - rows[:, None] - rows[None, :] + xp.mean(rows), (-1,)),
        f"distance_correlation is undefined: {SAME}",
    )


def root_of_products(points: list[Array], others: list[Array], *, debiased: bool) -> Array:
    """Return the roots of inner products, which are not negative; inner products themselves if `debiased`."""
    found = inner_products(points, others)
    xp = array_namespace(found)
    # The squared covariance of distances is never negative; rounding can put an exact zero below zero.
    return found if debiased else xp.where(found > 0, found, xp.zeros_like(found)) ** 0.5


def shrunk_projection(x: Array, *, penalty: float) -> Array:
    """Return the matrix that maps responses to their ridge regression on the representation, as a vector."""
    xp = array_namespace(x)
    u, s = basis(x, "gulp")
    share = s**2 / xp.sum(s**2)
    return xp.reshape((u * (share / (share + penalty))) @ u.T, (-1,))


def euclidean(points: list[Array], others: list[Array]) -> Array:
    """Return the Euclidean distances of all pairs of points."""
    xp = array_namespace(points[0])
    other = xp.stack(list(others))
    return xp.stack([xp.linalg.vector_norm(other - point, axis=1) for point in points])


def shrunk_gram(x: Array, *, shrinkage: float) -> tuple[Array, Array]:
    """Return the Gram matrix of unit trace, shrunk to a multiple of the identity, and its inverse root."""
    xp = array_namespace(x)
    k = gram(precise(x), "riemannian")
    n = k.shape[0]
    k = (1 - shrinkage) * k / xp.linalg.trace(k) + shrinkage / n * xp.eye(n, dtype=k.dtype, device=k.device)
    values, vectors = xp.linalg.eigh(k)
    if float(values[0]) * WORST_CONDITION <= float(values[-1]):
        raise UndefinedMetric(
            f"riemannian is undefined: with `shrinkage` {shrinkage:g} the eigenvalues of the Gram matrix are over "
            f"{WORST_CONDITION:g} times apart, more than float64 can invert; give a larger one"
        )
    return k, (vectors / values**0.5) @ vectors.T


def geodesic(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Return the length of the shortest path between two positive definite matrices.

    The eigenvalues of K^-1 L below 1 are those of L^-1 K above 1, where they have their digits.
    """
    return math.sqrt(above_one(one[1], two[0]) + above_one(two[1], one[0]))


def above_one(root: Array, other: Array) -> float:
    """Return the sum of squared logarithms of the eigenvalues above 1 of a matrix between two inverse roots."""
    xp = array_namespace(root)
    middle = root @ other @ root
    values = xp.linalg.eigvalsh((middle + middle.T) / 2)
    return float(xp.sum(xp.log(xp.where(values > 1, values, xp.ones_like(values))) ** 2))


distance_correlation = Metric(
    name="distance_correlation",
    summary="distance correlation, biased or debiased",
    embed=centred_distances,
    score=root_of_products,
    kind="similarity",
    invariant_to=ROTATIONS,
    range=(-1, 1),
    formula=r"\sqrt{\frac{\langle A, B \rangle}{\|A\|_F \|B\|_F}}, \quad A = H \left(\|x_i - x_j\|\right) H",
    source="Székely, Rizzo, Bakirov 2007, Annals of Statistics 35; debiased: Székely and Rizzo 2014, 42",
    beware="biased by default, so far above 0 for independent data in many dimensions; debiased it is the squared "
    "coefficient, without the root, and can be negative",
    smallest=4,
    parameters={"debiased": Parameter(False, "U-centre the distances and take no root")},
)

gulp = Metric(
    name="gulp",
    summary="distance between ridge predictions, over all tasks",
    embed=shrunk_projection,
    score=euclidean,
    kind="metric",
    invariant_to=ROTATIONS,
    range=(0, math.inf),
    formula=r"\|P_X - P_Y\|_F, \quad P_X = X_c \left(X_c^\top X_c + \lambda n I\right)^{-1} X_c^\top, \;"
    r" \|X_c\|_F^2 = n",
    source="Boix-Adserà, Lawrence, Stepaniants, Rigollet 2022, NeurIPS, section 2",
    beware="representations are scaled to unit mean squared norm, as there; the value depends on lambda; some codes "
    "return the square",
    parameters={"penalty": Parameter(0.01, "lambda of the ridge regression", low=1e-12)},
)

riemannian = Metric(
    name="riemannian",
    summary="affine-invariant distance between shrunk Gram matrices",
    embed=shrunk_gram,
    score=each_pair(geodesic),
    kind="metric",
    invariant_to=ROTATIONS,
    range=(0, math.inf),
    formula=r"\sqrt{\sum_i \log^2 \lambda_i(K^{-1} L)}, \quad K = (1 - \rho) \frac{X_c X_c^\top}{\|X_c\|_F^2}"
    r" + \frac{\rho}{n} I",
    source="Shahbazi, Shirali, Aghajan, Nili 2021, NeuroImage 239, section 2",
    beware="a centred Gram matrix has no inverse, so that it must be shrunk, and the value depends on how much",
    parameters={
        "shrinkage": Parameter(
            0.1, "rho, from 0 (as it is, never invertible) to below 1 (the identity)", low=0, high=0.999
        )
    },
)


def magnitude_of(x: Array) -> float:
    """Return the length of the mean response."""
    xp = array_namespace(x)
    x = precise(x)
    largest = float(xp.max(xp.abs(x)))
    return largest * float(xp.linalg.vector_norm(xp.mean(scaled(x), axis=0)))


def unit_rows(x: Array, name: str) -> Array:
    """Return the responses scaled to unit length."""
    xp = array_namespace(x)
    x = scaled(precise(x))
    norm = xp.linalg.vector_norm(x, axis=1)
    if bool(xp.any(norm == 0)):
        raise UndefinedMetric(f"{name} is undefined: sample {int(xp.argmin(norm))} has no response")
    return x / norm[:, None]


def uniformity_of(x: Array, *, temperature: float) -> float:
    """Return the logarithm of the mean Gaussian potential of all pairs of responses of unit length."""
    xp = array_namespace(x)
    return float(xp.log(xp.mean(xp.exp(-temperature * squared_distances(unit_rows(x, "uniformity"))))))


def concentricity_of(x: Array) -> float:
    """Return the mean cosine between responses and the mean response."""
    xp = array_namespace(x)
    x = scaled(precise(x))
    mean = xp.mean(x, axis=0)
    length = float(xp.linalg.vector_norm(mean))
    if length == 0:
        raise UndefinedMetric("concentricity is undefined: the mean response is zero")
    return float(xp.mean(unit_rows(x, "concentricity") @ (mean / length)))


magnitude = Metric(
    name="magnitude",
    summary="difference of the lengths of the mean response",
    embed=magnitude_of,
    score=differences,
    kind="metric",
    invariant_to=frozenset({"rotation", "permutation"}),
    range=(0, math.inf),
    formula=r"\left| \, \|\bar x\| - \|\bar y\| \, \right|",
    source="Wang, Rao, Guo, Wang, Liu, Guan 2022, IEEE TKDE 34; Klabunde et al. 2025, ACM Computing Surveys 57, "
    "section 3.6",
    beware="of the mean response, not the mean of lengths; says nothing about which samples are alike",
    smallest=1,
)


def _range_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the range of uniformity, which the temperature sets."""
    return {"range": (0, 2 * arguments["temperature"])}


uniformity = Metric(
    name="uniformity",
    summary="difference of uniformity on the sphere",
    embed=uniformity_of,
    score=differences,
    kind="metric",
    invariant_to=frozenset({"rotation", "permutation", "scaling"}),
    range=(0, 4),
    formula=r"|u(X) - u(Y)|, \quad u(X) = \log \frac{1}{n^2} \sum_{i,j}"
    r" \exp\left(-t \left\| \frac{x_i}{\|x_i\|} - \frac{x_j}{\|x_j\|} \right\|^2\right)",
    source="Wang and Isola 2020, ICML, section 4.1",
    beware="of responses scaled to unit length; pairs of a sample with itself are counted, as in the "
    "survey of Klabunde et al. 2025; its range is up to 2 t, 4 at the default",
    smallest=2,
    parameters={"temperature": Parameter(2.0, "t", low=1e-12)},
    varies=_range_of,
)

concentricity = Metric(
    name="concentricity",
    summary="difference of the mean cosine with the mean response",
    embed=concentricity_of,
    score=differences,
    kind="metric",
    invariant_to=frozenset({"rotation", "permutation", "scaling"}),
    range=(0, 2),
    formula=r"|c(X) - c(Y)|, \quad c(X) = \frac{1}{n} \sum_i \cos(x_i, \bar x)",
    source="Wang, Rao, Guo, Wang, Liu, Guan 2022, IEEE TKDE 34; Klabunde et al. 2025, ACM Computing Surveys 57, "
    "section 3.6",
    beware="says nothing about which samples are alike",
    smallest=1,
)
