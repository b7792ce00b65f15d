"""Draw accuracy over epochs, training beside validation, one line a member."""

from typing import Any

import numpy as np
import xarray as xr

from akpsim.plots.axes import PALETTE, colours, in_rows, labels_by, legend_beside, rows_of_axes, source_name

PANELS = {"train_accuracy": "training", "validation_accuracy": "validation"}


def plot_history(history: xr.Dataset, *, by: str = "family", axes: Any = None) -> np.ndarray:
    """Draw training and validation accuracy by group: thin lines are members, thick ones the means of groups.

    Parameters
    ----------
    history : Dataset
        As `Run.history` gives it: ``train_accuracy`` and ``validation_accuracy`` (member, epoch).
    by : str
        Coordinate along ``member`` that groups the lines.
    axes : array of two Axes, optional
        Where to draw all groups; a new figure if not given.

    Returns
    -------
    array of Axes, shape (2,), or (row, 2) where more than five groups are dealt to rows
    """
    groups = list(dict.fromkeys(labels_by(history, by).tolist()))
    rows = in_rows(groups) if axes is None else [groups]
    if axes is None:
        axes = rows_of_axes(len(rows), 2, size=(3.6, 3.2 if len(rows) == 1 else 2.4), sharex="row", sharey=True)
        axes.flat[0].figure.suptitle(source_name(history), fontsize="medium")
    axes = np.atleast_2d(axes)
    for shown, row in zip(rows, axes, strict=True):
        colour = colours(groups if len(groups) <= len(PALETTE) else shown)  # of which a row has enough
        for ax, (variable, title) in zip(row, PANELS.items(), strict=True):
            draw_groups(ax, history, variable, by=by, colour=colour, groups=shown)
            ax.set(title=title if shown is rows[0] else "", ylim=(0, 1.02))
        row[0].set_ylabel("accuracy")
        legend_beside(row[-1], title=f"{by} (thick: mean)")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    return np.asarray(axes[0] if len(axes) == 1 else axes)


def draw_groups(ax: Any, history: xr.Dataset, variable: str, *, by: str, colour: dict[str, str], groups: Any) -> None:
    """Draw one panel: members and means of some groups, and the majority class."""
    for group in groups:
        lines = history[variable].isel(member=labels_by(history, by) == group)
        ax.plot(history.epoch, lines.T, color=colour[group], linewidth=0.6, alpha=0.35)
        label = f"{group} (n = {lines.sizes['member']})"
        ax.plot(history.epoch, lines.mean("member"), color=colour[group], linewidth=2, label=label)
    ax.axhline(float(history.majority_baseline[0]), color="0.5", linewidth=0.8, linestyle=":", label="majority class")
