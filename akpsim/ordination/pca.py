r"""Principal components of a table (member, attribute).

With :math:`X_c = U S V^\top` the centred table, members sit at :math:`US`: the plane of the first two axes keeps most
of the variance.  The same positions as `akpsim.pcoa` of Euclidean distances between rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from akpsim.checks import at_least, numbers_of
from akpsim.errors import InvalidData
from akpsim.ordination.ordination import ordination_result


def pca(table: Any, *, by: str | Sequence[Any] | None = None, axes: int | None = None) -> xr.Dataset:
    """Return the principal components of a table.

    Parameters
    ----------
    table : DataArray or array, shape (member, attribute)
        Attributes on comparable scales: nothing is rescaled.  Of representations (member, sample, neuron) every
        neuron's response to every sample is an attribute, under its number: neurons of different networks are not
        matched.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    axes : int, optional
        How many axes to keep; by default all.

    Returns
    -------
    Dataset
        ``position`` (member, axis), ``explained`` (axis), ``loading`` (axis, attribute), ``mean`` (attribute).

    Raises
    ------
    InvalidData
        If it is given distances or similarities.
    """
    if axes is not None:
        at_least(axes, "axes", 1)
    named, values = _table(table)
    mean = values.mean(axis=0)
    left, size, right = np.linalg.svd(values - mean, full_matrices=False)
    kept = size > 1e-10 * size.max(initial=0)
    if not kept.any():
        raise InvalidData("all members have the same attributes: there is nothing to ordinate")
    sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(len(size))])
    position = (left * size * sign)[:, kept][:, :axes]
    return ordination_result(
        position,
        named,
        distances=squareform(pdist(values)),
        by=by,
        attrs={"method": "pca"},
        explained=("axis", (size**2 / (size**2).sum())[kept][:axes]),
        loading=(("axis", "attribute"), (right * sign[:, None])[kept][:axes]),
        mean=("attribute", mean),
    )


def _table(table: Any) -> tuple[xr.DataArray, np.ndarray]:
    """Return what has the coordinates of members, and its values (member, attribute)."""
    named = table if isinstance(table, xr.DataArray) else xr.DataArray(numbers_of(table, "table"))
    if "other" in named.dims or _between_members(named.values):
        raise InvalidData(
            "pca starts from a table (member, attribute) or representations, got a matrix between members; "
            "pcoa starts from that"
        )
    if named.ndim == 2 and not isinstance(table, xr.DataArray):
        named = named.rename(dict(zip(named.dims, ("member", "attribute"), strict=True)))
    if named.ndim not in (2, 3) or "member" not in named.dims:
        raise InvalidData(f"pca takes a table (member, attribute), got {tuple(map(str, named.dims))}")
    named = named.transpose("member", ...)
    if "member" not in named.coords:
        named = named.assign_coords(member=np.arange(named.sizes["member"]))
    values = np.asarray(named.values, dtype=np.float64).reshape(named.sizes["member"], -1)
    if not np.isfinite(values).all():
        raise InvalidData(f"attributes must be finite, got {int((~np.isfinite(values)).sum())} missing or infinite")
    return named, values


def _between_members(values: np.ndarray) -> bool:
    """Return whether a table without names is symmetric and has only zeros, or only ones, on its diagonal."""
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all() or not np.ptp(values):
        return False
    diagonal = np.diag(values)
    return bool(np.allclose(values, values.T) and ((diagonal == 0).all() or (diagonal == 1).all()))
