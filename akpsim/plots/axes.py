"""What all pictures share: axes to draw on, colours that colour-blind readers can tell apart, saving."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from akpsim.files import atomic

PALETTE = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Okabe and Ito (2008), "Color universal design"."""

STRESS_COLOURS = {"none": "#0072B2", "mild": "#E69F00", "severe": "#D55E00"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def axes_or_new(ax: Axes | None = None, *, size: tuple[float, float] = (5.0, 4.0)) -> Axes:
    """Return `ax`, or the axes of a new figure of `size` inches with constrained layout."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def colours(groups: Iterable[str]) -> dict[str, str]:
    """Give each group its colour: stress levels their own, others by order of appearance."""
    names = list(dict.fromkeys(map(str, groups)))
    if set(names) <= set(STRESS_COLOURS):
        return {name: STRESS_COLOURS[name] for name in names}
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def save_figure(drawn: Any, path: Path | str, *, dpi: int = 200) -> Path:
    """Save the figure that an Axes, or an array of Axes, belongs to, whole or not at all; close it; return the path."""
    import matplotlib.pyplot as plt

    figure: Any = (drawn if isinstance(drawn, Axes) else drawn.flat[0]).figure
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight")
    plt.close(figure)
    return Path(path)
