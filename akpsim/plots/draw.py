"""From results to files: which picture a result wants, and where it is saved."""

from inspect import signature
from pathlib import Path

import xarray as xr

from akpsim.curves import training_curves
from akpsim.errors import AkpsimError
from akpsim.plots import PLOTS
from akpsim.plots.axes import save_figure
from akpsim.store import Run, open_result

PICTURES = (".png", ".pdf", ".svg", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".eps", ".ps", ".webp")
"""Names that end like this are meant for one picture."""


def draw(result: xr.Dataset, path: Path, *, by: str | None = None) -> Path:
    """Draw a result with the picture that `PLOTS` has for it and save it; return the path."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise AkpsimError(f"a figure is saved as .png, .pdf or .svg, got {path.name!r}")
    plot = PLOTS[result.attrs.get("result", "of no known kind")]
    return save_figure(plot.draw(result, **({"by": by} if by is not None and _regroups(result) else {})), path)


def _regroups(result: xr.Dataset) -> bool:
    """Tell whether the picture of a result can group its members by any coordinate."""
    return "by" in signature(PLOTS[result.attrs.get("result", "of no known kind")].draw).parameters


def draw_result(source: Path, path: Path, *, by: str | None = None) -> Path:
    """Draw a saved result."""
    result = open_result(source)
    if by is not None and not _regroups(result):
        raise AkpsimError(
            f"a figure of {result.attrs['result']} keeps the groups that the result was made with"
            + (f", by {result.attrs['by']}" if "by" in result.attrs else "")
            + f"; make the result again by {by}"
        )
    return draw(result, path, by=by)


def draw_run(run: Run, folder: Path | None = None, *, by: str | None = None, suffix: str = "png") -> list[Path]:
    """Draw a run's accuracy curves, its audit and all analyses it holds into its folder of figures."""
    if folder is not None and folder.suffix.lower() in PICTURES:
        raise AkpsimError(f"a run has several figures, which are saved in a folder: got the file name {folder.name!r}")
    folder = folder or run.path / "figures"
    made = {"history": run.history}
    if "gradient_cosine" in (audit := run.audit):
        made["audit"] = audit
    made |= {f"training_curves-{group}": curves for group, curves in training_curves(run).items()}
    made |= {result.stem: open_result(result) for result in sorted((run.path / "analysis").glob("[!.]*.nc"))}
    return [draw(result, folder / f"{name}.{suffix}", by=by) for name, result in made.items()]
