"""A run's members compared layer by layer or epoch by epoch, and one member's layers or epochs with each other."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.checks import among, instance, one_of
from akpsim.cluster import perhaps_connected
from akpsim.comparing.compare import check_outputs, compare
from akpsim.comparing.significance import significance as tested
from akpsim.errors import AkpsimError, StoreError, unknown_name
from akpsim.metrics import METRICS
from akpsim.progress import Progress
from akpsim.store import Run

Over = Literal["layer", "epoch"]


def compare_over(
    run: Run,
    over: Over,
    *,
    layer: str | None = None,
    epoch: float = -1,
    significance: bool = False,
    cache: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = False,
    **options: Any,
) -> xr.DataArray | xr.Dataset:
    """Compare all members of a run at each of its layers, or at each captured epoch.

    Parameters
    ----------
    run : Run
        As `akpsim.open_run` returns it.
    over : str
        ``"layer"``: every captured layer, at `epoch`; ``"epoch"``: every epoch that all members captured, at `layer`.
    layer, epoch
        The one that is held fixed.
    significance : bool
        Compare by `akpsim.significance` instead of `akpsim.compare`.
    cache : bool
        Keep Gram matrices in the run folder.
    workers, scheduler, **options
        As for `akpsim.compare` or `akpsim.significance`: metric, memory, arguments of the metric ...

    Returns
    -------
    DataArray, or Dataset for `significance` (layer or epoch, member, other)
        ``attrs["result"]`` is ``"similarity_over"``; `akpsim.between_families` makes the curve of each family from it.
    """
    instance(run, "run", Run, "a run, as `akpsim.open_run` gives it")
    one_of(over, "over", ("layer", "epoch"))
    instance(cache, "cache", bool, "True or False: the folder is the run's own")
    values: list[Any] = list(run.layers) if over == "layer" else _common_epochs(run, layer)
    tables: list[Any] = []
    function: Any = tested if significance else compare
    with (
        perhaps_connected(workers, scheduler) as client,
        Progress(f"{over}s", total=len(values), show=progress) as bar,
    ):
        where = None if client is None else client.scheduler.address
        for value in values:
            found = run.representations(value, epoch) if over == "layer" else run.representations(layer, value)
            kept = cache_folder(run, found) if cache else None
            tables.append(function(found, cache=kept, scheduler=where, **options))
            bar.advance(note=str(value))
    stacked = xr.concat(
        [table.drop_vars(over).expand_dims({over: [value]}) for table, value in zip(tables, values, strict=True)],
        dim=over,
        combine_attrs="override",
    )
    attrs: dict[str, Any] = tables[-1].attrs | {"result": "similarity_over", "over": over}
    for name, gather in (("undefined", _named), ("cautions", _listed)):
        said = gather(
            {str(value): json.loads(t.attrs[name]) for value, t in zip(values, tables, strict=True) if name in t.attrs}
        )
        attrs |= {name: json.dumps(said)} if said else {}
    found_over: xr.DataArray | xr.Dataset = stacked.assign_attrs(attrs)
    return found_over


def cache_folder(run: Run, representations: xr.DataArray) -> Path:
    """Return the folder of a run where Gram matrices of one layer at one epoch are kept."""
    layer, epoch = (representations[name] for name in ("layer", "epoch"))
    name = f"{layer.item()}-{'last' if epoch.dims else epoch.item()}"
    return run.path / "cache" / re.sub(r"[^\w.-]", "_", name)


def _named(said: dict[str, Any]) -> dict[str, str]:
    return {f"{name} at {value}": reason for value, reasons in said.items() for name, reason in reasons.items()}


def _listed(said: dict[str, Any]) -> list[str]:
    return [f"{value}: {sentence}" for value, sentences in said.items() for sentence in sentences]


def compare_within(
    run: Run,
    over: Over,
    *,
    member: str | None = None,
    layer: str | None = None,
    epoch: float = -1,
    significance: bool = False,
    **options: Any,
) -> xr.DataArray | xr.Dataset:
    """Compare the layers of one member with each other, or its epochs.

    Parameters
    ----------
    run, over, layer, epoch, significance, **options
        As for `compare_over`.
    member : str, optional
        By default the first.

    Returns
    -------
    DataArray, or Dataset for `significance` (layer or epoch, other)
        ``attrs["result"]`` is ``"similarity"``.
    """
    instance(run, "run", Run, "a run, as `akpsim.open_run` gives it")
    one_of(over, "over", ("layer", "epoch"))
    name = run.names[0] if member is None else member
    if not among(name, run.names):
        raise unknown_name(f"member of {run.path}", name, run.names)
    values: Sequence[Any] = run.layers if over == "layer" else _common_epochs(run, layer)
    if len(values) < 2:
        raise AkpsimError(f"a comparison needs at least two {over}s, got {len(values)}")
    found = {
        str(value): (run.representations(value, epoch) if over == "layer" else run.representations(layer, value)).sel(
            member=name
        )
        for value in values
    }
    metric = options.get("metric", "cka")
    for array in found.values():
        check_outputs(METRICS[metric] if isinstance(metric, str) else metric, array["layer"].item())
    function: Any = tested if significance else compare
    matrix: Any = function(found, axis=over, **options)
    fixed = next(iter(found.values()))
    kept = {"member": name, **{key: fixed[key].item() for key in ("layer", "epoch") if key != over}}
    attrs = {"made_from": str(run.path), "study": str(run.manifest.get("study", ""))}
    labelled: xr.DataArray | xr.Dataset = matrix.assign_coords({**kept, over: list(values), "other": list(values)})
    return labelled.assign_attrs(attrs)


def _common_epochs(run: Run, layer: str | None) -> list[int]:
    """Return the epochs that all members captured."""
    found = []
    for epoch in np.unique(run.epochs(layer)).tolist():
        try:
            run.representations(layer, epoch)
        except StoreError as error:
            if "was not captured" not in str(error):
                raise
            continue
        found.append(epoch)
    if not found:
        raise StoreError(f"{run.path} has no epoch that all members captured")
    return found
