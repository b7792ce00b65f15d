"""From results to files: which picture a result wants, and where it is saved."""

from inspect import signature
from pathlib import Path

import xarray as xr

from akpsim.curves import training_curves
from akpsim.errors import AkpsimError
from akpsim.plots import PLOTS
from akpsim.plots.axes import save_figure
from akpsim.store import Run, open_result


def draw(result: xr.Dataset, path: Path, *, by: str | None = None) -> Path:
    """Draw a result with the picture that `PLOTS` has for it and save it; return the path."""
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise AkpsimError(f"a figure is saved as .png, .pdf or .svg, got {path.name!r}")
    plot = PLOTS[result.attrs.get("result", "of no known kind")]
    grouped = by is not None and "by" in signature(plot.draw).parameters
    return save_figure(plot.draw(result, **({"by": by} if grouped else {})), path)


def draw_result(source: Path, path: Path, *, by: str | None = None) -> Path:
    """Draw a saved result."""
    return draw(open_result(source), path, by=by)


def draw_run(run: Run, folder: Path | None = None, *, by: str | None = None, suffix: str = "png") -> list[Path]:
    """Draw a run's accuracy curves and all analyses it holds into its folder of figures; return the paths."""
    folder = folder or run.path / "figures"
    results = sorted((run.path / "analysis").glob("*.nc"))
    history = draw(run.history, folder / f"history.{suffix}", by=by)
    groups = training_curves(run).items()
    curves = [draw(one, folder / f"training_curves-{group}.{suffix}", by=by) for group, one in groups]
    return [history, *curves, *(draw_result(result, folder / f"{result.stem}.{suffix}", by=by) for result in results)]
