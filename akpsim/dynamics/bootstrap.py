r"""Parametric bootstrap of a prey-predator fit: intervals, and whether the sum of squares is too large.

Trajectories are drawn from the fitted course with the fitted noise and refitted, all at once.  How good the fit is
cannot be read from the sum of squares alone, since the noise was estimated from it; it is read from its ratio to the
noise that second differences of the residuals show, to which a smooth misfit adds next to nothing.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from akpsim.checks import at_least, between, generator, made_by
from akpsim.dynamics.forms import Array
from akpsim.dynamics.judging import residuals_of
from akpsim.dynamics.lotka_volterra import fit_orders
from akpsim.dynamics.period import period
from akpsim.dynamics.summary import PARAMETERS
from akpsim.errors import InvalidTrajectory
from akpsim.store import provenance


def bootstrap_lotka_volterra(
    fit: xr.Dataset, *, resamples: int = 199, level: float = 0.95, seed: int | np.random.Generator | None = None
) -> xr.Dataset:
    """Draw trajectories from a fit, refit them, and return how much everything varies.

    Parameters
    ----------
    fit : Dataset
        Of one trajectory, as `akpsim.fit_lotka_volterra` returns it.
    resamples : int
        Number of trajectories drawn.
    level : float
        Coverage of the percentile intervals.
    seed : int or Generator
        For the draws.

    Returns
    -------
    Dataset
        ``value`` (resample, parameter), ``lower`` and ``upper`` (parameter) of the six parameters and the period;
        ``sse`` (resample); ``misfit`` (sum of squares over the noise of second differences), its ``p`` and
        ``smallest_p``; ``band_lower`` and ``band_upper`` (time, population), the interval of the fitted course.

    Raises
    ------
    InvalidTrajectory
        If the fit holds many trajectories.
    """
    at_least(resamples, "resamples", 19)
    between(level, "level", 0, 1)
    made_by(fit, "fit", "fit_lotka_volterra", "fitted")
    if "time" not in fit.fitted.dims or fit.fitted.ndim != 2:
        raise InvalidTrajectory("the bootstrap takes the fit of one trajectory: select one by .isel(member=0)")
    rng = generator(seed)
    noise = str(fit.attrs["noise"])
    prey = [str(name) for name in fit.population.values].index(str(fit.prey.values))
    time = fit.time.values.astype(float)
    drawn = _draw(fit.fitted.values, float(fit.sigma), noise, resamples, rng)
    # The fitted values refitted are the first: where the observed ratio is measured, by the same solver.
    drawn = np.concatenate([fit.observed.values[None], drawn])
    hold = fit.attrs.get("initial") == "data"
    again = fit_orders(time, drawn, prey=prey, noise=noise, starts=2, rng=rng, hold_initial=hold, polish=False).fit
    values = np.concatenate([np.abs(again.values), again.initial], axis=1)
    cycle = period(*values[:, :4].T, prey=values[:, 4], predator=values[:, 5])
    values = np.concatenate([values, cycle[:, None]], axis=1)[1:]
    ratio = misfit(residuals_of(again))
    tails = [(1 - level) / 2, (1 + level) / 2]
    courses = again.fitted[1:] if prey == 0 else again.fitted[1:, :, ::-1]
    ends = np.nanquantile(values, tails, axis=0)
    band = np.nanquantile(courses, tails, axis=0)
    smallest = 1 / (resamples + 1)
    table: dict[str, Any] = {
        "value": (("resample", "parameter"), values),
        "lower": ("parameter", ends[0]),
        "upper": ("parameter", ends[1]),
        "sse": ("resample", again.sum_of_squares[1:]),
        "misfit": ((), ratio[0]),
        "p": ((), smallest * (1 + int(np.sum(ratio[1:] >= ratio[0])))),
        "smallest_p": ((), smallest),
        "band_lower": (("time", "population"), band[0]),
        "band_upper": (("time", "population"), band[1]),
    }
    coords = {"parameter": [*PARAMETERS, "period"], "time": fit.time.values, "population": fit.population.values}
    attrs = {"result": "bootstrap"} | provenance(
        resamples=resamples, level=level, noise=noise, seed=seed if isinstance(seed, int) else None
    )
    return xr.Dataset(table, coords=coords, attrs=attrs)


def _draw(
    course: Float[Array, "time population"], sigma: float, noise: str, count: int, rng: np.random.Generator
) -> Float[Array, "count time population"]:
    shape = (count, *course.shape)
    if noise == "lognormal":
        return np.asarray(course * np.exp(sigma * rng.normal(size=shape)))
    if noise == "natural":
        # What cannot be observed is drawn no nearer to zero than a thousandth of the course.
        return np.asarray(np.maximum(course + sigma * rng.normal(size=shape), 1e-3 * course))
    return rng.poisson(np.broadcast_to(course, shape)).astype(float)


def misfit(residuals: Float[Array, "batch time population"]) -> Float[Array, " batch"]:
    """Return the mean square of residuals over the noise variance of their second differences; 1 for pure noise."""
    noise = np.mean(np.diff(residuals, 2, axis=1) ** 2, axis=(1, 2)) / 6
    return np.asarray(np.mean(residuals**2, axis=(1, 2)) / np.maximum(noise, np.finfo(float).tiny))
