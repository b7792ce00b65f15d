r"""Matrices of distances between members: checked, named and turned into coordinates.

With :math:`D` the distances, :math:`G = -\tfrac12 J D^{\circ 2} J` (:math:`J` removes means) is the Gram matrix of the
members about their centroid; its eigenvectors, scaled by the roots of the eigenvalues, are coordinates that reproduce
:math:`D` (Gower 1966).  Distances that no Euclidean space holds give negative eigenvalues: imaginary axes.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from akpsim.checks import one_of
from akpsim.errors import AkpsimError, AkpsimWarning, InvalidData, unknown_name

Negative = Literal["signed", "lingoes", "cailliez", "raise"]
NEGATIVE = ("signed", "lingoes", "cailliez", "raise")
IMAGINARY_SHARE = 0.05
"""Share of negative eigenvalues above which a warning is due."""
ROUNDING = 1e-10
"""Eigenvalues smaller than this share of the largest are zero."""


class Coordinates(NamedTuple):
    """Principal coordinates: (member, axis), their eigenvalues, +1 or -1 an axis, share of negative eigenvalues."""

    position: np.ndarray
    eigenvalue: np.ndarray
    sign: np.ndarray
    negative_share: float


def distance_matrix(dist: Any) -> xr.DataArray:
    """Return distances as a checked DataArray (member, other) that carries the coordinates of `dist`.

    Parameters
    ----------
    dist : DataArray, Dataset or array, shape (member, other)
        Distances; a Dataset must hold one such variable (`akpsim.open_result` of a saved matrix does).

    Raises
    ------
    InvalidData
        If it is not square, symmetric, finite, non-negative with a zero diagonal, or holds similarities.
    """
    labelled = _labelled(dist)
    values = np.asarray(labelled.values, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not len(values):
        raise InvalidData(f"distances must be a square matrix (member, other), got shape {values.shape}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InvalidData(f"distances must be finite, got {values[row, column]} between members {row} and {column}")
    if labelled.attrs.get("kind") == "similarity" or (len(values) > 1 and np.allclose(np.diag(values), 1)):
        raise InvalidData("distances must be zero on the diagonal, got similarities; `akpsim.as_distance` turns them")
    scale = np.abs(values).max()
    if (np.abs(np.diag(values)) > 1e-6 * scale).any():
        raise InvalidData(f"distances must be zero on the diagonal, got {np.abs(np.diag(values)).max():g}")
    if values.min() < 0:
        raise InvalidData(f"distances must not be negative, got {values.min():g}")
    if not np.allclose(values, values.T, rtol=1e-6, atol=1e-9 * scale):
        row, column = np.unravel_index(np.abs(values - values.T).argmax(), values.shape)
        raise InvalidData(
            f"distances must be symmetric, got {values[row, column]:g} and {values[column, row]:g} "
            f"between members {row} and {column}"
        )
    values = (values + values.T) / 2
    np.fill_diagonal(values, 0)
    return labelled.copy(data=values)


def varied(dist: Any) -> xr.DataArray:
    """Return `distance_matrix` of distances of which not all are equal.

    Raises
    ------
    InvalidData
        Also if all distances between three members or more are equal.
    """
    checked = distance_matrix(dist)
    upper = checked.values[np.triu_indices(len(checked), 1)]
    if len(upper) > 1 and np.ptp(upper) <= 1e-12 * upper.max():
        raise InvalidData(f"all distances are equal ({upper[0]:g}): there is no variation to judge a difference by")
    return checked


def _labelled(dist: Any) -> xr.DataArray:
    if isinstance(dist, xr.Dataset):
        square = [name for name, variable in dist.items() if variable.dims == ("member", "other")]
        if len(square) != 1:
            raise InvalidData(f"one variable (member, other) is needed, got {len(square)} among {list(dist.data_vars)}")
        return dist[square[0]].assign_attrs(dist.attrs)
    if isinstance(dist, xr.DataArray) and dist.ndim == 2:
        found = (
            dist
            if dist.dims == ("member", "other")
            else dist.rename(dict(zip(dist.dims, ("member", "other"), strict=True)))
        )
        names = {} if "member" in found.coords else {"member": np.arange(found.sizes["member"])}
        return found.assign_coords(names)
    values = np.asarray(dist)
    if values.ndim != 2:
        raise InvalidData(f"distances must be a square matrix (member, other), got shape {values.shape}")
    return xr.DataArray(values, dims=("member", "other"), coords={"member": np.arange(len(values))})


def member_coordinates(dist: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the coordinates along ``member`` and those without a dimension; not those of ``other``."""
    return {str(name): c.reset_coords(drop=True) for name, c in dist.coords.items() if c.dims in ((), ("member",))}


def groups_of(dist: xr.DataArray, by: str | Sequence[Any] | Any, *, name: str = "by") -> np.ndarray:
    """Return one label a member, from a coordinate's name or a sequence.

    Raises
    ------
    InvalidData
        If there are not as many labels as members.
    """
    if isinstance(by, str):
        along = [str(key) for key, c in dist.coords.items() if c.dims == ("member",)]
        if by not in along:
            raise unknown_name(f"coordinate of members for `{name}`", by, along)
        by = dist.coords[by].values
    if isinstance(by, xr.Dataset):
        raise InvalidData(f"`{name}` needs one label a member, got a Dataset: choose one of its variables")
    each = np.asarray(by, dtype=object)
    if each.shape != (dist.sizes["member"],):
        raise InvalidData(f"`{name}` needs one label a member: {dist.sizes['member']}, got {each.size}")
    missing = int((pd.isna(each) | (each == "")).sum())
    if missing:
        raise InvalidData(f"`{name}` has {missing} missing labels")
    labels = np.asarray(each.tolist())
    if labels.dtype.kind not in "biufUM" or len({isinstance(label, str) for label in each}) > 1:
        kinds = sorted({type(label).__name__ for label in each})
        raise InvalidData(f"`{name}` needs labels of one kind, words or numbers, got {', '.join(kinds)}")
    return labels


