"""Draw similarity within and between families, along layers or epochs, with its interval."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import MARKERS, axes_or_new, colours, metric_label, origin
from akpsim.plots.similarity import plot_similarity

TICKS = 12
"""Up to so many epochs, each has its tick."""
MAPS = 8
"""Most heat maps in one figure."""


def plot_similarity_curve(between: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the mean similarity within each family over layers or epochs, with its interval as a band.

    Parameters
    ----------
    between : Dataset (layer or epoch, family, other_family)
        As `akpsim.between_families` returns it for a result of `akpsim.compare_over`; without the first dimension, one
        point a family is drawn.  Nothing is computed here.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        One labelled line a family; a dashed one for its similarity to the first family.
    """
    ax = axes_or_new(ax, size=(6.0, 4.0))
    by = str(between.attrs["by"])
    over = next((str(dim) for dim in between["mean"].dims if dim not in (by, f"other_{by}")), None)
    names = [str(name) for name in between[by].values]
    colour = colours(names)
    labels = [str(value) for value in between[over].values] if over else [""]
    numeric = over is not None and np.issubdtype(between[over].dtype, np.number)
    place = between[over].values.astype(float) if over and numeric else np.arange(len(labels), dtype=float)
    for index, name in enumerate(names):
        own = between.isel({by: index, f"other_{by}": index})
        mean, low, high = (np.atleast_1d(own[key].values) for key in ("mean", "mean_lower", "mean_upper"))
        marker = MARKERS[index % len(MARKERS)]
        ax.plot(place, mean, color=colour[name], marker=marker, ms=4, label=f"within {name}")
        ax.fill_between(place, low, high, color=colour[name], alpha=0.15, lw=0)
        if index:
            other = np.atleast_1d(between["mean"].isel({by: index, f"other_{by}": 0}).values)
            ax.plot(place, other, color=colour[name], ls="--", lw=1, label=f"{names[0]} - {name}")
    level = 100 * between.attrs.get("level", 0.95)
    if not numeric:
        ax.set_xticks(place, labels, rotation=30, ha="right")
    elif len(place) <= TICKS:
        ax.set_xticks(place, labels)
    ax.set(xlabel=over or "", ylabel=f"{metric_label(between.attrs)}, mean and {level:g} % interval")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=7)
    return ax


def plot_similarity_over(whole: xr.Dataset) -> Any:
    """Draw what `akpsim.compare_over` returned: curves of families above the matrices, or these alone.

    Parameters
    ----------
    whole : Dataset (layer or epoch, member, other)
        With the means that `akpsim.between_families` gives, families along the dimension ``group``, or without.
        Nothing is computed here.

    Returns
    -------
    array of Axes
        The curves, if there are means, and one heat map a layer or epoch, eight at most, evenly chosen.
    """
    import matplotlib.pyplot as plt

    over = str(whole.attrs["over"])
    chosen = np.unique(np.linspace(0, whole.sizes[over] - 1, min(MAPS, whole.sizes[over])).round().astype(int))
    rows = -(-len(chosen) // 4)
    columns = -(-len(chosen) // rows)
    curves = int("mean" in whole)
    figure = plt.figure(figsize=(4.2 * max(2, columns), 3.6 * rows + 4.0 * curves), layout="constrained")
    figure.suptitle(origin(whole), fontsize=9)
    grid = figure.add_gridspec(rows + curves, columns)
    axes = [plot_similarity_curve(_means(whole), ax=figure.add_subplot(grid[0, :]))] if curves else []
    for above in axes:  # beside the curves, the legend would draw the last colour bar away from its map
        above.legend(loc="best", frameon=False, fontsize=7)
    for place, index in enumerate(chosen):
        one = whole.isel({over: int(index)})
        row, column = divmod(place, columns)
        drawn = plot_similarity(one, ax=figure.add_subplot(grid[row + curves, column]))
        drawn.set_title(f"{over} {one[over].item()}, n = {whole.attrs['n']} samples", fontsize=8)
        axes.append(drawn)
    return np.asarray(axes)


def _means(whole: xr.Dataset) -> xr.Dataset:
    """Return the means alone, with the families along the coordinate that they were grouped by."""
    by = str(whole.attrs["by"])
    means = whole[[name for name in whole.data_vars if "other_group" in whole[name].dims]]
    return means.rename({"group": by, "other_group": f"other_{by}"})
