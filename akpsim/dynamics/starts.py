"""Where fits start: integral matching on the data, on smoothed data, and scattered around both."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

from akpsim.dynamics.forms import Array
from akpsim.dynamics.matching import integral_matching
from akpsim.dynamics.problem import Problem

Start = tuple[Float[Array, "batch rate"], Float[Array, "batch species"]]
"""Rates and initial log states, in natural units."""

LEAST = 1e-2
"""A rate that matching sets to zero starts here, in scaled units: the logarithm of zero could never come back."""
NEXT_TO_NONE = 1e-5
"""A rate that a simpler form lacks also starts here, where the larger form costs as good as the same."""
SCATTER = 0.25
"""Standard deviation of the logarithm of scattered rates."""


def starting_points(
    problem: Problem, *, starts: int, rng: np.random.Generator
) -> Float[Array, "batch start parameter"]:
    """Return starts in scaled parameters: matched, matched after smoothing over three points, then scattered."""
    rates, total = problem.sizes
    points = np.empty((len(problem.length), starts, total))
    for row, length in enumerate(problem.length):
        observed = np.maximum(problem.scaled[row, :length], 1e-2 if problem.noise.allows_zero else 0)
        smooth = np.exp(uniform_filter1d(np.log(observed), 3, axis=0, mode="nearest"))
        for index, data in enumerate((observed, smooth)[:starts]):
            values, first = integral_matching(problem.system, problem.elapsed[:length], data)
            points[row, index] = np.concatenate([_to_free(problem, row, values), first])
    for index in range(2, starts):
        # One draw for all trajectories: what is found for one must not depend on its neighbours.
        noise = SCATTER * rng.normal(size=total)
        signed = np.concatenate([problem.system.signs != 0, np.ones(total - rates, dtype=bool)])
        base = points[:, index % 2]
        points[:, index] = np.where(signed, base + noise, base * np.exp(noise))
    return points


def scatter(problem: Problem, start: Start, *, least: float = LEAST) -> Float[Array, "batch parameter"]:
    """Return a start given in natural units in scaled parameters."""
    values, first = start
    free = [_to_free(problem, row, scaled, least) for row, scaled in enumerate(values / problem.unit)]
    return np.concatenate([np.array(free).reshape(values.shape), first - np.log(problem.mean)], axis=1)


def _to_free(problem: Problem, row: int, values: Float[Array, " rate"], least: float = LEAST) -> Float[Array, " rate"]:
    signed = problem.system.signs != 0
    floor = np.where(signed, problem.system.signs * least * problem.floor[row], 0.0)
    kept = np.where(signed & (np.abs(values) < np.abs(floor)), floor, values)
    return problem.system.free(kept)
