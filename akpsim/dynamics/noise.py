r"""Noise on measured populations: what a residual is, and the likelihood that goes with it.

Log-normal noise (the default) makes the fit a least squares in logs, normal noise one on the natural scale; Poisson
counts are fitted by their deviance with Fisher's scoring.  With :math:`u = \log W` fitted and :math:`y` observed:

========== ============================== ======================
noise      residual                       its slope in :math:`u`
========== ============================== ======================
lognormal  :math:`\log y - u`             1
natural    :math:`y - e^u`                :math:`e^u`
poisson    :math:`(y - e^u) / e^{u/2}`    :math:`e^{u/2}`
========== ============================== ======================
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from akpsim.dynamics.forms import Array
from akpsim.registry import Registry


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    `residual` gives (residual, slope in the log state, share of the cost) from (observed, log state);
    `known_scale` says that no variance is estimated, and `allows_zero` that zero may be observed.
    """

    name: str
    summary: str
    residual: Callable[[Array, Array], tuple[Array, Array, Array]]
    known_scale: bool = False
    allows_zero: bool = False


def _lognormal(observed: Array, state: Array) -> tuple[Array, Array, Array]:
    residual = np.log(observed) - state
    return residual, np.ones_like(state), residual**2


def _natural(observed: Array, state: Array) -> tuple[Array, Array, Array]:
    mean = np.exp(state)
    residual = observed - mean
    return residual, mean, residual**2


def _poisson(observed: Array, state: Array) -> tuple[Array, Array, Array]:
    mean = np.exp(state)
    root = np.exp(state / 2)
    deviance = 2 * (xlogy(observed, observed) - observed * state - observed + mean)
    return (observed - mean) / root, root, deviance


NOISES: Registry[Noise] = Registry(
    "noise",
    [
        Noise("lognormal", "constant relative error; least squares in logs", _lognormal),
        Noise("natural", "constant absolute error; least squares on the natural scale", _natural, allows_zero=True),
        Noise("poisson", "counts; by their deviance", _poisson, known_scale=True, allows_zero=True),
    ],
)


def log_likelihood(noise: Noise, cost: Array, observed: Array) -> Array:
    """Return the largest log likelihood of each trajectory, (batch,), from its cost and what was observed.

    Normal likelihoods take the variance that fits best.  They are densities of logs (log-normal) or of values
    (natural): compare models under one noise, never one noise with another.
    """
    number = observed.shape[1] * observed.shape[2]
    if noise.known_scale:
        saturated = (xlogy(observed, observed) - observed - gammaln(observed + 1)).sum(axis=(1, 2))
        return np.asarray(saturated - cost / 2)
    return normal_log_likelihood(cost, number)


def normal_log_likelihood(cost: Array, number: int | Array) -> Array:
    """Return the largest normal log likelihood for a sum of squares over `number` values."""
    variance = np.maximum(cost, np.finfo(float).tiny) / number
    return np.asarray(-number / 2 * (np.log(2 * np.pi * variance) + 1))
