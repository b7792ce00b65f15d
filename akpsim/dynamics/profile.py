r"""Profile likelihood: how much worse the best fit becomes when one parameter is held elsewhere.

The interval of a parameter holds the values at which twice the log likelihood, maximised over all others and the
noise variance, has dropped by less than the quantile of :math:`\chi^2_1`.  It needs no symmetry and knows what a
nearly flat direction is; where the likelihood never drops so far the end is 0 or infinity.
"""

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2

from akpsim.dynamics.fitting import FINER, Fit
from akpsim.dynamics.forms import Array
from akpsim.dynamics.identifiability import fisher

ROUNDS = 12
FARTHEST = 6.0
"""In log parameters, a factor of 400: an interval that reaches so far is reported as open."""


def profile_intervals(fit: Fit, *, level: float = 0.95) -> Float[Array, "batch parameter side"]:
    """Return profile-likelihood intervals of rates (as magnitudes) and initial populations, in natural units."""
    ends = np.full((*fit.parameters.shape, 2), np.nan)
    for row in np.flatnonzero(np.isfinite(fit.cost)):
        ends[row] = _intervals(Profiler(fit, int(row)), np.sqrt(chi2.ppf(level, 1)))
    return ends


class Profiler:
    """Refits one trajectory with one parameter held at many values at once.

    Parameters
    ----------
    fit : Fit
        The fit.
    row : int
        Which of its trajectories.
    """

    def __init__(self, fit: Fit, row: int) -> None:
        self.problem, self.row, self.substeps = fit.problem, row, max(2, 2 * fit.substeps // FINER)
        best = self.problem.minimise(fit.parameters[[row]], np.array([row]), substeps=self.substeps, tolerance=1e-12)
        self.best, self.cost = best.parameters[0], float(best.cost[0])
        information = fisher(fit)
        self.covariance, self.sd = information.covariance[row], information.sd[row]
        self.count = int(self.problem.length[row]) * self.problem.system.species
        units = np.concatenate([self.problem.unit[row], self.problem.mean[row]])
        self.to_natural = np.log(units)

    def ridge(self, which: Array, distance: Array) -> Array:
        """Guess the optimum of the others when parameter `which` is moved by `distance`."""
        slope = self.covariance[:, which] / self.sd[which] ** 2
        return np.asarray(self.best + np.where(np.isfinite(slope), slope, 0.0).T * distance[:, None])

    def root_drop(self, which: Array, distance: Array, guess: Array) -> tuple[Array, Array]:
        """Return the root of twice the drop in log likelihood, and the refitted parameters."""
        guess = guess.copy()
        guess[np.arange(len(which)), which] = self.best[which] + distance
        held = np.arange(guess.shape[1]) == which[:, None]
        owner = np.full(len(which), self.row)
        end = self.problem.minimise(guess, owner, substeps=self.substeps, tolerance=1e-9, fixed=held)
        with np.errstate(divide="ignore"):
            drop = (
                end.cost - self.cost
                if self.problem.noise.known_scale
                else self.count * np.log(end.cost / max(self.cost, 1e-300))
            )
        return np.sqrt(np.maximum(drop, 0.0)), end.parameters


def _intervals(profiler: Profiler, target: float) -> Float[Array, "parameter side"]:
    """Find where the root of the drop is `target`; it is nearly a straight line, so that a secant is quick."""
    parameters = len(profiler.best)
    free = np.flatnonzero(profiler.sd > 0)
    which, side = np.repeat(free, 2), np.tile([-1.0, 1.0], len(free))
    low, low_drop = np.zeros(len(which)), np.zeros(len(which))
    high, high_drop = np.full(len(which), np.inf), np.full(len(which), np.inf)
    distance = target * profiler.sd[which]
    guess = profiler.ridge(which, side * distance)
    for _ in range(ROUNDS):
        drop, guess = profiler.root_drop(which, side * distance, guess)
        beyond = drop >= target
        high, high_drop = np.where(beyond, distance, high), np.where(beyond, drop, high_drop)
        low, low_drop = np.where(beyond, low, distance), np.where(beyond, low_drop, drop)
        if np.all(np.abs(drop - target) < 1e-4 * target):
            break
        with np.errstate(invalid="ignore", divide="ignore"):
            between = low + (target - low_drop) * (high - low) / (high_drop - low_drop)
            # Only a bracket of finite drops has a secant; elsewhere halve it, or go farther out.
            between = np.where(np.isfinite(high_drop), between, (low + high) / 2)
            farther = np.minimum(low * np.clip(target / low_drop, 1.05, 2.0), FARTHEST)
        distance = np.where(np.isfinite(high), between, farther)
    ends = np.full((parameters, 2), np.nan)
    open_end = ~np.isfinite(high) & (low >= FARTHEST * 0.99)
    logs = profiler.best[which] + side * distance + profiler.to_natural[which]
    values = np.where(open_end, np.where(side < 0, 0.0, np.inf), np.exp(logs))
    ends[which, (side > 0).astype(int)] = values
    return ends


def profile_curves(fit: Fit, row: int, *, points: int, width: float) -> tuple[Array, Array]:
    """Return for each parameter the values held (natural units) and twice the drop in log likelihood there.

    Both are (parameter, point); `width` is how far the curves reach, in standard deviations.
    """
    profiler = Profiler(fit, row)
    parameters = len(profiler.best)
    free = np.flatnonzero(profiler.sd > 0)
    values, drops = np.full((2, parameters, points), np.nan)
    grid = np.linspace(-width, width, points)
    which = np.repeat(free, points)
    distance = np.tile(grid, len(free)) * profiler.sd[which]
    root, _ = profiler.root_drop(which, distance, profiler.ridge(which, distance))
    values[free] = np.exp(profiler.best[which] + distance + profiler.to_natural[which]).reshape(len(free), points)
    drops[free] = (root**2).reshape(len(free), points)
    return values, drops
