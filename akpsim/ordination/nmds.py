r"""Non-metric multidimensional scaling: positions whose distances have the order of the distances given.

Minimises Kruskal's stress :math:`\sqrt{\sum (d_{ij} - \hat d_{ij})^2 / \sum d_{ij}^2}`, where :math:`\hat d` is the
monotone regression of the map's distances on those given, by Guttman's transform from several starts.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform
from sklearn.isotonic import isotonic_regression

from akpsim.checks import at_least, generator
from akpsim.distances import distance_matrix, starting_position
from akpsim.errors import AkpsimWarning, InvalidData
from akpsim.ordination.ordination import ordination_result
from akpsim.permutations import Seed

STEPS = 500
CONVERGED = 1e-7


def nmds(
    dist: Any,
    *,
    by: str | Sequence[Any] | None = None,
    axes: int = 2,
    starts: int = 8,
    seed: Seed = None,
) -> xr.Dataset:
    """Return positions of least stress.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances; only their order counts.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    axes : int
        Number of axes.
    starts : int
        The principal coordinates, and random starts beside them.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``position`` (member, axis), turned to its principal axes; ``stress_value``; ``start_stress`` (start).

    References
    ----------
    Kruskal (1964), "Multidimensional scaling by optimizing goodness of fit to a nonmetric hypothesis".
    """
    at_least(axes, "axes", 1)
    at_least(starts, "starts", 1)
    checked = distance_matrix(dist)
    values = checked.values
    n = len(values)
    if n < axes + 2 or not values.any():
        raise InvalidData(f"{axes + 2} members at least, not all at one point, are needed for {axes} axes, got {n}")
    rng = generator(seed)
    begun = [starting_position(values, axes), *rng.normal(size=(starts - 1, n, axes))]
    found = [_descend(values, start) for start in begun]
    stress = np.array([value for _, value in found])
    position, _ = found[int(stress.argmin())]
    if _collapsed(position, values):
        warnings.warn(
            f"nmds is degenerate: its stress is {stress.min():.2g} because members have fallen onto a few points; "
            "groups are so far apart that the order of distances inside them counts no more, use pcoa",
            AkpsimWarning,
            stacklevel=2,
        )
    left, size, _ = np.linalg.svd(position - position.mean(axis=0), full_matrices=False)
    return ordination_result(
        left * size,
        checked,
        distances=values,
        by=by,
        attrs={"method": "nmds", "starts": starts},
        stress_value=((), stress.min()),
        start_stress=("start", stress),
    )


def _collapsed(position: np.ndarray, values: np.ndarray) -> bool:
    """Return whether neighbours are a hundred times nearer on the map, for its size, than they are given."""
    shown, away = squareform(pdist(position)), np.diag(np.full(len(values), np.inf))
    nearest = [float(np.median((matrix + away).min(axis=1)) / matrix.mean()) for matrix in (shown, values)]
    return nearest[0] < nearest[1] / 100


def _descend(values: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a position of locally least stress and that stress."""
    given = squareform(values, checks=False)
    order = np.argsort(given, kind="stable")
    before = np.inf
    for _ in range(STEPS):
        shown = pdist(position)
        # Tied distances may take any order: that in which they are shown.
        order = np.lexsort((shown, given))
        wanted = np.empty_like(shown)
        wanted[order] = isotonic_regression(shown[order])
        stress = float(np.sqrt(((shown - wanted) ** 2).sum() / (shown**2).sum()))
        if before - stress < CONVERGED:
            break
        before = stress
        wanted *= np.sqrt((shown**2).sum() / (wanted**2).sum())
        ratio = squareform(wanted / np.maximum(shown, 1e-12 * shown.max()))
        pull = np.diag(ratio.sum(axis=1)) - ratio
        position = pull @ position / len(position)
    return position, stress
