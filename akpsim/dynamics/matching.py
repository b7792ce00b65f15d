r"""Integral matching: rates of a Lotka-Volterra system without solving it.

Integrating :math:`(\log W_i)' = r_i + \sum_j A_{ij} W_j` over time,

.. math:: \log W_i(t) - \log W_i(0) = r_i t + \sum_j A_{ij} \int_0^t W_j ,

is linear in the rates once the integrals are taken from the data (trapezoids): one least squares a population, with
an intercept for the initial state, non-negative in the rates whose sign is declared.

No trapezoid spans what was not seen: over a gap of half a period it would miss a whole peak.  An interval much longer
than those around it therefore parts the trajectory into stretches, each with an intercept of its own.

References
----------
Dattner and Klaassen (2015), "Optimal rate of direct estimators in systems of ordinary differential equations linear
in functions of the parameters", Electronic Journal of Statistics 9.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.integrate import cumulative_trapezoid
from scipy.ndimage import median_filter
from scipy.optimize import nnls

from akpsim.dynamics.forms import Array, System

GAP, AROUND = 3.0, 5
"""An interval is a gap if it is so many times as long as the median of so many around it."""


def integral_matching(
    system: System, time: Float[Array, " time"], populations: Float[Array, "time species"]
) -> tuple[Float[Array, " rate"], Float[Array, " species"]]:
    """Return rates, sign included, and initial log states from one trajectory."""
    logs = np.log(populations)
    elapsed = time - time[0]
    integrals = cumulative_trapezoid(populations, time, axis=0, initial=0)
    values = np.zeros(len(system.rates))
    stretch = stretches(time)
    first = logs[stretch == 0].mean(axis=0)
    for row in range(system.species):
        chosen = [index for index, rate in enumerate(system.rates) if rate.row == row]
        if not chosen:
            continue
        columns = np.stack([_column(system, index, elapsed, integrals) for index in chosen], axis=1)
        target = _centred(logs[:, [row]], stretch)[:, 0]
        values[chosen] = _least_squares(_centred(columns, stretch), target, system.signs[chosen])
        first[row] -= columns[stretch == 0].mean(axis=0) @ values[chosen]
    return values, first


def stretches(time: Float[Array, " time"]) -> Int[Array, " time"]:
    """Return for each time the number of its stretch between gaps, counted from 0."""
    intervals = np.diff(time)
    gaps = intervals > GAP * median_filter(intervals, AROUND, mode="nearest")
    return np.concatenate([[0], np.cumsum(gaps)])


def _centred(columns: Float[Array, "time column"], stretch: Int[Array, " time"]) -> Float[Array, "time column"]:
    counts = np.bincount(stretch)[:, None]
    sums = np.zeros((len(counts), columns.shape[1]))
    np.add.at(sums, stretch, columns)
    return np.asarray(columns - (sums / counts)[stretch])


def _column(system: System, index: int, elapsed: Array, integrals: Array) -> Array:
    column = system.rates[index].column
    return elapsed if column is None else np.asarray(integrals[:, column])


def _least_squares(columns: Array, target: Array, signs: Array) -> Array:
    """Return coefficients, each zero or of its sign; a rate of free sign counts as a positive and a negative one."""
    scale = np.linalg.norm(columns, axis=0)
    scale[scale == 0] = 1.0
    positive, negative = signs >= 0, signs <= 0
    design = np.concatenate([columns[:, positive] / scale[positive], -columns[:, negative] / scale[negative]], axis=1)
    found, _ = nnls(design, target, maxiter=50 * design.shape[1])
    values = np.zeros(len(signs))
    values[positive] += found[: positive.sum()]
    values[negative] -= found[positive.sum() :]
    return np.asarray(values / scale)
