"""Draw a matrix of similarities or distances."""

from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import axes_or_new, metric_label, origin

FEW = 12
"""Up to so many rows, values are written into the cells and every row is labelled."""


DARK = 0.6
"""Green, the most of lightness, below which a cell is dark and its value is written in white."""


def plot_similarity(
    similarity: xr.DataArray | xr.Dataset, *, by: str = "family", variable: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a matrix as a heat map, ordered by family, with a line between families.

    Parameters
    ----------
    similarity : DataArray (member, other), or the Dataset it was saved as
        As `akpsim.compare` or `akpsim.as_distance` returns it; rows may be layers or epochs.  Nothing is computed here.
    by : str
        Coordinate whose groups are drawn together; rows keep their order if there is none.
    variable : str, optional
        Which variable of a Dataset: by default ``similarity`` or ``distance``.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        With one image; cells without a value are grey.
    """
    matrix = _matrix(similarity, variable)
    ax = axes_or_new(ax, size=(5.6, 4.8))
    rows, columns = str(matrix.dims[0]), str(matrix.dims[1])
    groups = _groups(matrix, by, rows), _groups(matrix, f"other_{by}", columns)
    order = [_order(labels, matrix.sizes[dim]) for labels, dim in zip(groups, (rows, columns), strict=True)]
    matrix = matrix.isel({rows: order[0], columns: order[1]})
    values = matrix.to_numpy()
    ax.set_facecolor("0.7")
    low, high = _limits(matrix)
    alike = matrix.attrs.get("kind", "similarity") == "similarity" and matrix.name != "distance"
    # More alike is always lighter.
    image = ax.imshow(
        values, vmin=low, vmax=high, cmap="viridis" if alike else "viridis_r", interpolation="nearest", aspect="equal"
    )
    figure: Any = ax.figure
    figure.colorbar(image, ax=ax, label=metric_label(matrix.attrs, distance=matrix.name == "distance"), shrink=0.85)
    _label(ax.yaxis, matrix[rows].to_numpy(), None if groups[0] is None else groups[0][order[0]], ax.axhline)
    _label(ax.xaxis, matrix[columns].to_numpy(), None if groups[1] is None else groups[1][order[1]], ax.axvline)
    if max(values.shape) <= FEW:
        _write(ax, values, image)
    ax.set_title(_title(matrix, rows), fontsize=8)
    return ax


def _matrix(similarity: xr.DataArray | xr.Dataset, variable: str | None) -> xr.DataArray:
    if isinstance(similarity, xr.DataArray):
        return similarity
    name = variable or ("similarity" if "similarity" in similarity else "distance")
    return similarity[name].assign_attrs({**similarity.attrs, **similarity[name].attrs})


def _groups(matrix: xr.DataArray, by: str, dim: str) -> np.ndarray | None:
    if by not in matrix.coords or matrix[by].dims != (dim,):
        return None
    return matrix[by].to_numpy().astype(str)


def _order(groups: np.ndarray | None, size: int) -> np.ndarray:
    """Return positions that bring groups together, in the order in which they first appear."""
    if groups is None:
        return np.arange(size)
    first = {name: index for index, name in enumerate(dict.fromkeys(groups.tolist()))}
    return np.argsort([first[name] for name in groups.tolist()], kind="stable")


def _limits(matrix: xr.DataArray) -> tuple[float, float]:
    """Return the colour scale: from 0 to 1 for similarities in that range, else what is there."""
    values = matrix.to_numpy()[~np.isnan(matrix.to_numpy())]
    if not values.size:
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), float(values.max())
    return (low, 1.0) if matrix.attrs.get("kind") == "similarity" and high <= 1 + 1e-6 else (low, high)


def _label(axis: Any, names: np.ndarray, groups: np.ndarray | None, line: Any) -> None:
    """Label every row if they are few, else every group; draw a line between groups."""
    size = {"labelsize": 7, "length": 0}
    if groups is not None:
        for edge in np.flatnonzero(groups[1:] != groups[:-1]):
            line(edge + 0.5, color="white", lw=1.2)
    if groups is None or len(names) <= FEW:
        step = max(1, len(names) // 30)
        axis.set_ticks(range(0, len(names), step), [str(name) for name in names[::step]])
    else:
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        ends = np.r_[starts[1:], len(groups)]
        axis.set_ticks((starts + ends - 1) / 2, groups[starts].tolist())
    axis.set_tick_params(**size)
    if axis.axis_name == "x":
        for text in axis.get_ticklabels():
            text.set(rotation=45, ha="right", rotation_mode="anchor")


def _write(ax: Axes, values: np.ndarray, image: Any) -> None:
    """Write each value into its cell."""
    for row, column in np.argwhere(~np.isnan(values)):
        value = values[row, column]
        dark = image.cmap(image.norm(value))[1] < DARK
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")


def _title(matrix: xr.DataArray, rows: str) -> str:
    said = [f"{matrix.sizes[rows]} {rows}s"]
    if "n" in matrix.attrs:
        said.append(f"n = {matrix.attrs['n']} samples")
    if np.isnan(matrix.to_numpy()).any():
        said.append("grey: no value")
    return "\n".join(filter(None, [", ".join(said), fill(origin(matrix), 75)]))
