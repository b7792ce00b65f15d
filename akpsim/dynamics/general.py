"""Fit any form of dynamics to one trajectory of any number of populations: equation 4, competition, generalized."""

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.stats import norm

from akpsim.checks import at_least
from akpsim.dynamics.candidates import embedded
from akpsim.dynamics.fitting import Fit, fit_system
from akpsim.dynamics.forms import FORMS
from akpsim.dynamics.goodness import r_squared
from akpsim.dynamics.identifiability import Identifiability, fisher
from akpsim.dynamics.judging import judge, raise_first
from akpsim.dynamics.noise import NOISES, log_likelihood
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.starts import Start
from akpsim.dynamics.trajectory import LEAST_POINTS, as_trajectories, check_unbounded, check_values
from akpsim.errors import InsufficientTrajectory, InvalidTrajectory
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
    """Fit a form of dynamics by name to one trajectory.

    Parameters
    ----------
    model : str
        constant, exponential (equation 4), logistic, competitive, generalized or lotka_volterra (the first population
        is the prey; `akpsim.fit_lotka_volterra` chooses).
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population)
        Positive; shares are allowed for forms with a limit.
    noise : {"lognormal", "natural", "poisson"}
        Least squares in logs, on the natural scale, or counts.
    starts : int
        Number of starts.
    level : float
        Coverage of the intervals, normal in log rates (in rates, where their sign is free).
    strict : bool
        Whether a fit that means nothing raises, or comes back with the reason in ``attrs["warnings"]``.
    seed : int or Generator
        Scatters the starts.

    Returns
    -------
    Dataset
        ``value``, ``value_lower``, ``value_upper`` (rate; sign included), ``growth`` (population), ``interaction``
        (population, by), ``initial`` (population), ``fitted`` (time, population), ``sse``, ``log_likelihood``, ``r2``,
        ``condition``, ``n``.

    Raises
    ------
    InvalidTrajectory, InsufficientTrajectory
        If populations are not positive and finite, constant or collinear, or there are fewer than 12 points.
    DivergedFit, MultipleOptima, AtBound, NotIdentifiable
        If `strict`.
    """
    form, kind = FORMS[model], NOISES[noise]
    given = as_trajectories(time, populations)
    at_least(starts, "starts", 1)
    if not given.single:
        raise InvalidTrajectory("one trajectory at a time: select one by .isel(member=0)")
    species = given.values.shape[-1]
    if form.species not in (None, species):
        raise InvalidTrajectory(f"{model} has {form.species} populations, got {species}")
    if model in ("lotka_volterra", "exponential"):
        check_unbounded(given.attrs)
    check_values(given.values[0], given.names, zero=kind.allows_zero)
    if len(given.time) < LEAST_POINTS:
        raise InsufficientTrajectory(f"a fit needs at least {LEAST_POINTS} points in time, got {len(given.time)}")
    rng = np.random.default_rng(seed)
    length = np.array([len(given.time)])

    def fitted(name: str) -> Fit:
        warm: list[Start] = [embedded(fitted(simpler), name) for simpler in SIMPLER.get(name, ())]
        problem = Problem(FORMS[name].system(species), kind, given.time, given.values, length)
        return fit_system(problem, starts=starts, warm=warm, rng=rng, polish=name == model)

    fit = fitted(model)
    information = fisher(fit)
    findings = judge(fit, information, starts=starts)[0]
    if strict:
        raise_first(findings)
    return _table(fit, information, level).assign_coords(
        time=given.time, population=given.population, by=given.population
    ).assign_attrs(
        {"result": "dynamics", "model": model, "noise": noise, "level": level}
        | provenance(starts=starts, seed=seed if isinstance(seed, int) else None)
        | {"warnings": json.dumps([f"{type(f).__name__}: {f}" for f in findings])}
    )  # fmt: skip


def _table(fit: Fit, information: Identifiability, level: float) -> xr.Dataset:
    system, problem = fit.problem.system, fit.problem
    values = fit.values[0]
    growth, interaction = system.matrices(fit.values)
    signed = system.signs != 0
    sd = information.sd[0, : len(values)]
    z = norm.ppf((1 + level) / 2)
    unit = np.abs(values) if signed.all() else np.where(signed, np.abs(values), problem.unit[0])
    with np.errstate(over="ignore", invalid="ignore"):
        ends = [
            np.where(signed, system.signs * np.abs(values) * np.exp(side * z * sd), values + side * z * sd * unit)
            for side in (-1, 1)
        ]
    return xr.Dataset(
        {
            "value": ("rate", values),
            "value_lower": ("rate", np.minimum(*ends)),
            "value_upper": ("rate", np.maximum(*ends)),
            "growth": ("population", growth[:, 0]),
            "interaction": (("population", "by"), interaction[:, :, 0]),
            "initial": ("population", fit.initial[0]),
            "fitted": (("time", "population"), fit.fitted[0]),
            "observed": (("time", "population"), problem.populations[0]),
            "sse": ((), fit.sum_of_squares[0]),
            "log_likelihood": ((), log_likelihood(problem.noise, fit.sum_of_squares, problem.populations)[0]),
            "r2": ((), r_squared(problem.populations, fit.fitted)[0]),
            "condition": ((), information.condition[0]),
            "n": ((), problem.populations[0].size),
        },
        coords={"rate": list(system.names)},
    )
