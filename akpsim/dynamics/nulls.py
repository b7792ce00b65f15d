r"""One-step models in logs: what a trajectory looks like with memory and noise but no ecology.

With :math:`x_t = \log W_t` these predict :math:`x_{t+1}` from :math:`x_t`: a random walk by :math:`x_t` itself,
``ar1`` by a line of its own for each population, ``var1`` by a linear map of all of them, rotations included.  The
first state is a free parameter of each, as it is of every trajectory model, so that all likelihoods are of the same
observations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from akpsim.dynamics.forms import Array
from akpsim.registry import Registry


@dataclass(frozen=True)
class Null:
    """A one-step model: `fit` gives map and intercept from logs; `coefficients` counts what it estimates."""

    name: str
    summary: str
    fit: Callable[[Array], tuple[Array, Array]]
    coefficients: Callable[[int], int]


def one_step(
    null: Null, logs: Float[Array, "batch time population"]
) -> tuple[Float[Array, " batch"], Float[Array, "batch population population"], Float[Array, "batch population"]]:
    """Fit a null to a batch; return sums of squares of one-step errors, the maps and the intercepts."""
    matrix, intercept = null.fit(logs)
    errors = logs[:, 1:] - predicted(logs[:, :-1], matrix, intercept)
    return (errors**2).sum(axis=(1, 2)), matrix, intercept


def predicted(
    logs: Float[Array, "batch time population"], matrix: Array, intercept: Array
) -> Float[Array, "batch time population"]:
    """Return the logs that are expected one step later."""
    return np.asarray(logs @ matrix.transpose(0, 2, 1) + intercept[:, None])


def forecast(last: Float[Array, "batch population"], matrix: Array, intercept: Array, *, steps: int) -> Array:
    """Return the logs expected 1, ..., `steps` steps after `last`: (batch, step, population)."""
    found, state = [], last[:, None]
    for _ in range(steps):
        state = predicted(state, matrix, intercept)
        found.append(state[:, 0])
    return np.stack(found, axis=1)


def _random_walk(logs: Array) -> tuple[Array, Array]:
    batch, _, species = logs.shape
    return np.broadcast_to(np.eye(species), (batch, species, species)), np.zeros((batch, species))


def _ar1(logs: Array) -> tuple[Array, Array]:
    before, after = logs[:, :-1], logs[:, 1:]
    centred = before - before.mean(axis=1, keepdims=True)
    variance = np.maximum((centred**2).sum(axis=1), np.finfo(float).tiny)
    slope = (centred * after).sum(axis=1) / variance
    return slope[:, :, None] * np.eye(logs.shape[2]), after.mean(axis=1) - slope * before.mean(axis=1)


def _var1(logs: Array) -> tuple[Array, Array]:
    before, after = logs[:, :-1], logs[:, 1:]
    centred = before - before.mean(axis=1, keepdims=True)
    matrix = (np.linalg.pinv(centred) @ after).transpose(0, 2, 1)
    return matrix, after.mean(axis=1) - (matrix @ before.mean(axis=1)[..., None])[..., 0]


NULLS: Registry[Null] = Registry(
    "null model",
    [
        Null("random_walk", "each step goes anywhere", _random_walk, lambda n: 0),
        Null("ar1", "each population returns to its mean, or drifts, by itself", _ar1, lambda n: 2 * n),
        Null("var1", "a linear map of all populations in logs, rotations included", _var1, lambda n: n * n + n),
    ],
)
