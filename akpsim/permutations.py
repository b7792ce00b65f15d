r"""Permutations: which relabelings, how many, and the one place where a p-value is made.

With :math:`h` of :math:`m` random relabelings at least as extreme as what was observed,
:math:`p = (h + 1) / (m + 1)` (Phipson and Smyth 2010): the observed labels are one of the relabelings.  When there are
few enough, all are taken, and the same formula is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations as orders
from itertools import product
from math import comb, factorial, prod

import numpy as np

from akpsim.checks import at_least, generator
from akpsim.errors import InvalidData

Seed = int | np.random.Generator | None
COMPLETE = 20_000
"""At most so many relabelings are enumerated completely."""
TIE = 1e-9
"""Two statistics closer than this, relative to their size, are tied."""


@dataclass(frozen=True)
class Relabelings:
    """Relabelings of members, the observed one left out.

    Attributes
    ----------
    codes : array of int, shape (relabeling, member)
        Group of each member, or position it takes its value from.
    complete : bool
        Whether these are all there are.
    smallest_p : float
        The smallest p-value that can come out.
    """

    codes: np.ndarray
    complete: bool
    smallest_p: float

    @property
    def attrs(self) -> dict[str, int | float]:
        """What belongs beside every p-value."""
        return {
            "permutations": len(self.codes),
            "complete_enumeration": int(self.complete),
            "smallest_p": self.smallest_p,
        }

    @property
    def words(self) -> str:
        """The same in words."""
        kind = "complete" if self.complete else "random"
        return f"{len(self.codes)} relabelings, {kind}; smallest attainable p {self.smallest_p:.3g}"


def relabelings(
    codes: np.ndarray, *, permutations: int = 999, blocks: np.ndarray | None = None, seed: Seed = None
) -> Relabelings:
    """Return relabelings of members inside blocks: all if there are at most 20,000, else random ones.

    Parameters
    ----------
    codes : array of int, shape (member,)
        Group of each member, 0, 1, ...
    permutations : int
        How many random ones.
    blocks : array, shape (member,), optional
        Members are relabelled only inside a block.
    seed : int or Generator, optional
        Source of randomness.

    Raises
    ------
    InvalidData
        If no block holds two groups, so that nothing can be relabelled.
    """
    at_least(permutations, "permutations", 1)
    rng = generator(seed)
    codes = codes.astype(np.int16)  # passes over many relabelings cost what they read
    inside = _members_of_blocks(len(codes), blocks)
    counts = np.array([np.bincount(codes[members], minlength=codes.max() + 1) for members in inside])
    total = prod(_arrangements(row) for row in counts)
    if total == 1:
        raise InvalidData(f"nothing can be permuted: none of {len(inside)} blocks holds members of two groups")
    _, multiplicity = np.unique(counts, axis=1, return_counts=True)
    interchangeable = prod(factorial(int(many)) for many in multiplicity)
    if total <= COMPLETE:
        found = _all_relabelings(codes, inside)
        return Relabelings(found[(found != codes).any(axis=1)], True, interchangeable / total)
    found = codes[shuffled(len(codes), permutations, inside, rng)]
    return Relabelings(found, False, max(1 / (permutations + 1), interchangeable / total))


def rearrangements(
    n: int, *, permutations: int = 999, blocks: np.ndarray | None = None, seed: Seed = None
) -> Relabelings:
    """Return rearrangements of `n` members inside blocks, as positions: all if there are at most 20,000."""
    at_least(permutations, "permutations", 1)
    rng = generator(seed)
    inside = _members_of_blocks(n, blocks)
    total = prod(factorial(len(members)) for members in inside)
    if total == 1:
        raise InvalidData(f"nothing can be permuted: each of {len(inside)} blocks holds one member")
    if total <= COMPLETE:
        found = _all_relabelings(np.arange(n), inside)
        return Relabelings(found[(found != np.arange(n)).any(axis=1)], True, 1 / total)
    found = shuffled(n, permutations, inside, rng)
    return Relabelings(found, False, 1 / (permutations + 1))


def shuffled(n: int, permutations: int, inside: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return random rearrangements (permutation, member) that keep members inside their blocks."""
    found = np.tile(np.arange(n), (permutations, 1))
    for members in inside:
        found[:, members] = rng.permuted(found[:, members], axis=1)
    return found


