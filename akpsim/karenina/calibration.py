r"""False-positive rates of the tests, on the user's own members.

All groups are centred and rescaled, so that nothing is left to find; then small studies are drawn from the pool without
replacement, labelled at random and tested.  A test at level .05 should reject .05 of them.
"""

from math import comb
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from akpsim.checks import at_least, generator, in_range, listed
from akpsim.distances import at_least_two, groups_of, made_of, varied
from akpsim.errors import InvalidData
from akpsim.karenina.centres import centred_space, space_of
from akpsim.karenina.design import Design, Options
from akpsim.karenina.disperse import disperse_one
from akpsim.karenina.location import group_sums, observed_sums
from akpsim.karenina.permanova import f_from_sums
from akpsim.permutations import Relabelings, Seed, p_value, relabelings, shuffled
from akpsim.progress import Progress
from akpsim.store import provenance

TESTS = ("interval", "permutation", "wd_star", "permanova")
FEW = 2000
"""Relabelings are enumerated up to so many; a thousand studies of 15,504 each would take minutes."""


def calibrate(
    dist: Any,
    by: Any = None,
    *,
    sizes: tuple[int, int] = (5, 5),
    repetitions: int = 1000,
    level: float = 0.05,
    permutations: int = 199,
    seed: Seed = None,
    progress: bool = False,
) -> xr.Dataset:
    """Return the share of true nulls that each test rejects.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances between the members to draw from.
    by : str or sequence, optional
        Groups to centre before they are pooled; by default one group.  Groups of one member are left out.
    sizes : tuple of two int
        Members in the two groups of a drawn study.
    repetitions : int
        How many studies.
    level : float
        Of the tests.
    permutations : int
        Relabelings a study, unless few exist.
    seed : int or Generator, optional
        Source of randomness.
    progress : bool
        Show on standard error how far the work is.

    Returns
    -------
    Dataset
        ``rate``, ``rate_lower``, ``rate_upper`` (test): for the interval of the effect, the permutation test of
        dispersion, W*d and PERMANOVA, with Wilson's 95 % interval.  attrs: ``smallest_p``, the
        least that relabelings can give.

    Raises
    ------
    InvalidData
        If the pool has fewer members than a study.
    """
    in_range(level, "level", 0, 1)
    at_least(repetitions, "repetitions", 1)
    checked = varied(dist)
    pool = _pool(checked, by)
    if len(listed(sizes, "sizes", "two numbers of members")) != 2:
        raise InvalidData(f"`sizes` are numbers of members of two groups, got {len(sizes)}")
    first, second = (at_least(size, "sizes", 2) for size in sizes)
    n = first + second
    if len(pool) < n:
        raise InvalidData(f"studies of {first} + {second} members need a pool of {n}, got {len(pool)}")
    codes = np.repeat([0, 1], [first, second])
    rng = generator(seed)
    rejected = np.zeros((repetitions, len(TESTS)))
    with Progress("studies", total=repetitions, show=progress) as bar:
        for row in rejected:
            chosen = rng.permutation(len(pool))[:n]
            row[:] = _p_values(pool[np.ix_(chosen, chosen)], codes, permutations, rng) <= level
            bar.advance()
    return _rates(rejected).assign_attrs(
        made_of(checked)
        | provenance(
            sizes=[first, second], repetitions=repetitions, level=level, permutations=permutations, n=len(pool)
        )
        | {"smallest_p": _drawn(codes, permutations, rng).smallest_p}
        | {"result": "calibration"}
    )


def _pool(checked: xr.DataArray, by: Any) -> np.ndarray:
    """Return the distances between members after every group is centred and rescaled."""
    labels = np.zeros(checked.sizes["member"], dtype=int) if by is None else groups_of(checked, by)
    if by is not None:
        at_least_two(labels)
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = counts[codes] > 1
    values = checked.values[np.ix_(kept, kept)]
    if not kept.any():
        raise InvalidData(f"every group has one member ({len(names)} groups): nothing is left once they are centred")
    space = centred_space(space_of(values), np.unique(codes[kept], return_inverse=True)[1])
    matrix = space.real if space.imaginary is None else space.real - space.imaginary
    diagonal = np.diag(matrix)
    distances: np.ndarray = np.sqrt(np.maximum(diagonal[:, None] + diagonal - 2 * matrix, 0))
    np.fill_diagonal(distances, 0)
    if distances.max() <= 1e-6 * checked.values.max():
        raise InvalidData("members of a group are all alike: nothing is left to draw from once groups are centred")
    return distances


def _p_values(values: np.ndarray, codes: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return the p-value of each test for one study."""
    drawn = _drawn(codes, permutations, rng)
    found = disperse_one(values, Design(codes, ["a", "b"], codes, drawn), Options())
    sizes = np.bincount(codes)
    squared = values**2
    f = float(f_from_sums(observed_sums(squared, codes), sizes)[0])
    f_null = f_from_sums(group_sums(squared, drawn.codes), sizes)
    p = [p_value(found.null, found.statistic), p_value(found.wd_null, found.wd), p_value(f_null, f)]
    return np.array([found.effect.p, *map(float, p)])


def _drawn(codes: np.ndarray, permutations: int, rng: np.random.Generator) -> Relabelings:
    """Return the relabelings of a study: all if they are few."""
    if comb(len(codes), int(codes.sum())) <= FEW:
        return relabelings(codes, permutations=permutations)
    orders = shuffled(len(codes), permutations, [np.arange(len(codes))], rng)
    return Relabelings(codes[orders], False, 1 / (permutations + 1))


def _rates(rejected: np.ndarray) -> xr.Dataset:
    """Return rates with Wilson's interval."""
    many = len(rejected)
    intervals = [stats.binomtest(int(column.sum()), many).proportion_ci(method="wilson") for column in rejected.T]
    return xr.Dataset(
        {
            "rate": ("test", rejected.mean(axis=0)),
            "rate_lower": ("test", [float(each.low) for each in intervals]),
            "rate_upper": ("test", [float(each.high) for each in intervals]),
        },
        coords={"test": list(TESTS)},
    )
