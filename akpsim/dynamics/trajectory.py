"""Trajectories as they come in: sorted into (trajectory, time, population); refused where no fit could mean much."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from akpsim.checks import is_number, numbers_of
from akpsim.dynamics.forms import Array
from akpsim.dynamics.noise import NOISES
from akpsim.errors import AkpsimError, InsufficientTrajectory, InvalidTrajectory, shortened, unknown_name

LEAST_POINTS = 12
COLLINEAR = 1 - 1e-6
LARGEST = 1e100
"""Beyond this, and below its inverse, products of rates and populations leave what a float can hold."""

TURNING = 1.5
"""A turning point is observed when the best monotone curve leaves so many times the variance that noise explains."""


@dataclass(frozen=True)
class Trajectories:
    """Populations (trajectory, time, population) with their labels; `single` if they came without that first axis."""

    time: Float[Array, " time"]
    values: Float[Array, "batch time population"]
    names: tuple[str, ...]
    single: bool
    dim: str
    labels: dict[str, Any]
    attrs: dict[Hashable, Any]

    @cached_property
    def length(self) -> Array:
        """How many points each has: among many, those that ended earlier end in NaN."""
        if self.single:
            return np.array([len(self.time)])
        seen = np.isfinite(self.values).any(axis=2)
        return np.where(seen.any(axis=1), len(self.time) - np.argmax(seen[:, ::-1], axis=1), 0)

    def reasons(self, refuse: Callable[[Array], None]) -> list[AkpsimError | None]:
        """Return for each trajectory the error that `refuse` raises on its values, or None."""
        found: list[AkpsimError | None] = []
        for values, length in zip(self.values, self.length, strict=True):
            try:
                refuse(values[:length])
                found.append(None)
            except InvalidTrajectory as reason:
                found.append(reason)
        return found

    @property
    def kept(self) -> dict[Hashable, Any]:
        """What a fit should still say about what was fitted."""
        return {key: self.attrs[key] for key in ("unit", "time_name", "definition", "layer") if key in self.attrs}

    @property
    def population(self) -> list[str]:
        """Names of the populations."""
        return list(self.names)

    def index(self, name: str | int) -> int:
        """Return the place of a population given by name or index."""
        if isinstance(name, str):
            if name not in self.names:
                raise unknown_name("population", name, self.names)
            return self.names.index(name)
        if not is_number(name) or not 0 <= name < len(self.names) or name != int(name):
            raise InvalidTrajectory(
                f"population {shortened(name)} does not exist: there are {len(self.names)}, counted from 0"
            )
        return int(name)


def as_trajectories(time: ArrayLike | None, populations: Any, *, names: Sequence[str] | None = None) -> Trajectories:
    """Sort what a user gives into `Trajectories`.

    Parameters
    ----------
    time : array, shape (time,), or None
        None takes the coordinate ``time`` of a DataArray.
    populations : array (time, population) or (trajectory, time, population), or a DataArray with these dimensions
        A DataArray may call its first dimension as it likes; ``member`` is usual.
    names : sequence of str, optional
        Names of the populations.

    Raises
    ------
    InvalidTrajectory
        If shapes do not match, or times are repeated or decrease.
    """
    labels: dict[str, Any] = {}
    attrs: dict[Hashable, Any] = {}
    dim = "trajectory"
    if isinstance(populations, xr.DataArray):
        others = [str(d) for d in populations.dims if d not in ("time", "population")]
        if len(others) > 1 or not {"time", "population"} <= set(populations.dims):
            raise InvalidTrajectory(
                f"`populations` needs the dimensions time and population and at most one more, got {populations.dims}"
            )
        dim = others[0] if others else dim
        populations = populations.transpose(*others, "time", "population")
        time = populations["time"].values if time is None else time
        names = [str(name) for name in populations["population"].values] if names is None else names
        labels = {str(k): v for k, v in populations.coords.items() if set(v.dims) <= {dim} and k != "time"}
        attrs = dict(populations.attrs)
    values = numbers_of(populations, "populations")
    if time is None:
        raise InvalidTrajectory("`time` is missing: only a DataArray brings its own")
    times = numbers_of(time, "time")
    if values.ndim not in (2, 3) or times.shape != values.shape[-2:-1]:
        raise InvalidTrajectory(
            f"`populations` must be (time, population) or (trajectory, time, population) with one row a time: "
            f"got shape {values.shape} for {times.size} times"
        )
    _check_time(times)
    names = tuple(f"W{i + 1}" for i in range(values.shape[-1])) if names is None else tuple(names)
    return Trajectories(times, values.reshape(-1, *values.shape[-2:]), names, values.ndim == 2, dim, labels, attrs)


def _check_time(time: Array) -> None:
    if not np.isfinite(time).all():
        raise InvalidTrajectory(f"`time` must be finite, got {time[~np.isfinite(time)][0]} at index "
                                f"{int(np.flatnonzero(~np.isfinite(time))[0])}")  # fmt: skip
    late = np.flatnonzero(np.diff(time) <= 0)
    if late.size:
        index = int(late[0]) + 1
        raise InvalidTrajectory(f"`time` must increase, got {time[index]:g} after {time[index - 1]:g} at index {index}")
    if time.size > 1 and not 1 / LARGEST < np.ptp(time) < LARGEST:
        raise InvalidTrajectory(f"`time` must span between {1 / LARGEST:g} and {LARGEST:g}, got {np.ptp(time):g}: "
                                "choose another unit")  # fmt: skip


def check_values(values: Float[Array, "time population"], names: Sequence[str], *, noise: str = "lognormal") -> None:
    """Refuse populations that are not positive and finite, constant, or say the same thing twice.

    Parameters
    ----------
    values : array, shape (time, population)
        One trajectory.
    names : sequence of str
        Names of the populations.
    noise : str
        What is fitted by: zero may occur where it has a likelihood, and Poisson's takes whole numbers only.

    Raises
    ------
    InvalidTrajectory
        Naming the population, and the index of the first bad value.
    InsufficientTrajectory
        If there are hardly any points at all.
    """
    empty = [name for name, column in zip(names, values.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise InvalidTrajectory(f"population {empty[0]!r} has no values: no neuron belongs to it")
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(values) & ((values >= 0) if NOISES[noise].allows_zero else (values > 0)))
    allowed = "finite and not negative" if NOISES[noise].allows_zero else "positive and finite"
    if NOISES[noise].known_scale and not bad.any():
        bad, allowed = values != np.round(values), f"whole numbers for {noise} noise, which is of counts"
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InvalidTrajectory(
            f"populations must be {allowed}, got {values[row, column]:g} at time index {row} of {names[column]!r}"
        )
    far = (values != 0) & ((values < 1 / LARGEST) | (values > LARGEST))
    if far.any():
        row, column = np.argwhere(far)[0]
        raise InvalidTrajectory(
            f"populations must lie between {1 / LARGEST:g} and {LARGEST:g}, got {values[row, column]:g} at time index "
            f"{row} of {names[column]!r}: choose another unit"
        )
    if len(values) < 3:
        raise InsufficientTrajectory(f"a fit needs at least {LEAST_POINTS} points in time, got {len(values)}")
    flat = np.flatnonzero(np.ptp(values, axis=0) <= 1e-12 * np.abs(values).max(axis=0))
    if flat.size:
        raise InvalidTrajectory(f"population {names[int(flat[0])]!r} is constant: there are no dynamics to fit")
    # Of parts of the largest, whose squares neither overflow nor vanish.
    correlation = np.corrcoef((values / values.max(axis=0)).T) if values.shape[1] > 1 else np.eye(1)
    first, second = map(int, np.unravel_index(np.argmax(np.abs(np.triu(correlation, 1))), correlation.shape))
    if first != second and abs(correlation[first, second]) > COLLINEAR:
        raise InvalidTrajectory(
            f"populations {names[first]!r} and {names[second]!r} are collinear (correlation "
            f"{correlation[first, second]:.6f}): shares that sum to one, or copies, count one population twice"
        )


def check_sufficient(values: Float[Array, "time population"], *, cycles: bool = True) -> None:
    """Refuse a trajectory of fewer than 12 points, or one in which no population turns where `cycles` are asked for.

    Raises
    ------
    InsufficientTrajectory
        Saying what to capture instead.
    """
    if len(values) < LEAST_POINTS:
        raise InsufficientTrajectory(
            f"a fit needs at least {LEAST_POINTS} points in time, got {len(values)}: capture populations more often"
        )
    if cycles and not any(turns(column) for column in values.T):
        raise InsufficientTrajectory(
            "no population turns: each is monotone to within its noise, so that a cycle cannot be told from two "
            "exponentials (equation 4); follow the populations for longer, or from the first update on"
        )


def turns(population: Float[Array, " time"]) -> bool:
    """Whether a population is seen to turn: no monotone curve fits its logarithm to within the noise.

    The noise is that of second differences, which no smooth course contributes to.
    """
    logs = np.log(np.maximum(population, 0.5 * population[population > 0].min()))
    noise = np.mean(np.diff(logs, 2) ** 2) / 6
    left = min(np.sum((isotonic_regression(logs, increasing=up).x - logs) ** 2) for up in (True, False))
    return bool(left > TURNING * noise * len(logs))


def check_unbounded(attrs: dict[Hashable, Any]) -> None:
    """Refuse populations that are declared as shares: Lotka and Volterra's prey has no ceiling.

    Raises
    ------
    InvalidTrajectory
        Naming the forms that fit shares.
    """
    if attrs.get("bounded"):
        raise InvalidTrajectory(
            f"{attrs.get('definition', 'this population')} is a share of neurons, bounded by one: Lotka-Volterra does "
            "not apply; the models logistic and generalized do"
        )
