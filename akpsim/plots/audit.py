"""Draw what each swap changed: the direction and length of the gradient, and the function."""

from typing import Any

import numpy as np
import xarray as xr

from akpsim.plots.axes import MARKERS, colours

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
        Where to draw; a new figure if not given.

    Returns
    -------
    array of three Axes
        A cosine or a CKA of one, and a ratio of one, mean that the swap changed nothing.
    """
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")[1]
    colour = colours(audit[by].values)
    groups = [group for group in colour if audit.epoch.sel(member=audit[by] == group).notnull().any()]
    for ax, (variable, label) in zip(axes, PANELS.items(), strict=True):
        for index, group in enumerate(groups):
            rows = audit.sel(member=audit[by] == group)
            shift = (index - (len(groups) - 1) / 2) * 0.6 / max(1, len(groups))
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
        ax.set(xlabel="epoch", ylabel=label)
    axes[1].set_yscale("log")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside right center", title=by, frameon=False)
    return np.asarray(axes)
