"""`akpsim calibrate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Epoch, Json, Layer, Out
from .matrices import Groups, Matrix, Metric, Seed, default_path, distances_of, plain


def calibrate(
    sources: Matrix = None,
    n: Annotated[str, typer.Option("--n", help="Members in the two groups of a study.")] = "5,5",
    reps: Annotated[int, typer.Option(help="How many studies are drawn.")] = 1000,
    by: Annotated[
        str | None, typer.Option(help="Coordinate of groups to centre first; `none` for one group.")
    ] = "family",
    groups: Groups = None,
    metric: Metric = "cka",
    layer: Layer = None,
    epoch: Epoch = -1,
    level: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    permutations: Annotated[int, typer.Option(help="Relabelings a study.")] = 199,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Draw studies without any effect from your own members, and say how often each test finds one.

    **Examples**

        akpsim calibrate runs/digits --n 5,5 --reps 1000

        akpsim calibrate similarity.nc --n 4,12 --by stress
    """
    try:
        first, second = map(int, n.split(","))
    except ValueError:
        raise AkpsimError(f"`--n` takes two whole numbers such as 5,5, got {n!r}") from None
    distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch, groups=groups)
    found = akpsim.calibrate(
        distances,
        None if by == "none" else by,
        sizes=(first, second),
        repetitions=reps,
        level=level,
        permutations=permutations,
        seed=seed,
        progress=not as_json,
    )
    usual = default_path(run, f"calibration-{first}-{second}", distances, by, sources=sources, epoch=epoch)
    path: Path = akpsim.save(found, out or usual)
    if as_json:
        typer.echo(json.dumps({"path": str(path), **plain(found)}))
        return
    lines = [f"false-positive rate at {level:g}, {reps} studies of {first} + {second} from {found.attrs['n']} members"]
    for test in found.test.values:
        rate, lower, upper = (float(found[name].sel(test=test)) for name in ("rate", "rate_lower", "rate_upper"))
        lines.append(f"{test!s:12} {rate:.3f}  (95% interval {lower:.3f} to {upper:.3f})")
    smallest = found.attrs["smallest_p"]
    if smallest > level:
        lines.append(f"all but the interval can never reject: the smallest attainable p is {smallest:.3g}")
    typer.echo("\n".join([*lines, str(path)]))
