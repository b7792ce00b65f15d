"""Draw false-positive rates, and distance to the others against accuracy."""

import json

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from akpsim.plots.axes import PALETTE, axes_or_new, origin


def plot_calibration(calibration: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the false-positive rate of each test with its interval, and the level it should have.

    Parameters
    ----------
    calibration : Dataset
        As `akpsim.calibrate` returns it.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    ax = axes_or_new(ax)
    rate = calibration.rate.values
    error = np.array([rate - calibration.rate_lower.values, calibration.rate_upper.values - rate])
    ax.errorbar(range(len(rate)), rate, yerr=error, fmt="o", color=PALETTE[0], capsize=4)
    ax.axhline(calibration.attrs["level"], color="0.5", lw=0.8)
    ax.set_xticks(range(len(rate)), [str(test) for test in calibration.test.values])
    ax.set(ylabel="false-positive rate", ylim=(0, None))
    first, second = json.loads(calibration.attrs["sizes"])
    ax.set_title(f"{calibration.attrs['repetitions']} studies of {first} + {second} members", fontsize=8)
    return ax


def plot_slope(slope: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how far each member is from the others against the number it was regressed on.

    Parameters
    ----------
    slope : Dataset
        As `akpsim.disperse_on` returns it.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    ax = axes_or_new(ax)
    ax.scatter(slope.value, slope.contribution, s=24, color=PALETTE[0], alpha=0.8)
    ax.set(xlabel=slope.attrs["on"], ylabel="log of the mean distance to the others")
    low, high = float(slope.slope_lower), float(slope.slope_upper)
    said = f"slope {float(slope.slope):+.3g} ({low:+.3g} to {high:+.3g}), {slope.attrs['tests']}"
    ax.set_title("\n".join(filter(None, [said, origin(slope)])), fontsize=8)
    return ax
