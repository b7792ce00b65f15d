"""`akpsim crisis`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Json, Layer, Out, run_of
from .matrices import Permutations, Seed, about, plain, pooled


def crisis(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN | TABLE.csv]",
            help="A run, or a table with the columns member, epoch and one an attribute. By default the newest run.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Coordinate, or column, that groups the members; `none` for one group.", show_default="family"
        ),
    ] = None,
    layer: Layer = None,
    threshold: Annotated[float, typer.Option(help="Least correlation that counts.")] = 0.5,
    permutations: Permutations = 499,
    bootstrap: Annotated[int, typer.Option(help="Resamples of members, for the intervals.")] = 499,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Follow correlations between attributes and the variance of members over training.

    The attributes of a run are the mean activities of a layer on the images of each class.

    **Examples**

        akpsim crisis runs/digits

        akpsim crisis runs/digits --by stress

        akpsim crisis recalls.csv --by family -o crisis.nc
    """
    table, folder = _table(source, layer, None if by == "none" else by)
    together = ["all"] * table.sizes["member"]
    groups = together if by == "none" else by
    found = akpsim.crisis(table, groups, threshold=threshold, permutations=permutations, bootstrap=bootstrap, seed=seed)
    path = akpsim.save(found, out or folder / f"crisis-{by or found.attrs['by']}.nc")
    pools = pooled(table.assign_coords(group=("member", together)), "group" if by == "none" else found.attrs["by"])
    lines = [about(table, [] if source is None else [source]), *_text(found), *pools, str(path)]
    typer.echo(json.dumps({"path": str(path), **plain(found)}) if as_json else "\n".join(lines))


def _table(source: Path | None, layer: str | None, by: str | None) -> tuple[Any, Path]:
    """Return a table (member, epoch, attribute) and the folder where results go."""
    if source is not None and source.suffix == ".csv":
        return akpsim.read_attributes(source, by=by), Path()
    run = run_of(None if source is None else [source])
    if run is None:
        raise AkpsimError(f"crisis follows a run or a table .csv over epochs, got {source}")
    return akpsim.class_means(run, layer), Path(run.path) / "analysis"


def _text(found: Any) -> list[str]:
    lines = []
    for group in found.group.values:
        own = found.sel(group=group)
        last = own.isel(epoch=-1)
        lines.append(
            f"{group!s:16} n = {int(own['size'])}  epoch {float(last.epoch):g}: G {float(last.G):.2f} "
            f"({float(last.G_lower):.2f} to {float(last.G_upper):.2f}), by chance {float(last.G_null):.2f}; "
            f"since epoch {float(own.since):g} G {_change(last, 'G_change')}, "
            f"log variance {_change(last, 'log_variance_change')}: {last.phase.item()}; "
            f"trend of G {float(own.G_slope):+.3g} an epoch, p = {float(own.p_trend):.3g}"
        )
    permutations, smallest = found.attrs["permutations"], found.attrs["smallest_p"]
    lines.append("ordinary learning from an untrained network on reads as a catastrophe too: compare with the baseline")
    return [*lines, f"p from {permutations} permutations of whole trajectories; smallest attainable {smallest:.2g}"]


def _change(last: Any, name: str) -> str:
    value, lower, upper = (float(last[name + end]) for end in ("", "_lower", "_upper"))
    return f"{value:+.2f} ({lower:+.2f} to {upper:+.2f})"
