"""Read a table of features from a CSV file: which row names columns, and which column names samples.

A row or a column of names that is taken for numbers, or numbers for names, changes a result without a word, so that
what could be either is refused or said.
"""

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from akpsim.errors import AkpsimWarning, InvalidData

ID_NAMES = frozenset({"", "sample", "id", "sample_id", "index", "name", "unnamed: 0"})
"""Names of a first column, in small letters, that holds ids of samples whatever they look like."""
MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "?"})
"""What tables hold instead of a number, in small letters."""
SEPARATORS = {";": "semicolons", "\t": "tabs"}
FEW = 3
"""Rows from which whole numbers that are all different are no accident."""


def read_csv(path: Path) -> xr.DataArray:
    """Return the numbers in a CSV file as (sample, neuron), with sample ids where the first column holds such."""
    text = path.read_text(encoding="utf-8-sig")
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
    if not rows:
        raise InvalidData(f"{path} is empty")
    _refuse_separators(rows, path)
    if not text.endswith(("\n", "\r")):
        _warn(f"{path} does not end with a newline: if it was cut short, {rows[-1][-1]!r} may be part of a number")
    ragged = next((number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])), None)
    names = rows.pop(0) if _is_header(rows, path) else None
    if not rows or ragged:
        raise InvalidData(f"{path}: row {ragged or 1} has not as many cells as the first row")
    labelled = _holds_ids(names, rows, path)
    values = [row[labelled:] for row in rows]
    for number, row in enumerate(values, 1 if names is None else 2):
        for cell in row:
            if not _is_number(cell):
                raise InvalidData(f"{path}: {cell!r} in row {number} is no number")
    array = xr.DataArray(np.array(values, dtype=np.float64), dims=("sample", "neuron"))
    return array.assign_coords(sample=_ids([row[0] for row in rows])) if labelled else array


def _refuse_separators(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Raise if cells seem to be separated by something else than commas."""
    for sign, words in SEPARATORS.items():
        if all(any(sign in cell for cell in row[1:] or row) for row in rows):
            raise InvalidData(f"{path} looks separated by {words}; a .csv file of features is separated by commas")


def _is_header(rows: Sequence[Sequence[str]], path: Path) -> bool:
    """Say whether the first row names columns; warn where it could as well be numbers."""
    head, rest = rows[0], rows[1:]
    words = [cell for cell in head[1:] if not _is_number(cell)]
    if words:
        return not all(cell.lower() in MISSING for cell in words)
    if not _is_number(head[0]):
        column_of_numbers = bool(rest) and all(_is_number(row[0]) for row in rest)
        named = head[0].lower() in ID_NAMES or (column_of_numbers and head[0].lower() not in MISSING)
        return len(head) == 1 or named or _counts(head[1:])
    whole = any(_is_whole(cell) for row in rest for cell in row)
    if _counts(head):
        if whole:
            _warn(f"{path}: its first row, {_shown(head)}, is taken for names of columns, not for a sample")
        return True
    if len(head) > 1 and _distinct_whole(head) and rest and not whole:
        _warn(
            f"{path}: its first row, {_shown(head)}, is taken for a sample, though it alone holds whole numbers; "
            "if it names columns, put words there"
        )
    return False


def _holds_ids(names: Sequence[str] | None, rows: Sequence[Sequence[str]], path: Path) -> bool:
    """Say whether the first column names samples; refuse one that may or may not."""
    if len(rows[0]) == 1:
        return False
    if names is not None and names[0].lower() in ID_NAMES:
        return True
    column = [row[0] for row in rows]
    words = [cell for cell in column if not _is_number(cell)]
    if len(words) == len(column):
        return True
    mend = "name it `sample` in a first row if it holds ids of samples"
    if words:
        raise InvalidData(f"{path}: the first column holds numbers and {words[0]!r}; {mend}")
    if len(column) >= FEW and _distinct_whole(column):
        said = f"{path}: the first column, {_shown(column)}, holds whole numbers that are all different"
        if not all(_is_whole(cell) for row in rows for cell in row[1:]):
            raise InvalidData(f"{said}: {mend}, or write it with decimal points if it is a neuron")
        _warn(f"{said} and is taken for a neuron; {mend}")
    return False


def _ids(column: Sequence[str]) -> list[str] | list[int]:
    """Return ids as whole numbers if all are, as other formats hold them."""
    return (
        [int(cell) for cell in column]
        if all(cell.isdecimal() and str(int(cell)) == cell for cell in column)
        else [*column]
    )


def _counts(cells: Sequence[str]) -> bool:
    """Say whether cells are 0, 1, 2 ... or 1, 2, 3 ..., as programs name columns."""
    return any(list(cells) == [str(start + place) for place in range(len(cells))] for start in (0, 1))


def _is_whole(cell: str) -> bool:
    return cell.lstrip("+-").isdecimal()


def _distinct_whole(cells: Sequence[str]) -> bool:
    return all(map(_is_whole, cells)) and len({int(cell) for cell in cells}) == len(cells)


def _shown(cells: Sequence[str]) -> str:
    return ", ".join(cells[:3]) + (" ..." if len(cells) > 3 else "")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _warn(sentence: str) -> None:
    warnings.warn(sentence, AkpsimWarning, stacklevel=6)
