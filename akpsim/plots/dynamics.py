"""Draw what surrounds a fit of dynamics: profiles, the comparison with nulls, parameters of members by group."""

from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from akpsim.plots.axes import PALETTE, axes_or_new, colours, labels_by

COLUMNS = 3
WIDE = 90
"""Characters in a line of a title."""


def plot_profiles(profile: xr.Dataset, *, axes: Any = None) -> np.ndarray:
    """Draw the profile likelihood of each parameter, with the threshold and the interval.

    Parameters
    ----------
    profile : Dataset
        As `akpsim.profile_lotka_volterra` returns it.
    axes : array of Axes, optional
        One a parameter; a new figure if not given.

    Returns
    -------
    array of Axes
        A parabola about the optimum means that the interval from Fisher's information is as good.
    """
    names = [str(name) for name in profile.parameter.values]
    if axes is None:
        import matplotlib.pyplot as plt

        rows = -(-len(names) // COLUMNS)
        axes = plt.subplots(rows, COLUMNS, figsize=(9, 2.6 * rows), sharey=True, layout="constrained")[1].ravel()
    threshold = float(profile.threshold)
    for ax, name in zip(axes, names, strict=False):
        one = profile.sel(parameter=name)
        ax.plot(one.value, one.deviance, marker=".", color=PALETTE[0])
        limit = f"{float(profile.attrs['level']):.0%} limit"
        ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle="--", label=limit)
        if np.isfinite(one.lower) and np.isfinite(one.upper):
            ax.axvspan(float(one.lower), float(one.upper), color=PALETTE[0], alpha=0.12, linewidth=0, label="interval")
        ax.axvline(float(one.best), color=PALETTE[2], linewidth=0.9, label="best fit")
        ax.set(xlabel=name, ylim=(0, 3 * threshold))
    axes[0].set_ylabel("2 x drop in log likelihood")
    axes[0].legend(frameon=False, fontsize=7)
    return np.asarray(axes)


