"""Every pair of members with what it is a pair of: within a family, or between two."""

import numpy as np
import xarray as xr

from akpsim.checks import among
from akpsim.comparing.between import groups_of, matrix_of
from akpsim.errors import InvalidData


def similarity_pairs(similarity: xr.DataArray | xr.Dataset, *, by: str = "family") -> xr.Dataset:
    """Return one row a pair of members.

    Parameters
    ----------
    similarity : DataArray (member, other), or the Dataset it was saved as
        As `akpsim.compare` returns it.
    by : str
        Coordinate that groups the members; without families, all are of one group without a name.

    Returns
    -------
    Dataset (pair)
        ``similarity``, ``group`` and ``other_group``, ``within`` (1 or 0), ``same_seed`` (1 or 0) and the names
        ``member`` and ``partner``; of `akpsim.significance` also its z, p and intervals.  Pairs without a value are
        left out; of a metric that is not symmetric each pair is there in both directions.
    """
    tables = getattr(similarity, "data_vars", {})
    similarity = matrix_of(similarity)
    if similarity.ndim != 2:
        raise InvalidData(f"pairs are of a matrix (member, other), got the shape {similarity.shape}")
    if among(by, ("family",)) and "family" not in similarity.coords:
        groups = np.full(len(similarity), "")
    else:
        similarity, groups = groups_of(similarity, by)
    axis = str(similarity.dims[0])
    values = similarity.to_numpy()
    both = not similarity.attrs.get("symmetric", 1)
    rows, columns = np.nonzero(~np.eye(len(values), dtype=bool)) if both else np.triu_indices(len(values), 1)
    kept = ~np.isnan(values[rows, columns])
    rows, columns = rows[kept], columns[kept]
    names = similarity[axis].to_numpy().astype(str)
    seeds = similarity["seed"].to_numpy() if "seed" in similarity.coords and similarity["seed"].dims else None
    table = {
        "similarity": values[rows, columns],
        "group": groups[rows].astype(str),
        "other_group": groups[columns].astype(str),
        "within": (groups[rows] == groups[columns]).astype(np.int8),
        "same_seed": np.zeros(rows.size, np.int8) if seeds is None else (seeds[rows] == seeds[columns]).astype(np.int8),
        "member": names[rows],
        "partner": names[columns],
        **{str(key): found.to_numpy()[rows, columns] for key, found in tables.items() if key != "similarity"},
    }
    attrs = {**similarity.attrs, "result": "similarity_pairs", "by": by}
    fixed = {str(name): value.reset_coords(drop=True) for name, value in similarity.coords.items() if not value.dims}
    variables = {name: ("pair", list(column)) for name, column in table.items()}
    return xr.Dataset(variables, {name: value for name, value in fixed.items() if name not in table}, attrs)
