r"""Levenberg and Marquardt's method for many small problems at once.

Each problem has a cost, its gradient :math:`g` and its Gauss-Newton curvature :math:`H`; the step solves
:math:`(H + \lambda \, \mathrm{diag} H) \, \delta = -g`.  Every problem has a :math:`\lambda` of its own, and leaves the
batch when its step no longer promises anything.

The logarithm of a rate on its way to zero hardly matters any more: its curvature vanishes, and undamped it would take
the whole of every step.  No diagonal is therefore taken as less than a share of the largest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Array = np.ndarray
Evaluate = Callable[[Array, Array], tuple[Array, Array, Array]]
"""(parameters (problem, parameter), problems' indices) -> cost, gradient, curvature; an infinite cost is refused."""

CRAWL = 10.0
"""A step that gains less than so many tolerances ends a problem: it creeps along a direction that hardly matters."""

LEAST_DAMPED = 1e-2
"""Share of the largest curvature below which damping takes no parameter's own."""

LONGEST_STEP = 2.0
"""In log parameters: no rate changes by more than a factor of seven in one step."""


@dataclass
class Minimum:
    """Where each problem ended: parameters, cost, gradient, curvature, whether it converged."""

    parameters: Array
    cost: Array
    gradient: Array
    curvature: Array
    converged: Array
    iterations: int


def minimise(
    evaluate: Evaluate,
    start: Float[Array, "problem parameter"],
    *,
    lower: Float[Array, "..."] | float = -np.inf,
    upper: Float[Array, "..."] | float = np.inf,
    fixed: Bool[Array, "problem parameter"] | None = None,
    iterations: int = 40,
    tolerance: float = 1e-9,
) -> Minimum:
    """Minimise a batch of problems.

    Parameters
    ----------
    evaluate : callable
        Gives cost, gradient and curvature of the problems asked for.
    start : array, shape (problem, parameter)
        Where to begin.
    lower, upper : array
        Bounds that parameters are clipped to, broadcast against `start`.
    fixed : array of bool, optional
        Parameters that keep their value, as do those at a bound with a slope that points outward.
    iterations : int
        At most so many evaluations.
    tolerance : float
        A problem has converged when its next step promises less than this share of its cost, or its last one gained
        less than ten times this share.

    Returns
    -------
    Minimum
        Problems whose cost was infinite from the start keep an infinite cost.
    """
    parameters = start.copy()
    lower, upper = np.broadcast_to(lower, start.shape), np.broadcast_to(upper, start.shape)
    everything = np.arange(len(start))
    cost, gradient, curvature = evaluate(parameters, everything)
    damping = np.full(len(start), 1e-3)
    converged = np.zeros(len(start), dtype=bool)
    active = everything[np.isfinite(cost)]
    count = 1
    while active.size and count < iterations:
        still = (parameters[active] <= lower[active]) & (gradient[active] > 0)
        still |= (parameters[active] >= upper[active]) & (gradient[active] < 0)
        if fixed is not None:
            still |= fixed[active]
        step, promised = _step(gradient[active], curvature[active], damping[active], still)
        done = promised <= tolerance * cost[active] + 1e-300
        converged[active[done]] = True
        active, step = active[~done], step[~done]
        if not active.size:
            break
        trial = np.clip(parameters[active] + step, lower[active], upper[active])
        new_cost, new_gradient, new_curvature = evaluate(trial, active)
        count += 1
        better = new_cost < cost[active]
        gained = np.where(better, cost[active] - new_cost, np.inf)
        crawls = gained <= CRAWL * tolerance * new_cost
        kept = active[better]
        parameters[kept], cost[kept] = trial[better], new_cost[better]
        gradient[kept], curvature[kept] = new_gradient[better], new_curvature[better]
        damping[active] *= np.where(better, 0.2, 8.0)
        converged[active[crawls]] = True
        active = active[~crawls & (damping[active] < 1e12)]
    return Minimum(parameters, cost, gradient, curvature, converged, count)


def _step(gradient: Array, curvature: Array, damping: Array, fixed: Array) -> tuple[Array, Array]:
    """Return the damped step, shortened if long, and the decrease it promises."""
    diagonal = np.einsum("kpp->kp", curvature)
    largest = diagonal.max(axis=1, keepdims=True) + 1e-300
    damped = curvature.copy()
    np.einsum("kpp->kp", damped)[...] += damping[:, None] * np.maximum(diagonal, LEAST_DAMPED * largest)
    np.einsum("kpp->kp", damped)[...] += 1e-12 * largest
    if fixed.any():
        gradient = np.where(fixed, 0.0, gradient)
        damped = np.where(fixed[:, :, None] | fixed[:, None, :], 0.0, damped)
        np.einsum("kpp->kp", damped)[...] += fixed
    step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
    step *= np.minimum(1.0, LONGEST_STEP / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
    bend = np.einsum("kp,kpq,kq->k", step, curvature, step)
    return step, -np.einsum("kp,kp->k", step, gradient) - bend / 2
