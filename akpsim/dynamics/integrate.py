r"""Integrate Lotka-Volterra systems in log state, with the sensitivities to every rate and to the initial state.

With :math:`u = \log W` the system reads :math:`u_i' = r_i + \sum_j A_{ij} e^{u_j}`: positivity is free.  The
sensitivities :math:`S = \partial u / \partial p` obey :math:`S' = M S + \partial u' / \partial p` with
:math:`M_{ij} = A_{ij} W_j`.  `runge_kutta` follows many trajectories at once by the classical fourth-order rule,
the batch in the last axis; `exact` follows one with scipy's DOP853.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from akpsim.dynamics.forms import Array, System

TOLERANCE = 1e-10


def runge_kutta(
    system: System,
    values: Float[Array, "batch rate"],
    start: Float[Array, "batch species"],
    *,
    time: Float[Array, " time"],
    substeps: int = 2,
    sensitivities: bool = True,
) -> Float[Array, "time species column batch"]:
    """Integrate a batch of systems from log states at the first of the times.

    Parameters
    ----------
    system : System
        Which rates there are.
    values : array, shape (batch, rate)
        Their values, sign included.
    start : array, shape (batch, species)
        Logarithms of the populations at ``time[0]``.
    time : array, shape (time,)
        Increasing; shared by the batch.
    substeps : int
        Steps over the longest interval between two neighbouring times; shorter ones take their share.
    sensitivities : bool
        Whether to follow the derivatives too.

    Returns
    -------
    array, shape (time, species, 1 + rate + species, batch)
        Column 0 is the log state; then its derivatives by each rate, then by each initial log state.  Trajectories
        that explode hold infinities or NaN.
    """
    species, batch = system.species, len(values)
    rates = len(system.rates) if sensitivities else 0
    columns = 1 + (rates + species if sensitivities else 0)
    slope = _slope(system, *system.matrices(values), columns=columns)
    state = np.zeros((species, columns, batch))
    state[:, 0] = start.T
    if sensitivities:
        state[np.arange(species), 1 + rates + np.arange(species)] = 1.0
    path = np.empty((len(time), species, columns, batch))
    path[0] = state
    intervals = np.diff(time)
    steps = np.ceil(substeps * intervals / intervals.max(initial=0.0) - 1e-9).astype(int)
    with np.errstate(all="ignore"):
        for index, (interval, count) in enumerate(zip(intervals, steps, strict=True)):
            for _ in range(count):
                state = _step(slope, state, interval / count)
            path[index + 1] = state
    return path


def _step(slope: Callable[[Array], Array], state: Array, step: float) -> Array:
    """Return the state one Runge-Kutta step later."""
    first = slope(state)
    second = slope(state + (step / 2) * first)
    third = slope(state + (step / 2) * second)
    fourth = slope(state + step * third)
    second += third
    second *= 2
    second += first
    second += fourth
    second *= step / 6
    second += state
    return second


def _slope(system: System, growth: Array, interaction: Array, *, columns: int) -> Callable[[Array], Array]:
    """Return the function state -> slope, both (species, column, batch)."""
    species = system.species
    index, row, column = system.interaction_places
    forcing = np.zeros((species, columns, growth.shape[-1]))
    if columns > 1:
        grow_index, grow_row = system.growth_places
        forcing[grow_row, 1 + grow_index] = 1.0

    def slope(state: Array) -> Array:
        weights = np.exp(state[:, 0])
        effect = interaction * weights
        change: Array = effect[:, 0, None] * state[0]
        for other in range(1, species):
            change += effect[:, other, None] * state[other]
        if columns > 1:
            forcing[row, 1 + index] = weights[column]
            change += forcing
        np.add(growth, effect.sum(axis=1), out=change[:, 0])
        return change

    return slope


def exact(
    system: System,
    values: Float[Array, " rate"],
    start: Float[Array, " species"],
    *,
    time: Float[Array, " time"],
    sensitivities: bool = True,
    tolerance: float = TOLERANCE,
) -> Float[Array, "time species column 1"]:
    """Integrate one system with DOP853; the same layout as `runge_kutta` with a batch of one.

    A trajectory that explodes holds NaN from there on.
    """
    species, rates = system.species, len(system.rates) if sensitivities else 0
    columns = 1 + (rates + species if sensitivities else 0)
    slope = _slope(system, *system.matrices(values[None]), columns=columns)
    state = np.zeros((species, columns, 1))
    state[:, 0, 0] = start
    if sensitivities:
        state[np.arange(species), 1 + rates + np.arange(species)] = 1.0
    path = np.full((len(time), *state.shape), np.nan)
    path[0] = state
    if len(time) == 1:
        return path
    with np.errstate(all="ignore"):
        solution = solve_ivp(
            lambda _, flat: slope(flat.reshape(state.shape)).ravel(),
            (time[0], time[-1]),
            state.ravel(),
            method="DOP853",
            t_eval=time,
            rtol=tolerance,
            atol=tolerance,
        )
    path[: solution.y.shape[1]] = solution.y.T.reshape(-1, *state.shape)
    return path
