"""Draw what each swap changed: the direction and length of the gradient, and the function."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import MARKERS, PALETTE, colours, in_rows, labels_by, legend_beside, rows_of_axes, source_name

PANELS = {
    "gradient_cosine": "cosine of gradient\nbefore and after",
    "gradient_norm_ratio": "norm of gradient\nafter / before",
    "cka": "CKA of last hidden layer\nbefore and after",
}


def plot_audit(audit: xr.Dataset, *, by: str = "family", axes: Any = None) -> np.ndarray:
    """Draw, for every event of every member, gradient cosine, gradient norm ratio and CKA over epochs.

    Parameters
    ----------
    audit : Dataset
        As `Run.audit` gives it: (member, event).  Nothing is computed here.
    by : str
        Coordinate along ``member`` that groups the points.
    axes : array of three Axes, optional
        Where to draw all groups; a new figure if not given.

    Returns
    -------
    array of Axes, shape (3,), or (row, 3) where more than five groups are dealt to rows
        A cosine or a CKA of one, and a ratio of one, mean that the swap changed nothing.
    """
    groups = list(dict.fromkeys(labels_by(audit, by).tolist()))
    rows = [row for row in in_rows(groups) if any(has_events(audit, by, group) for group in row)]
    rows = rows or [groups] if axes is None else [groups]
    if axes is None:
        axes = rows_of_axes(len(rows), 3, size=(3.2, 3.2 if len(rows) == 1 else 2.6), sharex=True, sharey="col")
        axes.flat[0].figure.suptitle(source_name(audit), fontsize="medium")
    axes = np.atleast_2d(axes)
    for shown, row in zip(rows, axes, strict=True):
        colour = colours(groups if len(groups) <= len(PALETTE) else shown)  # of which a row has enough
        for ax, (variable, label) in zip(row, PANELS.items(), strict=True):
            draw_groups(ax, audit, variable, by=by, colour=colour, groups=shown)
            ax.set_ylabel(label)
        row[1].set_yscale("log")
        legend_beside(row[-1], title=by)
    for ax in axes[-1]:
        ax.set_xlabel("epoch (groups side by side)" if len(groups) > 1 else "epoch")
    return np.asarray(axes[0] if len(axes) == 1 else axes)


def has_events(audit: xr.Dataset, by: str, group: str) -> bool:
    """Tell whether anything happened to the members of a group."""
    return bool(audit.epoch.isel(member=labels_by(audit, by) == group).notnull().any())


def draw_groups(ax: Axes, audit: xr.Dataset, variable: str, *, by: str, colour: dict[str, str], groups: Any) -> None:
    """Draw one panel: a point an event, groups side by side, coloured as in the picture of the history."""
    shown = [group for group in groups if has_events(audit, by, group)]
    for index, group in enumerate(shown):
        rows = audit.isel(member=labels_by(audit, by) == group)
        shift = (index - (len(shown) - 1) / 2) * 0.6 / len(shown)
        ax.scatter(
            rows.epoch.values.ravel() + shift,
            rows[variable].values.ravel(),
            s=14,
            alpha=0.7,
            color=colour[group],
            marker=MARKERS[index % len(MARKERS)],
            label=group,
            linewidths=0,
        )
    ax.axhline(1, color="0.6", linewidth=0.8, zorder=0)
