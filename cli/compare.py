"""`akpsim compare`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim

from .arguments import Epoch, Json, Layer, Out, RunOrFiles, representations_of, run_of


def compare(
    sources: RunOrFiles = None,
    metric: Annotated[str, typer.Option(help="See `akpsim list metrics`.")] = "cka",
    debiased: Annotated[bool, typer.Option("--debiased", help="The debiased form of the metric.")] = False,
    layer: Layer = None,
    epoch: Epoch = -1,
    by: Annotated[str, typer.Option(help="Coordinate that groups the members.")] = "family",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare every pair of members of a run, or of feature files, and save the matrix.

    **Examples**

        akpsim compare runs/digits --metric cka --layer dense_1

        akpsim compare a.npy b.npy c.csv --metric cka --debiased -o similarity.nc
    """
    run = run_of(sources)
    representations = representations_of(sources, layer=layer, epoch=epoch)
    name = metric if not debiased or metric.endswith("_debiased") else f"{metric}_debiased"
    similarity = akpsim.compare(
        representations, metric=name, undefined="raise" if run is None else "nan", progress=not as_json
    )
    path = akpsim.save(similarity, out or _default(run, similarity))
    table = akpsim.between_families(similarity, by=by) if by in similarity.coords else None
    typer.echo(json.dumps(_report(path, similarity, table)) if as_json else _text(path, similarity, table))


def _default(run: Any, similarity: Any) -> Path:
    """Return where a result goes that nobody named a place for."""
    if run is None:
        return Path("similarity.nc")
    layer = re.sub(r"[^\w.-]", "_", str(similarity.coords["layer"].item()))
    return Path(run.path) / "analysis" / f"similarity-{similarity.attrs['metric']}-{layer}.nc"


def _report(path: Path, similarity: Any, table: Any) -> dict[str, Any]:
    """Return what the text says as plain values; NaN becomes null."""
    rows = [] if table is None else [{**cell, "mean": cell["mean"]} for cell in _cells(table)]
    return {
        "path": str(path),
        "metric": similarity.attrs["metric"],
        "members": list(map(str, similarity[similarity.dims[0]].values)),
        "n": similarity.attrs["n"],
        "similarity": [[_number(value) for value in row] for row in similarity.values],
        "undefined": json.loads(similarity.attrs.get("undefined", "{}")),
        "families": rows,
    }


def _cells(table: Any) -> list[dict[str, Any]]:
    """Return the table's cells on and below the diagonal: those within families, then those between."""
    names = list(table[table.attrs["by"]].values)
    keys = ("mean", "mean_lower", "mean_upper", "pairs", "same_seed", "same_seed_pairs")
    cells = [
        {"family": str(one), "other": str(two), **{key: _number(table[key].values[i, j]) for key in keys}}
        for i, one in enumerate(names)
        for j, two in enumerate(names)
        if i <= j
    ]
    return sorted(cells, key=lambda cell: cell["family"] != cell["other"])


def _number(value: Any) -> float | int | None:
    return None if value != value else value.item()


def _text(path: Path, similarity: Any, table: Any) -> str:
    lines = []
    if table is None:
        names = [str(name) for name in similarity[similarity.dims[0]].values]
        width = max(map(len, names))
        if len(names) <= 12:
            lines = [
                f"{name:{width}}  " + " ".join(f"{value:6.3f}" for value in row)
                for name, row in zip(names, similarity.values, strict=True)
            ]
    else:
        lines = [_row(cell) for cell in _cells(table)]
    undefined = json.loads(similarity.attrs.get("undefined", "{}"))
    lines += [f"no value for {name}: {reason}" for name, reason in undefined.items()]
    size = f"{similarity.sizes[similarity.dims[0]]} {similarity.dims[0]}s"
    return "\n".join([*lines, f"{path}: {similarity.attrs['metric']}, {size}, n = {similarity.attrs['n']} samples"])


def _row(cell: dict[str, Any]) -> str:
    label = f"within {cell['family']}" if cell["family"] == cell["other"] else f"{cell['family']} - {cell['other']}"
    if cell["mean"] is None:
        return f"{label:40} no pair with a value"
    interval = (
        "" if cell["mean_lower"] is None else f"  95 % interval {cell['mean_lower']:.3f} to {cell['mean_upper']:.3f}"
    )
    seeds = (
        "" if cell["same_seed"] is None else f"  (same seed {cell['same_seed']:.3f}, {cell['same_seed_pairs']} pairs)"
    )
    return f"{label:40} {cell['mean']:.3f}  {cell['pairs']} pairs{interval}{seeds}"
