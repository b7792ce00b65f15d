"""Draw every pair of members as a point, within families and between them."""

from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import axes_or_new, colours, metric_label, origin

WIDTH = 0.3
"""Half the width over which points of a strip are spread, so that they do not hide each other."""


def plot_similarity_strip(pairs: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw strips of points: pairs within each family, then pairs between each two.

    Parameters
    ----------
    pairs : Dataset (pair)
        As `akpsim.similarity_pairs` returns it.  Nothing is computed here.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        One row a strip; pairs of the same seed are hollow.
    """
    within = pairs["within"].values == 1
    one, two = pairs["group"].values.astype(str), pairs["other_group"].values.astype(str)
    families = list(dict.fromkeys([*one, *two]))
    label = np.where(within, one, np.char.add(np.char.add(one, " - "), two))
    strips = [name for name in families if name in label[within]]
    strips += list(dict.fromkeys(label[~within]))
    ax = axes_or_new(ax, size=(6.0, 1.0 + 0.28 * max(4, len(strips))))
    colour = colours(families)
    for row, strip in enumerate(strips):
        chosen = (label == strip) & (within == (strip in families))
        values = pairs["similarity"].values[chosen]
        height = row + WIDTH * np.linspace(-1, 1, max(2, values.size))[: values.size]
        twins = pairs["same_seed"].values[chosen] == 1
        edge = colour[strip] if strip in families else "0.35"
        face = np.where(twins & (strip not in families), "none", edge)
        ax.scatter(values, height, s=12, facecolors=face, edgecolors=edge, linewidths=0.7, label=strip)
    ax.set_yticks(
        range(len(strips)),
        [(f"within {name}" if name else "all pairs") if name in families else name for name in strips],
        fontsize=7,
    )
    ax.invert_yaxis()
    ax.set_xlabel(f"{metric_label(pairs.attrs)} of a pair (hollow: same seed)")
    ax.set_title("\n".join(filter(None, [f"n = {pairs.attrs['n']} samples", fill(origin(pairs), 75)])), fontsize=8)
    return ax
