r"""Spans: orthonormal bases of the columns of a representation, and how many of them there are.

Ranks come from singular values, never from an inverse.  What is dropped is what rounding of the data could have made,
so that it depends on the precision in which they came, though all is computed in float64.
"""

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME
from akpsim.metrics.metric import Array, centred, precise, scaled

ROUNDINGS = 2.0
"""How many roundings of every response dependent neurons may be away from dependence."""


def lengths(x: Array) -> Array:
    """Return the lengths of columns, 1 for columns of zeros; of any scale, as no square of a response is taken."""
    xp = array_namespace(x)
    largest = xp.max(xp.abs(x), axis=0)
    largest = xp.where(largest > 0, largest, xp.ones_like(largest))
    norm = xp.linalg.vector_norm(x / largest, axis=0)
    return largest * xp.where(norm > 0, norm, xp.ones_like(norm))


def span(x: Array, name: str, *, centre: bool = True) -> Array:
    """Return an orthonormal basis (sample, rank) of the columns of a representation.

    Columns are first divided by their lengths before centring, so that a rounding of any response weighs the same,
    whatever the scale of its neuron and its mean.  Directions are dropped that so many roundings, in the precision of
    the data, could have made: then neurons are dependent.

    Raises
    ------
    UndefinedMetric
        If the representation is constant (zero), or differs from that by rounding alone.
    """
    xp = array_namespace(x)
    rounding = ROUNDINGS * x.shape[1] ** 0.5 * float(xp.finfo(x.dtype).eps)
    x = scaled(precise(x))
    even = (centred(x) if centre else x) / lengths(x)
    if not bool(xp.any(even != 0)):
        raise UndefinedMetric(f"{name} is undefined: {SAME if centre else 'all responses are zero'}")
    u, s, _ = xp.linalg.svd(even, full_matrices=False)
    zero = max(rounding, max(x.shape) * float(xp.finfo(x.dtype).eps) * float(s[0]))
    kept = int(xp.sum(xp.astype(s > zero, xp.int64)))
    if kept == 0:
        raise UndefinedMetric(f"{name} is undefined: samples differ by no more than the rounding of their responses")
    return u[:, :kept]


def basis(x: Array, name: str) -> tuple[Array, Array]:
    """Return left singular vectors (sample, rank) and singular values of a centred representation, up to scale.

    The rank is that of `span`; within it, values may be as small as they like.
    """
    xp = array_namespace(x)
    u = span(x, name)
    turn, s, _ = xp.linalg.svd(u.T @ scaled(centred(precise(x))), full_matrices=False)
    return u @ turn, s


def narrow(u: Array, name: str, *, centre: bool = True) -> Array:
    """Return a basis, or refuse one that holds every (centred) response."""
    if u.shape[1] >= u.shape[0] - centre:
        raise UndefinedMetric(
            f"{name} is undefined: {u.shape[1]} independent neurons span every response to {u.shape[0]} samples, "
            "so that all correlations are 1; take more samples, or svcca with few components"
        )
    return u
