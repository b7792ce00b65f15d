"""What `akpsim compare` prints."""

import json
from pathlib import Path
from typing import Any

FEW = 12
"""Up to so many rows a matrix without families is printed whole."""
SHOWN = 3
"""Reasons of representations without a value that are printed."""
ROUNDING = 1e-6
"""By how much an interval may leave the range of a metric without being too wide."""
KEYS = (
    "mean",
    "mean_lower",
    "mean_upper",
    "pairs",
    "half_width",
    "mean_z",
    "significant",
    "same_seed",
    "same_seed_pairs",
)
TESTED = ("permutations", "correction", "smallest_p", "resamples", "level")
KINDS = {
    "similarity": "a similarity: larger is more alike",
    "dissimilarity": "a dissimilarity: smaller is more alike",
    "metric": "a distance: smaller is more alike",
}


def report(path: Path, result: Any, table: Any, ceilings: Any) -> dict[str, Any]:
    """Return what the text says as plain values; NaN becomes null."""
    matrix = result if not hasattr(result, "data_vars") else result["similarity"]
    more = {} if matrix is result else {name: _plain(values.values) for name, values in result.data_vars.items()}
    tested = {key: result.attrs[key] for key in TESTED if key in result.attrs}
    return {
        "path": str(path),
        "metric": result.attrs["metric"],
        "kind": result.attrs["kind"],
        "dimensions": list(map(str, matrix.dims)),
        "members": list(map(str, matrix[matrix.dims[-2]].values)),
        "n": result.attrs["n"],
        "similarity": _plain(matrix.values),
        **more,
        **tested,
        "undefined": json.loads(result.attrs.get("undefined", "{}")),
        "chance": result.attrs.get("chance"),
        "cautions": json.loads(result.attrs.get("cautions", "[]")),
        "families": [] if table is None else cells(table),
        "ceilings": [] if ceilings is None else ceiling_rows(ceilings),
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
                **({} if value is None else {over: _bare(value)}),
                "family": one,
                "other": two,
                **{key: _plain(part[key].values[i, j]) for key in KEYS if key in part},
            }
            for i, one in enumerate(names)
            for j, two in enumerate(names)
            if i <= j
        ]
        found += sorted(block, key=lambda cell: cell["family"] != cell["other"])
    return found


def ceiling_rows(ceilings: Any) -> list[dict[str, Any]]:
    """Return the noise ceiling of each family, at each layer or epoch if there are several."""
    by, over = ceilings.attrs["by"], ceilings.attrs.get("over")
    found = []
    for value in ceilings[over].values if over in ceilings.dims else [None]:
        part = ceilings if value is None else ceilings.sel({over: value})
        for index, name in enumerate(part[by].values):
            row = {key: _plain(part[key].values[index]) for key in ("lower", "upper", "members")}
            found.append({**({} if value is None else {over: _bare(value)}), "family": str(name), **row})
    return found


def _bare(value: Any) -> Any:
    """Return a number or a word without its numpy type."""
    return value.item() if hasattr(value, "item") else value


def _plain(value: Any) -> Any:
    """Return numbers, in lists if there are several, with None for NaN."""
    if getattr(value, "ndim", 0):
        return [_plain(part) for part in value]
    return None if value != value else value.item()


def text(path: Path, result: Any, table: Any, ceilings: Any) -> str:
    """Return the table of families, or a small matrix, with what has no value and where the result is."""
    matrix = result if not hasattr(result, "data_vars") else result["similarity"]
    over = str(result.attrs.get("over", ""))
    lines = []
    if table is not None:
        lines = [_row(cell, over, result.attrs) for cell in cells(table)]
    elif matrix.ndim == 2 and matrix.sizes[matrix.dims[0]] <= FEW:
        lines = _small(matrix, result)
    lines += [_ceiling(row, over) for row in ([] if ceilings is None else ceiling_rows(ceilings))]
    if result.attrs.get("permutations"):
        lines.append(_tests(result.attrs))
    undefined = json.loads(result.attrs.get("undefined", "{}"))
    lines += [f"no value for {name}: {reason}" for name, reason in list(undefined.items())[:SHOWN]]
    if len(undefined) > SHOWN:
        lines.append(f"... nor for {len(undefined) - SHOWN} others; the result's attribute `undefined` has all reasons")
    lines += [f"caution: {sentence}" for sentence in json.loads(result.attrs.get("cautions", "[]"))]
    lines += [f"chance: {result.attrs['chance']}"] if "chance" in result.attrs else []
    size = " x ".join(f"{matrix.sizes[dim]} {dim}s" for dim in matrix.dims if dim != "other")
    kind = KINDS[result.attrs["kind"]]
    return "\n".join([*lines, f"{path}: {result.attrs['metric']}, {kind}; {size}, n = {result.attrs['n']} samples"])


