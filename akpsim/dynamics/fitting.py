"""Fit a Lotka-Volterra form to many trajectories at once, from several starts each.

Rates are fitted by their logarithms where their sign is declared, initial states by their logarithms.  Inside, time
is measured in spans of the data and populations in their means, so that bounds and starts mean the same for any
units.  Starts are improved together by Runge-Kutta steps of a few to an interval; the best start of each trajectory
is then refined with finer steps, and a few trajectories are polished with DOP853.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from akpsim.dynamics.forms import Array
from akpsim.dynamics.integrate import runge_kutta
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.starts import LEAST, NEXT_TO_NONE, Start, scatter, starting_points

POLISHED = 4
"""Up to so many trajectories are polished with DOP853 (rtol 1e-10); more are refined by Runge-Kutta steps alone."""
FINER = 4
AT_BOUND = 1e-6


@dataclass
class Fit:
    """Fitted trajectories: natural units outside, `problem` and `parameters` in scaled ones for further work."""

    problem: Problem
    parameters: Float[Array, "batch parameter"]
    cost: Float[Array, " batch"]
    curvature: Float[Array, "batch parameter parameter"]
    converged: Array
    start_costs: Float[Array, "batch start"]
    substeps: int
    polished: bool

    def where(self, mask: Array, other: "Fit") -> "Fit":
        """Take the trajectories in `mask` from another fit of the same form at the same times."""
        first, second = self.problem, other.problem
        problem = Problem(
            first.system, first.noise, first.time,
            np.where(mask[:, None, None], second.populations, first.populations), first.length, first.fixed_start,
        )  # fmt: skip

        def pick(mine: Array, theirs: Array) -> Array:
            return np.asarray(np.where(mask.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine))

        return Fit(
            problem,
            parameters=pick(self.parameters, other.parameters),
            cost=pick(self.cost, other.cost),
            curvature=pick(self.curvature, other.curvature),
            converged=pick(self.converged, other.converged),
            start_costs=pick(self.start_costs, other.start_costs),
            substeps=max(self.substeps, other.substeps),
            polished=self.polished and other.polished,
        )

    @property
    def values(self) -> Float[Array, "batch rate"]:
        """Rates, sign included."""
        rates = self.problem.sizes[0]
        return np.asarray(self.problem.system.values(self.parameters[:, :rates]) * self.problem.unit)

    @property
    def sum_of_squares(self) -> Float[Array, " batch"]:
        """The cost in natural units: a sum of squares, or a deviance."""
        return np.asarray(self.cost * (self.problem.mean[:, 0] ** 2 if self.problem.noise.name == "natural" else 1.0))

    @property
    def initial(self) -> Float[Array, "batch species"]:
        """Initial populations."""
        return np.asarray(np.exp(self.parameters[:, self.problem.sizes[0] :]) * self.problem.mean)

    @property
    def at_bound(self) -> Array:
        """Whether each rate is as good as zero: below a millionth of one over the span at the mean population."""
        rates = self.problem.sizes[0]
        relative = np.abs(self.problem.system.values(self.parameters[:, :rates])) / self.problem.floor
        return np.asarray((self.problem.system.signs != 0) & (relative < AT_BOUND))

    @cached_property
    def fitted(self) -> Float[Array, "batch time species"]:
        """Fitted populations at all times, also those beyond a trajectory's length."""
        path = self.problem.path(self.parameters, substeps=self.substeps, polish=self.polished, sensitivities=False)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(np.moveaxis(path[:, :, 0], -1, 0)) * self.problem.mean[:, None])

    def course(self, points: int) -> tuple[Float[Array, " moment"], Float[Array, "batch moment species"]]:
        """Return evenly spaced times and the fitted populations at them, smooth enough to draw."""
        problem = self.problem
        elapsed = np.linspace(0.0, 1.0, points)
        rates = problem.sizes[0]
        substeps = max(1, -(-self.substeps * len(problem.time) // points))
        path = runge_kutta(
            problem.system,
            problem.system.values(self.parameters[:, :rates]),
            self.parameters[:, rates:],
            time=elapsed,
            substeps=substeps,
            sensitivities=False,
        )
        with np.errstate(over="ignore"):
            values = np.exp(np.moveaxis(path[:, :, 0], -1, 0)) * problem.mean[:, None]
        return problem.time[0] + elapsed * problem.span, np.asarray(values)


def fit_system(
    problem: Problem,
    *,
    starts: int = 5,
    rng: np.random.Generator,
    warm: Sequence[Start] = (),
    finish: bool = True,
    polish: bool | None = None,
    fixed_at: Float[Array, "batch species"] | None = None,
) -> Fit:
    """Fit a problem from `starts` starts and those in `warm`, given in natural units.

    Parameters
    ----------
    problem : Problem
        What is fitted to what.
    starts : int
        Number of starts by integral matching and around it.
    rng : Generator
        Scatters the starts after the second.
    warm : sequence of (rates, initial log states)
        Further starts, for example the optimum of a form that this one contains.
    finish : bool
        Whether to refine the best start; otherwise what comes back is coarse.
    polish : bool, optional
        Whether to end with DOP853; by default for few trajectories.
    fixed_at : array, optional
        Initial populations to hold fixed.

    Returns
    -------
    Fit
        Trajectories from whose starts no finite cost was found have an infinite one.
    """
    points = starting_points(problem, starts=starts, rng=rng)
    floors = (LEAST, NEXT_TO_NONE) if problem.system.signs.any() else (LEAST,)
    warmed = [scatter(problem, start, least=least)[:, None] for start in warm for least in floors]
    points = np.concatenate([points, *warmed], axis=1)
    if fixed_at is not None:
        points[:, :, problem.sizes[0] :] = np.log(fixed_at / problem.mean)[:, None]
    batch, number, width = points.shape
    owner = np.repeat(np.arange(batch), number)
    flat = points.reshape(-1, width)
    substeps = problem.substeps(flat, owner)
    found = problem.minimise(flat, owner, substeps=substeps, tolerance=1e-6 if number > 1 else 1e-9)
    costs = found.cost.reshape(batch, number)
    best = np.arange(batch) * number + costs.argmin(axis=1)
    fit = Fit(
        problem,
        parameters=found.parameters[best],
        cost=found.cost[best],
        curvature=found.curvature[best],
        converged=found.converged[best],
        start_costs=costs,
        substeps=substeps,
        polished=False,
    )
    return finished(fit, polish=polish) if finish else fit


def finished(fit: Fit, *, polish: bool | None = None) -> Fit:
    """Return a coarse fit refined with finer steps, and polished with DOP853 if there are few trajectories."""
    good = np.flatnonzero(np.isfinite(fit.cost))
    fit = _improved(fit, good, substeps=fit.substeps * FINER, polish=False, tolerance=1e-12)
    if polish or (polish is None and len(fit.cost) <= POLISHED):
        good = np.flatnonzero(np.isfinite(fit.cost))
        return _improved(fit, good, substeps=fit.substeps, polish=True, tolerance=1e-14)
    return fit


def _improved(fit: Fit, rows: Array, *, substeps: int, polish: bool, tolerance: float) -> Fit:
    if not rows.size:
        return replace(fit, substeps=substeps)
    parameters, cost, curvature, converged = (
        part.copy() for part in (fit.parameters, fit.cost, fit.curvature, fit.converged)
    )
    end = fit.problem.minimise(
        parameters[rows], rows, substeps=substeps, polish=polish, tolerance=tolerance, iterations=10
    )
    parameters[rows], cost[rows], curvature[rows] = end.parameters, end.cost, end.curvature
    converged[rows] |= end.converged
    return replace(
        fit, parameters=parameters, cost=cost, curvature=curvature, converged=converged, substeps=substeps,
        polished=polish,
    )  # fmt: skip
