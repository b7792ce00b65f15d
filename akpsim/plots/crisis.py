"""Draw the correlation graph's weight and the variance of members over epochs."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from akpsim.distances import in_order
from akpsim.plots.axes import colours

PHASE_MARKERS = {"crisis": "^", "recovery": "v", "catastrophe": "X"}


def plot_crisis(crisis: xr.Dataset) -> Any:
    """Draw G over epochs with its null, and the variance below it; phases are marked under the curves.

    Parameters
    ----------
    crisis : Dataset
        As `akpsim.crisis` returns it.

    Returns
    -------
    array of Axes
        G, variance.
    """
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(2, 1, figsize=(6.5, 5.5), sharex=True, layout="constrained")
    colour = colours(in_order(crisis.group.values.astype(str)))
    for group in colour:
        own = crisis.sel(group=group)
        for ax, name in zip(axes, ("G", "variance"), strict=True):
            label = f"{group} (n = {int(own['size'])})"
            ax.plot(own.epoch, own[name], color=colour[group], marker=".", label=label)
            ax.fill_between(
                own.epoch, own[f"{name}_lower"], own[f"{name}_upper"], color=colour[group], alpha=0.12, lw=0
            )
        axes[0].plot(own.epoch, own.G_null, color=colour[group], ls=":", lw=1)
    axes[0].set(ylabel="G, weight of correlations", ylim=(0, None))
    axes[1].set(ylabel="variance of members", xlabel="epoch", yscale="log")
    smallest = f"smallest attainable p of a trend {crisis.attrs['smallest_p']:.2g}"
    axes[0].set_title(f"dotted: G of columns permuted by themselves; {smallest}", fontsize=8)
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_phases(axes[1], crisis, colour)
    axes[0].legend(title=crisis.attrs["by"], loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    return axes


def _mark_phases(ax: Axes, crisis: xr.Dataset, colours_of: dict[str, str]) -> None:
    """Put a row of marks for each group, in its colour, at the epochs that have a phase."""
    marks: dict[str, Any] = {}
    for row, (group, colour) in enumerate(colours_of.items()):
        phases = crisis.phase.sel(group=group).values.astype(str)
        for name, marker in PHASE_MARKERS.items():
            at = crisis.epoch.values[phases == name]
            if at.size:
                height = np.full(at.size, 0.03 + 0.05 * row)
                ax.scatter(at, height, marker=marker, s=12, color=colour, transform=ax.get_xaxis_transform())
                marks[name] = ax.scatter([], [], marker=marker, s=12, color="0.4")
    if marks:
        ax.legend(
            marks.values(),
            marks.keys(),
            title="phase since members differ",
            loc="upper left",
            bbox_to_anchor=(1, 1),
            frameon=False,
            fontsize=8,
        )