def _small(matrix: Any, result: Any) -> list[str]:
    """Return a matrix row by row; with more than z, a line for each pair besides."""
    names = [str(name) for name in matrix[matrix.dims[-2]].values]
    width = max(map(len, names))
    tables = [("", matrix.values, "6.3f")]
    if matrix is not result and "z" in result and not {"p", "similarity_lower"} & set(result.data_vars):
        tables.append(("z, in standard deviations above samples in random order:", result["z"].values, "6.1f"))
    lines = []
    for title, values, form in tables:
        lines += [title] if title else []
        lines += [
            f"{name:{width}}  " + " ".join(f"{value:{form}}" if value == value else "     -" for value in row)
            for name, row in zip(names, values, strict=True)
        ]
    if len(tables) == 1 and matrix is not result:
        symmetric = result.attrs.get("symmetric", 1)
        lines += [
            f"{f'{one} - {two}':{2 * width + 3}}  {_pair(result, i, j)}"
            for i, one in enumerate(names)
            for j, two in enumerate(names)
            if i < j or (i > j and not symmetric)
        ]
    return lines


def _pair(result: Any, i: int, j: int) -> str:
    """Return what is known of one pair."""
    said = [f"{result['similarity'].values[i, j]:.3f}"]
    if "similarity_lower" in result:
        low, high = (result[f"similarity_{end}"].values[i, j] for end in ("lower", "upper"))
        said.append(_interval(low, high, result.attrs))
    if "z" in result:
        said.append(f"z {result['z'].values[i, j]:.1f}")
    if "p" in result:
        said.append(f"p {result['p'].values[i, j]:.3g}, corrected {result['p_corrected'].values[i, j]:.3g}")
    return "  ".join(said)


def _interval(low: float, high: float, attrs: Any) -> str:
    """Return an interval, and that it leaves the range of the metric if it does: then it is too wide to be one."""
    least, most = json.loads(attrs["range"])
    beyond = (
        f" (beyond {least:g} to {most:g}: too few to say)" if low < least - ROUNDING or high > most + ROUNDING else ""
    )
    return f"{100 * attrs.get('level', 0.95):g} % interval {low:.3f} to {high:.3f}{beyond}"


def _tests(attrs: Any) -> str:
    how = {"max": "the largest of each order", "fdr": "false discovery rate", "none": "nothing"}[attrs["correction"]]
    where = f" of each {attrs['over']}" if "over" in attrs else ""
    orders = _several(attrs["permutations"], "random order")
    return (
        f"p: {orders} of the samples, corrected over all pairs{where} by {how}; "
        f"smallest attainable {attrs['smallest_p']:.3g}"
        + (", so that none can reach .05" if attrs["smallest_p"] > 0.05 else "")
    )


def _ceiling(row: dict[str, Any], over: str) -> str:
    label = (f"{row[over]!s:14} " if over in row else "") + f"{'noise ceiling of ' + row['family']:40}"
    if row["lower"] is None:
        return f"{label} needs two members with a value, there are {row['members']}"
    return f"{label} {row['lower']:.3f} to {row['upper']:.3f}  {row['members']} members"


def _row(cell: dict[str, Any], over: str, attrs: Any) -> str:
    label = f"within {cell['family']}" if cell["family"] == cell["other"] else f"{cell['family']} - {cell['other']}"
    label = f"{cell[over]!s:14} {label:40}" if over in cell else f"{label:40}"
    if cell["mean"] is None:
        said = [f"{label} no pair with a value"]
    else:
        said = [f"{label} {cell['mean']:.3f}", _several(cell["pairs"], "pair")]
    if cell["mean_lower"] is not None:
        said.append(_interval(cell["mean_lower"], cell["mean_upper"], attrs))
    if cell.get("half_width") is not None:
        said.append(f"a pair +- {cell['half_width']:.3f} over samples")
    if cell.get("mean_z") is not None:
        said.append(f"mean z {cell['mean_z']:.1f}")
    if attrs.get("permutations") and cell.get("significant") is not None:
        said.append(f"p <= .05 in {cell['significant']:.0f} of {cell['pairs']}")
    if cell["same_seed"] is not None:
        said.append(f"(same seed {cell['same_seed']:.3f}, {_several(cell['same_seed_pairs'], 'pair')})")
    return "  ".join(said)


def _several(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("" if count == 1 else "s")
