r"""Principal components of a table (member, attribute).

With :math:`X_c = U S V^\top` the centred table, members sit at :math:`US`: the plane of the first two axes keeps most
of the variance.  The same positions as `akpsim.pcoa` of Euclidean distances between rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from akpsim.errors import InvalidData
from akpsim.ordination.ordination import ordination_result


def pca(table: Any, *, by: str | Sequence[Any] | None = None, axes: int | None = None) -> xr.Dataset:
    """Return the principal components of a table.

    Parameters
    ----------
    table : DataArray or array, shape (member, attribute)
        Attributes on comparable scales: nothing is rescaled.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    axes : int, optional
        How many axes to keep; by default all.

    Returns
    -------
    Dataset
        ``position`` (member, axis), ``explained`` (axis), ``loading`` (axis, attribute), ``mean`` (attribute).
    """
    named = table if isinstance(table, xr.DataArray) else xr.DataArray(np.asarray(table), dims=("member", "attribute"))
    if named.ndim != 2 or "member" not in named.dims:
        raise InvalidData(f"pca takes a table (member, attribute), got {tuple(map(str, named.dims))}")
    named = named.transpose("member", ...)
    if "member" not in named.coords:
        named = named.assign_coords(member=np.arange(named.sizes["member"]))
    values = np.asarray(named.values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidData(f"attributes must be finite, got {int((~np.isfinite(values)).sum())} missing or infinite")
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
