"""Mantel's test: whether two matrices of distances between the same members agree."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from akpsim.checks import one_of
from akpsim.distances import distance_matrix
from akpsim.errors import InvalidData
from akpsim.permutations import Seed, p_value, rearrangements
from akpsim.store import provenance


def mantel(one: Any, other: Any, *, method: str = "pearson", permutations: int = 999, seed: Seed = None) -> xr.Dataset:
    """Correlate two matrices of distances; p by permuting members, two-sided.

    Parameters
    ----------
    one, other : DataArray or array, shape (member, other)
        Distances between the same members in the same order, for example at two layers.
    method : {"pearson", "spearman"}
        Correlation of distances or of their ranks.
    permutations : int
        How many permutations of members, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``r``, ``p``.

    References
    ----------
    Mantel (1967), "The detection of disease clustering and a generalized regression approach".
    """
    one_of(method, "method", ("pearson", "spearman"))
    first, second = distance_matrix(one), distance_matrix(other)
    n = first.sizes["member"]
    if second.sizes["member"] != n or n < 3:
        raise InvalidData(
            f"two matrices of the same three members at least are needed, got {n} and {second.sizes['member']}"
        )
    upper = np.triu_indices(n, 1)
    matrices = []
    for matrix in (first.values, second.values):
        values = rankdata(matrix[upper]) if method == "spearman" else matrix[upper]
        if np.ptp(values) == 0:
            raise InvalidData("all distances of one matrix are equal: there is nothing to correlate")
        unit = (values - values.mean()) / np.linalg.norm(values - values.mean())
        square = np.zeros((n, n))
        square[upper] = unit
        matrices.append(square + square.T)
    left, right = matrices
    r = float((left * right).sum() / 2)
    drawn = rearrangements(n, permutations=permutations, seed=seed)
    null = np.array([(left[np.ix_(order, order)] * right).sum() / 2 for order in drawn.codes])
    return xr.Dataset(
        {"r": r, "p": float(p_value(np.abs(null), abs(r)))},
        attrs=provenance(method=method) | {"result": "mantel"} | drawn.attrs,
    )
