"""The paper's linear map from populations to features, f = T W: a regression, and why T alone means nothing."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from akpsim.checks import numbers_of
from akpsim.errors import InvalidTrajectory
from akpsim.store import provenance

GAUGE = (
    "T depends on the gauge: (T S^-1)(S W) is the same f for any positive diagonal S, and S W is a Lotka-Volterra "
    "trajectory too; only T W and comparisons within one choice of units mean anything"
)


def feature_map(populations: ArrayLike | xr.DataArray, features: ArrayLike | xr.DataArray) -> xr.Dataset:
    r"""Regress features on populations over time: :math:`f(t) = T \, W(t)`, without an intercept.

    Parameters
    ----------
    populations : array or DataArray, (time, population)
        More times than populations.
    features : array or DataArray, (time, feature)
        At the same times.

    Returns
    -------
    Dataset
        ``T`` (feature, population), ``fitted`` (time, feature), ``r2`` (feature, about zero), ``condition`` of the
        populations.  ``attrs["warning"]`` says that T depends on the gauge.

    Raises
    ------
    InvalidTrajectory
        If times do not match, values are not finite, or the populations are collinear.
    """
    W, f = (numbers_of(values, "populations and features") for values in (populations, features))
    if W.ndim != 2 or f.ndim != 2 or len(W) != len(f):
        raise InvalidTrajectory(
            f"populations and features must be (time, population) and (time, feature) at the same times, got shapes "
            f"{W.shape} and {f.shape}"
        )
    if not (np.isfinite(W).all() and np.isfinite(f).all()):
        raise InvalidTrajectory("populations and features must be finite")
    scale = np.linalg.norm(W, axis=0)
    condition = float(np.linalg.cond(W / np.where(scale > 0, scale, 1)))
    if len(W) <= W.shape[1] or condition > 1e10 or not scale.all():
        raise InvalidTrajectory(f"populations are collinear over {len(W)} times: T is not determined")
    T = np.linalg.lstsq(W, f, rcond=None)[0].T
    fitted = W @ T.T
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - ((f - fitted) ** 2).sum(axis=0) / (f**2).sum(axis=0)
    return xr.Dataset(
        {
            "T": (("feature", "population"), T),
            "fitted": (("time", "feature"), fitted),
            "r2": ("feature", r2),
            "condition": ((), condition),
        },
        attrs={"result": "feature_map", "warning": GAUGE} | provenance(),
    )
