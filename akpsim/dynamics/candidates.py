"""All models of one trajectory or many, fitted so that their likelihoods compare: what `select_dynamics` chooses from.

Every model has its initial state as free parameters and one noise variance, and every likelihood is of the same
logs.  Trajectory models follow a Lotka-Volterra form with noise on what is observed; one-step models have their noise
in each step.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from akpsim.dynamics.embedding import generalized, seen_as
from akpsim.dynamics.fitting import Fit, fit_system
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.lotka_volterra import fit_orders
from akpsim.dynamics.noise import NOISES
from akpsim.dynamics.nulls import NULLS, forecast, one_step
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.starts import Start

MODELS = (
    "constant", "exponential", "logistic", "ar1", "var1", "random_walk", "competitive", "generalized", "lotka_volterra",
)  # fmt: skip
SPEEDS = (2.0, 8.0, 30.0)
"""Growth to a limit starts slow, fast and at once, in rates over the span: matching cannot see a short transient."""

SCATTERED = 3
"""Starts of the nulls that need any."""


@dataclass(frozen=True)
class Candidate:
    """A fitted model: sum of squares in logs, parameters counted, and a forecast of logs (batch, step, population).

    `start` is the fit as a generalized system, where other fits may start.
    """

    cost: Float[Array, " batch"]
    parameters: int
    forecast: Callable[[int], Array]
    orders: int = 1
    start: Start | None = None


def fit_candidates(
    time: Float[Array, " time"],
    values: Float[Array, "batch time population"],
    *,
    length: Array,
    prey: int | None,
    starts: int,
    rng: np.random.Generator,
    whole: dict[str, Start] | None = None,
    finish: bool = True,
) -> dict[str, Candidate]:
    """Fit every model to the first `length` points of each trajectory, but those that one population cannot tell apart.

    Parameters
    ----------
    time : array, shape (time,)
        Increasing; may go on beyond what is fitted, for forecasts.
    values : array, shape (batch, time, population)
        Positive; those beyond `length` are not looked at.
    length : array of int, shape (batch,)
        How many points each trajectory has.
    prey : int, optional
        Which population is the prey; by default both orders are tried.
    starts : int
        Starts of Lotka-Volterra; the nulls take up to three, and the optima of the forms they contain.
    rng : Generator
        Scatters starts.
    whole : dict, optional
        Further starts by the name of the model, generalized systems: for forecasts, what all data say.
    finish : bool
        Whether to refine fits; forecasts do without.
    """
    species = values.shape[2]
    found: dict[str, Candidate] = {}
    # Lotka and Volterra's form starts where `fit_lotka_volterra` starts with the same seed.
    same_rng = deepcopy(rng)

    def fitted(name: str, warm: list[Start], number: int = 0, *, finish: bool = finish) -> Fit:
        if whole is not None and number:
            warm = [*warm, seen_as(whole[name], name)]
        problem = Problem(FORMS[name].system(species), NOISES["lognormal"], time, values, length)
        return fit_system(problem, starts=number, warm=warm, rng=rng, finish=finish, polish=False)

    def add(name: str, fit: Fit, *, swapped: Array | None = None) -> Start:
        orders = 2 if name == "lotka_volterra" and prey is None else 1
        ahead, start = _forecaster(fit, length, swapped=swapped), generalized(fit, swapped=swapped)
        found[name] = Candidate(fit.cost, sum(fit.problem.sizes[1:]) + 1, ahead, orders=orders, start=start)
        return start

    number = min(starts, SCATTERED)
    constant = add("constant", fitted("constant", [], 1))
    exponential = add("exponential", fitted("exponential", [], 1))
    relaxations = [_relaxation(time, values, length, speed) for speed in SPEEDS]
    logistic = add("logistic", fitted("logistic", [*relaxations, seen_as(constant, "logistic")], number))
    if species > 1:
        competitive = add("competitive", fitted("competitive", [seen_as(logistic, "competitive")], number))
    if species > 2:
        add("generalized", fitted("generalized", [competitive, exponential], number))
    if species == 2:
        # Each of the two is a start of the other: what either finds, both have.
        larger = generalized(fitted("generalized", [competitive, exponential], number, finish=False))
        ordered = fit_orders(
            time, values, prey=prey, noise="lognormal", starts=starts, rng=same_rng, length=length,
            warm=[larger] if whole is None else [larger, whole["lotka_volterra"]], finish=finish, polish=False,
        )  # fmt: skip
        smaller = add("lotka_volterra", ordered.fit, swapped=ordered.swapped)
        add("generalized", fitted("generalized", [larger, smaller]))
    for name in NULLS if species > 1 else ("random_walk", "ar1"):
        found[name] = _null(name, values, length)
    return {name: found[name] for name in MODELS if name in found}


def _relaxation(time: Array, values: Array, length: Array, speed: float) -> Start:
    """Return logistic growth at a speed to the mean of what was observed."""
    observed = np.arange(len(time)) < length[:, None]
    mean = np.where(observed[..., None], values, 0.0).sum(axis=1) / length[:, None]
    growth = np.full_like(mean, speed / (time[-1] - time[0]))
    rates = np.stack([growth, -growth / mean], axis=2).reshape(len(mean), 2 * mean.shape[1])
    return rates, np.log(values[:, 0])


def _forecaster(fit: Fit, length: Array, *, swapped: Array | None = None) -> Callable[[int], Array]:
    def ahead(steps: int) -> Array:
        places = length[:, None] + np.arange(steps)
        with np.errstate(divide="ignore"):
            logs = np.log(np.take_along_axis(fit.fitted, places[..., None], axis=1))
        return np.asarray(logs if swapped is None else np.where(swapped[:, None, None], logs[..., ::-1], logs))

    return ahead


def _null(name: str, values: Array, length: Array) -> Candidate:
    null, species = NULLS[name], values.shape[2]
    cost = np.empty(len(values))
    matrix, intercept = np.empty((len(values), species, species)), np.empty((len(values), species))
    for points in np.unique(length):
        rows = np.flatnonzero(length == points)
        cost[rows], matrix[rows], intercept[rows] = one_step(null, np.log(values[rows, :points]))
    last = np.log(values[np.arange(len(values)), length - 1])
    return Candidate(
        cost,
        null.coefficients(species) + species + 1,
        lambda steps: forecast(last, matrix, intercept, steps=steps),
    )
