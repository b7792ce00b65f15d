"""Draw the correlation graph's weight and the variance of members over epochs."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.distances import in_order
from akpsim.plots.axes import colours

PHASE_COLOURS = {"crisis": "#D55E00", "recovery": "#009E73", "catastrophe": "#000000"}


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
    axes[0].set_title("dotted: G of columns permuted by themselves", fontsize=8)
    _mark_phases(axes[1], crisis, list(colour))
    axes[0].legend(title=crisis.attrs["by"], loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    return axes


def _mark_phases(ax: Axes, crisis: xr.Dataset, groups: list[str]) -> None:
    """Put a row of marks for each group at the epochs that have a phase."""
    marks: dict[str, Any] = {}
    for row, group in enumerate(groups):
        phases = crisis.phase.sel(group=group).values.astype(str)
        for name, colour in PHASE_COLOURS.items():
            at = crisis.epoch.values[phases == name]
            if at.size:
                height = np.full(at.size, 0.03 + 0.05 * row)
                marks[name] = ax.scatter(at, height, marker="s", s=12, color=colour, transform=ax.get_xaxis_transform())
    if marks:
        ax.legend(
            marks.values(),
            marks.keys(),
            title="phase, a row a group",
            loc="upper left",
            bbox_to_anchor=(1, 1),
            frameon=False,
            fontsize=8,
        )
