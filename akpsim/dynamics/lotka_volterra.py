r"""Fit Lotka and Volterra's prey and predator to measured trajectories.

.. math:: W_1' = W_1 (a - b W_2), \qquad W_2' = W_2 (-c + d W_1), \qquad a, b, c, d \ge 0 .

The fit describes what was measured; it is no update rule.  Which population is the prey is fitted too unless said.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from akpsim.checks import at_least, between, generator, one_of
from akpsim.dynamics.embedding import seen_as
from akpsim.dynamics.fitting import Fit, finished, fit_system
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.identifiability import fisher
from akpsim.dynamics.judging import Finding, judge, raise_first
from akpsim.dynamics.noise import NOISES
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.profile import profile_intervals
from akpsim.dynamics.starts import Start
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
        Intervals from the Fisher information in log parameters, or by profile likelihood (slower, truer); those of
        derived quantities, the period among them, always from the former.
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
        beats the other), ``course`` (moment, population; moments go from 0, the first time, to 1,
        the last), ``fitted`` and ``residual`` (time, population), ``lag1`` and ``ljung_box_p`` (population),
        ``prey``, ``problem`` and ``refused`` (whether that is an error and not only a warning).  W1 is the
        prey.  Only `a` and `c` do not depend on the units of the populations.

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
    between(level, "level", 0, 1)
    reasons = check_all(given, noise=noise)
    if given.single and reasons[0] is not None:
        raise reasons[0]
    usable = np.array([reason is None for reason in reasons])
    options: dict[str, Any] = {
        "prey": None if prey is None else given.index(prey),
        "noise": noise,
        "starts": starts,
        "hold_initial": initial == "data",
    }
    parts: list[xr.Dataset] = []
    findings: dict[int, list[Finding]] = {row: [reason] for row, reason in enumerate(reasons) if reason is not None}
    for length in np.unique(given.length[usable]) if usable.any() else [len(given.time)]:
        rows = np.flatnonzero(usable & (given.length == length))
        ordered = fit_orders(given.time[:length], given.values[rows, :length], rng=generator(seed), **options)
        information = fisher(ordered.fit)
        findings |= dict(zip(rows.tolist(), judge(ordered.fit, information, starts=starts), strict=True))
        if given.single and strict:
            raise_first(findings[0])
        intervals = profile_intervals(ordered.fit, level=level) if interval == "profile" else None
        part = summarise(ordered.fit, information, swapped=ordered.swapped, level=level, intervals=intervals)
        part = part.assign(order_advantage=("trajectory", ordered.rival))
        part = part.assign_coords(moment=np.linspace(0, 1, part.sizes["moment"]))
        parts.append(part.assign_coords(trajectory=rows, time=given.time[:length], population=given.population))
    found = label(parts, given, findings=[findings[row] for row in range(len(usable))])
    return found.assign_attrs(
        given.kept
        | {"result": "lotka_volterra", "interval": interval, "level": level, "noise": noise}
        | provenance(prey=prey, starts=starts, initial=initial, seed=seed if isinstance(seed, int) else None)
    )


def check_all(given: Trajectories, *, noise: str) -> list[AkpsimError | None]:
    """Return for each trajectory the reason for which it cannot be fitted, or None."""
    if given.values.shape[-1] != 2:
        raise InvalidTrajectory(
            f"Lotka-Volterra has two populations, got {given.values.shape[-1]}: choose two, or use akpsim.fit_dynamics"
        )
    check_unbounded(given.attrs)

    def refuse(values: Array) -> None:
        check_values(values, given.names, noise=noise)
        check_sufficient(values)

    return given.reasons(refuse)


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
    warm: Sequence[Start] = (),
    finish: bool = True,
    polish: bool | None = None,
) -> Ordered:
    """Fit either order of prey and predator, or the one that is said, and keep the better for each trajectory.

    `warm` holds further starts, as generalized systems of the populations in the order of the data.  `rival` is the log
    likelihood by which the better order beats the other; NaN where only one was fitted.
    """
    length = np.full(len(values), len(time)) if length is None else length
    fits = [
        fit_system(
            Problem(
                FORMS["lotka_volterra"].system(2), NOISES[noise], time, values[..., order], length,
                fixed_start=hold_initial,
            ),
            starts=starts, rng=rng, finish=False, fixed_at=values[:, 0, order] if hold_initial else None,
            warm=[seen_as(start, "lotka_volterra", order=order) for start in warm],
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


def label(parts: list[xr.Dataset], given: Trajectories, *, findings: list[list[Finding]]) -> xr.Dataset:
    """Put fitted trajectories in their places among all, name everything, and drop the axis of a single one."""
    fitted = xr.concat(parts, dim="trajectory", join="outer", coords="minimal", compat="override")
    whole = fitted.reindex(trajectory=np.arange(len(findings)), time=given.time)
    said = [[f"{type(finding).__name__}: {finding}" for finding in these] for these in findings]
    if "swapped" in whole:
        names = ["" if np.isnan(swap) else given.names[int(swap)] for swap in whole["swapped"].values]
        whole = whole.drop_vars("swapped").assign(prey=("trajectory", names))
    whole = whole.assign(
        problem=("trajectory", ["; ".join(these) for these in said]),
        refused=("trajectory", [any(isinstance(f, AkpsimError) for f in these) for these in findings]),
        observed=(("trajectory", "time", "population"), given.values),
    )
    if given.single:
        whole = whole.isel(trajectory=0, drop=True)
        return whole.assign_attrs(warnings=json.dumps(said[0]))
    return whole.drop_vars("trajectory").rename(trajectory=given.dim).assign_coords(given.labels)
