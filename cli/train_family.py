"""`akpsim train-family`."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

import akpsim

from .arguments import Scheduler, Workers

SAID = ("accuracy", "constant")
"""What `--json` says of each family: see `akpsim.classification_table`."""


def train_family(
    study: Annotated[str, typer.Argument(help="A study file or a preset; see `akpsim list presets`.")] = "digits",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; default runs/NAME.")] = None,
    data: Annotated[str | None, typer.Option(help="A dataset's name, or a folder with one sub-folder a class.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Scale images to this many pixels a side.")] = None,
    backbone: Annotated[str | None, typer.Option(help="none, small_cnn, or a torchvision network's name.")] = None,
    weights: Annotated[str | None, typer.Option(help="Of the backbone: imagenet, random, or a file.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Networks a family.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs a network.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the whole study.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=0, help="Epochs between checkpoints; 0 for none. By default one a minute.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    device: Annotated[
        str, typer.Option(help="Where networks work: auto (the GPU if there is one and a backbone), cpu or cuda.")
    ] = "auto",
    stack: Annotated[
        int, typer.Option(min=1, help="Heads on a frozen backbone that are trained as one; for GPUs.")
    ] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove what the run folder holds and start again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train families of perturbed networks; run again, it trains only what is missing.

    Options override the study, and what is stored with the run is the study as it was run.

    Examples:

        akpsim train-family

        akpsim train-family study.toml --out runs/mine --members 10

        akpsim train-family paper --workers 8

        akpsim train-family --data images/ --backbone inception_v3 --weights random

        akpsim train-family paper --device cuda --stack 56
    """
    overrides = {
        "members": members,
        "seed": seed,
        "training__epochs": epochs,
        "network__backbone": backbone,
        "network__weights": weights,
        "data__image_size": image_size,
    }
    if data is not None:
        from akpsim.families.datasets import data_named

        overrides |= {f"data__{key}": value for key, value in data_named(data).items()}
        own = None if study == "digits" else Path(study).stem
        overrides["name"] = "-".join(
            re.sub(r"[^A-Za-z0-9_.-]+", "_", word) for word in (own, Path(data).stem, backbone) if word
        )
    design = akpsim.load_study(study, **overrides)  # before torch is imported, which takes seconds
    from akpsim.families import null_perturbations
    from akpsim.families import train_family as train
    from akpsim.families.training.folder import is_complete

    if out is None and any(value is not None for value in overrides.values()):
        out = Path("runs") / f"{design.name}-{design.hash[:6]}"
    if checkpoint_every is not None:
        section = design.training.model_copy(update={"checkpoint_every": checkpoint_every})
        design = design.model_copy(update={"training": section})
    try:
        run = train(
            design,
            out,
            fresh=fresh,
            workers=workers,
            scheduler=scheduler,
            device=device,
            stack=stack,
            show=not as_json,
            note=lambda line: typer.echo(line, err=as_json),
        )
    except KeyboardInterrupt:
        planned = list(design.design())
        done = sum(is_complete(design, out or Path("runs") / design.name, member) for member in planned)
        again = "run the same command again" + " without --fresh" * fresh
        typer.echo(f"stopped: {done} of {len(planned)} members are complete; {again} to go on", err=True)
        raise typer.Exit(130) from None
    null = null_perturbations(run)
    if as_json:
        table = akpsim.classification_table(run)
        found = {
            name: dict(zip(table.family.values.tolist(), table[name].values.tolist(), strict=True)) for name in SAID
        }
        lost = [name for name in table.attrs["not_finite"].split(", ") if name]
        typer.echo(json.dumps({"run": str(run.path), "members": run.names, **found, "null": null, "not_finite": lost}))
        return
    for line in null:
        typer.echo(line)
    typer.echo(result_table(run))
    typer.echo(f"{run.path}: {len(run.names)} members complete")


def result_table(run: "akpsim.Run") -> str:
    """Return the paper's Table 1 for a run of its presets, and test accuracy by family for others."""
    from akpsim.classification import constant_members, members_not_finite, printable
    from akpsim.tables import as_text

    table = akpsim.classification_table(run)
    if "paper_accuracy" in table:
        return as_text(printable(table))
    return "\n".join([accuracy_table(run), *constant_members(table), *members_not_finite(table)])


def accuracy_table(run: "akpsim.Run") -> str:
    """Return test accuracy by family as aligned text."""
    members = run.members
    rows = [f"{'family':24} {'stress':7} {'n':>3} {'accuracy':>9} {'sd':>6}"]
    for family in dict.fromkeys(members.family.values.tolist()):
        group = members.sel(member=members.family == family)
        accuracy = group.accuracy.values
        sd = f"{accuracy.std(ddof=1):6.3f}" if len(accuracy) > 1 else "     -"
        rows.append(f"{family:24} {group.stress.values[0]:7} {len(accuracy):3d} {accuracy.mean():9.3f} {sd}")
    baseline = float(members.majority_baseline.values[0])
    return "\n".join([*rows, f"accuracy on the test images; always saying the largest class gives {baseline:.3f}"])
