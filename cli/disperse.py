"""`akpsim disperse`."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim
from akpsim.errors import AkpsimError

from .arguments import Epoch, Json, Out, run_of
from .matrices import (
    Blocks,
    By,
    Groups,
    Matrix,
    Metric,
    Permutations,
    Seed,
    about,
    default_path,
    distances_of,
    distances_of_layers,
    plain,
    pooled,
    without_undefined,
)

Layers = Annotated[
    str | None,
    typer.Option("--layer", help="A captured layer, or `all`; by default the last hidden one.", show_default=False),
]


def disperse(
    sources: Matrix = None,
    by: By = "stress",
    metric: Metric = "cka",
    layer: Layers = None,
    epoch: Epoch = -1,
    reference: Annotated[
        str | None, typer.Option(help="Group that others are compared with.", show_default="happy, none or baseline")
    ] = None,
    blocks: Blocks = None,
    groups: Groups = None,
    center: Annotated[str, typer.Option(help="Centre of a group: centroid or median.")] = "centroid",
    negative: Annotated[str, typer.Option(help="Negative eigenvalues: signed, lingoes, cailliez or raise.")] = "signed",
    permutations: Permutations = 999,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Say whether stressed or unhappy members differ more from each other than the reference, and how sure that is.

    `--by happiness` applies the rule of the study to the accuracy on test images, and takes out of the representations
    what their logits say.

    **Examples**

        akpsim disperse runs/digits --by stress

        akpsim disperse runs/digits --by happiness

        akpsim disperse runs/digits --by family --layer all

        akpsim disperse similarity.nc --by family --reference baseline --blocks seed --json

        akpsim disperse distances.csv --groups labels.csv --by habitat
    """
    options: dict[str, Any] = {
        "blocks": blocks,
        "center": center,
        "negative": negative,
        "permutations": permutations,
        "seed": seed,
    }
    if layer == "all" and by == "happiness":
        raise AkpsimError("`--by happiness` takes one layer at a time, got `--layer all`")
    if by == "happiness":
        found, path, lines = _of_happiness(sources, metric, layer, epoch, options)
    elif layer == "all":
        distances, run = distances_of_layers(sources, metric=metric, epoch=epoch)
        found = akpsim.disperse_layers(distances, by, reference=reference, progress=not as_json, **options)
        first = next(iter(distances.values()))
        path = default_path(
            run, "dispersion-layers", first.drop_vars("layer", errors="ignore"), by, blocks, epoch=epoch
        )
        lines = [*_layers(found), *pooled(first, by)]
    else:
        distances, run = distances_of(sources, metric=metric, layer=layer, epoch=epoch, groups=groups)
        found = akpsim.disperse(distances, by, reference=reference, **options)
        path = default_path(run, "dispersion", distances, by, blocks, sources=sources, epoch=epoch)
        lines = [*_groups(found), *pooled(distances, by)]
    lines += [f"blocks: {blocks}"] if blocks else []
    path = akpsim.save(found, out or path)
    lines = [about(found, sources), *lines, str(path)]
    typer.echo(json.dumps({"path": str(path), **plain(found)}) if as_json else "\n".join(lines))


def _of_happiness(
    sources: list[Path] | None, metric: str, layer: str | None, epoch: float, options: dict[str, Any]
) -> tuple[Any, Path, list[str]]:
    """Return the effect of happiness beyond the readout, where it goes and what is said."""
    run = run_of(sources)
    if run is None:
        raise AkpsimError("`--by happiness` needs a run, whose study has the rule and whose members have an accuracy")
    happy = akpsim.happiness(run)
    representations = run.representations(layer=layer, epoch=epoch)
    raw = without_undefined(akpsim.as_distance(akpsim.compare(representations, metric=metric)))
    rule = f"happy: {happy.attrs['rule']}; collapsed members: {happy.attrs['collapsed_members']}"
    if "happiness" not in happy:
        found = akpsim.disperse_on(raw, "accuracy", **{key: options[key] for key in ("blocks", "permutations", "seed")})
        slope = _effect(*(float(found[name]) for name in ("slope", "slope_lower", "slope_upper")))
        said = f"log distance to the others, per unit of accuracy: {slope}, {found.attrs['tests']}"
        return found, default_path(run, "dispersion", raw, "accuracy", options["blocks"], epoch=epoch), [rule, said]
    rest = akpsim.without_readout(representations, run.representations(layer="logits", epoch=epoch))
    projected = without_undefined(akpsim.as_distance(akpsim.compare(rest, metric=metric)))
    both = [name for name in raw["member"].values if name in set(projected["member"].values)]
    labels = happy.happiness.sel(member=both).values
    _both_sides(happy, labels, both, metric)
    raw, projected = (matrix.sel(member=both, other=both) for matrix in (raw, projected))
    projected = projected.assign_coords(
        happiness=("member", labels), collapsed=("member", happy.collapsed.sel(member=both).values)
    )
    found = akpsim.disperse_without_readout(raw, projected, by=labels, **options)
    found = found.assign_attrs(by="happiness", rule=happy.attrs["rule"])
    whole = _effect(*(float(found[f"raw_log_ratio{end}"]) for end in ("", "_lower", "_upper")))
    lines = [
        rule,
        f"whole representations: log ratio {whole}, permutation p = {float(found.raw_p):.3g}",
        "without the readout:",
        *_groups(found),
    ]
    if raw.attrs.get("cosine"):
        most = math.sqrt(2) / float(found.mean_distance[0])
        lines.append(
            f"without the readout no ratio can exceed {most:.2f}: {metric} of nothing shared is a distance of 1.41"
        )
    return found, default_path(run, "dispersion", raw, "happiness", options["blocks"], epoch=epoch), lines


