"""`akpsim compare`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Json, Layer, Out, RunOrFiles, run_of
from .similarity_text import report, text


def compare(
    sources: RunOrFiles = None,
    metric: Annotated[str, typer.Option(help="See `akpsim list metrics`.")] = "cka",
    debiased: Annotated[bool, typer.Option("--debiased", help="The debiased form of the metric.")] = False,
    param: Annotated[list[str] | None, typer.Option(help="An argument of the metric, as NAME=VALUE.")] = None,
    layer: Layer = None,
    epoch: Annotated[str, typer.Option(help="A captured epoch; negative counts from the last; or all.")] = "-1",
    member: Annotated[
        str | None, typer.Option(help="Compare all layers, or all epochs, of this member with each other.")
    ] = None,
    by: Annotated[str, typer.Option(help="Coordinate that groups the members.")] = "family",
    permutations: Annotated[int, typer.Option(help="Random orders of the samples for p-values.")] = 0,
    resamples: Annotated[int, typer.Option(help="Random halves of the samples for an interval.")] = 0,
    null: Annotated[bool, typer.Option("--null", help="Add z, relative to samples in random order.")] = False,
    memory: Annotated[
        str | None, typer.Option(help="Most memory to use over the representations, as 2GiB.", show_default=False)
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Save one row a pair instead of the matrix.")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare every pair of members of a run, or of feature files, and save the matrix.

    `--layer all` and `--epoch all` compare the members at each; with `--member` that member's layers or epochs are
    compared with each other.

    **Examples**

        akpsim compare runs/digits --metric cka --layer dense_1

        akpsim compare runs/digits --layer all

        akpsim compare runs/digits --layer all --member baseline-0

        akpsim compare a.npy b.npy c.csv --metric cka --debiased -o similarity.nc
    """
    run = run_of(sources)
    name = metric if not debiased or metric.endswith("_debiased") else f"{metric}_debiased"
    options: dict[str, Any] = {"metric": name, "memory": memory, **_parameters(param)}
    over: Any = "layer" if layer == "all" else "epoch" if epoch == "all" else None
    fixed: dict[str, Any] = {"layer": None if layer == "all" else layer, "epoch": _epoch(epoch)}
    if layer == epoch == "all":
        raise AkpsimError("`--layer all` and `--epoch all` are two comparisons; give one of them")
    if over and (permutations or resamples or null):
        raise AkpsimError(f"`--null`, `--permutations` and `--resamples` are of one matrix, not of `--{over} all`")
    if over and run is None:
        raise AkpsimError(f"`--{over} all` is of a run; name a run folder")
    result: Any
    if over and member:
        result = akpsim.compare_within(run, over, member=member, **fixed, **options)
    elif over:
        result = akpsim.compare_over(run, over, progress=not as_json, **fixed, **options)
    else:
        representations = akpsim.read_features(sources or []) if run is None else run.representations(**fixed)
        if permutations or resamples or null:
            asked: dict[str, Any] = {"permutations": permutations, "resamples": resamples}
            result = akpsim.significance(representations, progress=not as_json, **asked, **options)
        else:
            strict: Any = "raise" if run is None else "nan"
            result = akpsim.compare(representations, undefined=strict, progress=not as_json, **options)
    grouped = by in result.coords and bool(result[by].dims)
    if not grouped and by != "family":
        akpsim.between_families(result, by=by)  # says which there are
    table = akpsim.between_families(result, by=by) if grouped else None
    saved: Any = akpsim.similarity_pairs(result, by=by) if pairs else table if over and not member else result
    path = akpsim.save(saved, out or _default(run, saved, over))
    typer.echo(json.dumps(report(path, result, table)) if as_json else text(path, result, table))


def _epoch(text: str) -> float:
    try:
        return -1 if text == "all" else float(text)
    except ValueError:
        raise AkpsimError(f"`--epoch` is a number or all, got {text!r}") from None


def _parameters(given: list[str] | None) -> dict[str, Any]:
    """Return the arguments of a metric from ``NAME=VALUE``; the metric checks them."""
    found = {}
    for argument in given or []:
        name, equals, value = argument.partition("=")
        if not equals:
            raise AkpsimError(f"`--param` is NAME=VALUE, such as components=10, got {argument!r}")
        found[name.strip()] = value.strip()
    return found


def _default(run: Any, result: Any, over: str | None) -> Path:
    """Return where a result goes that nobody named a place for."""
    kind = "similarity" if result.attrs["result"] == "similarity" else result.attrs["result"].replace("_", "-")
    if run is None:
        return Path(f"{kind}.nc")
    layer = result.coords["layer"].item() if "layer" in result.coords and not result["layer"].dims else None
    parts = [kind, result.attrs["metric"], layer, f"{over}s" if over else None]
    if over and "member" in result.coords and not result["member"].dims:
        parts.append(result["member"].item())
    name = "-".join(re.sub(r"[^\w.-]", "_", str(part)) for part in parts if part is not None)
    return Path(run.path) / "analysis" / f"{name}.nc"
