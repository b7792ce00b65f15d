"""Simulate: Lotka-Volterra forms exactly, one-step models with their noise."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from akpsim.checks import generator, in_range, instance, numbers_of, one_of
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.integrate import exact
from akpsim.dynamics.period import equilibrium, invariant, period
from akpsim.dynamics.trajectory import LARGEST
from akpsim.errors import AkpsimError, DivergedFit, InvalidTrajectory, unknown_name
from akpsim.store import provenance

TOLERANCE = 1e-12


def simulate_lotka_volterra(
    time: ArrayLike, *, a: float, b: float, c: float, d: float, initial: tuple[float, float], noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> xr.Dataset:  # fmt: skip
    r"""Follow prey W1' = W1 (a - b W2) and predator W2' = W2 (-c + d W1).

    Parameters
    ----------
    time : array, shape (time,)
        Increasing; the first is when the populations are `initial`.
    a, b, c, d : float
        Rates, none negative.  With b = d = 0 these are the two exponentials of the paper's equation 4.
    initial : (float, float)
        Prey and predator at ``time[0]``, positive.
    noise : float
        Standard deviation of log-normal noise on the populations; 0 gives the trajectory itself.
    seed : int or Generator
        For the noise.

    Returns
    -------
    Dataset
        ``populations`` (time, population); scalars ``period`` (by exact quadrature; NaN without interaction),
        ``invariant``, ``W1_equilibrium`` = c/d and ``W2_equilibrium`` = a/b.

    Examples
    --------
    >>> found = simulate_lotka_volterra([0, 10], a=1.5, b=1, c=3, d=1, initial=(1, 1))
    >>> [round(float(value), 6) for value in found.populations[-1]]
    [1.026345, 0.909691]
    """
    for name, value in zip("abcd", (a, b, c, d), strict=True):
        in_range(value, name, 0, LARGEST)
    found = simulate_dynamics(
        "lotka_volterra", time, {"a": a, "b": b, "c": c, "d": d}, initial=initial, noise=noise, seed=seed
    )
    rest = equilibrium(a, b, c, d)
    scalars = {
        "period": period(a, b, c, d, prey=initial[0], predator=initial[1]),
        "invariant": invariant(a, b, c, d, prey=initial[0], predator=initial[1]),
        "W1_equilibrium": rest[0],
        "W2_equilibrium": rest[1],
    }
    return found.assign({name: ((), float(value)) for name, value in scalars.items()})


def simulate_dynamics(
    model: str, time: ArrayLike, rates: dict[str, float], *, initial: ArrayLike, noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> xr.Dataset:  # fmt: skip
    """Follow a form of dynamics by name: constant, exponential, logistic, competitive, generalized, lotka_volterra.

    Parameters
    ----------
    model : str
        Name of the form.
    time : array, shape (time,)
        Increasing.
    rates : dict
        The form's rates by name, as `akpsim.fit_dynamics` returns them, as magnitudes where a sign is declared:
        ``{"growth_1": 1, "crowding_1": .5}``.  Rates left out are zero.
    initial : array, shape (population,)
        Positive.
    noise : float
        Standard deviation of log-normal noise.
    seed : int or Generator
        For the noise.

    Returns
    -------
    Dataset
        ``populations`` (time, population).
    """
    time, initial = numbers_of(time, "time"), numbers_of(initial, "initial")
    if time.ndim != 1 or not len(time) or not np.all(np.diff(time) > 0):
        raise InvalidTrajectory("`time` must be one increasing sequence")
    if initial.ndim != 1 or not np.all(initial > 0):
        raise InvalidTrajectory(f"`initial` must be positive, got {', '.join(f'{v:g}' for v in initial.ravel())}")
    form = FORMS[one_of(model, "model", FORMS)]
    if form.species not in (None, len(initial)):
        raise AkpsimError(f"{model} has {form.species} populations, `initial` has {len(initial)}")
    system = form.system(len(initial))
    instance(rates, "rates", Mapping, f"a number for each of {', '.join(system.names)}")
    in_range(noise, "noise", 0, LARGEST)
    for name, rate in rates.items():
        in_range(rate, f"rates[{name}]", -LARGEST, LARGEST)
        if name not in system.names:
            raise unknown_name(f"rate of {model}", name, system.names)
    values = np.array([rates.get(rate.name, 0.0) * (rate.sign or 1) for rate in system.rates])
    path = exact(system, values, np.log(initial), time=time, sensitivities=False, tolerance=TOLERANCE)[:, :, 0, 0]
    populations = _noisy(path, noise, seed)
    if not np.isfinite(populations).all():
        when = time[np.flatnonzero(~np.isfinite(populations).all(axis=1))[0]]
        raise DivergedFit(f"{model} with these rates explodes before time {when:g}")
    attrs = {"result": "trajectory"} | provenance(
        model=model, noise=noise, seed=seed if isinstance(seed, int) else None
    )
    names = [f"W{i + 1}" for i in range(len(initial))]
    return xr.Dataset(
        {"populations": (("time", "population"), populations)}, coords={"time": time, "population": names}, attrs=attrs
    )


def _noisy(
    path: Float[Array, "time population"], noise: float, seed: int | np.random.Generator | None
) -> Float[Array, "time population"]:
    rng = generator(seed)
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(path + (noise * rng.normal(size=path.shape) if noise else 0.0)))
