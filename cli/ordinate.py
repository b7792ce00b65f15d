"""`akpsim ordinate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Epoch, Json, Layer, Out
from .matrices import Matrix, Metric, Seed, default_path, distances_of, plain


def ordinate(
    sources: Matrix = None,
    method: Annotated[str, typer.Option(help="See `akpsim list ordinations`.")] = "pcoa",
    metric: Metric = "cka",
    layer: Layer = None,
    epoch: Epoch = -1,
    by: Annotated[str | None, typer.Option(help="Coordinate that groups the members.", show_default="stress")] = None,
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

        akpsim ordinate similarity.nc --method nmds -o map.nc
    """
    distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch)
    if panels:
        _panels(distances, run, method, by or "stress", seed, out, as_json=as_json)
        return
    options = {"seed": seed} if akpsim.ORDINATIONS[method].random else {}
    found = akpsim.ordinate(distances, method, by=by, **options)
    path = akpsim.save(found, out or default_path(run, f"ordination-{method}", distances, found.attrs.get("by")))
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    lines = [f"{path}: {method} of {found.sizes['member']} members"]
    if "explained" in found:
        lines.append("explained: " + ", ".join(f"{share:.1%}" for share in found.explained.values[:3]))
    if "group" in found.coords:
        spread = zip(found.group.values, found.full_space_distance.values, found.map_distance.values, strict=True)
        lines += [
            f"{group}: mean distance {full:.3f} in the full space, {shown:.3f} in the map"
            for group, full, shown in spread
        ]
    typer.echo("\n".join(lines))


def _panels(distances: Any, run: Any, method: str, by: str, seed: int, out: Path | None, *, as_json: bool) -> None:
    """Draw up a map and a test for each group of families, each with the unstressed families."""
    if run is None:
        raise AkpsimError("`--panels` needs a run, whose study says which families form a group")
    families = run.study.families
    unstressed = {family.name for family in families if family.stress == "none"}
    groups: dict[str, set[str]] = {}
    for family in families:
        if family.stress != "none":
            groups.setdefault(family.group or family.name, set(unstressed)).add(family.name)
    options = {"seed": seed} if akpsim.ORDINATIONS[method].random else {}
    maps = {}
    for title, names in groups.items():
        inside = [family in names for family in distances["family"].values]
        own = distances.isel(member=inside, other=inside)
        dispersion = akpsim.disperse(own, by, seed=seed)
        maps[title] = akpsim.with_effect(akpsim.ordinate(own, method, by=by, **options), dispersion)
    found = akpsim.panels(maps)
    path = akpsim.save(found, out or default_path(run, f"ordination-panels-{method}", distances, by))
    lines = [f"{title}: {each.attrs['sentence']}" for title, each in maps.items()]
    typer.echo(json.dumps({"path": str(path), **plain(found)}) if as_json else "\n".join([*lines, str(path)]))
