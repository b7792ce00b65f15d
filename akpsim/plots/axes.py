"""What all pictures share: axes to draw on, colours that colour-blind readers can tell apart, saving."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.distances import in_order
from akpsim.errors import unknown_name
from akpsim.files import atomic
from akpsim.tables import brief

PALETTE = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito (2008), "Color universal design"."""

STRESS_COLOURS = {"none": "#0072B2", "mild": "#E69F00", "severe": "#D55E00"}
ACRONYMS = {"cka", "rbf", "cca", "svcca", "pwcca", "rsa", "rv", "nbs", "cknna", "knn", "gulp", "jsd", "cv"}
KINDS = {"similarity": "similarity", "dissimilarity": "dissimilarity", "metric": "distance"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def axes_or_new(ax: Axes | None = None, *, size: tuple[float, float] = (5.0, 4.0)) -> Axes:
    """Return `ax`, or the axes of a new figure of `size` inches with constrained layout."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def colours(groups: Iterable[str]) -> dict[str, str]:
    """Give each group its colour: stress levels their own, others in the order of `in_order`, whatever the figure."""
    names = [str(name) for name in in_order(np.array([str(group) for group in groups]))]
    if set(names) <= set(STRESS_COLOURS):
        return {name: STRESS_COLOURS[name] for name in names}
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def labels_by(result: Any, by: str) -> np.ndarray:
    """Return the label of each member of a result by a coordinate of members, as text."""
    if by not in result.coords or result[by].dims != ("member",):
        known = [str(name) for name, coordinate in result.coords.items() if coordinate.dims == ("member",)]
        raise unknown_name("coordinate of members", by, known)
    labels: np.ndarray = result[by].values.astype(str)
    return labels


def in_rows(groups: Sequence[str], *, most: int = 5) -> list[Sequence[str]]:
    """Deal groups evenly to rows of a figure, so that no panel shows more than `most` of them."""
    rows = max(1, -(-len(groups) // most))
    size = max(1, -(-len(groups) // rows))
    return [groups[start : start + size] for start in range(0, max(1, len(groups)), size)]


def rows_of_axes(rows: int, columns: int, *, size: tuple[float, float], **options: Any) -> np.ndarray:
    """Return the axes (row, column) of a new figure, `size` inches a panel and room for a legend beside each row."""
    import matplotlib.pyplot as plt

    whole = (columns * size[0] + 2, rows * size[1])
    return np.asarray(plt.subplots(rows, columns, figsize=whole, squeeze=False, layout="constrained", **options)[1])


def legend_beside(ax: Axes, **options: Any) -> None:
    """Put the legend of a row of panels to the right of its last."""
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, **options)


def origin(result: xr.Dataset | xr.DataArray) -> str:
    """Say which run, layer, epoch, member and metric a result is of, as far as it knows."""
    scalars = [name for name in ("layer", "epoch", "member") if name in result.coords and not result[name].dims]
    said = [result.attrs.get("made_from", ""), *(f"{name} {brief(result[name].item())}" for name in scalars)]
    return ", ".join(filter(None, [*said, result.attrs.get("metric", "")]))


def source_name(result: xr.Dataset) -> str:
    """Return the name of the run that a result is of, as far as it knows."""
    return Path(str(result.attrs.get("source", ""))).name


def save_figure(drawn: Any, path: Path | str, *, dpi: int = 200) -> Path:
    """Save the figure that an Axes, or an array of Axes, belongs to, whole or not at all; close it; return the path."""
    import matplotlib.pyplot as plt

    figure: Any = (drawn if isinstance(drawn, Axes) else drawn.flat[0]).figure
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    return Path(path)


UNITS = {"procrustes": "radians", "shape": "radians"}
"""What distances are measured in, where they have a unit."""


def metric_label(attrs: Mapping[Any, Any], *, distance: bool = False) -> str:
    """Return a metric's name and what its values are: ``CKA similarity``, ``procrustes distance``."""
    name = str(attrs.get("metric", ""))
    words = " ".join(word.upper() if word in ACRONYMS else word for word in name.split("_"))
    kind = "distance" if distance else KINDS.get(str(attrs.get("kind")), "")
    unit = f" ({UNITS[name]})" if name in UNITS and not distance else ""
    return (words if kind in words else f"{words} {kind}".strip()) + unit
