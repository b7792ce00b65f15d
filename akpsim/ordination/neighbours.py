"""Maps that keep neighbours: UMAP, densMAP and t-SNE.

Their axes have no scale, and groups of very different spread come out alike: for true spreads of 1 : 2 : 4, UMAP shows
1 : 1.07 : 1.10.  They are for looking, never for reading dispersion or distance between groups.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import generator
from akpsim.distances import distance_matrix, starting_position
from akpsim.errors import InvalidData
from akpsim.ordination.ordination import ordination_result
from akpsim.permutations import Seed


def umap(
    dist: Any,
    *,
    by: str | Sequence[Any] | None = None,
    neighbours: int = 15,
    least_distance: float = 0.1,
    seed: Seed = None,
) -> xr.Dataset:
    """Return a UMAP of members (McInnes, Healy and Melville 2018).

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    neighbours : int
        Members that count as near; at most all others.
    least_distance : float
        How tightly the map may pack points.
    seed : int or Generator, optional
        Source of randomness.
    """
    return _umap(dist, by, neighbours, least_distance, seed, density=False)


def densmap(
    dist: Any,
    *,
    by: str | Sequence[Any] | None = None,
    neighbours: int = 15,
    least_distance: float = 0.1,
    seed: Seed = None,
) -> xr.Dataset:
    """Return a densMAP of members, UMAP with local densities kept (Narayan, Berger and Cho 2021); see `umap`."""
    return _umap(dist, by, neighbours, least_distance, seed, density=True)


def _umap(
    dist: Any, by: str | Sequence[Any] | None, neighbours: int, least_distance: float, seed: Seed, *, density: bool
) -> xr.Dataset:
    checked = distance_matrix(dist)
    n = checked.sizes["member"]
    if n < 5:
        raise InvalidData(f"five members at least are needed for a map of neighbours, got {n}")
    state = int(generator(seed).integers(2**31 - 1))
    near = min(neighbours, n - 1)
    with warnings.catch_warnings():
        # The library warns of what we ask for: one thread for a fixed seed, distances given, few points.
        warnings.simplefilter("ignore")
        from umap import UMAP

        # On coordinates that reproduce the distances UMAP can choose its own start.
        points = starting_position(checked.values, n - 1)
        position = UMAP(
            n_neighbors=near,
            min_dist=least_distance,
            densmap=density,
            random_state=state,
            init="pca" if n < 12 else "spectral",
        ).fit_transform(points)
    return ordination_result(
        np.asarray(position, dtype=np.float64),
        checked,
        distances=checked.values,
        by=by,
        attrs={"method": "densmap" if density else "umap", "neighbours": near, "least_distance": least_distance},
    )


def tsne(
    dist: Any, *, by: str | Sequence[Any] | None = None, perplexity: float = 30.0, seed: Seed = None
) -> xr.Dataset:
    """Return a t-SNE of members (van der Maaten and Hinton 2008), started from the principal coordinates.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    perplexity : float
        About how many members count as near; at most a third of them.
    seed : int or Generator, optional
        Source of randomness.
    """
    from sklearn.manifold import TSNE

    checked = distance_matrix(dist)
    n = checked.sizes["member"]
    if n < 5:
        raise InvalidData(f"five members at least are needed for a map of neighbours, got {n}")
    used = min(perplexity, (n - 1) / 3)
    start = starting_position(checked.values, 2)
    start = start / max(float(start[:, 0].std()), 1e-300) * 1e-4
    state = int(generator(seed).integers(2**31 - 1))
    model = TSNE(metric="precomputed", init=start, perplexity=used, random_state=state)
    return ordination_result(
        np.asarray(model.fit_transform(checked.values), dtype=np.float64),
        checked,
        distances=checked.values,
        by=by,
        attrs={"method": "tsne", "perplexity": used},
    )
