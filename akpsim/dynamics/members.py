"""Many trajectories, as a run has them: each fitted, judged against nulls, and set beside its stress."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from akpsim.dynamics.forms import Array
from akpsim.dynamics.lotka_volterra import fit_lotka_volterra
from akpsim.dynamics.selection import select_dynamics
from akpsim.dynamics.summary import PARAMETERS
from akpsim.errors import InvalidTrajectory, unknown_name
from akpsim.progress import Progress
from akpsim.store import provenance

AT_ONCE = 10
"""Members fitted together."""

SHOWN = (*PARAMETERS[:4], "period")


def fit_members(
    populations: xr.DataArray,
    *,
    by: str = "stress",
    prey: str | int | None = None,
    noise: str = "lognormal",
    starts: int = 5,
    interval: str = "fisher",
    level: float = 0.95,
    forecasts: bool = False,
    seed: int = 0,
    show_progress: bool = False,
) -> xr.Dataset:
    """Fit prey and predator to every member, judge each against the nulls, and summarise by group.

    Parameters
    ----------
    populations : DataArray (member, time, population)
        As `akpsim.populations` returns it.
    by : str
        Coordinate along ``member`` that groups the summary.
    prey, noise, starts, interval, level, seed
        As in `akpsim.fit_lotka_volterra`.
    forecasts : bool
        Whether the selection forecasts too, which takes several times as long.
    show_progress : bool
        Whether to show progress on standard error.

    Returns
    -------
    Dataset
        What `akpsim.fit_lotka_volterra` and `akpsim.select_dynamics` return along ``member``, except
        that ``problem`` is that of the fit, where there is one.  Along ``group``: the geometric means ``group_a`` ...
        ``group_period`` over members whose fit was not refused, with Student's intervals in logs, ``group_n`` members,
        ``group_fitted`` of them not refused, and ``group_lotka_volterra`` for which the selection chose it.
    """
    if populations.ndim != 3 or "member" not in populations.dims:
        raise InvalidTrajectory(f"`populations` must be (member, time, population), got {populations.dims}")
    if by not in populations.coords:
        raise unknown_name("coordinate of members", by, [str(name) for name in populations.coords])
    fits, choices = [], []
    with Progress("members", total=populations.sizes["member"], show=show_progress) as progress:
        for first in range(0, populations.sizes["member"], AT_ONCE):
            some = populations.isel(member=slice(first, first + AT_ONCE))
            fits.append(
                fit_lotka_volterra(
                    None, some, prey=prey, noise=noise, starts=starts, interval=interval, level=level, seed=seed
                )
            )
            choices.append(select_dynamics(None, some, prey=prey, starts=starts, forecasts=forecasts, seed=seed))
            progress.advance(some.sizes["member"])
    fit = xr.concat(fits, dim="member", coords="minimal", compat="override")
    choice = xr.concat(choices, dim="member", coords="minimal", compat="override", data_vars="minimal")
    same = [name for name in ("n", "problem", "sse", "r2") if name in choice]
    found = fit.merge(choice.drop_vars(same), compat="override")
    groups = np.asarray(populations[by].values).astype(str)
    found = found.merge(_summary(found, groups, level))
    kept = {key: populations.attrs[key] for key in ("definition", "unit", "layer", "study") if key in populations.attrs}
    return found.assign_attrs(
        kept
        | {"result": "lotka_volterra_members", "by": by, "level": level, "interval": interval, "noise": noise}
        | provenance(prey=prey, starts=starts, seed=seed, source=populations.attrs.get("source"))
    )


def _summary(found: xr.Dataset, groups: Array, level: float) -> xr.Dataset:
    """Return geometric means of groups with intervals, and how many members they rest on."""
    names = list(dict.fromkeys(groups.tolist()))
    good = ~found["refused"].values.astype(bool)
    table: dict[str, Any] = {
        "group_n": ("group", [int(np.sum(groups == name)) for name in names]),
        "group_fitted": ("group", [int(np.sum(good & (groups == name))) for name in names]),
        "group_lotka_volterra": (
            "group",
            [int(np.sum((found["best"].values == "lotka_volterra") & (groups == name))) for name in names],
        ),
    }
    for parameter in SHOWN:
        rows = [_geometric_mean(found[parameter].values[good & (groups == name)], level) for name in names]
        for suffix, column in zip(("", "_lower", "_upper"), zip(*rows, strict=True), strict=True):
            table[f"group_{parameter}{suffix}"] = ("group", np.array(column))
    return xr.Dataset(table, coords={"group": names})


def _geometric_mean(values: Array, level: float) -> tuple[float, float, float]:
    logs = np.log(values[np.isfinite(values)])
    if not logs.size:
        return np.nan, np.nan, np.nan
    mean = float(logs.mean())
    if logs.size == 1:
        return float(np.exp(mean)), np.nan, np.nan
    half = float(student.ppf((1 + level) / 2, logs.size - 1) * logs.std(ddof=1) / np.sqrt(logs.size))
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))
