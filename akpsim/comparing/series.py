"""A run's members compared layer by layer or epoch by epoch, and one member's layers or epochs with each other."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.checks import one_of
from akpsim.comparing.compare import compare
from akpsim.errors import AkpsimError, StoreError, unknown_name
from akpsim.progress import Progress
from akpsim.store import Run

Over = Literal["layer", "epoch"]


def compare_over(
    run: Run,
    over: Over,
    *,
    layer: str | None = None,
    epoch: float = -1,
    metric: str = "cka",
    memory: int | str | None = None,
    progress: bool = False,
    **parameters: Any,
) -> xr.DataArray:
    """Compare all members of a run at each of its layers, or at each captured epoch.

    Parameters
    ----------
    run : Run
        As `akpsim.open_run` returns it.
    over : str
        ``"layer"``: every captured layer, at `epoch`; ``"epoch"``: every epoch that all members captured, at `layer`.
    layer, epoch
        The one that is held fixed.
    metric, memory, **parameters
        As for `akpsim.compare`.

    Returns
    -------
    DataArray (layer or epoch, member, other)
        ``attrs["result"]`` is ``"similarity_over"``; `akpsim.between_families` makes the curve of each family from it.
    """
    one_of(over, "over", ("layer", "epoch"))
    values: list[Any] = list(run.layers) if over == "layer" else _common_epochs(run, layer)
    tables = []
    with Progress(f"{over}s", total=len(values), show=progress) as bar:
        for value in values:
            found = run.representations(value, epoch) if over == "layer" else run.representations(layer, value)
            tables.append(compare(found, metric=metric, memory=memory, **parameters))
            bar.advance(note=str(value))
    stacked = xr.concat(
        [table.drop_vars(over).expand_dims({over: [value]}) for table, value in zip(tables, values, strict=True)],
        dim=over,
        combine_attrs="override",
    )
    return stacked.assign_attrs(tables[-1].attrs | {"result": "similarity_over", "over": over})


def compare_within(
    run: Run,
    over: Over,
    *,
    member: str | None = None,
    layer: str | None = None,
    epoch: float = -1,
    metric: str = "cka",
    memory: int | str | None = None,
    **parameters: Any,
) -> xr.DataArray:
    """Compare the layers of one member with each other, or its epochs.

    Parameters
    ----------
    run, over, layer, epoch, metric, memory, **parameters
        As for `compare_over`.
    member : str, optional
        By default the first.

    Returns
    -------
    DataArray (layer or epoch, other)
        ``attrs["result"]`` is ``"similarity"``.
    """
    one_of(over, "over", ("layer", "epoch"))
    name = member or run.names[0]
    if name not in run.names:
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
    matrix = compare(found, metric=metric, memory=memory, axis=over, **parameters)
    fixed = next(iter(found.values()))
    kept = {"member": name, **{key: fixed[key].item() for key in ("layer", "epoch") if key != over}}
    attrs = {"made_from": str(run.path), "study": str(run.manifest.get("study", ""))}
    return matrix.assign_coords({**kept, over: list(values), "other": list(values)}).assign_attrs(attrs)


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
