"""All models of one trajectory or many, fitted so that their likelihoods compare: what `select_dynamics` chooses from.

Every model has its initial state as free parameters and one noise variance, and every likelihood is of the same
logs.  Trajectory models follow a Lotka-Volterra form with noise on what is observed; one-step models have their noise
in each step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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
    """A fitted model: sum of squares in logs, parameters counted, and a forecast of logs (batch, step, population)."""

    cost: Float[Array, " batch"]
    parameters: int
    forecast: Callable[[int], Array]
    orders: int = 1


def fit_candidates(
    time: Float[Array, " time"],
    values: Float[Array, "batch time population"],
    *,
    length: Array,
    prey: int | None,
    starts: int,
    rng: np.random.Generator,
    finish: bool = True,
) -> dict[str, Candidate]:
    """Fit every model to the first `length` points of each trajectory; all lengths are the same for one-step models.

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
    finish : bool
        Whether to refine fits; forecasts do without.
    """
    species = values.shape[2]
    found: dict[str, Candidate] = {}
    fits: dict[str, Fit] = {}

    def add(name: str, warm: list[Start]) -> None:
        system = FORMS[name].system(species)
        problem = Problem(system, NOISES["lognormal"], time, values, length)
        number = 1 if name in ("constant", "exponential") else min(starts, SCATTERED)
        fits[name] = fit_system(problem, starts=number, warm=warm, rng=rng, finish=finish, polish=False)
        found[name] = Candidate(
            fits[name].cost, len(system.rates) + species + 1, _forecaster(fits[name], length)
        )  # fmt: skip

    for name in ("constant", "exponential"):
        add(name, [])
    add("logistic", [_relaxation(time, values, length, speed) for speed in SPEEDS])
    add("competitive", [embedded(fits["logistic"], "competitive")])
    warm = [embedded(fits["competitive"], "generalized"), embedded(fits["exponential"], "generalized")]
    if species == 2:
        ordered = fit_orders(
            time,
            values,
            prey=prey,
            noise="lognormal",
            starts=starts,
            rng=rng,
            length=length,
            finish=finish,
            polish=False,
        )
        warm.append(embedded(ordered.fit, "generalized", swapped=ordered.swapped))
        forecaster = _forecaster(ordered.fit, length, swapped=ordered.swapped)
        found["lotka_volterra"] = Candidate(ordered.fit.cost, 7, forecaster, orders=2 if prey is None else 1)
    add("generalized", warm)
    for name in NULLS:
        found[name] = _null(name, values, length)
    return {name: found[name] for name in MODELS if name in found}


def _relaxation(time: Array, values: Array, length: Array, speed: float) -> Start:
    """Return logistic growth at a speed to the mean of what was observed."""
    observed = np.arange(len(time)) < length[:, None]
    mean = np.where(observed[..., None], values, 0.0).sum(axis=1) / length[:, None]
    growth = np.full_like(mean, speed / (time[-1] - time[0]))
    rates = np.stack([growth, -growth / mean], axis=2).reshape(len(mean), 2 * mean.shape[1])
    return rates, np.log(values[:, 0])


def embedded(fit: Fit, name: str, *, swapped: Array | None = None) -> Start:
    """Return a fit as a start of a form that contains it, prey and predator put back in the order of the data."""
    system = fit.problem.system
    growth, interaction = system.matrices(fit.values)
    first = np.log(fit.initial)
    if swapped is not None:
        growth = np.where(swapped, growth[::-1], growth)
        interaction = np.where(swapped, interaction[::-1, ::-1], interaction)
        first = np.where(swapped[:, None], first[:, ::-1], first)
    target = FORMS[name].system(system.species)
    rates = [growth[r.row] if r.column is None else interaction[r.row, r.column] for r in target.rates]
    return np.stack(rates, axis=1), first


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
