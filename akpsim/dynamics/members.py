"""Many trajectories, as a run has them: each fitted, judged against nulls, and set beside its stress."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import binomtest
from scipy.stats import t as student

from akpsim.checks import among, made_by, one_of
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.general import fit_dynamics
from akpsim.dynamics.lotka_volterra import fit_lotka_volterra
from akpsim.dynamics.selection import select_dynamics
from akpsim.dynamics.summary import PARAMETERS
from akpsim.errors import AkpsimError, InvalidTrajectory, unknown_name
from akpsim.progress import Progress
from akpsim.store import provenance

AT_ONCE = 30
"""Members fitted together."""

PREY_AND_PREDATOR = (*PARAMETERS[:4], "period")


def fit_members(
    populations: xr.DataArray,
    *,
    by: str = "stress",
    model: str = "lotka_volterra",
    prey: str | int | None = None,
    noise: str = "lognormal",
    starts: int = 5,
    interval: str = "fisher",
    level: float = 0.95,
    forecasts: bool = False,
    seed: int = 0,
    show_progress: bool = False,
) -> xr.Dataset:
    """Fit a form of dynamics to every member, judge each against the nulls, and summarise by group.

    Parameters
    ----------
    populations : DataArray (member, time, population)
        As `akpsim.populations` returns it.
    by : str
        Coordinate along ``member`` that groups the summary.
    model : str
        lotka_volterra, or another form that `akpsim.fit_dynamics` fits, for any number of populations.
    prey, interval
        As in `akpsim.fit_lotka_volterra`; of no use to other forms.
    noise, starts, level, seed
        As in `akpsim.fit_lotka_volterra`.
    forecasts : bool
        Whether the selection forecasts too, which takes several times as long.
    show_progress : bool
        Whether to show progress on standard error.

    Returns
    -------
    Dataset
        What the fit and `akpsim.select_dynamics` return along ``member``, except that ``problem`` is that of the fit,
        where there is one; for other forms each rate is a variable of its own.  Along ``group``: ``group_a`` ...
        ``group_period`` (or each rate), means over members whose fit was not refused with Student's intervals,
        ``group_n`` members, ``group_fitted`` of them not refused, and ``group_chosen`` for which the selection chose
        `model`.  Means are geometric for prey and predator, whose rates are positive, and arithmetic for other
        forms.  ``attrs``: ``verdict``, and ``parameters``, the names of what is summarised.
    """
    made_by(populations, "populations", "populations", "ndim", "dims")
    if populations.ndim != 3 or "member" not in populations.dims:
        raise InvalidTrajectory(f"`populations` must be (member, time, population), got {populations.dims}")
    if not among(by, populations.coords):
        raise unknown_name("coordinate of members", by, [str(name) for name in populations.coords])
    one_of(model, "model", FORMS)
    if model != "lotka_volterra" and (prey is not None or interval != "fisher"):
        raise AkpsimError(f"`prey` and profile intervals belong to lotka_volterra, not to {model}")
    fits, choices = [], []
    with Progress("members", total=populations.sizes["member"], show=show_progress) as progress:
        for first in range(0, populations.sizes["member"], AT_ONCE):
            some = populations.isel(member=slice(first, first + AT_ONCE))
            options: dict[str, Any] = {"noise": noise, "starts": starts, "level": level, "seed": seed}
            fits.append(
                fit_lotka_volterra(None, some, prey=prey, interval=interval, **options)
                if model == "lotka_volterra"
                else _rates_apart(fit_dynamics(model, None, some, **options))
            )
            choices.append(
                select_dynamics(None, some, model=model, prey=prey, starts=starts, forecasts=forecasts, seed=seed)
            )
            progress.advance(some.sizes["member"])
    fit = xr.concat(fits, dim="member", coords="minimal", compat="override")
    choice = xr.concat(choices, dim="member", coords="minimal", compat="override", data_vars="minimal")
    names = PREY_AND_PREDATOR if model == "lotka_volterra" else tuple(fit.attrs["parameters"].split())
    same = [name for name in ("n", "problem", "sse", "r2", "log_likelihood") if name in choice and name in fit]
    found = fit.merge(choice.drop_vars(same), compat="override")
    groups = np.asarray(populations[by].values).astype(str)
    found = found.merge(_summary(found, groups, model=model, names=names, level=level))
    kept = {key: populations.attrs[key] for key in ("definition", "unit", "layer", "study") if key in populations.attrs}
    return found.assign_attrs(
        kept
        | {"result": "lotka_volterra_members", "by": by, "level": level, "interval": interval, "noise": noise}
        | {"model": model, "parameters": " ".join(names), "verdict": _verdict(found, model, level)}
        | provenance(prey=prey, starts=starts, seed=seed, source=populations.attrs.get("source"))
    )


def _rates_apart(fit: xr.Dataset) -> xr.Dataset:
    """Return a fit of any form with each rate as a variable of its own, as fits of prey and predator have them."""
    names = [str(name) for name in fit.rate.values]
    apart = {
        f"{name}{end}": fit[f"value{end}"].sel(rate=name, drop=True)
        for name in names
        for end in ("", "_lower", "_upper")
    }
    kept = fit.drop_vars(["value", "value_lower", "value_upper", "rate"])
    return kept.assign(apart).assign_attrs(parameters=" ".join(names))


def _summary(found: xr.Dataset, groups: Array, *, model: str, names: tuple[str, ...], level: float) -> xr.Dataset:
    """Return means of groups with intervals, and how many members they rest on."""
    labels = list(dict.fromkeys(groups.tolist()))
    good = ~found["refused"].values.astype(bool)
    chosen = found["best"].values == model
    table: dict[str, Any] = {
        f"group_{name}": ("group", [int(np.sum(which & (groups == label))) for label in labels])
        for name, which in {"n": np.ones_like(good), "fitted": good, "chosen": chosen}.items()
    }
    for parameter in names:
        values = found[parameter].values
        if model == "lotka_volterra":
            rows = [np.exp(_mean(np.log(values[good & (groups == label)]), level)) for label in labels]
        else:
            rows = [_mean(values[good & (groups == label)], level) for label in labels]
        for suffix, column in zip(("", "_lower", "_upper"), zip(*rows, strict=True), strict=True):
            table[f"group_{parameter}{suffix}"] = ("group", np.array(column))
    return xr.Dataset(table, coords={"group": labels})


def _mean(values: Array, level: float) -> Array:
    """Return the mean and its interval; no interval from one value, and nothing from none."""
    values = values[np.isfinite(values)]
    if values.size < 2:
        return np.array([values[0] if values.size else np.nan, np.nan, np.nan])
    half = student.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return np.asarray(values.mean() + half * np.array([0.0, -1.0, 1.0]))


def _verdict(found: xr.Dataset, model: str, level: float) -> str:
    """Say in a sentence for how many members the form was chosen, and what for the others."""
    best = found["best"].values.astype(str)
    judged = best[best != ""]
    if not judged.size:
        return f"undecided: none of {best.size} members could be judged"
    count = int(np.sum(judged == model))
    low, high = binomtest(count, judged.size).proportion_ci(level)
    lead = f"not {model}: " if high < 0.5 else f"{model}: " if low > 0.5 else "undecided: "
    hints = [str(text).startswith("undecided") for text in found["verdict"].values]
    unsure = int(np.sum((best == model) & hints))
    others = {str(name): int(np.sum(judged == name)) for name in np.unique(judged) if name != model}
    rest = [f"{name} for {number}" for name, number in sorted(others.items(), key=lambda pair: -pair[1])]
    return lead + "; ".join(
        [
            f"BIC chooses {model} for {count} of the {judged.size} members that could be judged ({level:.0%} interval "
            f"{low:.0%} to {high:.0%})" + (f", for {unsure} of them by no more than a hint" if unsure else ""),
            *([", ".join(rest)] if rest else []),
            *([f"{best.size - judged.size} of {best.size} could not be judged"] if judged.size < best.size else []),
        ]
    )
