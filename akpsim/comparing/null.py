r"""What chance alone gives: mean and standard deviation over all orders of the samples, without trying any.

For symmetric matrices :math:`K, L` whose rows sum to zero, over all n! permutations :math:`\pi` of the samples of one,

.. math::
    E \langle K, L_\pi \rangle &= \frac{T_K T_L}{n - 1} \\
    \mathrm{Var} \langle K, L_\pi \rangle &= \frac{2 A_K A_L}{(n+1)(n-1)^2(n-2)}
        + \frac{B_K B_L}{(n+1) n (n-1)(n-2)(n-3)}

with :math:`T = \mathrm{tr} K`, :math:`A = (n-1) \|K\|^2 - T^2` and
:math:`B = n(n+1) \sum_i K_{ii}^2 - (n-1)(T^2 + 2 \|K\|^2)`: three numbers a representation (Kazi-Aoual, Hitier,
Sabatier, Lebreton 1995, "Refined approximations to permutation tests for multivariate inference", Computational
Statistics and Data Analysis 20, section 3).
"""

from typing import NamedTuple

import numpy as np

from akpsim.comparing.engine import Products
from akpsim.errors import UndefinedMetric

ROUNDING = 32
"""Units of rounding below which a difference of sums over samples is nothing."""


class Null(NamedTuple):
    """Mean and standard deviation of each cell over all orders of the samples."""

    mean: np.ndarray
    sd: np.ndarray


def permutation_null(products: Products, estimator: str) -> Null:
    """Return the exact permutation mean and standard deviation of every alignment.

    Parameters
    ----------
    products : Products
        As the engine returns them.
    estimator : str
        ``"biased"`` or ``"debiased"``.

    Raises
    ------
    UndefinedMetric
        Below 4 samples.
    """
    n = products.diagonal.shape[1]
    if n < 4:
        raise UndefinedMetric(f"the permutation null is undefined below 4 samples, got {n}")
    squares = np.diagonal(products.inner(estimator))
    with np.errstate(divide="ignore", invalid="ignore"):  # representations without a value have no norm
        unit = np.where(squares > 0, 1 / np.sqrt(squares), np.nan)
    trace = products.diagonal.sum(axis=1) * unit
    diagonal = (products.diagonal**2).sum(axis=1) * unit**2
    if estimator == "debiased":  # U-centred matrices have zero diagonals
        trace, diagonal = np.zeros_like(trace) * unit, np.zeros_like(diagonal) * unit
    return moments(trace, diagonal, n, eps=products.eps)


def moments(trace: np.ndarray, diagonal: np.ndarray, n: int, *, eps: float = 2**-52) -> Null:
    """Return mean and standard deviation for matrices of unit norm from their traces and sums of squared diagonals.

    A matrix of rank n - 1 with equal eigenvalues looks the same in every order; where nothing but rounding, in units of
    `eps`, tells a matrix from it, the standard deviation is NaN.
    """
    a = (n - 1) - trace**2
    b = n * (n + 1) * diagonal - (n - 1) * (trace**2 + 2)
    a[np.abs(a) < ROUNDING * eps * (n - 1)] = 0
    b[np.abs(b) < ROUNDING * eps * n * (n - 1)] = 0
    variance = 2 * np.outer(a, a) / ((n + 1) * (n - 1) ** 2 * (n - 2))
    variance = variance + np.outer(b, b) / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    return Null(np.outer(trace, trace) / (n - 1), np.sqrt(np.where(variance > 0, variance, np.nan)))
