"""`akpsim data`: from microscopes' files to images that a family of networks can learn."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(
    help="Make, check and fetch images: z-stacks to pictures, duplicates, the fly wings.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print a JSON object instead of sentences.")]


@data.command("stack")
def stack(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A stack, or a folder of them, one sub-folder a class.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of images to make.")],
    projection: Annotated[str, typer.Option(help="Over the layers: max, mean, sum or std.")] = "max",
    percentiles: Annotated[
        tuple[float, float],
        typer.Option(help="What becomes black, and full colour: two numbers, with a space.", show_default="0.5 99.8"),
    ] = (0.5, 99.8),
    contrast: Annotated[
        str, typer.Option(help="Percentiles of each `image`, over `all` images, or the range of the `type` of pixels.")
    ] = "image",
    colours: Annotated[
        str | None, typer.Option(help="One a channel: red, green, blue, magenta, cyan, yellow, grey, none.")
    ] = None,
    axes: Annotated[str | None, typer.Option(help="What the axes are where the file does not say it: ZCYX.")] = None,
    time: Annotated[int | None, typer.Option(help="Which time point, from 1.")] = None,
    suffix: Annotated[
        list[str] | None, typer.Option(help="Files whose names end so are channels of one image; repeat in order.")
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="png or tiff.")] = "png",
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow stacks of different bit depth or channels.")] = False,
    as_json: Json = False,
) -> None:
    """Flatten z-stacks (TIFF, OME-TIFF, ImageJ, LSM, CZI) to colour images.

    For example:

        akpsim data stack scans/ images/

        akpsim data stack scans/ images/ --axes ZCYX --colours green,magenta --contrast all

        akpsim data stack fields/ images/ --suffix _F --suffix _D
    """
    from akpsim.families.datasets.stacking import Recipe, stack_folder

    recipe = Recipe(
        projection=projection,
        percentiles=percentiles,
        contrast=contrast,
        colours=None if colours is None else tuple(colour.strip() for colour in colours.split(",")),
        axes=axes,
        time=time,
        suffixes=tuple(suffix or ()),
    )
    note = partial(typer.echo, err=True)
    rows = stack_folder(source, target, recipe, file_format=file_format, mixed=mixed, show=not as_json, note=note)
    if as_json:
        typer.echo(json.dumps({"folder": str(target), "images": rows}))
        return
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["label"]] = counts.get(row["label"], 0) + 1
    said = ", ".join(f"{label} {count}" for label, count in counts.items() if label)
    typer.echo(f"{target}: {len(rows)} image{'s' * (len(rows) != 1)}{': ' + said if said else ''}")
    dark = [row["path"] for row in rows if flat_channel(row)]
    if dark:
        typer.echo(f"a channel without contrast is drawn black in {len(dark)} of them, first in {dark[0]}")
    typer.echo(f"look at {target / 'contact_sheet.png'}; what was done to each is in {target / 'manifest.csv'}")


def flat_channel(row: dict[str, str]) -> bool:
    """Tell whether a channel of an image had nothing to stretch."""
    return any(low == high for low, high in zip(row["low"].split(";"), row["high"].split(";"), strict=True))


@data.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder with one sub-folder a class.")],
    as_json: Json = False,
) -> None:
    """Count the images of a folder; find damaged files, copies, and copies across classes (exit code 1).

    For example:

        akpsim data verify images/
    """
    from dataclasses import asdict

    from akpsim.families.datasets.verify import verify_folder

    found = verify_folder(folder, show=not as_json)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"sound": found.sound}))
    else:
        total = sum(found.counts.values())
        shares = ", ".join(f"{name} {count} ({count / total:.0%})" for name, count in found.counts.items())
        typer.echo(f"{folder}: {total} images: {shares}")
        if len(found.counts) == 1:
            typer.echo("one class only: `akpsim train-family` needs at least two sub-folders")
        several = f"{len(found.sizes)} sizes, most often " if len(found.sizes) > 1 else ""
        typer.echo(f"size: {several}{next(iter(found.sizes), 'unknown')}")
        typer.echo(f"damaged: {len(found.damaged)}")
        list_some(found.damaged)
        typer.echo(f"groups of equal images: {len(found.exact)}")
        list_some([" = ".join(names) for names in found.exact])
        near = f"{len(found.near)}" if found.searched else "not looked for among so many images"
        typer.echo(f"pairs of nearly equal images: {near}")
        list_some([" ~ ".join(names) for names in found.near])
        typer.echo(f"copies across classes or parts of a split: {len(found.across)}")
        list_some(found.across)
    if not found.sound:
        raise typer.Exit(1)


@data.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="wings: the published fly wings, doi:10.5281/zenodo.7648739.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to fill.  [default: NAME-record]")] = None,
    limit: Annotated[float, typer.Option(help="Gigabytes to fetch at most, and to unpack of each archive.")] = 50,
    as_json: Json = False,
) -> None:
    """Fetch a published record, check it and unpack it; run again, it goes on with what is missing.

    For example:

        akpsim data fetch wings --out scans/
    """
    from akpsim.families.datasets.fetch import fetch_record

    out = out or Path(f"{name}-record")
    got = fetch_record(name, out, limit=limit, show=not as_json)
    if as_json:
        typer.echo(json.dumps(got))
        return
    typer.echo(f"{out}: {len(got['files'])} files of doi:{got['doi']}, checksums right")
    for folder in got["folders"]:
        typer.echo(f"unpacked into {folder}")
    typer.echo("next: `akpsim data stack IN OUT`, where IN has one sub-folder a class")


@data.command("wings")
def wings(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of stacks to make.")],
    tumour: Annotated[int, typer.Option(help="How many discs with a clone of tumour cells.")] = 76,
    healthy: Annotated[int, typer.Option(help="How many without.")] = 139,
    difficulty: Annotated[float, typer.Option(help="0: plain to see; 1: no difference at all.")] = 0.5,
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 128,
    seed: Annotated[int, typer.Option(help="Another seed draws other discs.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw synthetic wing discs as 13-layer two-channel OME-TIFF stacks, to try `data stack` on; not photographs.

    For example:

        akpsim data wings scans/ --tumour 10 --healthy 20
    """
    from akpsim.families.datasets.wings import write_wings
    from akpsim.study import Data

    options = {"tumour": tumour, "healthy": healthy, "difficulty": difficulty, "size": size, "seed": seed}
    count = write_wings(target, Data(name="wings", options=options), show=not as_json)
    said = {"folder": str(target), "synthetic": True, "stacks": count} | options
    typer.echo(json.dumps(said) if as_json else f"{target}: {count} synthetic stacks; they are no photographs")


def list_some(lines: list[str], most: int = 10) -> None:
    """Print the first few lines, indented, and how many more there are."""
    for line in lines[:most]:
        typer.echo(f"  {line}")
    if len(lines) > most:
        typer.echo(f"  and {len(lines) - most} more; --json lists all")
