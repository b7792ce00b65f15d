"""Draw accuracy over epochs, training beside validation, one line a member."""

from typing import Any

import numpy as np
import xarray as xr

from akpsim.plots.axes import colours

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
        Where to draw; a new figure if not given.

    Returns
    -------
    array of two Axes
    """
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")[1]
    groups = list(dict.fromkeys(history[by].values.tolist()))
    colour = colours(groups)
    for ax, (variable, title) in zip(axes, PANELS.items(), strict=True):
        for group in groups:
            lines = history[variable].sel(member=history[by] == group)
            ax.plot(history.epoch, lines.T, color=colour[group], linewidth=0.6, alpha=0.35)
            mean = lines.mean("member")
            ax.plot(
                history.epoch, mean, color=colour[group], linewidth=2, label=f"{group} (n = {lines.sizes['member']})"
            )
        ax.axhline(
            float(history.majority_baseline[0]), color="0.5", linewidth=0.8, linestyle=":", label="majority class"
        )
        ax.set(xlabel="epoch", title=title, ylim=(0, 1.02))
    axes[0].set_ylabel("accuracy")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, labels, loc="outside right center", title=f"{by} (thick: mean)", frameon=False)
    return np.asarray(axes)
