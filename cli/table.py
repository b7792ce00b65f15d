"""`akpsim table`."""

import json
from pathlib import Path
from typing import Annotated

import typer

import akpsim
from akpsim.checks import one_of
from akpsim.errors import InvalidData
from akpsim.files import write_text

from .arguments import Json, Out


def table(
    run: Annotated[Path | None, typer.Argument(help="A run folder; default: the newest in ./runs.")] = None,
    style: Annotated[
        str | None, typer.Option("--format", help="text, csv, markdown or latex; by default what --out ends in.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Print how well each family classifies the test images: the paper's Table 1.

    Per class precision, recall and F1; accuracy with its binomial interval and what the largest class alone would get;
    balanced accuracy. Runs of the paper's presets show the paper's own numbers beside them.

    Examples:

        akpsim table runs/paper

        akpsim table runs/paper --format latex -o table1.tex
    """
    from akpsim.classification import printable, records
    from akpsim.tables import FORMATS, SUFFIXES, records_as_csv

    found = akpsim.classification_table(akpsim.open_run(run))
    if out is not None and style is None and out.suffix not in (*SUFFIXES, ".nc"):
        allowed = f"{', '.join(SUFFIXES)} or .nc"
        raise InvalidData(f"--out must end in {allowed}, or --format say what to write: got {out.name!r}")
    chosen = one_of(style or SUFFIXES.get(out.suffix if out else "", "text"), "--format", FORMATS)
    text = records_as_csv(records(found)) if chosen == "csv" else FORMATS[chosen](printable(found))
    if out is not None:
        if out.suffix == ".nc":
            akpsim.save(found, out)
        else:
            write_text(out, text + "\n")
    if as_json:
        typer.echo(json.dumps(records(found)))
    else:
        typer.echo(text if out is None else out)
