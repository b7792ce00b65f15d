"""Coordinates of members on few axes."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from akpsim.ordination.ordination import Ordination
from akpsim.ordination.pcoa import pcoa
from akpsim.registry import Registry

__all__ = ["ORDINATIONS", "Ordination", "ordinate", "pcoa"]

ORDINATIONS: Registry[Ordination] = Registry(
    "ordination",
    [
        Ordination("pcoa", pcoa, "distances", True, False, "Gower 1966", "principal coordinates (classical scaling)"),
    ],
)


def ordinate(data: Any, method: str = "pcoa", *, by: str | Sequence[Any] | None = None, **options: Any) -> xr.Dataset:
    """Put members on few axes.

    Parameters
    ----------
    data : DataArray or array
        Distances (member, other), or for a method that takes a table (member, attribute); see `ORDINATIONS`.
    method : str
        A name of `akpsim list ordinations`.
    by : str or sequence, optional
        Groups whose spread in the full space is reported beside that in the map; by default ``stress`` or ``family``.
    **options
        Options of the method.

    Returns
    -------
    Dataset
        ``position`` (member, axis) and, for linear methods, ``explained`` (axis).
    """
    return ORDINATIONS[method].fit(data, by=by, **options)
