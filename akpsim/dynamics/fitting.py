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

from akpsim.dynamics.forms import Array, System
from akpsim.dynamics.integrate import exact, runge_kutta
from akpsim.dynamics.marquardt import Minimum, minimise
from akpsim.dynamics.noise import Noise
from akpsim.dynamics.starts import Start, scatter, starting_points

POLISHED = 4
"""Up to so many trajectories are polished with DOP853 (rtol 1e-10); more are refined by Runge-Kutta steps alone."""
FINER = 4
LOWEST, HIGHEST = -16.0, 9.0
AT_BOUND = 1e-6


@dataclass
class Problem:
    """Trajectories to fit, in scaled units: time in spans from 0 to 1, populations in their means."""

    system: System
    noise: Noise
    time: Float[Array, " time"]
    populations: Float[Array, "batch time species"]
    length: Array
    fixed_start: bool = False

    def __post_init__(self) -> None:
        observed = np.arange(len(self.time)) < self.length[:, None]
        self.observed = observed[..., None] & np.ones(self.system.species, dtype=bool)
        self.span = float(self.time[-1] - self.time[0])
        safe = np.where(self.observed, self.populations, 1.0)
        sums = np.where(self.observed, self.populations, 0.0).sum(axis=1)
        self.mean = sums / self.length[:, None]
        # Normal noise on the natural scale is not invariant to the units of each population: one unit for all.
        if self.noise.name != "lognormal":
            scale = 1.0 if self.noise.known_scale else self.mean.mean(axis=1, keepdims=True)
            self.mean = np.broadcast_to(scale, self.mean.shape)
        self.scaled = np.where(self.observed, safe / self.mean[:, None], 1.0)
        self.elapsed = (self.time - self.time[0]) / self.span

    @cached_property
    def unit(self) -> Float[Array, "batch rate"]:
        """What a scaled rate of one is worth."""
        units = [
            np.ones(len(self.mean)) if rate.column is None else 1 / self.mean[:, rate.column]
            for rate in self.system.rates
        ]
        return np.stack(units, axis=1) / self.span if units else np.ones((len(self.mean), 0))

    @cached_property
    def floor(self) -> Float[Array, "batch rate"]:
        """A rate of one over the span, against the mean population, in scaled units: what bounds are measured in."""
        average = np.where(self.observed, self.scaled, 0.0).sum(axis=1) / self.length[:, None]
        units = [
            np.ones(len(average)) if rate.column is None else 1 / average[:, rate.column] for rate in self.system.rates
        ]
        return np.stack(units, axis=1) if units else np.ones((len(average), 0))

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of rates and of parameters."""
        return len(self.system.rates), len(self.system.rates) + self.system.species

    def path(self, parameters: Array, *, substeps: int, polish: bool = False, sensitivities: bool = True) -> Array:
        """Return log states and sensitivities (time, species, column, problem)."""
        rates = self.sizes[0]
        values, start = self.system.values(parameters[:, :rates]), parameters[:, rates:]
        if not polish:
            return runge_kutta(
                self.system, values, start, time=self.elapsed, substeps=substeps, sensitivities=sensitivities
            )
        paths = [
            exact(self.system, value, first, time=self.elapsed, sensitivities=sensitivities)
            for value, first in zip(values, start, strict=True)
        ]
        return np.concatenate(paths, axis=-1)

    def evaluate(
        self, parameters: Array, owner: Array, *, substeps: int, polish: bool = False
    ) -> tuple[Array, Array, Array]:
        """Return cost, gradient and Gauss-Newton curvature of problems that belong to trajectories `owner`."""
        rates, _ = self.sizes
        path = self.path(parameters, substeps=substeps, polish=polish)
        state = np.moveaxis(path[:, :, 0], -1, 0)
        with np.errstate(all="ignore"):
            residual, slope, share = self.noise.residual(self.scaled[owner], state)
            cost = np.where(self.observed[owner], share, 0.0).sum(axis=(1, 2))
            jacobian = np.moveaxis(path[:, :, 1:], -1, 0) * slope[..., None]
            chain = np.where(self.system.signs != 0, self.system.values(parameters[:, :rates]), 1.0)
            jacobian[..., :rates] *= chain[:, None, None]
        observed, size = self.observed[owner], len(self.time) * self.system.species
        jacobian = np.where(observed[..., None], jacobian, 0.0).reshape(len(parameters), size, jacobian.shape[-1])
        residual = np.where(observed, residual, 0.0).reshape(len(parameters), size)
        bad = ~(np.isfinite(cost) & np.isfinite(jacobian).all(axis=(1, 2)) & np.isfinite(residual).all(axis=1))
        cost[bad], jacobian[bad], residual[bad] = np.inf, 0.0, 0.0
        transposed = jacobian.transpose(0, 2, 1)
        return cost, -2 * (transposed @ residual[..., None])[..., 0], 2 * transposed @ jacobian

    def substeps(self, parameters: Array, owner: Array) -> int:
        """Return how many Runge-Kutta steps an interval needs at these starts: half an e-fold or less in a step."""
        values = self.system.values(parameters[:, : self.sizes[0]])
        growth, interaction = self.system.matrices(values)
        with np.errstate(all="ignore"):
            speed = np.abs(growth.T[:, None] + np.einsum("ijk,ktj->kti", interaction, self.scaled[owner]))
        fastest = np.nan_to_num(speed.max(axis=(1, 2), initial=0.0), posinf=0.0)
        typical = np.quantile(fastest, 0.9) if len(fastest) else 0.0
        return int(np.clip(np.ceil(2 * typical * np.diff(self.elapsed).max()), 2, 16))

    def minimise(
        self, parameters: Array, owner: Array, *, substeps: int, polish: bool = False, tolerance: float,
        fixed: Array | None = None, iterations: int = 40,
    ) -> Minimum:  # fmt: skip
        """Minimise from `parameters`, one row a problem, `owner` saying which trajectory each belongs to."""
        rates, total = self.sizes
        signed = np.concatenate([self.system.signs != 0, np.zeros(total - rates, dtype=bool)])
        scale = np.concatenate([np.log(self.floor), np.zeros((len(self.floor), total - rates))], axis=1)[owner]
        if self.fixed_start:
            held = np.broadcast_to(np.arange(total) >= rates, parameters.shape)
            fixed = held if fixed is None else fixed | held
        return minimise(
            lambda trial, index: self.evaluate(trial, owner[index], substeps=substeps, polish=polish),
            parameters,
            lower=np.where(signed, LOWEST + scale, -np.inf),
            upper=np.where(signed, HIGHEST + scale, np.inf),
            fixed=fixed,
            tolerance=tolerance,
            iterations=iterations,
        )


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
    points = np.concatenate([points, *(scatter(problem, start)[:, None] for start in warm)], axis=1)
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
        parameters[rows], rows, substeps=substeps, polish=polish, tolerance=tolerance, iterations=15
    )
    parameters[rows], cost[rows], curvature[rows] = end.parameters, end.cost, end.curvature
    converged[rows] |= end.converged
    return replace(
        fit, parameters=parameters, cost=cost, curvature=curvature, converged=converged, substeps=substeps,
        polished=polish,
    )  # fmt: skip
