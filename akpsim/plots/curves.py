"""Draw the accuracy curves of a group: a row a perturbation, a pair of panels an optimizer, as in the paper."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import colours, labels_by, rows_of_axes

PANELS = {"train_accuracy": "training", "validation_accuracy": "validation"}


def plot_training_curves(curves: xr.Dataset, *, by: str | None = None, axes: Any = None) -> np.ndarray:
    """Draw training and validation accuracy, one line a member, with the epochs of swaps marked.

    Parameters
    ----------
    curves : Dataset
        As `akpsim.training_curves` gives it for one group: ``train_accuracy``, ``validation_accuracy`` and ``swapped``
        (member, epoch).
    by : str, optional
        Coordinate along ``member`` that colours the lines; by default the initializer where it differs, else the seed.
    axes : array of Axes, optional
        One row a perturbation, two columns an optimizer; a new figure if not given.

    Returns
    -------
    array of Axes, shape (perturbation, 2 optimizer)
    """
    perturbations, optimizers = (unique(curves[name]) for name in ("perturbation", "optimizer"))
    if axes is None:
        axes = rows_of_axes(len(perturbations), 2 * len(optimizers), size=(3, 2.7), sharex=True, sharey=True)
    by = by or ("initializer" if len(unique(curves["initializer"])) > 1 else "seed")
    colour = colours(labels_by(curves, by))
    for row, perturbation in zip(axes, perturbations, strict=True):
        for place, optimizer in enumerate(optimizers):
            cell = curves.isel(member=(curves.perturbation == perturbation) & (curves.optimizer == optimizer))
            for ax, (variable, title) in zip(row[2 * place : 2 * place + 2], PANELS.items(), strict=True):
                draw_cell(ax, cell, variable, by=by, colour=colour)
                ax.set_title(f"{optimizer}, {perturbation}: {title}", fontsize="small")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")
    axes.flat[0].figure.suptitle(curves.attrs.get("figure", ""), fontsize="medium")
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    handles |= {"swap": handles.pop("swap")} if "swap" in handles else {}  # below the lines
    axes.flat[0].figure.legend(handles.values(), handles.keys(), loc="outside right center", title=by, frameon=False)
    return np.asarray(axes)


def unique(values: xr.DataArray) -> list[str]:
    """Return the values that occur, in the order in which they come."""
    return list(dict.fromkeys(map(str, values.values.tolist())))


def draw_cell(ax: Axes, cell: xr.Dataset, variable: str, *, by: str, colour: dict[str, str]) -> None:
    """Draw one panel: a line a member, swaps as vertical lines, the majority class as a dotted one."""
    for epoch in cell.epoch.values[cell.swapped.values.any(axis=0)]:
        ax.axvline(epoch, color="0.85", linewidth=0.8, zorder=0, label="swap")
    for member in cell.member.values:
        line = cell[variable].sel(member=member)
        label = str(line[by].item())
        ax.plot(cell.epoch, line, color=colour[label], linewidth=1, alpha=0.8, label=label)
    if cell.sizes["member"]:
        ax.axhline(float(cell.majority_baseline[0]), color="0.5", linewidth=0.8, linestyle=":", label="majority class")
    ax.set_ylim(0, 1.02)