def plot_selection(selection: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw by how much each model's BIC is above the best, one bar a model.

    Parameters
    ----------
    selection : Dataset
        As `akpsim.select_dynamics` returns it, of one trajectory or many (then the mean over those not refused).
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        Bars from best to worst; the verdict, or how often each model is the best, is the title.
    """
    ax = axes_or_new(ax, size=(6.0, 3.6))
    bic = selection.bic.transpose(..., "model").values.reshape(-1, selection.sizes["model"])
    bic = bic[np.isfinite(bic).any(axis=1)]
    # A model with too many parameters for some trajectory has an infinite criterion there.
    compared = np.isfinite(bic).all(axis=0)
    bic = bic[:, compared]
    above = (bic - bic.min(axis=1, keepdims=True)).mean(axis=0) if len(bic) else np.zeros(bic.shape[1])
    order = np.argsort(-above)
    names = selection.model.values[compared][order].astype(str)
    shades = [PALETTE[2] if name == "lotka_volterra" else PALETTE[0] for name in names]
    ax.barh(names, above[order], color=shades)
    ax.set(xlabel=f"BIC above the best (n = {len(bic)} {'trajectory' if len(bic) == 1 else 'trajectories'})")
    if "verdict" in selection.attrs:
        ax.set_title(fill(str(selection.attrs["verdict"]), WIDE), fontsize=8)
    return ax


def plot_members(table: xr.Dataset, *, by: str | None = None, axes: Any = None) -> np.ndarray:
    """Draw rates and period of members by group, with the groups' means and intervals, and what was chosen.

    Parameters
    ----------
    table : Dataset
        As `akpsim.fit_members` returns it.
    by : str, optional
        Coordinate that colours the members; by default the one that the table is summarised by.
    axes : array of Axes, optional
        One more than there are parameters; where to draw; a new figure if not given.

    Returns
    -------
    array of Axes
        One a parameter, logarithmic for prey and predator, members whose fit was refused as crosses; then how often
        each model was chosen.
    """
    names = table.attrs["parameters"].split()
    if axes is None:
        import matplotlib.pyplot as plt

        rows = -(-(len(names) + 1) // COLUMNS)
        axes = plt.subplots(rows, COLUMNS, figsize=(11, 3 * rows), layout="constrained")[1].ravel()
    by = by or str(table.attrs["by"])
    labels = labels_by(table, by)
    colour = colours(dict.fromkeys(labels))
    for ax, name in zip(axes, names, strict=False):
        _strips(ax, table, name, labels=labels, colour=colour)
        if by == table.attrs["by"]:
            for place, group in enumerate(colour):
                _mean(ax, table, name, group, place)
    _chosen(axes[len(names)], table, labels, colour)
    for ax in axes[len(names) + 1 :]:
        ax.set_axis_off()
    axes[0].set_ylabel("o fitted, x refused, diamond mean")
    axes[0].figure.suptitle(fill(str(table.attrs["verdict"]), WIDE), fontsize=9)
    return np.asarray(axes)


def _strips(ax: Axes, table: xr.Dataset, name: str, *, labels: np.ndarray, colour: dict[str, str]) -> None:
    """Draw one parameter of all members, side by side in their groups, and say how many cannot be drawn."""
    positive = table.attrs["model"] == "lotka_volterra"
    values, refused = table[name].values, table.refused.values.astype(bool)
    shown = np.isfinite(values) & ((values > 0) | (not positive))
    for place, group in enumerate(colour):
        inside = labels == group
        spread = place + np.linspace(-0.2, 0.15, inside.sum())
        for refusal, marker in ((False, "o"), (True, "x")):
            mask = (shown & (refused == refusal))[inside]
            ax.scatter(
                spread[mask], values[inside][mask], s=16, color=colour[group], marker=marker, alpha=0.6, clip_on=False
            )
    zero, none = int(np.sum(positive & (values == 0))), int(np.sum(~np.isfinite(values)))
    hidden = ", ".join([f"{zero} at zero"] * bool(zero) + [f"{none} without a value"] * bool(none))
    ax.set_title(name + (f"  ({hidden})" if hidden else ""), fontsize=9)
    ax.set_xticks(range(len(colour)), list(colour), rotation=20, fontsize=7)
    ax.set_xlim(-0.5, len(colour) - 0.5)
    if not shown.any():
        ax.set_yticks([])
        ax.text(0.5, 0.5, "no member has a value", transform=ax.transAxes, ha="center", fontsize=8, color="0.4")
    elif positive:
        ax.set_yscale("log")


def _mean(ax: Axes, table: xr.Dataset, name: str, group: str, place: int) -> None:
    one = table.sel(group=group)
    mean, low, high = (float(one[f"group_{name}{end}"]) for end in ("", "_lower", "_upper"))
    if np.isfinite(mean):
        ax.plot([place + 0.28], [mean], marker="D", color="black", markersize=5)
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([place + 0.28] * 2, [low, high], color="black", linewidth=1.2)


def _chosen(ax: Axes, table: xr.Dataset, labels: np.ndarray, colour: dict[str, str]) -> None:
    best = np.where(table.best.values == "", "not judged", table.best.values.astype(str))
    names = sorted(set(best.tolist()))
    left = np.zeros(len(names))
    for group in colour:
        counts = np.array([np.sum((best == name) & (labels == group)) for name in names])
        ax.barh(names, counts, left=left, color=colour[group], label=group)
        left += counts
    ax.set_title("model chosen by BIC", fontsize=9)
    ax.set_xlabel("members")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=7)


def plot_populations(populations: xr.Dataset | xr.DataArray, *, by: str = "family", ax: Axes | None = None) -> Axes:
    """Draw population trajectories, one line a member and population.

    Parameters
    ----------
    populations : DataArray (member, time, population), or the Dataset it was saved as
        As `akpsim.populations` returns it.
    by : str
        Coordinate that colours the members.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    ax = axes_or_new(ax, size=(6.5, 4.2))
    values = populations["populations"] if isinstance(populations, xr.Dataset) else populations
    colour = colours(labels_by(values, by))
    styles = ("-", "--", ":", "-.")
    for index, name in enumerate(values.population.values):
        for group in colour:
            lines = values.sel(population=name).isel(member=labels_by(values, by) == group)
            drawn = ax.plot(
                values.time,
                lines.transpose("time", "member"),
                color=colour[group],
                linestyle=styles[index % len(styles)],
                linewidth=0.8,
                alpha=0.7,
            )
            drawn[0].set_label(f"{group}, {name}")
    ax.set(xlabel="update", ylabel=str(populations.attrs.get("unit", "population")), yscale="log")
    ax.legend(frameon=False, fontsize=6, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
