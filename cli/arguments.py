"""Arguments that commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

import akpsim

RunOrFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[RUN | FILES...]",
        help="A run folder, or feature files: .npy .npz .nc .safetensors .csv. By default the newest run in ./runs.",
        show_default=False,
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to save the result.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text.")]
Layer = Annotated[
    str | None, typer.Option(help="A captured layer; by default the last hidden one.", show_default=False)
]
Epoch = Annotated[
    float,
    typer.Option(
        help="A captured epoch from 0 (untrained); 2.5 is after the swaps of epoch 3, before its batches; negative "
        "counts from the last."
    ),
]


def run_of(sources: list[Path] | None) -> Any:
    """Return the run that `sources` names, the newest if it names nothing, or None if it names files."""
    if not sources:
        return akpsim.open_run()
    if len(sources) == 1 and not sources[0].is_file() and sources[0].suffix not in akpsim.FEATURE_SUFFIXES:
        return akpsim.open_run(sources[0])
    return None


def representations_of(sources: list[Path] | None, *, layer: str | None = None, epoch: float = -1) -> Any:
    """Return the representations of a run (the newest if no source is given), or those in feature files."""
    run = run_of(sources)
    return akpsim.read_features(sources or []) if run is None else run.representations(layer=layer, epoch=epoch)
