r"""How much more different from each other: the log ratio of mean pairwise distances, with its interval.

The spread of a group is :math:`u_g`, the mean distance between two of its members; the effect of an unhappy group
against a happy one is :math:`\log(u_u / u_h)`.  Distances share members, so they are not independent and no test may
count them as observations.  Members are: leaving each out in turn gives pseudo-values
:math:`n \log u_g - (n - 1) \log u_{g,-i}`, whose mean's variance is that of :math:`\log u_g` (Tukey's jackknife;
Arvesen 1969 for U-statistics).  Variances of groups add, with Welch's degrees of freedom.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from akpsim.errors import InvalidData

SMALLEST_FOR_INTERVAL = 3
FEWEST_BLOCKS = 5


class Estimate(NamedTuple):
    """A value, its interval (NaN if there is none), degrees of freedom and the p-value of no effect."""

    value: float
    lower: float
    upper: float
    freedom: float
    p: float


class Spread(NamedTuple):
    """Log of the mean distance between two members of a group, and the pseudo-values of its members."""

    log_mean: float
    pseudo: np.ndarray

    @property
    def variance(self) -> float:
        """Squared standard error of `log_mean`; NaN for two members, or if all but one are alike."""
        known = len(self.pseudo) >= 2 and np.isfinite(self.pseudo).all()
        return float(self.pseudo.var(ddof=1) / len(self.pseudo)) if known else np.nan


def spreads(values: np.ndarray, codes: np.ndarray, groups: list[str]) -> list[Spread]:
    """Return the spread of each group.

    Parameters
    ----------
    values : array, shape (member, member)
        Distances.
    codes : array of int, shape (member,)
        Group of each member, each of two members at least.
    groups : list of str
        Names of groups, for messages.

    Raises
    ------
    InvalidData
        If all members of a group are at distance zero, so that no ratio exists.
    """
    found = []
    for code, name in enumerate(groups):
        members = codes == code
        inside = values[np.ix_(members, members)]
        if not inside.any():
            raise InvalidData(f"all members of group {name} are at distance zero from each other: no ratio exists")
        found.append(spread(inside))
    return found


def spread(inside: np.ndarray) -> Spread:
    """Return the spread of a group from the distances between its members."""
    n = len(inside)
    rows = inside.sum(axis=1)
    total = rows.sum()
    log_mean = np.log(total / (n * (n - 1)))
    if n < SMALLEST_FOR_INTERVAL:
        return Spread(float(log_mean), np.array([]))
    left = np.maximum(total - 2 * rows, 0) / ((n - 1) * (n - 2))
    with np.errstate(divide="ignore"):
        pseudo = n * log_mean - (n - 1) * np.log(left)
    return Spread(float(log_mean), pseudo)


def contrast(found: list[Spread], weights: np.ndarray, *, confidence: float = 0.95) -> Estimate:
    """Return a weighted sum of log mean distances, with Welch's interval.

    The interval is NaN if a group of non-zero weight has fewer than three members, or if nothing varies.
    """
    value = float(sum(weight * each.log_mean for weight, each in zip(weights, found, strict=True) if weight))
    used = [(weight, each) for weight, each in zip(weights, found, strict=True) if weight]
    parts = np.array([weight**2 * each.variance for weight, each in used])
    sizes = np.array([len(each.pseudo) for _, each in used])
    variance = parts.sum()
    if not np.isfinite(variance) or variance <= 1e-20:
        return Estimate(value, np.nan, np.nan, np.nan, np.nan)
    return interval(value, variance, variance**2 / (parts**2 / (sizes - 1)).sum(), confidence=confidence)


def blocked_contrast(
    values: np.ndarray, codes: np.ndarray, weights: np.ndarray, blocks: np.ndarray, *, confidence: float = 0.95
) -> Estimate | None:
    """Return a weighted sum of log mean distances whose interval leaves out whole blocks, or None if it cannot.

    Members of one block, such as one seed in several families, are alike beyond their group; leaving them out together
    counts them as one.  Five blocks at least are needed, and without any of them each group must keep two members.
    """
    names = np.unique(blocks)
    if len(names) < FEWEST_BLOCKS:
        return None
    left = np.array([_contrast_of(values, codes, weights, blocks != name) for name in names])
    value = _contrast_of(values, codes, weights, np.ones(len(codes), dtype=bool))
    if not np.isfinite(left).all() or np.ptp(left) <= 1e-10:
        return None
    many = len(names)
    variance = float((many - 1) / many * ((left - left.mean()) ** 2).sum())
    return interval(value, variance, many - 1, confidence=confidence)


def _contrast_of(values: np.ndarray, codes: np.ndarray, weights: np.ndarray, kept: np.ndarray) -> float:
    """Return a weighted sum of log mean distances among the members kept; NaN if a group has no two that differ."""
    total = 0.0
    for code in np.flatnonzero(weights):
        members = kept & (codes == code)
        inside = values[np.ix_(members, members)]
        n = len(inside)
        total += weights[code] * np.log(inside.sum() / (n * (n - 1))) if n > 1 and inside.any() else np.nan
    return float(total)


def interval(value: float, variance: float, freedom: float, *, confidence: float = 0.95) -> Estimate:
    """Return Student's interval about a value."""
    error = float(np.sqrt(variance))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Estimate(value, value - half, value + half, float(freedom), p)


def against_reference(number: int) -> np.ndarray:
    """Return the weights that compare the mean of all other groups with the reference, the first."""
    weights = np.full(number, 1 / (number - 1))
    weights[0] = -1
    return weights


def pair_weights(number: int, first: int, second: int) -> np.ndarray:
    """Return the weights that compare `second` with `first`."""
    weights = np.zeros(number)
    weights[first], weights[second] = -1, 1
    return weights


def columns(name: str, dimension: str, estimates: list[Estimate]) -> dict[str, Any]:
    """Return variables of a result: values and both ends of their intervals."""
    value, lower, upper = np.array([estimate[:3] for estimate in estimates]).T
    return {name: (dimension, value), f"{name}_lower": (dimension, lower), f"{name}_upper": (dimension, upper)}