def _both_sides(happy: Any, labels: Any, kept: list[Any], metric: str) -> None:
    """Refuse to compare happy with unhappy members where those of one side have no value."""
    side = set(labels.tolist())
    if len(side) == 1:
        gone = [str(name) for name in happy["member"].values if name not in set(kept)]
        raise AkpsimError(
            f"all members with a value of {metric} are {side.pop()} ({happy.attrs['rule']}); the others have none, "
            f"because their layer says the same of all samples: {', '.join(gone)}"
        )


def _groups(found: Any) -> list[str]:
    """Say what each group is like, how it compares with the reference where there are several, and what follows."""
    columns = ("size", "mean_distance", "mean_distance_lower", "mean_distance_upper")
    rows = zip(found.group.values, *(found[name].values for name in columns), strict=True)
    lines = [f"{group!s:20} n = {size:<4} mean distance {_interval(*values)}" for group, size, *values in rows]
    if found.sizes["pair"] > 1:
        number = int(found.pair_p.notnull().sum())
        lines += [_pair(found.isel(pair=pair), number) for pair in range(found.sizes["pair"])]
    return [*lines, *filter(None, (found.attrs[name] for name in ("tests", "sentence", "disagreement")))]


def _pair(pair: Any, number: int) -> str:
    """Say how two groups compare, with the p-values as they are and adjusted for all pairs."""
    logs = (float(pair[name]) for name in ("pair_log_ratio", "pair_log_ratio_lower", "pair_log_ratio_upper"))
    said = f"{pair['second'].item()} / {pair['first'].item()}: {_interval(*map(math.exp, logs))}"
    p, adjusted, smallest = (float(pair[name]) for name in ("pair_p", "pair_p_adjusted", "pair_smallest_p"))
    if p != p:
        return f"{said}, no test: no block holds both"
    return f"{said}, p = {p:.3g} (smallest attainable {smallest:.3g}), {adjusted:.3g} adjusted for {number} pairs"


def _layers(found: Any) -> list[str]:
    """Say what each layer says and what all say together."""
    names = ("log_ratio", "log_ratio_lower", "log_ratio_upper")
    rows = zip(found.layer.values, *(found[name].values for name in (*names, "p_adjusted", "verdict")), strict=True)
    lines = [f"{layer!s:12} {_effect(*values)}  p = {p:.3g}  {said}" for layer, *values, p, said in rows]
    together = _effect(*(float(found[f"omnibus_{name}"]) for name in names))
    compared = f"{found.attrs['others']} / {found.attrs['reference']}"
    return [
        f"log ratio of spreads, {compared}; p adjusted over layers ({found.attrs['tests']})",
        *lines,
        f"{'all':12} {together}  p = {float(found.omnibus_p):.3g}  {found.omnibus_verdict.item()}",
    ]


def _effect(value: float, lower: float, upper: float) -> str:
    return f"{value:+.3f}" + (" (no interval)" if lower != lower else f" ({lower:+.3f} to {upper:+.3f})")


def _interval(value: Any, lower: Any, upper: Any) -> str:
    low, high = float(lower), float(upper)
    return f"{float(value):.3f}" + ("  (no interval)" if low != low else f"  ({low:.3f} to {high:.3f})")
