"""Draw a fit of prey and predator: trajectories with their band, and the phase portrait."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from akpsim.errors import AkpsimError
from akpsim.plots.axes import PALETTE, axes_or_new


def plot_lotka_volterra(
    fit: xr.Dataset, *, band: xr.Dataset | None = None, member: str | None = None, axes: Any = None
) -> np.ndarray:
    """Draw trajectories with their fit on the left and the phase portrait on the right.

    Parameters
    ----------
    fit : Dataset
        As `akpsim.fit_lotka_volterra` returns it.  Nothing is computed here.
    band : Dataset, optional
        As `akpsim.bootstrap_lotka_volterra` returns it: the interval of the course is shaded.
    member : str, optional
        Which member of a fit of many.
    axes : array of two Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    array of two Axes
    """
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(1.6, 1))[1]
    one = one_trajectory(fit, member)
    plot_trajectories(one, band=band, ax=axes[0])
    plot_phase(one, ax=axes[1])
    return np.asarray(axes)


def one_trajectory(fit: xr.Dataset, member: str | None) -> xr.Dataset:
    """Return the one trajectory of a fit that is to be drawn."""
    others = [dim for dim in fit.fitted.dims if dim not in ("time", "population")]
    if not others:
        return fit
    if member is None:
        raise AkpsimError(f"the fit holds {fit.sizes[others[0]]} trajectories: name one to draw")
    return fit.sel({others[0]: member})


def plot_trajectories(fit: xr.Dataset, *, band: xr.Dataset | None = None, ax: Axes | None = None) -> Axes:
    """Draw observed populations as points and fitted ones as lines, over time.

    Parameters
    ----------
    fit : Dataset
        With ``observed`` and ``fitted`` (time, population): of one trajectory, by any form of dynamics.
    band : Dataset, optional
        With ``band_lower`` and ``band_upper`` (time, population); by default those of `fit`, if it has them.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        One scatter and one line a population; its label says prey or predator where that is known.
    """
    ax = axes_or_new(ax, size=(6.5, 4.0))
    prey = str(fit["prey"].values) if "prey" in fit else ""
    for index, name in enumerate(map(str, fit.population.values)):
        role = "" if not prey else " (prey)" if name == prey else " (predator)"
        colour = PALETTE[index % len(PALETTE)]
        ax.scatter(fit.time, fit.observed.isel(population=index), s=14, color=colour, alpha=0.7)
        when, course = _course(fit)
        ax.plot(when, course.isel(population=index), color=colour, linewidth=1.6, label=f"{name}{role}")
        shaded = fit if band is None else band
        if "band_lower" in shaded:
            low, high = (shaded[f"band_{end}"].isel(population=index) for end in ("lower", "upper"))
            level = f"{float(shaded.attrs['level']):.0%} " if "level" in shaded.attrs else ""
            label = f"{level}interval of the curve (bootstrap)" if index == 0 else None
            ax.fill_between(shaded.time, low, high, color=colour, alpha=0.2, linewidth=0, label=label)
    shown = f"R2 (logs) {float(fit.r2):.2f}, n = {int(fit.n)}" if "r2" in fit and np.isfinite(fit.r2) else ""
    best = str(fit["best"].values) if "best" in fit else str(fit.attrs.get("best", ""))
    doubt = "undecided, " if str(fit.attrs.get("verdict", "")).startswith("undecided") else ""
    chosen = f"{doubt}best by criterion: {best}" if best else ""
    refused = f"refused: {str(fit.problem.values).split(':')[0]}" if "refused" in fit and bool(fit.refused) else ""
    ax.set_title("; ".join(part for part in (refused, shown, chosen) if part), fontsize=8)
    ax.set(xlabel=str(fit.attrs.get("time_name", "time")), ylabel=str(fit.attrs.get("unit", "population")))
    _logarithmic(ax, "y")
    if np.all(fit.time.values == np.round(fit.time.values)):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Little room beside the data, where a tick would promise more of them.
    ax.margins(x=0.02)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_phase(fit: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw prey against predator, with the nullclines of both.

    Parameters
    ----------
    fit : Dataset
        Of one trajectory, with ``observed``, ``fitted``, ``prey``, ``W1_equilibrium`` and ``W2_equilibrium``.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    Axes
        The prey stands still on a horizontal line, where the predator is a/b; the predator on a vertical one, where
        the prey is c/d.  Where they cross both are at rest.
    """
    ax = axes_or_new(ax, size=(4.4, 4.0))
    names = [str(name) for name in fit.population.values]
    prey = names.index(str(fit["prey"].values)) if str(fit["prey"].values) in names else 0
    order = [prey, 1 - prey]
    observed, course = fit.observed.isel(population=order), _course(fit)[1].isel(population=order)
    ax.plot(*course.values.T, color=PALETTE[0], linewidth=1.4, label="fit")
    ax.scatter(
        observed[:, 0],
        observed[:, 1],
        s=14,
        c=np.arange(len(observed)),
        cmap="viridis",
        zorder=3,
        label="observed, dark to bright in time",
    )
    if np.isfinite(fit.W1_equilibrium) and np.isfinite(fit.W2_equilibrium):
        prey_size, predator_size = float(fit.W1_equilibrium), float(fit.W2_equilibrium)
        label = f"{names[order[0]]} stands still: {names[order[1]]} = a/b = {predator_size:.3g}"
        ax.axhline(predator_size, linestyle="--", label=label, color="0.5", linewidth=0.9)
        label = f"{names[order[1]]} stands still: {names[order[0]]} = c/d = {prey_size:.3g}"
        ax.axvline(prey_size, linestyle=":", label=label, color="0.5", linewidth=0.9)
    ax.set(xlabel=f"{names[order[0]]} (prey)", ylabel=f"{names[order[1]]} (predator)")
    for which in "xy":
        _logarithmic(ax, which)
    ax.legend(frameon=False, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def _course(fit: xr.Dataset) -> tuple[np.ndarray, xr.DataArray]:
    """Return times and the fitted populations at them: the smooth course if there is one."""
    if "course" not in fit:
        return fit.time.values, fit.fitted
    seen = fit.time.values[np.isfinite(fit.fitted.values).any(axis=1)]
    first, last = (seen[0], seen[-1]) if seen.size else (0.0, 1.0)
    return first + fit.moment.values * (last - first), fit.course


def _logarithmic(ax: Axes, which: str) -> None:
    """Put an axis on a logarithmic scale with plain numbers at 1, 2 and 5."""
    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())