def p_value(statistics: np.ndarray, observed: np.ndarray | float) -> np.ndarray:
    """Return the share of relabelings, the observed one included, at least as large as `observed`.

    Parameters
    ----------
    statistics : array, shape (relabeling, ...)
        Large is extreme.  A statistic that is not a number counts as extreme.
    observed : array, shape (...)
        The statistic of the observed labels.
    """
    observed = np.asarray(observed, dtype=np.float64)
    slack = np.where(np.isfinite(observed), TIE * np.maximum(np.abs(observed), TIE), 0)  # infinite: ties are equal
    hits = (~(statistics < observed - slack)).sum(axis=0)
    return np.asarray((hits + 1) / (len(statistics) + 1))


def step_down(statistics: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for several tests on the same relabelings by step-down maxT.

    Parameters
    ----------
    statistics : array, shape (relabeling, test)
        The tests' statistics under the same relabelings, on one scale.
    observed : array, shape (test,)
        Those of the observed labels.

    References
    ----------
    Westfall and Young (1993), "Resampling-based multiple testing", algorithm 4.1.
    """
    order = np.argsort(-observed, kind="stable")
    running = np.maximum.accumulate(statistics[:, order[::-1]], axis=1)[:, ::-1]
    adjusted = np.maximum.accumulate(p_value(running, observed[order]))
    found = np.empty(len(observed))
    found[order] = adjusted
    return found


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for how many there are by Holm's (1979) step-down; NaN are left out."""
    found = np.full(len(p), np.nan)
    there = np.flatnonzero(np.isfinite(p))
    order = there[np.argsort(p[there])]
    found[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return found


def false_discovery(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted to control the false discovery rate (Benjamini and Hochberg 1995)."""
    order = np.argsort(p)[::-1]
    scaled = p[order] * len(p) / np.arange(len(p), 0, -1)
    found = np.empty(len(p))
    found[order] = np.minimum(np.minimum.accumulate(scaled), 1)
    return found


def _members_of_blocks(n: int, blocks: np.ndarray | None) -> list[np.ndarray]:
    if blocks is None:
        return [np.arange(n)]
    return [np.flatnonzero(blocks == block) for block in np.unique(blocks)]


def _arrangements(counts: np.ndarray) -> int:
    """Return the number of ways to hand out labels that come so many times each."""
    left, ways = int(counts.sum()), 1
    for count in map(int, counts):
        ways *= comb(left, count)
        left -= count
    return ways


def _all_relabelings(codes: np.ndarray, inside: list[np.ndarray]) -> np.ndarray:
    """Return every distinct relabeling (relabeling, member)."""
    each = [_all_orders(codes[members]) for members in inside]
    found = np.empty((prod(len(rows) for rows in each), len(codes)), dtype=codes.dtype)
    for row, chosen in enumerate(product(*each)):
        for members, labels in zip(inside, chosen, strict=True):
            found[row, members] = labels
    return found


def _all_orders(codes: np.ndarray) -> np.ndarray:
    """Return every distinct order of labels, some of which may be equal."""
    if len(np.unique(codes)) == len(codes):
        return np.array(list(orders(codes)))
    return np.array(list(_distinct(dict(zip(*np.unique(codes, return_counts=True), strict=True)), len(codes))))


def _distinct(left: dict[int, int], length: int) -> Iterator[tuple[int, ...]]:
    if not length:
        yield ()
        return
    for code in left:
        if left[code]:
            remaining = left | {code: left[code] - 1}
            yield from ((code, *rest) for rest in _distinct(remaining, length - 1))
