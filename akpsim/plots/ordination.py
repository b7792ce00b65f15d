"""Draw an ordination."""

from textwrap import fill, wrap
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.distances import in_order
from akpsim.plots.axes import MARKERS, axes_or_new, colours, labels_by, origin

SPREAD = "mean distance within"
MOST = 99
"""A larger ratio is that to next to nothing."""
WIDTH = 66
"""Characters in a line of what is said of a map."""


def plot_ordination(ordination: xr.Dataset, *, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw members as points on the first two axes, coloured by group, with centroids and ellipses.

    Parameters
    ----------
    ordination : Dataset
        As `akpsim.ordinate` returns it.  Nothing is computed here.
    by : str, optional
        Coordinate that groups the members; by default the groups of `ordination`.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        One labelled scatter a group.  Under it, the spread of groups in the full space beside that in the map: no map
        on two axes shows the first.
    """
    ax = axes_or_new(ax, size=(6.0, 4.6))
    own = by is None or by == ordination.attrs.get("by")
    labels = np.asarray(ordination.label if own and "label" in ordination else _labels(ordination, by)).astype(str)
    position = ordination.position.values[:, :2]
    if position.shape[1] < 2:
        position = np.column_stack([position, np.zeros(len(position))])
    colour = colours(in_order(labels))
    about = wrap(_about(ordination), WIDTH)
    for index, group in enumerate(colour):
        inside = position[labels == group]
        ax.scatter(
            inside[:, 0],
            inside[:, 1],
            s=28,
            color=colour[group],
            marker=MARKERS[index % len(MARKERS)],
            alpha=0.8,
            label=group,
        )
    if own and "outline" in ordination:
        for group in map(str, ordination.group.values):
            ax.plot(*ordination.outline.sel(group=group).values.T, color=colour[group], lw=0.8)
            ax.plot(*ordination.centroid.sel(group=group).values[:2], marker="+", ms=11, mew=2, color=colour[group])
        said = [fill(ordination.attrs[name], WIDTH) for name in ("sentence", "tests") if ordination.attrs.get(name)]
        ax.set_title("\n".join([*said, *_spread(ordination, list(colour)), *about]), fontsize=7)
    elif about:
        ax.set_title("\n".join(about), fontsize=7)
    ax.set(xlabel=_axis(ordination, 0), ylabel=_axis(ordination, 1))
    ax.set_aspect("equal", adjustable="datalim")
    title = by or ordination.attrs.get("by")
    if len(colour) > 1:
        ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return ax


def plot_panels(panels: xr.Dataset) -> Any:
    """Draw several maps beside each other, as in the paper's figure 1, with the tested effects on top.

    Parameters
    ----------
    panels : Dataset
        As `akpsim.panels` returns it.

    Returns
    -------
    array of Axes
        One a panel, lettered from a.
    """
    import matplotlib.pyplot as plt

    count = panels.sizes["panel"]
    figure, axes = plt.subplots(1, count, figsize=(4.5 * count + 1, 5.0), layout="constrained", squeeze=False)
    handles: dict[str, Any] = {}
    for index, (ax, title) in enumerate(zip(axes[0], panels.panel.values, strict=True)):
        own = panels.isel(panel=index)
        inside = np.isfinite(own.position.values).all(axis=1)
        there = np.isfinite(own.centroid.values).all(axis=1)
        own = own.isel(member=inside, group=there)
        plot_ordination(own.assign_attrs(sentence=own.sentence.item(), tests=own.tests.item()), ax=ax)
        said = ax.get_title()
        ax.set_title(f"{chr(97 + index)}: {str(title).replace('-', ' ')}", loc="left", fontsize=9, pad=8)
        ax.set_title("")
        ax.text(0.5, -0.16, said, transform=ax.transAxes, ha="center", va="top", fontsize=7)
        drawn, labels = ax.get_legend_handles_labels()
        handles |= dict(zip(labels, drawn, strict=True))
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    names = in_order(list(handles))
    shown: Any = figure  # matplotlib's own types do not know that places may be outside
    shown.legend(
        [handles[name] for name in names], names, title=panels.attrs["by"], loc="outside right upper", frameon=False
    )
    figure.suptitle(origin(panels), fontsize=8)
    return axes[0]


def _labels(ordination: xr.Dataset, by: str | None) -> np.ndarray:
    """Return the groups of members under a coordinate's name; all in one group without a name."""
    if by is None:
        return np.full(ordination.sizes["member"], "members")
    return labels_by(ordination, by)


def _about(ordination: xr.Dataset) -> str:
    """Say what a map is of, of how many members, and its stress."""
    said = [origin(ordination), f"{ordination.sizes['member']} members"]
    if "stress_value" in ordination:
        said.append(f"stress {float(ordination.stress_value):.3f}")
    return ", ".join(filter(None, said))


def _axis(ordination: xr.Dataset, index: int) -> str:
    if index >= ordination.sizes["axis"]:
        return ""
    share = f" ({float(ordination.explained[index]):.0%})" if "explained" in ordination else ""
    return f"axis {index + 1}{share}"


def _spread(ordination: xr.Dataset, groups: list[str]) -> list[str]:
    """Say the spread of each group relative to the first, in the full space and in this map."""
    full = ordination.full_space_distance.sel(group=groups).values
    shown = ordination.map_distance.sel(group=groups).values
    return [
        *wrap(f"{SPREAD} {' : '.join(groups)}", WIDTH),
        *wrap(f"full space {_ratio(full)}", WIDTH),
        *wrap(f"this map {_ratio(shown)} (not to be read for spread)", WIDTH),
    ]


def _ratio(values: np.ndarray) -> str:
    reference = values[0]
    if not np.isfinite(reference) or reference == 0:
        return " : ".join("?" if np.isnan(value) else f"{value:.3g}" for value in values)
    return " : ".join("?" if np.isnan(value) else _short(value / reference) for value in values)


def _short(value: float) -> str:
    return f"{value:.2f}" if value < MOST else f"> {MOST}"
