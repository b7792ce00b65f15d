r"""The period, the rest point and the invariant of Lotka and Volterra's system, exactly.

The system keeps :math:`H = d W_1 - c \log W_1 + b W_2 - a \log W_2`.  With :math:`x = d W_1 / c`,
:math:`y = b W_2 / a`, :math:`f(x) = x - 1 - \log x` and :math:`E = c f(x) + a f(y)`, an orbit is
:math:`c f(x) = E \cos^2 \varphi`, :math:`a f(y) = E \sin^2 \varphi`, and one turn of :math:`\varphi` takes

.. math:: T = \oint \frac{2 E \cos\varphi \sin\varphi}{a c \, (x - 1)(y - 1)} \, d\varphi .

The integrand is smooth and periodic, so that the trapezoid rule converges faster than any power of its step.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from akpsim.dynamics.forms import Array

NODES = 64
MOST_NODES = 65536
ROUNDS = 60
SERIES = 1.0 / np.cumprod(np.arange(1.0, 19.0))[1:]
"""1/2!, 1/3!, ..., 1/18!."""


def equilibrium(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> tuple[Array, Array]:
    """Return the populations at rest, (c/d, a/b); infinite where an interaction is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(c, d), np.divide(a, b)


def invariant(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, prey: ArrayLike, predator: ArrayLike) -> Array:
    """Return H = d W1 - c log W1 + b W2 - a log W2, constant along every trajectory."""
    a, b, c, d, prey, predator = (np.asarray(v, dtype=float) for v in (a, b, c, d, prey, predator))
    return np.asarray(d * prey - c * np.log(prey) + b * predator - a * np.log(predator))


def period(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, prey: ArrayLike, predator: ArrayLike) -> Array:
    r"""Return the period of the orbit through (prey, predator).

    Parameters
    ----------
    a, b, c, d : array
        Rates, broadcast against each other; NaN comes back where one is not positive: no interaction, no cycle.
    prey, predator : array
        A point of the orbit.

    Returns
    -------
    array
        In the units of time of the rates; :math:`2 \pi / \sqrt{a c}` at rest.
    """
    a, b, c, d, prey, predator = (np.asarray(v, dtype=float) for v in np.broadcast_arrays(a, b, c, d, prey, predator))
    found = np.full(a.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        everything = np.array([a, b, c, d, prey, predator])
        good = np.isfinite(everything).all(axis=0) & (everything > 0).all(axis=0)
    for place in zip(*np.nonzero(good), strict=True) if a.ndim else [()] if good else []:
        found[place] = _period(*(float(v[place]) for v in (a, b, c, d, prey, predator)))
    return found


def _period(a: float, b: float, c: float, d: float, prey: float, predator: float) -> float:
    energy = c * _excess(np.log(d * prey / c)) + a * _excess(np.log(b * predator / a))
    if energy <= 1e-24 * max(a, c):
        return float(2 * np.pi / np.sqrt(a * c))
    before, nodes = np.inf, NODES
    while True:
        # Nodes at half steps keep clear of the removable zeros over zeros on the axes.
        angle = (np.arange(nodes) + 0.5) * (2 * np.pi / nodes)
        cosine, sine = np.cos(angle), np.sin(angle)
        x = np.expm1(_branch(energy / c * cosine**2, cosine))
        y = np.expm1(_branch(energy / a * sine**2, sine))
        value = float(np.mean(cosine * sine / (x * y)) * 4 * np.pi * energy / (a * c))
        if abs(value - before) <= 1e-13 * value or nodes >= MOST_NODES:
            return value
        before, nodes = value, 2 * nodes


def _excess(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return e^v - 1 - v without cancellation."""
    v = np.asarray(v, dtype=float)
    series = v**2 * np.polynomial.polynomial.polyval(v, SERIES)
    return np.asarray(np.where(np.abs(v) < 0.5, series, np.expm1(v) - v))


def _branch(height: Float[Array, " node"], side: Float[Array, " node"]) -> Float[Array, " node"]:
    """Solve e^v - 1 - v = height for the v of the sign of `side`, by Newton's method from beyond the root."""
    root = np.sqrt(2 * height)
    v = np.where(side > 0, np.log1p(height + root), -np.minimum(height + 1, root * (1 + root)))
    for _ in range(ROUNDS):
        step = (_excess(v) - height) / np.expm1(v)
        v = v - step
        if np.all(np.abs(step) <= 4e-16 * np.abs(v)):
            break
    return np.asarray(v)