def made_of(dist: xr.DataArray | xr.Dataset) -> dict[str, Any]:
    """Return the attributes of distances, or of a result, that say what they are between: metric, run or files."""
    return {name: dist.attrs[name] for name in ("metric", "made_from") if name in dist.attrs}


def group_label(by: Any) -> str:
    """Return what a grouping is called in a result's attributes."""
    if isinstance(by, str):
        return by
    return str(getattr(by, "name", None) or "group")


def mean_pairwise(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the mean distance between two members of a group, group by group; NaN for a group of one."""
    found = {}
    for group in in_order(labels):
        inside = values[np.ix_(labels == group, labels == group)]
        n = len(inside)
        found[str(group)] = inside.sum() / (n * (n - 1)) if n > 1 else np.nan
    return found


def gram(values: np.ndarray) -> np.ndarray:
    """Return the Gram matrix of members about their centroid, from their distances."""
    squared = values**2
    rows = squared.mean(axis=0)
    centred: np.ndarray = -(squared - rows - rows[:, None] + rows.mean()) / 2
    return centred


def principal_coordinates(values: np.ndarray, *, negative: Negative = "signed") -> Coordinates:
    """Return coordinates that reproduce distances, largest axis first.

    Parameters
    ----------
    values : array, shape (member, member)
        Checked distances.
    negative : {"signed", "lingoes", "cailliez", "raise"}
        What becomes of negative eigenvalues: kept as axes that count negatively (as vegan does), removed by adding a
        constant to the squared distances (Lingoes 1971) or to the distances (Cailliez 1983), or an error.

    Warns
    -----
    AkpsimWarning
        If the negative eigenvalues of the uncorrected distances make up more than 5 % of the sum of all magnitudes.
    """
    one_of(negative, "negative", NEGATIVE)
    eigenvalue, vector = _decomposed(gram(values))
    magnitudes = np.abs(eigenvalue).sum()
    share = float(np.abs(eigenvalue[eigenvalue < 0]).sum() / magnitudes) if magnitudes else 0.0
    if share and negative == "raise":
        raise InvalidData(
            f"the distances are not Euclidean: negative eigenvalues hold {share:.1%}; "
            "allow them by negative='signed', or correct them by 'lingoes' or 'cailliez'"
        )
    if share and negative in ("lingoes", "cailliez"):
        corrected = lingoes(values) if negative == "lingoes" else cailliez(values)
        eigenvalue, vector = _decomposed(gram(corrected))
        eigenvalue, vector = eigenvalue[eigenvalue > 0], vector[:, eigenvalue > 0]
    if share > IMAGINARY_SHARE:
        warnings.warn(
            f"the distances are not Euclidean: negative eigenvalues hold {share:.1%} ({negative})",
            AkpsimWarning,
            stacklevel=3,
        )
    position = vector * np.sqrt(np.abs(eigenvalue))
    return Coordinates(position, eigenvalue, np.sign(eigenvalue), share)


def starting_position(values: np.ndarray, axes: int) -> np.ndarray:
    """Return the first real principal coordinates, zeros where there are fewer, as a start for other methods."""
    eigenvalue, vector = _decomposed(gram(values))
    real = eigenvalue > 0
    position = (vector[:, real] * np.sqrt(eigenvalue[real]))[:, :axes]
    return np.pad(position, ((0, 0), (0, axes - position.shape[1])))


def _decomposed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, largest first, and vectors whose largest entry is positive; zeros are left out."""
    eigenvalue, vector = np.linalg.eigh(matrix)
    eigenvalue, vector = eigenvalue[::-1], vector[:, ::-1]
    kept = np.abs(eigenvalue) > ROUNDING * np.abs(eigenvalue).max(initial=0)
    eigenvalue, vector = eigenvalue[kept], vector[:, kept]
    if not kept.any():
        return eigenvalue, vector
    largest = vector[np.abs(vector).argmax(axis=0), np.arange(vector.shape[1])]
    return eigenvalue, vector * np.sign(largest)


def lingoes(values: np.ndarray) -> np.ndarray:
    """Return distances made Euclidean by adding the least constant to their squares."""
    least = np.linalg.eigvalsh(gram(values))[0]
    return _with_zero_diagonal(np.sqrt(values**2 - 2 * min(least, 0)))


def cailliez(values: np.ndarray) -> np.ndarray:
    """Return distances made Euclidean by adding the least constant to them."""
    n = len(values)
    first, second = gram(values), gram(np.sqrt(values))
    block = np.block([[np.zeros((n, n)), 2 * first], [-np.eye(n), -4 * second]])
    constant = np.linalg.eigvals(block).real.max()
    return _with_zero_diagonal(values + max(constant, 0))


def _with_zero_diagonal(values: np.ndarray) -> np.ndarray:
    np.fill_diagonal(values, 0)
    return values


ORDER = ("happy", "unhappy", "none", "baseline", "mild", "severe")
"""Groups that come first, in this order, where there are groups of these names."""


def in_order(labels: Any) -> list[Any]:
    """Return the groups among labels: those of `ORDER`, then the others sorted."""
    return sorted(np.unique(labels), key=lambda group: ORDER.index(group) if group in ORDER else len(ORDER))


def at_least_two(labels: np.ndarray) -> list[Any]:
    """Return the groups in order, if there are two at least."""
    groups = in_order(labels)
    if len(groups) < 2:
        raise AkpsimError(f"two groups at least are needed to compare, got one: {groups[0]!s}")
    return groups
