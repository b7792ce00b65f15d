r"""What the data determine: Fisher information in log parameters.

With a residual Jacobian :math:`J` (in the logarithms of rates and initial states) and noise variance
:math:`\sigma^2`, the information is :math:`J^\top J / \sigma^2`.  Its condition number does not depend on the units of
time or of any population.  A condition above :math:`10^4`, or a log parameter with a standard deviation above one,
means that the curve fits but the rates do not follow from it.
"""

from dataclasses import dataclass

import numpy as np

from akpsim.dynamics.fitting import Fit
from akpsim.dynamics.forms import Array

CONDITION_LIMIT = 1e4
CONDITION_WARNING = 1e3
SD_LIMIT = 1.0


@dataclass(frozen=True)
class Identifiability:
    """Covariance of the parameters (scaled units), condition of the information, noise variance; one a trajectory."""

    covariance: Array
    condition: Array
    variance: Array

    @property
    def sd(self) -> Array:
        """Standard deviations (batch, parameter); NaN for rates at their bound, 0 for states held."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.einsum("kpp->kp", self.covariance)))


def fisher(fit: Fit) -> Identifiability:
    """Return what the data say about the parameters of a fit; those at bounds or fixed are left out."""
    problem = fit.problem
    rates, total = problem.sizes
    count = problem.length * problem.system.species
    left_out = np.concatenate([fit.at_bound, np.zeros((len(count), total - rates), dtype=bool)], axis=1)
    if problem.fixed_start:
        left_out[:, rates:] = True
    used = total - left_out.sum(axis=1)
    variance = np.ones(len(count)) if problem.noise.known_scale else fit.cost / np.maximum(count - used, 1)
    covariance = np.full((len(count), total, total), np.nan)
    if problem.fixed_start:
        covariance[:, rates:], covariance[:, :, rates:] = 0.0, 0.0
    condition = np.full(len(count), np.inf)
    for row in np.flatnonzero(np.isfinite(fit.cost)):
        kept = np.flatnonzero(~left_out[row])
        information = fit.curvature[row][np.ix_(kept, kept)] / 2
        if not kept.size:
            condition[row] = 1.0
            continue
        values = np.linalg.eigvalsh(information)
        condition[row] = values[-1] / values[0] if values[0] > 0 else np.inf
        if condition[row] < 1e14:
            covariance[np.ix_([row], kept, kept)] = variance[row] * np.linalg.inv(information)
    return Identifiability(covariance, condition, variance)
