r"""Goodness of fit: :math:`R^2` in logs, and whether residuals still remember each other.

None of these is a verdict: a Lotka-Volterra curve reaches :math:`R^2 > 0.5` on most random walks.  The verdict is
`akpsim.select_dynamics`.
"""

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2

from akpsim.dynamics.forms import Array

AUTOCORRELATED = 0.05


def r_squared(
    observed: Float[Array, "batch time population"], fitted: Float[Array, "batch time population"]
) -> Float[Array, " batch"]:
    """Return the share of the variance of logs that a fit explains, over both populations."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(observed)
        left = ((logs - np.log(fitted)) ** 2).sum(axis=(1, 2))
        whole = ((logs - logs.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
        return np.asarray(1 - left / whole)


def autocorrelations(
    residuals: Float[Array, "batch time population"], lags: int
) -> Float[Array, "lag batch population"]:
    """Return autocorrelations of residuals, about their mean, at lags 1 to `lags`."""
    centred = residuals - residuals.mean(axis=1, keepdims=True)
    variance = (centred**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / variance for lag in range(1, lags + 1)])


def ljung_box(
    residuals: Float[Array, "batch time population"], *, lags: int | None = None
) -> Float[Array, "batch population"]:
    r"""Return p-values of Ljung and Box's test that residuals are independent.

    :math:`Q = T (T + 2) \sum_k r_k^2 / (T - k)`, against chi-squared with as many degrees of freedom as lags; no
    degrees are taken off for fitted parameters, which makes the test a little shy.

    Parameters
    ----------
    residuals : array, shape (batch, time, population)
        Residuals of the fits.
    lags : int, optional
        By default the smaller of 10 and a fifth of the points.

    References
    ----------
    Ljung, Box (1978), "On a measure of lack of fit in time series models", Biometrika 65.
    """
    points = residuals.shape[1]
    lags = max(1, min(10, points // 5)) if lags is None else lags
    weights = 1 / (points - np.arange(1, lags + 1))
    statistic = points * (points + 2) * np.einsum("l,lkp->kp", weights, autocorrelations(residuals, lags) ** 2)
    return np.asarray(chi2.sf(statistic, lags))
