"""`akpsim disperse`."""

import json
from typing import Annotated, Any

import typer

import akpsim

from .arguments import Epoch, Json, Layer, Out
from .matrices import Blocks, By, Matrix, Metric, Permutations, Seed, default_path, distances_of, plain


def disperse(
    sources: Matrix = None,
    by: By = "stress",
    metric: Metric = "cka",
    layer: Layer = None,
    epoch: Epoch = -1,
    reference: Annotated[
        str | None, typer.Option(help="Group that others are compared with.", show_default="happy, none or baseline")
    ] = None,
    blocks: Blocks = None,
    permutations: Permutations = 999,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Say whether stressed or unhappy members differ more from each other than the reference, and how sure that is.

    **Examples**

        akpsim disperse runs/digits --by stress

        akpsim disperse runs/digits --by family --layer all

        akpsim disperse similarity.nc --by family --reference baseline --blocks seed --json
    """
    distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch)
    found = akpsim.disperse(distances, by, reference=reference, blocks=blocks, permutations=permutations, seed=seed)
    path = akpsim.save(found, out or default_path(run, "dispersion", distances, by))
    typer.echo(json.dumps({"path": str(path), **plain(found)}) if as_json else f"{_text(found)}\n{path}")


def _text(found: Any) -> str:
    lines = [
        f"{group!s:20} n = {size:<4} mean distance {_interval(mean, lower, upper)}"
        for group, size, mean, lower, upper in zip(
            found.group.values,
            found["size"].values,
            found.mean_distance.values,
            found.mean_distance_lower.values,
            found.mean_distance_upper.values,
            strict=True,
        )
    ]
    kind = "complete" if found.attrs["complete_enumeration"] else "random"
    lines.append(
        f"permutation test of dispersion p = {float(found.p):.3g}, of location p = {float(found.p_location):.3g} "
        f"({found.attrs['permutations']} relabelings, {kind}; smallest attainable {found.attrs['smallest_p']:.2g})"
    )
    return "\n".join([*lines, found.attrs["sentence"]])


def _interval(value: float, lower: float, upper: float) -> str:
    return f"{value:.3f}" + ("  (no interval)" if lower != lower else f"  ({lower:.3f} to {upper:.3f})")
