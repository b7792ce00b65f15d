"""`akpsim plot`."""

import json
from pathlib import Path
from typing import Annotated

import typer

import akpsim


def plot(
    source: Annotated[Path | None, typer.Argument(help="A run folder or a result; default: the newest run.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Figure (png, pdf, svg), or a folder if there are several.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Coordinate that groups members: family, stress ...")] = None,
    suffix: Annotated[str, typer.Option("--format", help="png, pdf or svg, where the name does not say.")] = "png",
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON.")] = False,
) -> None:
    """Draw a result, or everything a run has: accuracy over epochs and each saved analysis.

    Examples:

        akpsim plot runs/digits

        akpsim plot runs/digits/analysis/similarity-cka-dense_2.nc -o heatmap.pdf
    """
    from akpsim.plots.draw import draw_result, draw_run

    if source is not None and source.is_file():
        paths = [draw_result(source, out or source.with_suffix(f".{suffix}"), by=by)]
    else:
        paths = draw_run(akpsim.open_run(source), out, by=by, suffix=suffix)
    typer.echo(json.dumps([str(path) for path in paths]) if as_json else "\n".join(map(str, paths)))
