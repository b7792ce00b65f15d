"""`akpsim compare`."""

import json
import re
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError, AkpsimWarning, InvalidData

from .arguments import Json, Layer, Out, RunOrFiles, Scheduler, Workers, run_of
from .similarity_text import report, text

LEAST = 4
"""Samples from which linear CKA has a null."""


def compare(
    sources: RunOrFiles = None,
    metric: Annotated[str, typer.Option(help="See `akpsim list metrics`.")] = "cka",
    debiased: Annotated[bool, typer.Option("--debiased", help="The debiased form of the metric.")] = False,
    param: Annotated[
        list[str] | None, typer.Option(help="An argument of the metric, as NAME=VALUE; see `akpsim list metrics`.")
    ] = None,
    layer: Layer = None,
    epoch: Annotated[str, typer.Option(help="A captured epoch; negative counts from the last; or all.")] = "-1",
    member: Annotated[
        str | None, typer.Option(help="Compare all layers, or all epochs, of this member with each other.")
    ] = None,
    by: Annotated[str, typer.Option(help="Coordinate that groups the members.")] = "family",
    permutations: Annotated[int, typer.Option(min=0, help="Random orders of the samples, for p-values and z.")] = 0,
    correction: Annotated[str, typer.Option(help="Of the p-values over all pairs: max, fdr or none.")] = "max",
    resamples: Annotated[int, typer.Option(min=0, help="Random halves of the samples, for an interval a pair.")] = 0,
    ceiling: Annotated[bool, typer.Option("--ceiling", help="Add the noise ceiling of each family.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of permutations and halves.")] = 0,
    memory: Annotated[
        str | None, typer.Option(help="Most memory to use over the representations, as 2GiB.", show_default=False)
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Save one row a pair instead of the matrix.")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare every pair of members of a run, or of feature files, and save the matrix.

    `--layer all` and `--epoch all` compare the members at each, and save the matrices and the families' means; with
    `--member` that member's layers or epochs are compared with each other. Beside linear CKA stands its z: how many
    standard deviations it is above what samples in random order give. `--permutations` gives z and p of any metric.

    **Examples**

        akpsim compare runs/digits --metric cka --layer dense_1

        akpsim compare runs/digits --layer all

        akpsim compare runs/digits --layer all --member baseline-0

        akpsim compare runs/digits --metric procrustes --permutations 199 --workers 4

        akpsim compare a.npy b.npy c.csv --metric cka --debiased -o similarity.nc
    """
    run = run_of(sources)
    name, arguments = _estimator(metric, debiased, _parameters(param))
    over: Any = "layer" if layer == "all" else "epoch" if epoch == "all" else None
    _refuse_unused(run, over, layer, epoch, member, pairs)
    if correction != "max" and not permutations:
        raise AkpsimError("`--correction` is of p-values; give `--permutations`, such as 199, as well")
    if "labels" in akpsim.METRICS[name].parameters and "labels" not in arguments:
        raise AkpsimError(
            f"{name} needs the true class of each sample: --param labels=FILE, a .npy or text file of whole numbers"
        )
    if run is not None and akpsim.METRICS[name].data == "outputs" and over != "layer":
        layer = layer or "logits"
        if layer == "logits" and "logits" in akpsim.METRICS[name].parameters:
            arguments.setdefault("logits", True)
    options: dict[str, Any] = {
        "metric": name,
        "memory": memory,
        "workers": workers,
        "scheduler": scheduler,
        **arguments,
    }
    inference: dict[str, Any] = {
        "permutations": permutations,
        "correction": correction,
        "resamples": resamples,
        "seed": seed,
    }
    declared = akpsim.METRICS[name].under(akpsim.METRICS[name].arguments(arguments))
    more = bool(permutations or resamples or declared.products)
    fixed: dict[str, Any] = {"layer": None if layer == "all" else layer, "epoch": _epoch(epoch)}
    show = not as_json
    result: Any
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", AkpsimWarning)
        representations: Any = akpsim.read_features(sources or []) if run is None else run.representations(**fixed)
        if more and not permutations and not resamples and _samples(representations) < LEAST:
            more = False
            typer.echo(f"note: no z below {LEAST} samples", err=True)
        options |= {"progress": show, **(inference if more else {})}
        if over:
            whole = akpsim.compare_within if member else akpsim.compare_over
            one_or_all: dict[str, Any] = {"member": member} if member else {"cache": True}
            result = whole(run, over, significance=more, **one_or_all, **fixed, **options)
        else:
            function: Any = akpsim.significance if more else akpsim.compare
            cache = None if run is None else akpsim.cache_folder(run, representations)
            result = function(representations, cache=cache, **options)
    known = json.loads(result.attrs.get("cautions", "[]"))  # printed with the result
    for sentence in dict.fromkeys(str(warning.message) for warning in said):
        if not any(sentence in caution for caution in known):
            typer.echo(f"caution: {sentence}", err=True)
    table = _table(result, by)
    ceilings = akpsim.noise_ceiling(result, by=by) if ceiling else None
    saved: Any = akpsim.similarity_pairs(result, by=by) if pairs else _joined(result, table, ceilings, over)
    path = akpsim.save(saved, out or _default(run, saved, over, epoch))
    shown = (path, result, table, ceilings)
    typer.echo(json.dumps(report(*shown)) if as_json else text(*shown))


def _estimator(metric: str, debiased: bool, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a metric or of its debiased form, and its arguments."""
    if not debiased or metric.endswith("_debiased"):
        return metric, arguments
    if f"{metric}_debiased" in akpsim.METRICS:
        return f"{metric}_debiased", arguments
    if "debiased" in akpsim.METRICS[metric].parameters:
        return metric, {**arguments, "debiased": True}
    having = [name for name, known in akpsim.METRICS.items() if "debiased" in known.parameters]
    having += [name.removesuffix("_debiased") for name in akpsim.METRICS if name.endswith("_debiased")]
    raise AkpsimError(f"`--debiased` is of {', '.join(sorted(having))}; {metric} has no debiased form")


def _refuse_unused(run: Any, over: str | None, layer: str | None, epoch: str, member: str | None, pairs: bool) -> None:
    """Raise for options that would not be used."""
    if layer == epoch == "all":
        raise AkpsimError("`--layer all` and `--epoch all` are two comparisons; give one of them")
    if over and run is None:
        raise AkpsimError(f"`--{over} all` is of a run; name a run folder")
    if run is None and (layer is not None or epoch != "-1"):
        raise AkpsimError("`--layer` and `--epoch` are of a run; feature files hold one representation a member")
    if member is not None and not over:
        raise AkpsimError("`--member` goes with `--layer all` or `--epoch all`: what of that member is to be compared?")
    if over and pairs:
        raise AkpsimError(f"`--pairs` are of one matrix, not of `--{over} all`")


def _samples(representations: Any) -> int:
    """Return the number of samples of what was read."""
    first = representations if hasattr(representations, "sizes") else next(iter(representations.values()))
    return int(first.sizes["sample"])


def _table(result: Any, by: str) -> Any:
    """Return the means within and between families, or None where nothing says which families there are."""
    grouped = by in result.coords and bool(result[by].dims)
    return akpsim.between_families(result, by=by) if grouped or by != "family" else None


def _joined(result: Any, table: Any, ceilings: Any, over: str | None) -> Any:
    """Return what is saved: for a comparison over layers or epochs the matrices together with the families' means.

    Families are along the dimension ``group`` there, as ``family`` is a coordinate of the members.
    """
    if table is None or (over is None and ceilings is None):
        return result
    by = table.attrs["by"]
    whole = result if hasattr(result, "data_vars") else result.to_dataset(promote_attrs=True)
    if over is not None and over in table.dims:
        means = table.rename({by: "group", f"other_{by}": "other_group"})
        whole = whole.merge(means, combine_attrs="override").assign_attrs(by=by)
    if ceilings is not None:
        names = {name: f"ceiling_{name}" for name in ceilings.data_vars}
        whole = whole.merge(ceilings.rename({by: "group", **names}), combine_attrs="override")
    return whole


def _epoch(text: str) -> float:
    try:
        return -1 if text == "all" else float(text)
    except ValueError:
        raise AkpsimError(f"`--epoch` is a number or all, got {text!r}") from None


def _parameters(given: list[str] | None) -> dict[str, Any]:
    """Return the arguments of a metric from ``NAME=VALUE``; the metric checks them."""
    found: dict[str, Any] = {}
    for argument in given or []:
        name, equals, value = argument.partition("=")
        if not equals:
            raise AkpsimError(f"`--param` is NAME=VALUE, such as components=10, got {argument!r}")
        found[name.strip()] = _labels(value.strip()) if name.strip() == "labels" else value.strip()
    return found


def _labels(text: str) -> list[int]:
    """Return one class a sample from a .npy or text file of whole numbers, or from the numbers themselves."""
    path = Path(text)
    if path.suffix in (".npy", ".txt", ".csv") and not path.is_file():
        raise InvalidData(f"`labels`: there is no file {text}")
    try:
        if path.suffix == ".npy" and path.is_file():
            return _whole(path)
        words = path.read_text(encoding="utf-8") if path.is_file() else text
        return [int(word) for word in re.split(r"[\s,;]+", words.strip())]
    except (ValueError, OSError):
        raise InvalidData(
            f"`labels` are whole numbers, or a .npy or text file of them, one a sample, got {text!r}"
        ) from None


def _whole(path: Path) -> list[int]:
    """Return the numbers of a .npy file, one dimension of whole ones."""
    import numpy as np

    found = np.load(path, allow_pickle=False)
    if found.ndim != 1 or found.dtype.kind not in "iufb" or (found != np.floor(found)).any():
        raise ValueError
    return list(found.astype(int).tolist())


def _default(run: Any, result: Any, over: str | None, epoch: str) -> Path:
    """Return where a result goes that nobody named a place for."""
    kind = result.attrs["result"].replace("_over", "").replace("_", "-")
    layer = result.coords["layer"].item() if "layer" in result.coords and not result["layer"].dims else None
    given = json.loads(result.attrs.get("parameters", "{}"))
    defaults = akpsim.METRICS[result.attrs["metric"]].arguments({})
    told = {key: value for key, value in given.items() if key not in ("labels", "logits")}
    changed = {key: value for key, value in told.items() if value != defaults[key]}
    changed |= {key: result.attrs[key] for key in ("permutations", "resamples") if result.attrs.get(key)}
    parts = [kind, result.attrs["metric"], *(f"{key}_{value}" for key, value in changed.items()), layer]
    parts.append(f"{over}s" if over else None)
    if kind == "similarity-pairs" and result.attrs["by"] != "family":
        parts.append(f"by_{result.attrs['by']}")
    if epoch not in ("-1", "all"):
        parts.append(f"epoch_{epoch}")
    if over and "member" in result.coords and not result["member"].dims:
        parts.append(result["member"].item())
    name = "-".join(re.sub(r"[^\w.-]", "_", str(part)) for part in parts if part is not None)
    return Path(f"{name}.nc") if run is None else Path(run.path) / "analysis" / f"{name}.nc"
