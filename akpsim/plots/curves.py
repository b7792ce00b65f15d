"""Draw the accuracy curves of a group: a row a perturbation, a pair of panels an optimizer, as in the paper."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import colours

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
        axes = new_axes(len(perturbations), 2 * len(optimizers))
    by = by or ("initializer" if len(unique(curves["initializer"])) > 1 else "seed")
    colour = colours(unique(curves[by]))
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
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    axes.flat[0].figure.legend(handles.values(), handles.keys(), loc="outside right center", title=by, frameon=False)
    return np.asarray(axes)


def unique(values: xr.DataArray) -> list[str]:
    """Return the values that occur, in the order in which they come."""
    return list(dict.fromkeys(map(str, values.values.tolist())))


def new_axes(rows: int, columns: int) -> np.ndarray:
    """Return the axes of a new figure, all with the same scales."""
    import matplotlib.pyplot as plt

    size = (3 * columns + 1.5, 2.4 * rows + 0.6)
    axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained")[1]
    return np.asarray(axes)


def draw_cell(ax: Axes, cell: xr.Dataset, variable: str, *, by: str, colour: dict[str, str]) -> None:
    """Draw one panel: a line a member, swaps as vertical lines, the majority class as a dotted one."""
    for epoch in cell.epoch.values[cell.swapped.values.any(axis=0)]:
        ax.axvline(epoch, color="0.85", linewidth=0.8, zorder=0)
    for member in cell.member.values:
        line = cell[variable].sel(member=member)
        label = str(line[by].item())
        ax.plot(cell.epoch, line, color=colour[label], linewidth=1, label=label)
    if cell.sizes["member"]:
        ax.axhline(float(cell.majority_baseline[0]), color="0.5", linewidth=0.8, linestyle=":", label="majority class")
    ax.set_ylim(0, 1.02)
