"""What `akpsim compare` prints."""

import json
from pathlib import Path
from typing import Any

FEW = 12
"""Up to so many rows a matrix without families is printed whole."""
KEYS = ("mean", "mean_lower", "mean_upper", "pairs", "same_seed", "same_seed_pairs")


def report(path: Path, result: Any, table: Any) -> dict[str, Any]:
    """Return what the text says as plain values; NaN becomes null."""
    matrix = result if not hasattr(result, "data_vars") else result["similarity"]
    more = {} if matrix is result else {name: _plain(values.values) for name, values in result.data_vars.items()}
    return {
        "path": str(path),
        "metric": result.attrs["metric"],
        "dimensions": list(map(str, matrix.dims)),
        "members": list(map(str, matrix[matrix.dims[-2]].values)),
        "n": result.attrs["n"],
        "similarity": _plain(matrix.values),
        **more,
        "undefined": json.loads(result.attrs.get("undefined", "{}")),
        "families": [] if table is None else cells(table),
    }


def cells(table: Any) -> list[dict[str, Any]]:
    """Return the cells on and above the diagonal of each table: those within families, then those between."""
    by = table.attrs["by"]
    over = next((dim for dim in table["mean"].dims if dim not in (by, f"other_{by}")), None)
    found = []
    for value in [None] if over is None else table[over].values:
        part = table if over is None else table.sel({over: value})
        names = [str(name) for name in part[by].values]
        block = [
            {
                **({} if value is None else {over: getattr(value, "item", lambda same=value: same)()}),
                "family": one,
                "other": two,
                **{key: _plain(part[key].values[i, j]) for key in KEYS},
            }
            for i, one in enumerate(names)
            for j, two in enumerate(names)
            if i <= j
        ]
        found += sorted(block, key=lambda cell: cell["family"] != cell["other"])
    return found


def _plain(value: Any) -> Any:
    """Return numbers, in lists if there are several, with None for NaN."""
    if getattr(value, "ndim", 0):
        return [_plain(part) for part in value]
    return None if value != value else value.item()


def text(path: Path, result: Any, table: Any) -> str:
    """Return the table of families, or a small matrix, with what has no value and where the result is."""
    matrix = result if not hasattr(result, "data_vars") else result["similarity"]
    names = [str(name) for name in matrix[matrix.dims[-2]].values]
    lines = []
    if table is not None:
        lines = [_row(cell, str(result.attrs.get("over", ""))) for cell in cells(table)]
    elif len(names) <= FEW:
        width = max(map(len, names))
        lines = [
            f"{name:{width}}  " + " ".join(f"{value:6.3f}" for value in row)
            for name, row in zip(names, matrix.values, strict=True)
        ]
    undefined = json.loads(result.attrs.get("undefined", "{}"))
    lines += [f"no value for {name}: {reason}" for name, reason in undefined.items()]
    size = " x ".join(f"{matrix.sizes[dim]} {dim}s" for dim in matrix.dims if dim != "other")
    return "\n".join([*lines, f"{path}: {result.attrs['metric']}, {size}, n = {result.attrs['n']} samples"])


def _row(cell: dict[str, Any], over: str) -> str:
    label = f"within {cell['family']}" if cell["family"] == cell["other"] else f"{cell['family']} - {cell['other']}"
    label = f"{cell[over]!s:14} {label:40}" if over in cell else f"{label:40}"
    if cell["mean"] is None:
        return f"{label} no pair with a value"
    interval = (
        "" if cell["mean_lower"] is None else f"  95 % interval {cell['mean_lower']:.3f} to {cell['mean_upper']:.3f}"
    )
    seeds = (
        "" if cell["same_seed"] is None else f"  (same seed {cell['same_seed']:.3f}, {cell['same_seed_pairs']} pairs)"
    )
    return f"{label} {cell['mean']:.3f}  {cell['pairs']} pairs{interval}{seeds}"
