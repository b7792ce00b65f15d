"""Draw dispersion: distances of members to the centre of their group, and the effect at each layer."""

from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from akpsim.distances import in_order
from akpsim.plots.axes import axes_or_new, colours, origin


def plot_dispersion(dispersion: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw each member's distance to the centre of its group, and each group's mean with its interval.

    Parameters
    ----------
    dispersion : Dataset
        As `akpsim.disperse` returns it.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        One column of points a group, a diamond for its mean; the verdict, with its interval, is the title.
    """
    labels = dispersion.label.values.astype(str)
    colour = colours(in_order(labels))
    ax = axes_or_new(ax, size=(max(4.5, 1.1 * len(colour) + 1.5), 4.2))
    for column, group in enumerate(colour):
        values = dispersion.distance.values[labels == group]
        spread = np.linspace(-0.18, 0.18, len(values))
        ax.scatter(column + spread, values, s=18, color=colour[group], alpha=0.7, label=group)
        own = dispersion.sel(group=group)
        mean = float(own.center_distance)
        below, above = mean - float(own.center_distance_lower), float(own.center_distance_upper) - mean
        ax.errorbar(column + 0.32, mean, yerr=[[below], [above]], fmt="D", ms=5, color=colour[group], capsize=4)
    ax.set_xticks(range(len(colour)), [f"{group}\nn = {int(dispersion['size'].sel(group=group))}" for group in colour])
    if len(colour) > 4:
        ax.tick_params(axis="x", labelrotation=30)
    ax.set_ylabel("distance to centre")
    ax.set_xlabel(
        "diamond: mean with its interval; the ratio above is of mean distances between two members", fontsize=7
    )
    ax.set_ylim(0, 1.08 * np.nanmax([dispersion.distance.max(), dispersion.center_distance_upper.max()]))
    said = [dispersion.attrs[name] for name in ("sentence", "tests")]
    ax.set_title("\n".join(fill(words, 75) for words in [*said, origin(dispersion)] if words), fontsize=7)
    return ax


def plot_layers(layers: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the ratio of spreads at each layer with its interval, and at all layers at once.

    Parameters
    ----------
    layers : Dataset
        As `akpsim.disperse_layers` returns it.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        Filled where the adjusted p-value is at most .05.
    """
    ax = axes_or_new(ax, size=(max(4.5, 0.8 * layers.sizes["layer"] + 2.5), 4.0))
    ticks = [*map(str, layers.layer.values), "all"]
    columns = [np.append(layers[name].values, layers[f"omnibus_{name}"].values) for name in _EFFECT]
    ratio, lower, upper = np.exp(np.array(columns, dtype=float))
    found = np.append(layers.p_adjusted.values, layers.omnibus_p.values) <= 0.05
    for column in range(len(ticks)):
        error = [[ratio[column] - lower[column]], [upper[column] - ratio[column]]]
        filled = "#D55E00" if found[column] else "white"
        ax.errorbar(column, ratio[column], yerr=error, fmt="o", color="#D55E00", mfc=filled, capsize=4)
    ax.axhline(1, color="0.5", lw=0.8)
    ax.axvline(len(ticks) - 1.5, color="0.8", lw=0.8)
    ax.set_yscale("log")
    ax.set_xticks(range(len(ticks)), ticks, rotation=30 if len(ticks) > 5 else 0)
    ax.set_ylabel(f"spread {layers.attrs.get('others', 'others')} / {layers.attrs['reference']}")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(ScalarFormatter())
    ax.set_title(
        f"filled: p \N{LESS-THAN OR EQUAL TO} .05 after {layers.attrs['adjust']} over layers\n{layers.attrs['tests']}\n"
        f"all: {layers.omnibus_verdict.item()}, p = {float(layers.omnibus_p):.3g}; {origin(layers)}",
        fontsize=7,
    )
    return ax


_EFFECT = ("log_ratio", "log_ratio_lower", "log_ratio_upper")
