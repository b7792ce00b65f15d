"""Read anybody's distances between members, and labels that group the members.

A file holds distances if its one matrix is square and symmetric with a zero diagonal: ``.npy``, ``.csv`` (with or
without the names of members in the first row and column) or ``.nc`` with a variable (member, other).
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import as_path
from akpsim.distances import distance_matrix
from akpsim.errors import InvalidData, StoreError
from akpsim.seal import state_of


def read_distances(path: Path | str) -> xr.DataArray | None:
    """Return the distances in a file, or None if it holds something else, such as features.

    Parameters
    ----------
    path : path
        A .npy, .csv or .nc file.

    Returns
    -------
    DataArray (member, other) or None
        Members are called by the file, else 0, 1, ...

    Raises
    ------
    InvalidData
        If a file with the dimensions (member, other), or with the same names in its first row and column, holds no
        distances.
    """
    path = as_path(path)
    readers = {".npy": _npy, ".csv": _csv, ".nc": _netcdf}
    if path.suffix not in readers or not path.is_file():
        return None
    found = readers[path.suffix](path)
    if found is None:
        return None
    attrs = {"result": "distance", "kind": "metric", "made_from": str(path)}
    return distance_matrix(found).rename("distance").assign_attrs(attrs | found.attrs)


def read_groups(members: xr.DataArray, path: Path | str) -> xr.DataArray:
    """Return `members` with the columns of a table as coordinates.

    Parameters
    ----------
    members : DataArray
        With the dimension ``member``; features go by the name of their file.
    path : path
        A .csv file with the column ``member`` and one column a coordinate.  Members that are not asked for are left.

    Raises
    ------
    InvalidData
        If a member is missing or named twice.
    StoreError
        If the file does not exist.
    """
    path = as_path(path, "groups")
    if not path.is_file():
        raise StoreError(f"{path} does not exist")
    with path.open(encoding="utf-8-sig", newline="") as opened:
        table = csv.DictReader(opened)
        rows, columns = list(table), [name for name in table.fieldnames or [] if name != "member"]
    if not rows or "member" not in rows[0] or not columns:
        raise InvalidData(f"{path} must have a first line with `member` and one column a grouping, got {columns}")
    if any(None in row or None in row.values() for row in rows):
        raise InvalidData(f"{path}: every row needs {len(columns) + 1} cells")
    names = [row["member"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidData(f"{path} names member {twice[0]} twice")
    known = {Path(name).stem if Path(name).suffix else name: row for name, row in zip(names, rows, strict=True)}
    known |= dict(zip(names, rows, strict=True))
    asked = members["member"].values.astype(str).tolist()
    missing = [name for name in asked if name not in known]
    if missing:
        raise InvalidData(f"{path} has no row for {len(missing)} of {len(asked)} members, such as {missing[0]}")
    return members.assign_coords(
        {column: ("member", _values([known[name][column] for name in asked])) for column in columns}
    )


def _values(cells: list[str]) -> np.ndarray:
    """Return cells as whole numbers, else as numbers, else as they are."""
    for kind in (int, float):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array(cells)


def _npy(path: Path) -> Any:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception:  # the reader of features says what is wrong with the file
        return None
    return _matrix(values) if values.dtype.kind in "fiu" else None


def _csv(path: Path) -> Any:
    rows = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if row]
    names = [row[0] for row in rows[1:]]
    # The first row and column of a bare matrix are alike as well: names are what is left if it is none.
    bare = _matrix(_numbers(rows))
    if bare is not None or not names or rows[0][1:] != names:
        return bare
    values = _numbers([row[1:] for row in rows[1:]])
    if values.shape != (len(names),) * 2:
        raise InvalidData(f"{path}: distances must be numbers, one row and one column a member")
    return xr.DataArray(values, dims=("member", "other"), coords={"member": names, "other": names})


def _numbers(rows: list[list[str]]) -> np.ndarray:
    """Return cells as an array of numbers, an empty one if they are none."""
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError:
        return np.empty(0)


def _netcdf(path: Path) -> Any:
    try:
        if state_of(path) == "damaged":
            return None
        with xr.open_dataset(path, engine="netcdf4") as file:
            found = file.load()
    except (OSError, ValueError):
        return None
    square = [variable for variable in found.values() if variable.dims == ("member", "other")]
    if len(square) != 1 or found.attrs.get("result") not in (None, "distance"):
        return None
    return square[0].assign_attrs(found.attrs)


def _matrix(values: np.ndarray) -> Any:
    """Return what must be distances as a DataArray, else None."""
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        return None
    if np.diag(values).any() or not np.allclose(values, values.T, rtol=1e-6):
        return None
    return xr.DataArray(values, dims=("member", "other"), coords={"member": np.arange(len(values))})
