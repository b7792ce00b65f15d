r"""Do the populations interact at all?  The test of :math:`b = d = 0`, equation 4's two exponentials.

With :math:`S_0` and :math:`S_1` the sums of squares without and with interaction and :math:`N` logs, the statistic is
:math:`N \log (S_0 / S_1)`.  Under the null both rates sit on the edge of what is allowed, so that the statistic is
not :math:`\chi^2_2` but the mixture :math:`\tfrac14 \chi^2_0 + \tfrac12 \chi^2_1 + \tfrac14 \chi^2_2`: what the data
say about b and what they say about d is independent there, which gives these weights.

References
----------
Self, Liang (1987), "Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under
nonstandard conditions", Journal of the American Statistical Association 82, case 7.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import chi2

from akpsim.checks import at_least, generator, one_of
from akpsim.dynamics.forms import Array
from akpsim.dynamics.lotka_volterra import fit_orders
from akpsim.dynamics.trajectory import LEAST_POINTS, as_trajectories, check_unbounded, check_values
from akpsim.errors import InsufficientTrajectory, InvalidTrajectory
from akpsim.store import provenance


def interaction_test(
    time: ArrayLike | None,
    populations: Any,
    *,
    prey: str | int | None = None,
    method: str = "mixture",
    resamples: int = 199,
    starts: int = 5,
    seed: int | np.random.Generator | None = 0,
) -> xr.Dataset:
    """Test whether prey and predator affect each other, against two exponentials with log-normal noise.

    Parameters
    ----------
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population)
        One trajectory of two positive populations.
    prey : str or int, optional
        Name or index of the prey; by default the order that fits better, for which the p-value pays a factor of two.
    method : {"mixture", "bootstrap"}
        Where the p-value comes from: the asymptotic mixture, or trajectories simulated without interaction.
    resamples : int
        Number of simulated trajectories.
    starts : int
        Starts of each fit.
    seed : int or Generator
        For starts and simulated trajectories.

    Returns
    -------
    Dataset
        ``statistic``, ``p``, ``sse_null``, ``sse``, ``n``; for the bootstrap ``smallest_p`` and ``resamples``.  A small
        p-value speaks against two exponentials; it does not speak for Lotka-Volterra: a random walk gives one too.

    Raises
    ------
    InvalidTrajectory, InsufficientTrajectory
        If the populations are not two, not positive, or fewer than 12 points.
    """
    given = as_trajectories(time, populations)
    one_of(method, "method", ("mixture", "bootstrap"))
    at_least(resamples, "resamples", 19)
    at_least(starts, "starts", 1)
    if not given.single or given.values.shape[-1] != 2:
        raise InvalidTrajectory(f"the test takes one trajectory of two populations, got {given.values.shape}")
    check_unbounded(given.attrs)
    check_values(given.values[0], given.names)
    if len(given.time) < LEAST_POINTS:
        raise InsufficientTrajectory(f"the test needs at least {LEAST_POINTS} points in time, got {len(given.time)}")
    rng = generator(seed)
    index = None if prey is None else given.index(prey)
    if index is None:
        index = int(
            fit_orders(given.time, given.values, prey=None, noise="lognormal", starts=starts, rng=rng).swapped[0]
        )
    statistic, null, full = statistics(given.time, given.values, prey=index, starts=starts, rng=rng)
    choices = 2 if prey is None else 1
    found: dict[str, Any] = {"statistic": statistic[0], "sse_null": null[0], "sse": full[0], "n": given.values.size}
    if method == "mixture":
        found["p"] = min(1.0, choices * float(mixture_p(statistic)[0]))
    else:
        simulated = _without_interaction(given.time, given.values[0], prey=index, count=resamples, rng=rng)
        drawn, _, _ = statistics(given.time, simulated, prey=index, starts=min(starts, 3), rng=rng)
        smallest = choices / (resamples + 1)
        found["p"] = min(1.0, smallest * (1 + int(np.sum(drawn >= statistic[0]))))
        found |= {"smallest_p": smallest, "resamples": resamples}
    attrs = {"result": "interaction_test", "prey": given.names[index], "method": method} | provenance(
        starts=starts, seed=seed if isinstance(seed, int) else None
    )
    return xr.Dataset({name: ((), value) for name, value in found.items()}, attrs=attrs)


def mixture_p(statistic: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Return p-values under the mixture of chi-squared with 0, 1 and 2 degrees of freedom; 1 for a statistic of 0."""
    tail = chi2.sf(statistic, 1) / 2 + chi2.sf(statistic, 2) / 4
    return np.asarray(np.where(statistic <= 0, 1.0, tail))


def statistics(
    time: Array, values: Float[Array, "batch time population"], *, prey: int, starts: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return the statistic, and the sums of squares without and with interaction."""
    null = np.sum((np.log(values) - _exponentials(time, values, prey=prey)) ** 2, axis=(1, 2))
    fitted = fit_orders(time, values, prey=prey, noise="lognormal", starts=starts, rng=rng, polish=False).fit
    full = np.minimum(fitted.cost, null)
    number = values.shape[1] * values.shape[2]
    return number * np.log(null / np.maximum(full, np.finfo(float).tiny)), null, full


def _exponentials(time: Array, values: Array, *, prey: int) -> Float[Array, "batch time population"]:
    """Return the logs of the best growing prey and decaying predator."""
    logs = np.log(values)
    elapsed = time - time.mean()
    slope = np.einsum("t,ktp->kp", elapsed, logs) / np.sum(elapsed**2)
    sign = np.where(np.arange(2) == prey, 1.0, -1.0)
    slope = np.where(slope * sign > 0, slope, 0.0)
    return np.asarray(logs.mean(axis=1, keepdims=True) + slope[:, None] * elapsed[:, None])


def _without_interaction(time: Array, values: Array, *, prey: int, count: int, rng: np.random.Generator) -> Array:
    mean = _exponentials(time, values[None], prey=prey)
    sd = np.sqrt(np.mean((np.log(values) - mean[0]) ** 2))
    return np.asarray(np.exp(mean + sd * rng.normal(size=(count, *values.shape))))
