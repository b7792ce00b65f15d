r"""Shape distances: representations moved onto each other as closely as a group of motions allows.

For centred :math:`X, Y` the best rotation or reflection leaves :math:`\|X\|^2 + \|Y\|^2 - 2 \|X^\top Y\|_*`, with the
nuclear norm.  A representation with more neurons than samples is first turned into one with as many neurons as samples,
which changes no distance, so that unequal widths are no obstacle.
"""

import math

import numpy as np
from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME
from akpsim.metrics.metric import Array, Invariances, Metric, Parameter, as_numpy, centred, each_pair, precise, unit
from akpsim.metrics.span import basis, narrow

LARGEST = 1e150
"""The largest response of which sums of squares are numbers."""


def turned(x: Array) -> Array:
    """Return a representation turned into at most as many neurons as samples."""
    xp = array_namespace(x)
    return xp.linalg.qr(x.T, mode="reduced").R.T if x.shape[1] > x.shape[0] else x


def centred_shape(x: Array) -> Array:
    """Return the centred representation, turned into few neurons."""
    xp = array_namespace(x)
    x = precise(x)
    if float(xp.max(xp.abs(x))) > LARGEST:
        raise UndefinedMetric(f"procrustes_distance is undefined: responses above {LARGEST:g} have no squares")
    x = centred(x)
    if not bool(xp.any(x != 0)):
        raise UndefinedMetric(f"procrustes_distance is undefined: {SAME}")
    return turned(x)


def unit_shape(x: Array, *, name: str = "procrustes") -> Array:
    """Return the centred representation scaled to unit norm, turned into few neurons."""
    return turned(unit(centred(precise(x)), f"{name} is undefined: {SAME}"))


def chord(x: Array, y: Array) -> float:
    """Return the Euclidean distance of two representations after the best rotation or reflection.

    The difference itself is measured, which is exact where the two nearly coincide.
    """
    xp = array_namespace(x)
    u, _, vt = xp.linalg.svd(x.T @ y, full_matrices=False)
    moved, other = x @ u, y @ vt.T
    apart = xp.sum((moved - other) ** 2)
    # With unequal widths, part of the wider one has no counterpart.
    if u.shape[0] > u.shape[1]:
        apart += xp.sum((x - moved @ u.T) ** 2)
    if vt.shape[1] > vt.shape[0]:
        apart += xp.sum((y - other @ vt) ** 2)
    return math.sqrt(float(apart))


def distance(x: Array, y: Array) -> float:
    """Return the chord of two representations of any scale, brought to numbers around 1 by a power of two."""
    xp = array_namespace(x)
    power = math.frexp(max(float(xp.max(xp.abs(x))), float(xp.max(xp.abs(y)))))[1]
    half = power // 2  # two steps, as one factor might itself be out of range
    x, y = (side * 2.0**-half * 2.0 ** (half - power) for side in (x, y))
    return chord(x, y) * 2.0**half * 2.0 ** (power - half)


def angle(x: Array, y: Array) -> float:
    """Return the angle between two representations of unit norm after the best rotation or reflection."""
    return 2 * math.asin(chord(x, y) / 2)


def partly_whitened(x: Array, *, alpha: float) -> Array:
    """Return the representation between whitened (`alpha` 0) and as it is (1), scaled to unit norm."""
    xp = array_namespace(x)
    u, s = basis(x, "shape")
    u = narrow(u, "shape with alpha = 0") if alpha == 0 else u
    s = s / xp.linalg.vector_norm(s)
    return unit(u * (alpha * s + (1 - alpha) / u.shape[1] ** 0.5), f"shape is undefined: {SAME}")


def nuclear(x: Array, y: Array) -> float:
    """Return the nuclear norm of the cross-product of two representations of unit norm."""
    xp = array_namespace(x)
    return float(xp.sum(xp.linalg.svdvals(x.T @ y)))


def unit_neurons(x: Array) -> Array:
    """Return the centred representation scaled to unit norm."""
    return unit(centred(precise(x)), f"permutation_procrustes is undefined: {SAME}")


