"""`akpsim ordinate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Epoch, Json, Layer, Out, representations_of, run_of
from .matrices import (
    Groups,
    Matrix,
    Metric,
    Seed,
    about,
    default_path,
    distances_of,
    own_distances,
    plain,
    saved_matrix,
    stacked,
)

TABLE_AXES = 10
"""Axes kept of a map that starts from representations; each has a loading for every neuron and sample."""


def ordinate(
    sources: Matrix = None,
    method: Annotated[str, typer.Option(help="See `akpsim list ordinations`.")] = "pcoa",
    metric: Metric = "cka",
    layer: Layer = None,
    epoch: Epoch = -1,
    by: Annotated[str | None, typer.Option(help="Coordinate that groups the members.", show_default="stress")] = None,
    groups: Groups = None,
    panels: Annotated[
        bool, typer.Option("--panels", help="One map for each group of families of the study, with the tested effect.")
    ] = False,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Put members on a map, with the spread of each group in the full space beside that in the map.

    **Examples**

        akpsim ordinate runs/digits --by stress

        akpsim ordinate runs/fig1 --panels

        akpsim ordinate runs/digits --method pca --layer logits

        akpsim ordinate similarity.nc --method nmds -o map.nc
    """
    if panels:
        found, path = _panels(sources, method, metric, layer, epoch, by or "stress", seed)
        lines = [f"{title}: {said}\n  {tests}" for title, said, tests in _said(found)]
    else:
        table, run = _start(sources, method, metric, layer, epoch, groups)
        found = akpsim.ordinate(table, method, by=by, **_options(method, seed))
        path = default_path(run, f"ordination-{method}", table, found.attrs.get("by"), sources=sources, epoch=epoch)
        lines = _text(found, method, layer)
    path = akpsim.save(found, out or path)
    lines = [about(found, sources), *lines, str(path)]
    typer.echo(json.dumps({"path": str(path), **plain(found)}) if as_json else "\n".join(lines))


def _start(
    sources: list[Path] | None, method: str, metric: str, layer: str | None, epoch: float, groups: Path | None = None
) -> tuple[Any, Any]:
    """Return what a method starts from, distances or representations, and the run it is of."""
    if akpsim.ORDINATIONS[method].takes == "distances":
        return distances_of(sources, metric=metric, layer=layer, epoch=epoch, groups=groups)
    matrix = saved_matrix(sources)
    matrix = own_distances(sources) if matrix is None else matrix
    if matrix is not None:
        raise AkpsimError(
            f"{method} starts from representations, but {about(matrix, sources)} is a matrix between "
            "members; name a run or feature files, or use pcoa"
        )
    table = stacked(representations_of(sources, layer=layer, epoch=epoch))
    return table if groups is None else akpsim.read_groups(table, groups), run_of(sources)


def _options(method: str, seed: int) -> dict[str, Any]:
    entry = akpsim.ORDINATIONS[method]
    return ({"seed": seed} if entry.random else {}) | ({"axes": TABLE_AXES} if entry.takes == "table" else {})


def _text(found: Any, method: str, layer: str | None) -> list[str]:
    """Say how good a map is, and the spread of each group beside that in the map."""
    lines = [f"{method} on {found.sizes['axis']} axes"]
    if "explained" in found:
        lines[0] += ", explained: " + ", ".join(f"{share:.1%}" for share in found.explained.values[:3])
    if "stress_value" in found:
        lines[0] += f", stress {float(found.stress_value):.3f} (best of {found.sizes['start']} starts)"
    if "group" in found.coords:
        spread = zip(found.group.values, found.full_space_distance.values, found.map_distance.values, strict=True)
        lines += [
            f"{group}: mean distance {full:.3f} in the full space, {shown:.3f} in the map"
            if full == full
            else f"{group}: one member"
            for group, full, shown in spread
        ]
        if method in ("umap", "densmap", "tsne"):
            lines.append(f"{method} is not to be read for spread: only the full space is")
    if akpsim.ORDINATIONS[method].takes == "table" and layer != "logits":
        lines.append("neurons of different networks are not matched: pca compares them by their number, pcoa does not")
    return lines


def _panels(
    sources: list[Path] | None, method: str, metric: str, layer: str | None, epoch: float, by: str, seed: int
) -> tuple[Any, Path]:
    """Return a map and a test for each group of families, each with the unstressed families."""
    distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch)
    if run is None:
        raise AkpsimError("`--panels` needs a run, whose study says which families form a group")
    table, _ = _start(sources, method, metric, layer, epoch)
    families = run.study.families
    unstressed = {family.name for family in families if family.stress == "none"}
    groups: dict[str, set[str]] = {}
    for family in families:
        if family.stress != "none":
            groups.setdefault(family.group or family.name, set(unstressed)).add(family.name)
    maps = {}
    for title, names in groups.items():
        own = distances.isel({way: [name in names for name in distances["family"].values] for way in distances.dims})
        inside = {way: own["member"].values for way in table.dims if way in own.dims}
        shown = akpsim.ordinate(table.sel(inside), method, by=by, **_options(method, seed))
        maps[title] = akpsim.with_effect(shown, akpsim.disperse(own, by, seed=seed))
    return akpsim.panels(maps), default_path(run, f"ordination-panels-{method}", distances, by, epoch=epoch)


def _said(found: Any) -> Any:
    return zip(found.panel.values, found.sentence.values, found.tests.values, strict=True)
