r"""Distances of members to the centre of their group, for many relabelings at once.

Everything follows from the Gram matrix :math:`G`.  A centre is a weighted mean :math:`\sum_j w_j x_j` of the members of
a group, so that

.. math:: d_i^2 = G_{ii} - 2 (Gw)_i + w^\top G w .

Equal weights give the centroid.  The spatial median, which minimises the sum of distances, has
:math:`w_j \propto 1 / d_j` (Weiszfeld 1937): a fixed point, reached by iteration.  On imaginary axes squared distances
count negatively, and the median is sought in the real and the imaginary space apart, as R's vegan does.
"""

import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from akpsim.distances import Negative, gram, principal_coordinates
from akpsim.errors import AkpsimWarning

Center = Literal["centroid", "median"]
CENTERS = ("centroid", "median")
CHUNK = 2**15
"""Numbers an array of a chunk of relabelings may hold, so that the few at work stay in a processor's cache."""
ROWS = 128
"""At least so many relabelings in a chunk, so that a product is worth reading its matrix for."""
STEPS = 5000
"""At most so many steps towards a spatial median."""


class Space(NamedTuple):
    """Gram matrices of the real axes and, or None, of the imaginary ones; share of negative eigenvalues."""

    real: np.ndarray
    imaginary: np.ndarray | None
    negative_share: float


def space_of(values: np.ndarray, *, negative: Negative = "signed") -> Space:
    """Return the Gram matrices of distances."""
    found = principal_coordinates(values, negative=negative)
    if (found.sign > 0).all():
        return Space(gram(values) if not found.negative_share else _inner(found.position), None, found.negative_share)
    real, imaginary = found.position[:, found.sign > 0], found.position[:, found.sign < 0]
    return Space(_inner(real), _inner(imaginary), found.negative_share)


def _inner(position: np.ndarray) -> np.ndarray:
    product: np.ndarray = position @ position.T
    return product


def centre_distances(space: Space, codes: np.ndarray, *, center: Center = "centroid") -> np.ndarray:
    """Return the distance of each member to the centre of its group.

    Parameters
    ----------
    space : Space
        Gram matrices of n members.
    codes : array of int, shape (relabeling, member)
        Group of each member, 0, 1, ..., under each relabeling; every relabeling has groups of the same sizes.
    center : {"centroid", "median"}
        The mean, or the point from which the sum of distances is least.

    Returns
    -------
    array, shape (relabeling, member)

    Warns
    -----
    AkpsimWarning
        If a squared distance is negative, which imaginary axes can bring about; it is set to zero.
    """
    found = np.empty(codes.shape)
    negative = 0
    for rows in chunks(codes):
        squared = squared_to_centre(space.real, codes[rows], center)
        if space.imaginary is not None:
            squared -= squared_to_centre(space.imaginary, codes[rows], center)
            negative += int((squared < 0).sum())
        found[rows] = np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    if negative:
        warnings.warn(
            f"{negative} squared distances to a centre are negative and set to zero", AkpsimWarning, stacklevel=3
        )
    return found


def chunks(codes: np.ndarray) -> Iterator[slice]:
    """Give slices of relabelings that fit a processor's cache, if members are not too many."""
    step = max(CHUNK // codes.shape[1], ROWS)
    return (slice(start, start + step) for start in range(0, len(codes), step))


def squared_to_centre(gram_matrix: np.ndarray, codes: np.ndarray, center: Center) -> np.ndarray:
    """Return squared distances (relabeling, member) to the centre of one's own group."""
    sizes = np.bincount(codes[0])
    squared = np.broadcast_to(np.diag(gram_matrix), codes.shape).copy()
    rest = np.broadcast_to(gram_matrix.sum(axis=0), codes.shape).copy()
    for code, size in enumerate(sizes):
        inside = (codes == code).astype(np.float64)
        if center == "median":
            weight = median_weights(gram_matrix, inside)
            towards = weight @ gram_matrix
            length = np.einsum("pi,pi->p", towards, weight)
            towards *= -2
        else:
            # What the other groups leave needs no product of its own.
            towards = rest if code == len(sizes) - 1 and code else inside @ gram_matrix
            length = np.einsum("pi,pi->p", towards, inside) / size**2
            if towards is not rest:
                rest -= towards
            towards *= -2 / size
        towards += length[:, None]
        towards *= inside
        squared += towards
    return squared


def median_weights(gram_matrix: np.ndarray, inside: np.ndarray, *, tolerance: float = 1e-9) -> np.ndarray:
    """Return the weights (relabeling, member) of the spatial median of the members `inside`.

    Distances are kept above a billionth of the largest, so that a median that falls on a member is a limit.
    """
    lengths = np.diag(gram_matrix)
    scale = np.sqrt(max(lengths.max(initial=0), np.finfo(float).tiny))
    weight: np.ndarray = inside / inside.sum(axis=1, keepdims=True)
    moving = np.arange(len(weight))
    for _ in range(STEPS):
        current = weight[moving]
        towards = current @ gram_matrix
        squared = lengths - 2 * towards + (towards * current).sum(axis=1, keepdims=True)
        new = inside[moving] / np.sqrt(np.maximum(squared, (1e-9 * scale) ** 2))
        new /= new.sum(axis=1, keepdims=True)
        weight[moving] = new
        moving = moving[np.abs(new - current).max(axis=1) > tolerance]
        if not moving.size:
            break
    return weight


def centred_space(space: Space, codes: np.ndarray, *, center: Center = "centroid") -> Space:
    """Return the space after every group's centre is moved to the origin and every group is rescaled.

    Centring shrinks the spread of n points to (n - 1) / n of what it was; the scale `small_sample` undoes that, so
    that members of groups of different sizes are exchangeable when their spreads are equal.
    """
    scale = small_sample(codes)
    moved = [None if g is None else _moved(g, codes, center) * np.outer(scale, scale) for g in space[:2]]
    return Space(moved[0], moved[1], space.negative_share)  # type: ignore[arg-type]


def _moved(gram_matrix: np.ndarray, codes: np.ndarray, center: Center) -> np.ndarray:
    inside = (codes == np.unique(codes)[:, None]).astype(np.float64)
    weight = inside / inside.sum(axis=1, keepdims=True) if center == "centroid" else median_weights(gram_matrix, inside)
    remove = np.eye(len(codes)) - inside.T @ weight
    moved: np.ndarray = remove @ gram_matrix @ remove.T
    return moved


def small_sample(codes: np.ndarray) -> np.ndarray:
    """Return sqrt(n / (n - 1)) of each member's group (Stier et al. 2013): distances to a centre are too small."""
    size = np.bincount(codes)[codes]
    scale: np.ndarray = np.sqrt(size / np.maximum(size - 1, 1))
    return scale
