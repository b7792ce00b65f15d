r"""What an ordination has to do with other things: coordinates of members, another ordination.

`envfit`: a number such as accuracy is regressed on the axes: :math:`R^2` of the regression and the direction in which
it grows; a group is fitted by its centroids, :math:`R^2 = 1 - SS_{within} / SS_{total}`.  `procrustes`: one ordination
is centred, scaled and turned onto another; :math:`m^2 = 1 - (\sum \sigma_i)^2` with :math:`\sigma_i` the singular
values of the product of the two, each of unit norm.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import at_least, listed, made_by, numbers_of
from akpsim.distances import groups_of
from akpsim.errors import InvalidData
from akpsim.permutations import Seed, p_value, rearrangements
from akpsim.store import provenance


def envfit(
    ordination: xr.Dataset,
    variables: Sequence[str],
    *,
    axes: int = 2,
    blocks: str | Sequence[Any] | None = None,
    permutations: int = 999,
    seed: Seed = None,
) -> xr.Dataset:
    """Fit coordinates of members to the axes of an ordination.

    Parameters
    ----------
    ordination : Dataset
        As `akpsim.ordinate` returns it.
    variables : sequence of str
        Coordinates of members: numbers (``accuracy``, ``dose``) or groups (``family``).
    axes : int
        How many axes to use.
    blocks : str or sequence, optional
        Members are permuted only inside a block.
    permutations : int
        How many permutations, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        Along ``variable``: ``R2``, ``p`` and, for numbers, ``direction`` (variable, axis) of unit length.
    """
    made_by(ordination, "ordination", "ordinate", "position")
    at_least(axes, "axes", 1)
    if not listed(variables, "variables", "names of coordinates of members"):
        raise InvalidData("`variables` needs one name at least, got none")
    position = ordination.position.values[:, :axes]
    centred = position - position.mean(axis=0)
    inside = None if blocks is None else groups_of(ordination.position, blocks, name="blocks")
    drawn = rearrangements(len(position), permutations=permutations, blocks=inside, seed=seed)
    squares, p, directions = [], [], []
    for name in variables:
        labels = groups_of(ordination.position, name, name="variables")
        target = _targets(labels, name)
        number = labels.dtype.kind in "fiu"
        # A number is explained by the axes, the axes are explained by groups.
        basis, explained = (_basis(centred), target) if number else (_basis(target), centred)
        total = (explained**2).sum()
        fit = float(((basis.T @ explained) ** 2).sum() / total)
        null = (np.einsum("pnk,na->pka", basis[drawn.codes], explained) ** 2).sum(axis=(1, 2)) / total
        slope = np.linalg.lstsq(centred, target[:, 0], rcond=None)[0] if number else np.full(centred.shape[1], np.nan)
        directions.append(slope / max(np.linalg.norm(slope), np.finfo(float).tiny))
        squares.append(fit)
        p.append(float(p_value(null, fit)))
    return xr.Dataset(
        {"R2": ("variable", squares), "p": ("variable", p), "direction": (("variable", "axis"), np.array(directions))},
        coords={"variable": list(variables), "axis": ordination.axis.values[:axes]},
        attrs=provenance(method=ordination.attrs.get("method")) | {"result": "envfit"} | drawn.attrs,
    )


def _basis(columns: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the span of columns."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, size > 1e-10 * size.max()])


def _targets(labels: np.ndarray, name: str) -> np.ndarray:
    """Return centred columns: the number itself, or one column a group."""
    if labels.dtype.kind in "fiu":
        columns = labels.astype(np.float64)[:, None]
    else:
        columns = (labels[:, None] == np.unique(labels)).astype(np.float64)
    centred: np.ndarray = columns - columns.mean(axis=0)
    if not np.abs(centred).max() > 0:
        raise InvalidData(f"{name!r} is the same for all members: there is nothing to fit")
    return centred


def procrustes(
    one: Any, other: Any, *, axes: int | None = None, permutations: int = 999, seed: Seed = None
) -> xr.Dataset:
    """Turn one ordination onto another and test how alike they are (protest).

    Parameters
    ----------
    one, other : Dataset, DataArray or array, shape (member, axis)
        Positions of the same members in the same order.
    axes : int, optional
        How many axes of each to use; by default all, the fewer filled with zeros.
    permutations : int
        How many permutations of members, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``m2`` (0 if they are the same up to place, size and rotation), ``correlation`` sqrt(1 - m2), ``p``, and
        ``turned`` (member, axis): `other` on the scale of `one`.

    References
    ----------
    Jackson (1995), "PROTEST: a procrustean randomization test of community environment concordance".
    """
    first, second = _positions(one, axes), _positions(other, axes)
    if len(first) != len(second):
        raise InvalidData(f"both ordinations need the same members, got {len(first)} and {len(second)}")
    width = max(first.shape[1], second.shape[1])
    first, second = (np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (first, second))
    place, size = first.mean(axis=0), np.linalg.norm(first - first.mean(axis=0))
    unit = (first - place) / size
    moved = second - second.mean(axis=0)
    moved = moved / np.linalg.norm(moved)
    left, values, right = np.linalg.svd(moved.T @ unit)
    drawn = rearrangements(len(unit), permutations=permutations, seed=seed)
    crossed = np.einsum("pna,nb->pab", moved[drawn.codes], unit)
    null = np.linalg.svd(crossed, compute_uv=False).sum(axis=1)
    total = min(float(values.sum()), 1.0)
    return xr.Dataset(
        {
            "m2": 1 - total**2,
            "correlation": total,
            "p": float(p_value(null, float(values.sum()))),
            "turned": (("member", "axis"), moved @ left @ right * total * size + place),
        },
        attrs=provenance(axes=axes) | {"result": "procrustes"} | drawn.attrs,
    )


def _positions(given: Any, axes: int | None) -> np.ndarray:
    if axes is not None:
        at_least(axes, "axes", 1)
    if isinstance(given, xr.Dataset):
        given = made_by(given, "one of the two", "ordinate", "position").position
    values = numbers_of(given, "one of the two")
    if values.ndim != 2 or len(values) < 3 or not np.isfinite(values).all():
        raise InvalidData(
            f"finite positions (member, axis) of three members at least are needed, got shape {values.shape}"
        )
    if not np.ptp(values, axis=0).any():
        raise InvalidData("all members sit at one point: there is nothing to turn")
    return values[:, :axes]
