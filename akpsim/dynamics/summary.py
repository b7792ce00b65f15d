"""Turn fits into a labelled table: rates, derived quantities and intervals, one row a trajectory."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy.stats import norm

from akpsim.dynamics.fitting import Fit
from akpsim.dynamics.forms import Array
from akpsim.dynamics.goodness import autocorrelations, ljung_box, r_squared
from akpsim.dynamics.identifiability import Identifiability
from akpsim.dynamics.judging import residuals_of
from akpsim.dynamics.period import invariant, period

PARAMETERS = ("a", "b", "c", "d", "W1_0", "W2_0")
MOMENTS = 201
"""Points of the fitted course, for drawing."""

STEP = 1e-4


def summarise(
    fit: Fit,
    information: Identifiability,
    *,
    swapped: Array,
    level: float,
    intervals: Float[Array, "batch parameter side"] | None,
) -> xr.Dataset:
    """Return the table of prey-predator fits.

    Parameters
    ----------
    fit : Fit
        With the prey as the first population.
    information : Identifiability
        Of the fit.
    swapped : array of bool, shape (batch,)
        Whether the prey is the second of the populations as they were given.
    level : float
        Coverage of intervals.
    intervals : array, shape (batch, 6, 2), optional
        Profile-likelihood intervals of the six parameters; by default normal ones in the logarithm.
    """
    logs = np.log(np.concatenate([np.abs(fit.values), fit.initial], axis=1))
    covariance = information.covariance
    z = norm.ppf((1 + level) / 2)
    table: dict[str, tuple[object, ...]] = {}

    def add(name: str, log: Array, sd: Array) -> None:
        table[name] = ("trajectory", np.exp(log))
        with np.errstate(invalid="ignore", over="ignore"):
            table[f"{name}_lower"] = ("trajectory", np.exp(log - z * sd))
            table[f"{name}_upper"] = ("trajectory", np.exp(log + z * sd))

    for index, name in enumerate(PARAMETERS):
        zero = fit.at_bound[:, index] if index < fit.at_bound.shape[1] else np.zeros(len(logs), dtype=bool)
        # A rate at its bound is reported as what it means: zero, without an interval.
        add(name, np.where(zero, -np.inf, logs[:, index]), information.sd[:, index])
        if intervals is not None:
            table[f"{name}_lower"] = ("trajectory", intervals[:, index, 0])
            table[f"{name}_upper"] = ("trajectory", intervals[:, index, 1])
    # A rate that went to zero leaves no cycle, and no rest point either.
    cycling = np.where(fit.at_bound.any(axis=1, keepdims=True), np.nan, logs)
    for name, function in DERIVED.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            value, gradient = _log_gradient(function, cycling)
            sd = np.sqrt(_quadratic(gradient, covariance))
        add(name, value, sd)
    prey, predator = fit.initial.T
    table["invariant"] = ("trajectory", invariant(*np.abs(fit.values).T, prey=prey, predator=predator))
    return xr.Dataset(table | _quality(fit, information, swapped))


def _quality(fit: Fit, information: Identifiability, swapped: Array) -> dict[str, tuple[object, ...]]:
    residual = residuals_of(fit)
    factor = fit.sum_of_squares / np.where(fit.cost > 0, fit.cost, 1)
    per_population = {
        "fitted": (("trajectory", "time", "population"), fit.fitted),
        "residual": (("trajectory", "time", "population"), residual),
        "course": (("trajectory", "moment", "population"), fit.course(MOMENTS)[1]),
        "lag1": (("trajectory", "population"), autocorrelations(residual, 1)[0]),
        "ljung_box_p": (("trajectory", "population"), ljung_box(residual)),
    }
    for name, (dims, values) in per_population.items():
        back = swapped.reshape(-1, *[1] * (values.ndim - 1))
        per_population[name] = (dims, np.where(back, values[..., ::-1], values))
    return per_population | {
        "sse": ("trajectory", fit.sum_of_squares),
        "sigma": ("trajectory", np.sqrt(information.variance * factor)),
        "r2": ("trajectory", r_squared(fit.problem.populations, fit.fitted)),
        "condition": ("trajectory", information.condition),
        "n": ("trajectory", fit.problem.length * fit.problem.system.species),
        "converged": ("trajectory", fit.converged.astype(np.int8)),
        "swapped": ("trajectory", swapped.astype(np.int8)),
    }


def _log_period(logs: Array) -> Array:
    a, b, c, d, prey, predator = np.exp(logs).T
    return np.asarray(np.log(period(a, b, c, d, prey=prey, predator=predator)))


DERIVED: dict[str, Callable[[Array], Array]] = {
    "period": _log_period,
    "W1_equilibrium": lambda logs: logs[:, 2] - logs[:, 3],
    "W2_equilibrium": lambda logs: logs[:, 0] - logs[:, 1],
}
"""Functions of the logarithms of the parameters that give logarithms."""


def _log_gradient(function: Callable[[Array], Array], logs: Float[Array, "batch parameter"]) -> tuple[Array, Array]:
    """Return a function's value and its gradient by central differences."""
    steps = STEP * np.eye(logs.shape[1])
    gradient = [(function(logs + step) - function(logs - step)) / (2 * STEP) for step in steps]
    return function(logs), np.stack(gradient, axis=1)


def _quadratic(gradient: Array, covariance: Array) -> Array:
    """Return g' C g, leaving out parameters without a variance that do not matter."""
    matters = gradient != 0
    pairs = matters[:, :, None] & matters[:, None, :]
    return np.asarray(np.einsum("kp,kpq,kq->k", gradient, np.where(pairs, covariance, 0.0), gradient))
