r"""Breakpoints: does a swap change the dynamics?  One course, restarts with the same rates, or rates of their own.

Three fits of one trajectory, compared by BIC and AICc: ``unbroken`` knows nothing of breakpoints; ``shared`` restarts
from a free state at each breakpoint and keeps the rates; ``separate`` has rates of its own in every segment.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from akpsim.checks import at_least, generator, numbers_of
from akpsim.dynamics.fitting import FINER, Fit
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.lotka_volterra import check_all, fit_orders
from akpsim.dynamics.marquardt import minimise
from akpsim.dynamics.noise import normal_log_likelihood
from akpsim.dynamics.trajectory import LEAST_POINTS, as_trajectories
from akpsim.errors import InsufficientTrajectory, InvalidTrajectory
from akpsim.store import provenance

RATES = ("a", "b", "c", "d")


def fit_segments(
    time: ArrayLike | None,
    populations: Any,
    *,
    breakpoints: ArrayLike,
    prey: str | int | None = None,
    starts: int = 5,
    seed: int | np.random.Generator | None = 0,
) -> xr.Dataset:
    """Fit prey and predator with and without breakpoints, by log-normal noise, and compare.

    Parameters
    ----------
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population)
        One trajectory of two positive populations.
    breakpoints : array
        Times at which something was changed, for example the swaps of a member (`akpsim.swap_times`).  A point at a
        breakpoint belongs to the segment that ends there: it was measured before the change.
    prey : str or int, optional
        Name or index of the prey; by default the order that fits the unbroken course better.
    starts : int
        Starts of each fit.
    seed : int or Generator
        Scatters starts.

    Returns
    -------
    Dataset
        Along ``fit`` (unbroken, shared, separate): ``sse``, ``parameters``, ``aicc``, ``bic``; ``rate`` (fit,
        segment, parameter); ``fitted`` (fit, time, population); attrs ``best`` by BIC.

    Raises
    ------
    InsufficientTrajectory
        If a segment has fewer than 12 points: merge it with its neighbour, or capture more often.
    """
    at_least(starts, "starts", 1)
    given = as_trajectories(time, populations)
    if not given.single:
        raise InvalidTrajectory("breakpoints belong to one trajectory: select one by .isel(member=0)")
    if (reason := check_all(given, noise="lognormal")[0]) is not None:
        raise reason
    rng = generator(seed)
    segments = _segments(given.time, np.atleast_1d(numbers_of(breakpoints, "breakpoints")))
    whole = fit_orders(
        given.time, given.values, prey=None if prey is None else given.index(prey), noise="lognormal", starts=starts,
        rng=rng, polish=False,
    )  # fmt: skip
    order = [1, 0] if whole.swapped[0] else [0, 1]
    parts = [
        fit_orders(given.time[s], given.values[:, s][..., order], prey=0, noise="lognormal", starts=starts, rng=rng,
                   polish=False).fit
        for s in segments
    ]  # fmt: skip
    shared_cost, shared_rates, shared_course = _shared(parts, [*parts, whole.fit])
    unbroken = whole.fit.fitted[0]
    costs = np.array([whole.fit.cost[0], shared_cost, sum(float(part.cost[0]) for part in parts)])
    rates = np.stack(
        [
            np.tile(np.abs(whole.fit.values), (len(parts), 1)),
            np.tile(shared_rates, (len(parts), 1)),
            np.concatenate([np.abs(part.values) for part in parts]),
        ]
    )
    courses = np.stack([unbroken, shared_course, np.concatenate([part.fitted[0] for part in parts])])[..., order]
    return _table(given.time, given.population, segments, costs, rates, courses).assign_attrs(
        provenance(prey=given.names[order[0]], starts=starts, seed=seed if isinstance(seed, int) else None)
    )


def _segments(time: Array, breakpoints: Array) -> list[slice]:
    edges = np.unique(np.searchsorted(time, breakpoints, side="right"))
    edges = np.concatenate([[0], edges[(edges > 0) & (edges < len(time))], [len(time)]])
    segments = [slice(int(first), int(last)) for first, last in pairwise(edges)]
    if len(segments) < 2:
        raise InvalidTrajectory(f"no breakpoint lies between {time[0]:g} and {time[-1]:g}: there is nothing to compare")
    for number, segment in enumerate(segments):
        if segment.stop - segment.start < LEAST_POINTS:
            raise InsufficientTrajectory(
                f"segment {number + 1} of {len(segments)} has {segment.stop - segment.start} points, at least "
                f"{LEAST_POINTS} are needed: capture populations more often, or give fit_segments fewer breakpoints"
            )
    return segments


def _shared(parts: list[Fit], starts: list[Fit]) -> tuple[float, Array, Array]:
    """Fit common rates with a free state at the start of each segment; start from the rates of each of `starts`."""
    system = FORMS["lotka_volterra"].system(2)
    problems = [part.problem for part in parts]
    rates, number = len(system.rates), len(parts)
    shifts = [np.log(problem.unit[0]) for problem in problems]
    firsts = np.concatenate([part.parameters[0, rates:] for part in parts])
    begin = np.stack([np.concatenate([np.log(np.abs(fit.values[0])), firsts]) for fit in starts])
    substeps = max(part.substeps for part in parts) // FINER * 2

    def columns(index: int) -> Array:
        return np.concatenate([np.arange(rates), rates + 2 * index + np.arange(2)])

    def local(parameters: Array, index: int) -> Array:
        found = parameters[:, columns(index)].copy()
        found[:, :rates] -= shifts[index]
        return found

    def evaluate(parameters: Array, _: Array) -> tuple[Array, Array, Array]:
        width = rates + 2 * number
        cost, gradient = np.zeros(len(parameters)), np.zeros((len(parameters), width))
        curvature = np.zeros((len(parameters), width, width))
        for index, problem in enumerate(problems):
            owner = np.zeros(len(parameters), dtype=int)
            share, slope, bend = problem.evaluate(local(parameters, index), owner, substeps=substeps)
            place = columns(index)
            cost += share
            gradient[:, place] += slope
            curvature[np.ix_(np.arange(len(parameters)), place, place)] += bend
        return cost, gradient, curvature

    end = minimise(evaluate, begin, lower=-40.0, upper=40.0, tolerance=1e-9)
    best = int(np.argmin(end.cost))
    courses = []
    for index, problem in enumerate(problems):
        path = problem.path(local(end.parameters[[best]], index), substeps=substeps, sensitivities=False)
        courses.append(np.exp(path[:, :, 0, 0]) * problem.mean[0])
    return float(end.cost[best]), np.exp(end.parameters[best, :rates]), np.concatenate(courses)


def _table(
    time: Array, population: list[str], segments: list[slice], costs: Array, rates: Array, courses: Array
) -> xr.Dataset:
    number, parts = 2 * len(time), len(segments)
    k = np.array([4 + 2, 4 + 2 * parts, (4 + 2) * parts]) + 1
    likelihood = normal_log_likelihood(costs, number)
    names = ["unbroken", "shared", "separate"]
    bic = -2 * likelihood + k * np.log(number)
    table: dict[str, Any] = {
        "sse": ("fit", costs),
        "parameters": ("fit", k),
        "aicc": ("fit", -2 * likelihood + 2 * k + 2 * k * (k + 1) / (number - k - 1)),
        "bic": ("fit", bic),
        "rate": (("fit", "segment", "parameter"), rates),
        "fitted": (("fit", "time", "population"), courses),
    }
    coords = {
        "fit": names, "time": time, "population": population, "parameter": list(RATES),
        "segment": np.arange(1, parts + 1), "starts_at": ("segment", [time[s.start] for s in segments]),
    }  # fmt: skip
    return xr.Dataset(table, coords=coords, attrs={"result": "segments", "best": names[int(np.argmin(bic))]})
