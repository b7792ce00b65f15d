r"""Fit Lotka and Volterra's prey and predator to measured trajectories.

.. math:: W_1' = W_1 (a - b W_2), \qquad W_2' = W_2 (-c + d W_1), \qquad a, b, c, d \ge 0 .

The fit describes what was measured; it is no update rule.  Which population is the prey is fitted too unless said.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from akpsim.checks import at_least, one_of
from akpsim.dynamics.fitting import Fit, Problem, finished, fit_system
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.identifiability import fisher
from akpsim.dynamics.judging import judge, raise_first
from akpsim.dynamics.noise import NOISES
from akpsim.dynamics.profile import profile_intervals
from akpsim.dynamics.summary import summarise
from akpsim.dynamics.trajectory import (
    Trajectories,
    as_trajectories,
    check_sufficient,
    check_unbounded,
    check_values,
)
from akpsim.errors import AkpsimError, InvalidTrajectory
from akpsim.store import provenance


@dataclass(frozen=True)
class Ordered:
    """The better order of each trajectory: its fit, and whether the second population is the prey."""

    fit: Fit
    swapped: Array
    rival: Array


def fit_lotka_volterra(
    time: ArrayLike | None,
    populations: Any,
    *,
    prey: str | int | None = None,
    noise: str = "lognormal",
    starts: int = 5,
    initial: str = "free",
    interval: str = "fisher",
    level: float = 0.95,
    strict: bool = True,
    seed: int | np.random.Generator | None = 0,
) -> xr.Dataset:
    """Fit prey and predator to one trajectory of two populations, or to many at once.

    Parameters
    ----------
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population) or (trajectory, time, population)
        Positive; two populations.
    prey : str or int, optional
        Name or index of the prey.  By default both orders are fitted and the better one is kept.
    noise : {"lognormal", "natural", "poisson"}
        Least squares in logs, least squares on the natural scale, or counts.
    starts : int
        Number of starts: integral matching, the same on smoothed data, the rest scattered around both.
    initial : {"free", "data"}
        Whether initial populations are fitted or held at the first observation.
    interval : {"fisher", "profile"}
        Intervals from the Fisher information in log parameters, or by profile likelihood (slower, truer).
    level : float
        Coverage of the intervals.
    strict : bool
        Whether a single trajectory whose fit means nothing raises (the default) or is returned with the reason in
        ``attrs["warnings"]``.  Many trajectories never raise for one: their reasons are in ``problem``.
    seed : int or Generator
        Scatters the starts.

    Returns
    -------
    Dataset
        ``a``, ``b``, ``c``, ``d``, ``W1_0``, ``W2_0``, ``period``, ``W1_equilibrium`` (c/d), ``W2_equilibrium``
        (a/b), each with ``_lower`` and ``_upper``; ``invariant``, ``sse`` (the fit's cost: a sum of squares, or a
        deviance), ``sigma``, ``r2`` (logs), ``condition``, ``order_advantage`` (log likelihood by which this order
        beats the other), ``fitted`` and ``residual`` (time, population), ``lag1`` and ``ljung_box_p`` (population),
        ``prey``, ``problem``.  W1 is the prey.  Only `a` and `c` do not depend on the units of the populations.

    Raises
    ------
    InvalidTrajectory
        If populations are not positive and finite, constant, collinear, bounded shares or not two.
    InsufficientTrajectory
        If there are fewer than 12 points, or no population turns.
    DivergedFit, MultipleOptima, AtBound, NotIdentifiable
        If `strict`, for one trajectory: what came out would mean nothing.

    Examples
    --------
    >>> import akpsim
    >>> truth = akpsim.simulate_lotka_volterra(range(40), a=.5, b=.02, c=.8, d=.02, initial=(30, 5), noise=.05, seed=1)
    >>> fit = akpsim.fit_lotka_volterra(None, truth.populations)
    >>> bool(fit.a_lower < .5 < fit.a_upper)
    True
    """
    given = as_trajectories(time, populations)
    one_of(initial, "initial", ("free", "data"))
    one_of(interval, "interval", ("fisher", "profile"))
    at_least(starts, "starts", 1)
    if not 0 < level < 1:
        raise AkpsimError(f"`level` must lie between 0 and 1, got {level:g}")
    reasons = check_all(given, noise=noise)
    if given.single and reasons[0] is not None:
        raise reasons[0]
    usable = np.array([reason is None for reason in reasons])
    ordered = fit_orders(
        given.time, given.values[usable], prey=None if prey is None else given.index(prey), noise=noise,
        starts=starts, hold_initial=initial == "data", rng=np.random.default_rng(seed),
    )  # fmt: skip
    information = fisher(ordered.fit)
    verdicts = judge(ordered.fit, information, starts=starts)
    if given.single and strict:
        raise_first(verdicts[0])
    intervals = profile_intervals(ordered.fit, level=level) if interval == "profile" else None
    found = summarise(ordered.fit, information, swapped=ordered.swapped, level=level, intervals=intervals)
    found = found.assign(order_advantage=("trajectory", ordered.rival))
    problems = iter(verdicts)
    all_problems = [next(problems) if reason is None else [reason] for reason in reasons]
    attrs = {"result": "lotka_volterra", "interval": interval, "level": level, "noise": noise} | provenance(
        prey=prey, starts=starts, initial=initial, seed=seed if isinstance(seed, int) else None
    )
    return _label(found, given, usable=usable, problems=all_problems).assign_attrs(attrs)


def check_all(given: Trajectories, *, noise: str) -> list[AkpsimError | None]:
    """Return for each trajectory the reason for which it cannot be fitted, or None."""
    if given.values.shape[-1] != 2:
        raise InvalidTrajectory(
            f"Lotka-Volterra has two populations, got {given.values.shape[-1]}: choose two, or use akpsim.fit_dynamics"
        )
    check_unbounded(given.attrs)
    reasons: list[AkpsimError | None] = []
    for values in given.values:
        try:
            check_values(values, given.names, zero=NOISES[noise].allows_zero)
            check_sufficient(values)
            reasons.append(None)
        except InvalidTrajectory as reason:
            reasons.append(reason)
    return reasons


def fit_orders(
    time: Float[Array, " time"],
    values: Float[Array, "batch time population"],
    *,
    prey: int | None,
    noise: str,
    starts: int,
    rng: np.random.Generator,
    hold_initial: bool = False,
    length: Array | None = None,
    finish: bool = True,
    polish: bool | None = None,
) -> Ordered:
    """Fit either order of prey and predator, or the one that is said, and keep the better for each trajectory.

    `rival` is the log likelihood by which it beats the other order; NaN where only one was fitted.
    """
    length = np.full(len(values), len(time)) if length is None else length
    fits = [
        fit_system(
            Problem(
                FORMS["lotka_volterra"].system(2), NOISES[noise], time, values[..., order], length,
                fixed_start=hold_initial,
            ),
            starts=starts, rng=rng, finish=False, fixed_at=values[:, 0, order] if hold_initial else None,
        )
        for order in ([[0, 1], [1, 0]] if prey is None else [[prey, 1 - prey]])
    ]  # fmt: skip
    end = (lambda fit: finished(fit, polish=polish)) if finish else (lambda fit: fit)
    if prey is not None:
        return Ordered(end(fits[0]), np.full(len(values), prey == 1), np.full(len(values), np.nan))
    first, second = fits
    swapped = second.cost < first.cost
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(swapped, first.cost - second.cost, second.cost - first.cost) / 2
        if not NOISES[noise].known_scale:
            worse, better = np.maximum(first.cost, second.cost), np.minimum(first.cost, second.cost)
            difference = length * np.log(worse / better)
    return Ordered(end(first.where(swapped, second)), swapped, difference)


def _label(
    found: xr.Dataset, given: Trajectories, *, usable: Array, problems: list[list[AkpsimError]]
) -> xr.Dataset:
    """Put fitted trajectories in their places among all, name everything, and drop the axis of a single one."""
    places = np.flatnonzero(usable)
    whole = found.assign_coords(trajectory=places).reindex(trajectory=np.arange(len(usable)))
    whole["problem"] = ("trajectory", ["; ".join(f"{type(p).__name__}: {p}" for p in these) for these in problems])
    swapped = whole["swapped"].fillna(0).values.astype(bool)
    whole["prey"] = ("trajectory", [given.names[int(s)] if u else "" for s, u in zip(swapped, usable, strict=True)])
    whole = whole.drop_vars("swapped").assign_coords(time=given.time, population=given.population)
    whole["observed"] = (("trajectory", "time", "population"), given.values)
    if given.single:
        whole = whole.isel(trajectory=0, drop=True)
        whole.attrs["warnings"] = json.dumps([f"{type(p).__name__}: {p}" for p in problems[0]])
        return whole
    whole = whole.drop_vars("trajectory").rename(trajectory=given.dim)
    return whole.assign_coords({name: coord for name, coord in given.labels.items() if name in given.labels})
