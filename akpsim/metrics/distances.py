r"""Distances between the responses to all pairs of samples, and which of them are equal.

A squared distance is :math:`\|x_i\|^2 + \|x_j\|^2 - 2 x_i \cdot x_j`: one matrix product, but what is left of a small
distance is rounding.  Where it is below a quarter of what it was subtracted from, it is computed from differences.

Values that are equal in exact arithmetic differ by rounding; where only their order counts, those that lie closer than
rounding can tell are given one value, so that they tie.
"""

import math

from array_api_compat import array_namespace

from akpsim.metrics.metric import Array, centred, precise

CLOSE = 0.25
"""Share of the squared lengths below which a squared distance is computed from differences."""
PART = 2**20
"""Numbers of differences that are held at a time."""


def squared_distances(x: Array) -> Array:
    """Return squared Euclidean distances between rows, each right to a few units of its own last place.

    Parameters
    ----------
    x : array, shape (sample, neuron)
        Squares must not over- or underflow.

    Returns
    -------
    array, shape (sample, sample)
        In float64; symmetric; zero on the diagonal and between equal rows.
    """
    xp = array_namespace(x)
    x = precise(x)
    k = centred(x)
    k = k @ k.T
    lengths = xp.linalg.diagonal(k)
    lengths = lengths[:, None] + lengths[None, :]
    distance = lengths - (k + k.T)
    place = xp.arange(k.shape[0], device=k.device)
    rows, columns = xp.nonzero((distance <= CLOSE * lengths) & (place[:, None] < place[None, :]))
    step = max(1, PART // x.shape[1])
    for start in range(0, rows.shape[0], step):
        one, two = rows[start : start + step], columns[start : start + step]
        apart = xp.take(x, one, axis=0) - xp.take(x, two, axis=0)
        distance[one, two] = distance[two, one] = xp.sum(apart * apart, axis=1)
    distance[place, place] = 0.0
    return distance


def upper(square: Array) -> Array:
    """Return the entries above the diagonal of a square matrix as a vector."""
    xp = array_namespace(square)
    place = xp.arange(square.shape[0], device=square.device)
    return square[place[:, None] < place[None, :]]


def rounding(x: Array) -> float:
    """Return what rounding may change in a sum of products over neurons, of which the absolute values sum to one."""
    xp = array_namespace(x)
    return float(xp.finfo(xp.float64).eps) * 8 * (1 + math.sqrt(x.shape[1]))


def distance_rounding(distance: Array, x: Array) -> Array:
    """Return what rounding, of `x` too, may change in each squared distance."""
    xp = array_namespace(distance)
    lengths = xp.linalg.vector_norm(precise(x), axis=1)
    given = 4 * float(xp.finfo(distance.dtype).eps) * (lengths[:, None] + lengths[None, :])
    return rounding(x) * distance + given * distance**0.5


def tied(values: Array, tolerance: Array | float) -> Array:
    """Return a vector in which values that differ by no more than their tolerance are equal.

    In order of size, a value that is within the tolerance of the one before gets the same: the smallest of such a run.
    """
    xp = array_namespace(values)
    order = xp.argsort(values)
    ordered = xp.take(values, order)
    bound = xp.take(tolerance + xp.zeros_like(values), order)
    new = xp.ones_like(order) > 0
    new[1:] = ordered[1:] - ordered[:-1] > xp.maximum(bound[1:], bound[:-1])
    run = xp.cumulative_sum(xp.astype(new, xp.int64)) - 1
    return xp.take(xp.take(ordered[new], run), xp.argsort(order))
