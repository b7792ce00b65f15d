"""Coordinates of members on few axes."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from akpsim.distances import varied
from akpsim.ordination.fitting import envfit, procrustes
from akpsim.ordination.neighbours import densmap, tsne, umap
from akpsim.ordination.nmds import nmds
from akpsim.ordination.ordination import Ordination
from akpsim.ordination.panels import panels, with_effect
from akpsim.ordination.pca import pca
from akpsim.ordination.pcoa import pcoa
from akpsim.ordination.placing import place
from akpsim.registry import Registry

__all__ = [
    "ORDINATIONS",
    "Ordination",
    "densmap",
    "envfit",
    "nmds",
    "ordinate",
    "panels",
    "pca",
    "pcoa",
    "place",
    "procrustes",
    "tsne",
    "umap",
    "with_effect",
]

ORDINATIONS: Registry[Ordination] = Registry(
    "ordination",
    [
        Ordination("pcoa", pcoa, "distances", True, False, "Gower 1966", "principal coordinates (classical scaling)"),
        Ordination("pca", pca, "table", True, False, "Pearson 1901", "principal components of a table of attributes"),
        Ordination(
            "nmds", nmds, "distances", False, True, "Kruskal 1964", "positions that keep the order of distances"
        ),
        Ordination("umap", umap, "distances", False, True, "McInnes et al. 2018", "keeps neighbours, not spread"),
        Ordination("densmap", densmap, "distances", False, True, "Narayan et al. 2021", "UMAP that keeps densities"),
        Ordination(
            "tsne", tsne, "distances", False, True, "van der Maaten & Hinton 2008", "keeps neighbours, not spread"
        ),
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
    entry = ORDINATIONS[method]
    if entry.takes == "distances":
        varied(data)
    return entry.fit(data, by=by, **options)
