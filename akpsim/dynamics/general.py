"""Fit any form of dynamics to trajectories of any number of populations: equation 4, competition, generalized."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.stats import norm

from akpsim.checks import at_least, between, generator, one_of
from akpsim.dynamics.embedding import generalized, seen_as
from akpsim.dynamics.fitting import Fit, fit_system
from akpsim.dynamics.forms import CYCLING, FORMS, Array
from akpsim.dynamics.goodness import r_squared
from akpsim.dynamics.identifiability import Identifiability, fisher
from akpsim.dynamics.judging import Finding, judge, raise_first
from akpsim.dynamics.lotka_volterra import label
from akpsim.dynamics.noise import NOISES, log_likelihood
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.starts import Start
from akpsim.dynamics.summary import MOMENTS
from akpsim.dynamics.trajectory import as_trajectories, check_sufficient, check_unbounded, check_values
from akpsim.errors import InvalidTrajectory
from akpsim.store import provenance

SIMPLER = {"competitive": ("logistic",), "generalized": ("exponential", "competitive")}
"""Forms whose optimum is a start of the form that contains them."""


def fit_dynamics(
    model: str,
    time: ArrayLike | None,
    populations: Any,
    *,
    noise: str = "lognormal",
    starts: int = 5,
    level: float = 0.95,
    strict: bool = True,
    seed: int | np.random.Generator | None = 0,
) -> xr.Dataset:
    """Fit a form of dynamics by name to one trajectory, or to many at once.

    Parameters
    ----------
    model : str
        constant, exponential (equation 4), logistic, competitive, generalized or lotka_volterra (the first population
        is the prey; `akpsim.fit_lotka_volterra` chooses).
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population) or (trajectory, time, population)
        Positive; shares are allowed for forms with a limit.
    noise : {"lognormal", "natural", "poisson"}
        Least squares in logs, on the natural scale, or counts.
    starts : int
        Number of starts.
    level : float
        Coverage of the intervals, normal in log rates (in rates, where their sign is free).
    strict : bool
        Whether a single trajectory whose fit means nothing raises, or comes back with the reason in
        ``attrs["warnings"]``.  Many never raise for one: their reasons are in ``problem``.
    seed : int or Generator
        Scatters the starts.

    Returns
    -------
    Dataset
        ``value``, ``value_lower``, ``value_upper`` (rate; sign included; with the limits of logistic growth, growth
        over crowding), ``growth`` (population), ``interaction`` (population, by), ``initial`` (population), ``fitted``
        (time, population), ``course`` (moment, population; smooth), ``sse``, ``log_likelihood``, ``r2``,
        ``condition``, ``n``, ``problem`` and ``refused`` (whether that is an error and not only a warning).

    Raises
    ------
    InvalidTrajectory, InsufficientTrajectory
        If populations are not positive and finite, constant or collinear, or there are fewer than 12 points.
    DivergedFit, MultipleOptima, AtBound, NotIdentifiable
        If `strict`.
    """
    form = FORMS[one_of(model, "model", FORMS)]
    given = as_trajectories(time, populations)
    at_least(starts, "starts", 1)
    between(level, "level", 0, 1)
    species = given.values.shape[-1]
    if form.species not in (None, species):
        raise InvalidTrajectory(f"{model} has {form.species} populations, got {species}")
    if model in ("lotka_volterra", "exponential"):
        check_unbounded(given.attrs)

    def refuse(values: Array) -> None:
        check_values(values, given.names, noise=noise)
        check_sufficient(values, cycles=model in CYCLING)

    reasons = given.reasons(refuse)
    if given.single and reasons[0] is not None:
        raise reasons[0]
    usable = np.array([reason is None for reason in reasons])
    rng = generator(seed)
    parts: list[xr.Dataset] = []
    findings: dict[int, list[Finding]] = {row: [reason] for row, reason in enumerate(reasons) if reason is not None}
    for length in np.unique(given.length[usable]) if usable.any() else [len(given.time)]:
        rows = np.flatnonzero(usable & (given.length == length))
        fit = _fitted(model, given.time[:length], given.values[rows, :length], noise=noise, starts=starts, rng=rng)
        information = fisher(fit)
        findings |= dict(zip(rows.tolist(), judge(fit, information, starts=starts), strict=True))
        if given.single and strict:
            raise_first(findings[0])
        coords = {"trajectory": rows, "time": given.time[:length], "population": given.population}
        parts.append(_table(fit, information, level).assign_coords(coords | {"by": given.population}))
    found = label(parts, given, findings=[findings[row] for row in range(len(usable))])
    return found.assign_attrs(
        given.kept
        | {"result": "dynamics", "model": model, "noise": noise, "level": level}
        | provenance(starts=starts, seed=seed if isinstance(seed, int) else None)
    )


def _fitted(
    name: str, time: Array, values: Array, *, noise: str, starts: int, rng: np.random.Generator, last: bool = True
) -> Fit:
    """Fit a form, starting from the optima of those that it contains as well; only the last is worth polishing."""
    species, length = values.shape[2], np.full(len(values), len(time))
    warm: list[Start] = [
        seen_as(generalized(_fitted(simpler, time, values, noise=noise, starts=starts, rng=rng, last=False)), name)
        for simpler in SIMPLER.get(name, ())
    ]
    problem = Problem(FORMS[name].system(species), NOISES[noise], time, values, length)
    return fit_system(problem, starts=starts, warm=warm, rng=rng, polish=None if last else False)


def _table(fit: Fit, information: Identifiability, level: float) -> xr.Dataset:
    system, problem, values = fit.problem.system, fit.problem, fit.values
    growth, interaction = system.matrices(values)
    signed = system.signs != 0
    sd = information.sd[:, : values.shape[1]]
    z = norm.ppf((1 + level) / 2)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = [
            np.where(signed, values * np.exp(side * z * sd), values + side * z * sd * problem.unit) for side in (-1, 1)
        ]
    names, rows = list(system.names), np.stack([values, np.minimum(*ends), np.maximum(*ends)])
    if "crowding_1" in names:
        limits = _limits(fit, information, float(z))
        names += [f"limit_{i + 1}" for i in range(system.species)]
        rows = np.concatenate([rows, limits], axis=2)
    table = {
        "value": ("rate", rows[0]),
        "value_lower": ("rate", rows[1]),
        "value_upper": ("rate", rows[2]),
        "growth": ("population", growth.T),
        "interaction": (("population", "by"), np.moveaxis(interaction, -1, 0)),
        "initial": ("population", fit.initial),
        "fitted": (("time", "population"), fit.fitted),
        "course": (("moment", "population"), fit.course(MOMENTS)[1]),
        "sse": ((), fit.sum_of_squares),
        "log_likelihood": ((), log_likelihood(problem.noise, fit.sum_of_squares, problem.populations)),
        "r2": ((), r_squared(problem.populations, fit.fitted)),
        "condition": ((), information.condition),
        "n": ((), problem.length * system.species),
        "converged": ((), fit.converged.astype(np.int8)),
    }
    variables = {
        name: (("trajectory", *([dims] if isinstance(dims, str) else dims)), array)
        for name, (dims, array) in table.items()
    }
    return xr.Dataset(variables, coords={"rate": names, "moment": np.linspace(0, 1, MOMENTS)})


def _limits(fit: Fit, information: Identifiability, z: float) -> Array:
    """Return the limits of logistic growth, growth over crowding, and their ends: (3, batch, population)."""
    growth, crowding = np.arange(0, fit.values.shape[1], 2), np.arange(1, fit.values.shape[1], 2)
    covariance = information.covariance
    variance = covariance[:, growth, growth] + covariance[:, crowding, crowding] - 2 * covariance[:, growth, crowding]
    with np.errstate(all="ignore"):
        limit = fit.values[:, growth] / -fit.values[:, crowding]
        factor = np.exp(z * np.sqrt(np.maximum(variance, 0)))
        return np.stack([limit, limit / factor, limit * factor])
