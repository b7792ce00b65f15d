"""Arguments that commands share."""

from os.path import isfile, samefile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

import akpsim
from akpsim.errors import InvalidData

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
Workers = Annotated[int | None, typer.Option(min=1, help="Processes on this machine; by default all in this one.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a running dask scheduler, such as tcp://node7:8786.")]
Epoch = Annotated[
    float,
    typer.Option(
        help="A captured epoch from 0 (untrained); 2.5 is after the swaps of epoch 3, before its batches; negative "
        "counts from the last."
    ),
]


class KeepsInputs(TyperCommand):
    """A command whose --out is none of its inputs."""

    def invoke(self, ctx: Any) -> Any:
        """Refuse an output that would overwrite what is read, then run the command."""
        out = ctx.params.get("out")
        if out is not None:
            self.refuse(Path(out), ctx.params)
        return super().invoke(ctx)

    def refuse(self, out: Path, params: dict[str, Any]) -> None:
        """Raise `InvalidData` if the output is one of the paths among the parameters."""
        given = [item for value in params.values() for item in (value if isinstance(value, list | tuple) else [value])]
        inputs = [item for item in given if isinstance(item, Path) and item is not params["out"]]
        # Of os.path, which says no where a name is none that a file could have.
        if any(isfile(path) and isfile(out) and samefile(path, out) for path in inputs):
            raise InvalidData(f"--out {out} is one of the inputs, which would be overwritten: choose another name")


class SavesResult(KeepsInputs):
    """A command that saves its result as netCDF, and nowhere else."""

    def refuse(self, out: Path, params: dict[str, Any]) -> None:
        """Refuse inputs, and names that would hide what is in the file."""
        super().refuse(out, params)
        if out.suffix.lower() != ".nc":
            raise InvalidData(f"--out takes a name that ends in .nc, for a result is saved as netCDF: got {out.name!r}")


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
