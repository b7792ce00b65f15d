"""Read trajectories: from a table with one column of times and one a population, or as they were saved."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from akpsim.checks import as_path, listed
from akpsim.errors import InvalidData, StoreError, unknown_name
from akpsim.store import open_result

TIMES = ("time", "t", "year", "epoch", "step", "update")


def read_trajectory(path: Path | str, *, columns: Sequence[str] | None = None) -> xr.DataArray:
    """Read populations over time from a CSV file with a header, or from what `akpsim.save` made of populations.

    Parameters
    ----------
    path : Path
        The time is the column called time, t, year, epoch, step or update, else the first.
    columns : sequence of str, optional
        Which populations; by default all other columns.

    Returns
    -------
    DataArray (time, population)
        With ``member`` first where many were saved.

    Raises
    ------
    InvalidData
        If there is no header, a row is of another length, or a value is no number; with its line.
    """
    path = as_path(path)
    if path.suffix.lower() == ".nc":
        return _saved(path, columns)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(line for line in file if not line.startswith("#")) if row]
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidData(f"{path} is no text file") from None
    except csv.Error as error:
        raise InvalidData(f"{path} is no table: {error}") from None
    if len(rows) < 2 or len(rows[0]) < 2:
        raise InvalidData(f"{path} needs a header and rows: a column of times and one a population")
    header = [name.strip() for name in rows[0]]
    if all(map(_is_number, header)):
        raise InvalidData(f"{path}: the first row holds numbers alone: a header with names is missing")
    if twice := next((name for index, name in enumerate(header) if name in header[:index]), None):
        raise InvalidData(f"{path}: two columns are named {twice!r}")
    numbers = np.array([_numbers(path, line, row, len(header)) for line, row in enumerate(rows[1:], start=2)])
    when = next((index for index, name in enumerate(header) if name.lower() in TIMES), 0)
    names = [name for index, name in enumerate(header) if index != when]
    _check_columns(path, columns, names)
    chosen = list(columns) if columns else names
    return xr.DataArray(
        numbers[:, [header.index(name) for name in chosen]],
        dims=("time", "population"),
        coords={"time": numbers[:, when], "population": chosen},
        name="populations",
        attrs={"source": str(path), "unit": "population (units of the table)", "time_name": header[when]},
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_columns(path: Path, columns: Sequence[str] | None, names: Sequence[str]) -> None:
    for name in () if columns is None else listed(columns, "columns", "names of populations"):
        if name not in names:
            raise unknown_name(f"population in {path}", name, names)


def _saved(path: Path, columns: Sequence[str] | None) -> xr.DataArray:
    saved = open_result(path)
    if "populations" not in saved or not {"time", "population"} <= set(saved["populations"].dims):
        raise InvalidData(f"{path} holds no populations over time: save what akpsim.populations returns")
    found = saved["populations"]
    _check_columns(path, columns, [str(name) for name in found.population.values])
    found = found.sel(population=list(columns)) if columns else found
    return found.assign_attrs({"unit": "population (units of the table)"} | found.attrs | {"source": str(path)})


def _numbers(path: Path, line: int, row: list[str], width: int) -> list[float]:
    if len(row) != width:
        raise InvalidData(f"{path}: row {line} has {len(row)} values, the header has {width}")
    found = []
    for text in row:
        try:
            found.append(float(text))
        except ValueError:
            raise InvalidData(f"{path}: row {line} holds {text!r}, which is no number") from None
    return found
