"""Profile likelihood of a fit, as a labelled result to look at."""

import numpy as np
import xarray as xr
from scipy.stats import chi2

from akpsim.checks import at_least, between, made_by
from akpsim.dynamics.lotka_volterra import fit_orders
from akpsim.dynamics.profile import profile_curves, profile_intervals
from akpsim.dynamics.summary import PARAMETERS
from akpsim.errors import InvalidTrajectory
from akpsim.store import provenance


def profile_lotka_volterra(fit: xr.Dataset, *, points: int = 17, width: float = 3.0, level: float = 0.95) -> xr.Dataset:
    """Hold each parameter of a fit at values around its optimum and refit all others.

    Parameters
    ----------
    fit : Dataset
        Of one trajectory, as `akpsim.fit_lotka_volterra` returns it.
    points : int
        Values a parameter is held at.
    width : float
        How far the values reach, in standard deviations of the log parameter.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Dataset
        ``value`` and ``deviance`` (parameter, point): where the parameter was held, and twice the drop in log
        likelihood there; ``best``, ``lower``, ``upper`` (parameter); ``threshold``, chi-squared's quantile at `level`.
    """
    at_least(points, "points", 3)
    between(width, "width", 0, 100)
    between(level, "level", 0, 1)
    made_by(fit, "fit", "fit_lotka_volterra", "fitted")
    if fit.fitted.ndim != 2:
        raise InvalidTrajectory("a profile takes the fit of one trajectory: select one by .isel(member=0)")
    prey = [str(name) for name in fit.population.values].index(str(fit.prey.values))
    hold = fit.attrs.get("initial") == "data"
    again = fit_orders(
        fit.time.values.astype(float), fit.observed.values[None], prey=prey, noise=str(fit.attrs["noise"]),
        starts=int(fit.attrs["starts"]), rng=np.random.default_rng(0), hold_initial=hold,
    ).fit  # fmt: skip
    values, drops = profile_curves(again, 0, points=points, width=width)
    ends = profile_intervals(again, level=level)[0]
    best = np.concatenate([np.abs(again.values[0]), again.initial[0]])
    return xr.Dataset(
        {
            "value": (("parameter", "point"), values),
            "deviance": (("parameter", "point"), drops),
            "best": ("parameter", best),
            "lower": ("parameter", ends[:, 0]),
            "upper": ("parameter", ends[:, 1]),
            "threshold": ((), chi2.ppf(level, 1)),
        },
        coords={"parameter": list(PARAMETERS)},
        attrs={"result": "profile", "level": level} | provenance(points=points, width=width),
    )
