"""`akpsim ordinate`."""

import json
from typing import Annotated

import typer

import akpsim

from .arguments import Epoch, Json, Layer, Out
from .matrices import Matrix, Metric, Seed, default_path, distances_of, plain


def ordinate(
    sources: Matrix = None,
    method: Annotated[str, typer.Option(help="See `akpsim list ordinations`.")] = "pcoa",
    metric: Metric = "cka",
    layer: Layer = None,
    epoch: Epoch = -1,
    by: Annotated[str | None, typer.Option(help="Coordinate that groups the members.", show_default="stress")] = None,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Put members on a map, with the spread of each group in the full space beside that in the map.

    **Examples**

        akpsim ordinate runs/digits --by stress

        akpsim ordinate similarity.nc --method nmds -o map.nc
    """
    distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch)
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
