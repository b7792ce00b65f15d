"""Inner products of long vectors of float32, summed in float64, part by part."""

import math
from collections.abc import Sequence

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.metric import Array, precise, scaled

PART = 2**20
"""Entries of all vectors together that are held in float64 at a time."""


def precise_unit(x: Array, undefined: str) -> Array:
    """Return a vector scaled to unit length; raise `UndefinedMetric` with `undefined` if it is zero."""
    x = scaled(x)
    norm = math.sqrt(float(precise_products([x], [x])[0, 0]))
    if norm == 0:
        raise UndefinedMetric(undefined)
    return x / norm


def precise_products(points: Sequence[Array], others: Sequence[Array]) -> Array:
    """Return the inner products of all pairs of vectors, in float64 whatever their precision.

    Parameters
    ----------
    points, others : sequence of array, shape (entry,)

    Returns
    -------
    array, shape (len(points), len(others))
    """
    xp = array_namespace(points[0])
    step = max(1, PART // (len(points) + len(others)))
    total = xp.zeros((len(points), len(others)), dtype=xp.float64, device=points[0].device)
    for start in range(0, points[0].shape[0], step):
        one, two = (xp.stack([precise(point[start : start + step]) for point in side]) for side in (points, others))
        total = total + one @ two.T
    return total