def permuted_chord(x: Array, y: Array) -> float:
    """Return the Euclidean distance of two representations after the best permutation of neurons."""
    from scipy.optimize import linear_sum_assignment

    x, y = as_numpy(x), as_numpy(y)
    rows, columns = linear_sum_assignment(x.T @ y, maximize=True)
    return float(np.linalg.norm(x[:, rows] - y[:, columns]))


ROTATIONS: Invariances = frozenset({"translation", "rotation", "permutation", "scaling"})

procrustes = Metric(
    name="procrustes",
    summary="angular Procrustes distance",
    embed=unit_shape,
    score=each_pair(angle),
    kind="metric",
    invariant_to=ROTATIONS,
    range=(0, math.pi / 2),
    formula=r"\arccos \frac{\|X_c^\top Y_c\|_*}{\|X_c\|_F \, \|Y_c\|_F}",
    source="Williams et al. 2021, NeurIPS, equation 7; Schönemann 1966, Psychometrika 31",
    beware="an angle in radians, not procrustes_distance nor scipy's disparity, which is its squared sine",
    smallest=2,
)

procrustes_distance = Metric(
    name="procrustes_distance",
    summary="Procrustes distance of size and shape",
    embed=centred_shape,
    score=each_pair(distance),
    kind="metric",
    invariant_to=frozenset({"translation", "rotation", "permutation"}),
    range=(0, math.inf),
    formula=r"\min_{Q^\top Q = I} \|X_c - Y_c Q\|_F = \sqrt{\|X_c\|_F^2 + \|Y_c\|_F^2 - 2 \|X_c^\top Y_c\|_*}",
    source="Ding, Denain, Steinhardt 2021, NeurIPS, section 2; Dryden and Mardia 2016, chapter 5",
    beware="depends on the scale, unlike procrustes; some codes return its square",
    smallest=2,
)

shape = Metric(
    name="shape",
    summary="angular distance between partly whitened representations",
    embed=partly_whitened,
    score=each_pair(angle),
    kind="metric",
    invariant_to=ROTATIONS,
    range=(0, math.pi / 2),
    formula=r"\arccos \frac{\|X_\alpha^\top Y_\alpha\|_*}{\|X_\alpha\|_F \, \|Y_\alpha\|_F}, \quad"
    r" X_\alpha = U \left(\alpha \tfrac{S}{\|S\|} + (1 - \alpha) \tfrac{I}{\sqrt r}\right)",
    source="Williams et al. 2021, NeurIPS, section 2.3",
    beware="scaled to unit norm, which Williams' formula leaves to the user; alpha 1 is procrustes, alpha 0 the angle "
    "of cca (and invariant to linear maps); below 1, representations with about as many independent neurons as samples "
    "are close by counts alone",
    smallest=2,
    parameters={"alpha": Parameter(0.5, "from 0 (whitened) to 1 (as it is)", low=0, high=1)},
)

nbs = Metric(
    name="nbs",
    summary="normalized Bures similarity",
    embed=unit_shape,
    score=each_pair(nuclear),
    kind="similarity",
    invariant_to=ROTATIONS,
    range=(0, 1),
    formula=r"\frac{\mathrm{tr} \sqrt{K^{1/2} L K^{1/2}}}{\sqrt{\mathrm{tr} K \, \mathrm{tr} L}}"
    r" = \frac{\|X_c^\top Y_c\|_*}{\|X_c\|_F \, \|Y_c\|_F}",
    source="Tang, Maddox, Dickens, Diethe, Damianou 2020, arXiv 2003.11370; Harvey, Larsen, Williams 2024, section 3",
    beware="the cosine of procrustes; compares roots of Gram matrices where cka compares these themselves",
    smallest=2,
)

permutation_procrustes = Metric(
    name="permutation_procrustes",
    summary="Euclidean distance after the best permutation of neurons",
    embed=unit_neurons,
    score=each_pair(permuted_chord),
    kind="metric",
    invariant_to=frozenset({"translation", "permutation", "scaling"}),
    range=(0, 2),
    formula=r"\min_P \left\| \frac{X_c}{\|X_c\|_F} - \frac{Y_c}{\|Y_c\|_F} P \right\|_F",
    source="Williams et al. 2021, NeurIPS, section 2.2; Kuhn 1955 for the assignment",
    beware="representations are scaled to unit norm first; needs equal numbers of neurons",
    widths="equal",
    smallest=2,
)
