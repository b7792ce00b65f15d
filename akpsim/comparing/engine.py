r"""Inner products of the linear Gram matrices of all pairs of representations: the engine of the CKA family.

For representations :math:`X_a` (sample, neuron), centred, let :math:`K_a = X_a X_a^\top` and :math:`d_a` its diagonal.
The engine returns :math:`P_{ab} = \sum_{i \neq j} K_a[i, j] K_b[i, j]` and :math:`d_a`; both estimators follow:

- biased: :math:`\langle K_a, K_b \rangle = P_{ab} + d_a \cdot d_b`;
- debiased: rows of :math:`K_a` sum to zero, so that without the diagonal they sum to :math:`-d_a`, and HSIC_1 is, up to
  n (n - 3), :math:`P_{ab} + \frac{(1 \cdot d_a)(1 \cdot d_b)}{(n-1)(n-2)} - \frac{2}{n-2} d_a \cdot d_b`.

Each representation is centred once; its Gram matrix is computed on and below the diagonal only, in tiles laid side by
side in one row of a buffer; all pairs are one product of that buffer with itself, in which tiles off the diagonal
count twice.  With few neurons and many samples :math:`\langle K_a, K_b \rangle = \|X_a^\top X_b\|_F^2` is cheaper;
multiplications are counted and the cheaper way is taken.  Small terms and sums over tiles are in float64.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from akpsim.cluster import each
from akpsim.comparing.align import Aligned
from akpsim.comparing.centring import Centring
from akpsim.comparing.tiles import BLOCKS, Plan, Tile, entries, places, plan_batches, plan_tiles
from akpsim.comparing.work import Work, work_on
from akpsim.errors import UndefinedMetric
from akpsim.metrics.cka import SAME
from akpsim.metrics.metric import Array, as_numpy, check_table
from akpsim.parallel import blas_threads, side_by_side
from akpsim.progress import Progress

SAFE = {4: (1e-8, 1e15), 8: (1e-100, 1e100)}
"""Traces of a Gram matrix between which no product over- or underflows, by bytes of a number."""


ONCE = 2**31
"""Bytes up to which representations of a store are read once, and not each time they are needed, without a cap."""
PART = 2**16
"""Entries of each Gram matrix that are multiplied at a time."""
TASKS = 8
"""Fewest parts of the work if it is for a cluster, however many workers it has, so that sums do not depend on that."""


@dataclass(frozen=True)
class Products:
    """Inner products of Gram matrices: `off` (member, member) without their diagonals, `diagonal` (member, sample).

    Every representation is in a unit of its own, which no alignment depends on; `means` (member) are the squared norms
    of the means that were taken off, in those units.
    """

    off: np.ndarray
    diagonal: np.ndarray
    means: np.ndarray
    eps: float = float(np.finfo(np.float64).eps)
    """Spacing of numbers in the precision in which they were computed."""
    by_feature: bool = False
    """Whether `off` is what the diagonals leave of whole products."""

    def cancels(self, estimator: str) -> float:
        """Return by how much the terms of a norm are larger than it is, for the representation where that is most."""
        n = self.diagonal.shape[1]
        d, whole = (self.diagonal**2).sum(axis=1), self.diagonal.sum(axis=1) ** 2
        off = np.diagonal(self.off)
        terms = np.abs(off) + (d if self.by_feature else 0.0)
        terms = terms + (d if estimator == "biased" else whole / ((n - 1) * (n - 2)) + d * (2 / (n - 2)))
        norms = np.diagonal(self.inner(estimator))
        there = terms > 0  # not so of representations without a value
        return float((terms[there] / np.maximum(norms[there], terms[there] * self.eps)).max(initial=1.0))

    def inner(self, estimator: str) -> np.ndarray:
        """Return the inner products of all pairs under an estimator, ``"biased"`` or ``"debiased"``."""
        d, n = self.diagonal, self.diagonal.shape[1]
        products: np.ndarray = d @ d.T
        if estimator == "debiased":
            total = d.sum(axis=1)
            products = np.outer(total, total) / ((n - 1) * (n - 2)) - products * (2 / (n - 2))
        found: np.ndarray = self.off + products
        return found


def linear_products(
    aligned: Aligned,
    *,
    name: str = "cka",
    memory: int | None = None,
    progress: bool = False,
    way: str | None = None,
    double: bool = False,
    client: Any = None,
) -> tuple[Products, dict[int, str]]:
    """Return inner products of all pairs, and the reasons for representations that have none.

    Parameters
    ----------
    aligned : Aligned
        The representations.
    name : str
        The metric, for messages.
    memory : int, optional
        Bytes that may be used over the representations themselves, by each process that works on them.
    progress : bool
        Show how far the work is.
    way : str, optional
        ``"gram"`` or ``"feature"``; by default the one with fewer multiplications.
    double : bool
        In double precision, whatever the representations are in.
    client : Client, optional
        Of a cluster whose workers do it, as `akpsim.cluster.connected` gives it.
    """
    for source in aligned.sources:
        check_table(source.shape, name)
    if client is None:
        held = aligned.in_memory(ONCE if memory is None else memory // 2)
        if held is not aligned and memory is not None:
            memory -= aligned.size
        aligned = held
    work = work_on(aligned, memory, progress, double=double)
    way = way or cheaper(aligned.n, work.widths)
    multiply = {"gram": _by_gram, "feature": _by_feature}[way]
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # looked for in what comes out, and mended
        found = multiply(work, set(), client)
    reasons, again = mended(work, found, name)
    found = multiply(work, set(reasons), client) if again else found
    absent = list(reasons)
    found.off[absent, :] = found.off[:, absent] = found.diagonal[absent] = 0.0
    return replace(found, eps=work.eps, by_feature=way == "feature"), reasons


def mended(work: Work, found: Products, name: str) -> tuple[dict[int, str], bool]:
    """Return the reasons for representations without a value, and whether others now have a scale that suits them."""
    reasons: dict[int, str] = {}
    again = False
    for index, trace in enumerate(found.diagonal.sum(axis=1).tolist()):
        centring = work.centrings[index]
        if centring.doubtful(trace, work.n, SAFE[work.itemsize], float(found.means[index])):
            try:
                if centring.rescale(work.blocks(), name):
                    again = True
                else:
                    reasons[index] = f"{name} is undefined: {SAME}"
            except UndefinedMetric as error:
                reasons[index] = str(error)
    return reasons, again


def cheaper(n: int, widths: Sequence[int]) -> str:
    """Return the way with fewer multiplications: ``"gram"`` or ``"feature"``."""
    entries = n * n * (1 + 1 / BLOCKS[0]) / 2
    gram = (sum(widths) + len(widths) ** 2 / 2) * entries
    feature = n * (sum(widths) ** 2 + sum(width**2 for width in widths)) / 2
    return "gram" if gram <= feature else "feature"


def _by_gram(work: Work, without: set[int], client: Any) -> Products:
    """Multiply Gram matrices, group of tiles by group of tiles."""
    count = len(work.centrings)
    plan = plan_tiles(count, work.n, max(work.widths), work.itemsize, work.memory, least=1 if client is None else TASKS)
    total = Products(np.zeros((count, count)), np.zeros((count, work.n)), np.zeros(count))
    for part in _groups(work, plan, without, client):
        total.off[...] += part.off
        total.diagonal[...] += part.diagonal
        total.means[...] = part.means
    return total


def _groups(work: Work, plan: Plan, without: set[int], client: Any) -> Iterator[Products]:
    """Yield the products of each group of tiles."""
    if client is not None:
        yield from each(
            group_products, plan.groups, work, plan, without, client=client, label="tiles", show=work.progress
        )
        return
    with Progress("Gram matrices", total=len(plan.groups) * len(work.centrings), show=work.progress) as bar:
        for group in plan.groups:
            yield group_products(group, work, plan, without, bar.advance)


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def group_products(
    group: Sequence[Tile], work: Work, plan: Plan, without: set[int], done: Callable[[], None] | None = None
) -> Products:
    """Return the part of all products that is of some tiles; call `done` after each Gram matrix."""
    count = len(work.centrings)
    diagonal, means = np.zeros((count, work.n)), np.zeros(count)
    buffer = work.zeros(count, entries(group))
    rooms: SimpleQueue[Array] = SimpleQueue()
    for _ in range(work.threads):
        rooms.put(work.room() if plan.whole else None)

    def write(index: int) -> None:
        room = rooms.get()
        fill(buffer[index, :], diagonal[index], work.centrings[index], group, plan, room)
        rooms.put(room)

    for index, _ in zip(usable := work.usable(without), work.map(write, usable), strict=True):
        means[index] = work.centrings[index].offset
        if done is not None:
            done()
    return Products(tile_products(buffer, buffer, group), diagonal, means)


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def fill(
    buffer: Array, diagonal: np.ndarray, centring: Centring, group: Sequence[Tile], plan: Plan, room: Array | None
) -> None:
    """Write a group's tiles of one Gram matrix side by side, zeros on the diagonal, and the diagonal apart."""
    xp = array_namespace(buffer)
    if room is not None:
        x = centring.rows(slice(0, max(tile.rows.stop for tile in group)), plan.blocks, room)
    for tile, place in zip(group, places(group), strict=True):
        if room is None:
            one = centring.rows(tile.rows, plan.blocks)
            two = one if tile.diagonal else centring.rows(tile.columns, plan.blocks)
        else:
            one, two = x[tile.rows, :], x[tile.columns, :]
        xp.matmul(one, two.T, out=xp.reshape(buffer[place], tile.shape))
        if tile.diagonal:
            step = slice(place.start, place.stop, tile.shape[0] + 1)
            diagonal[tile.rows] = as_numpy(buffer[step])
            buffer[step] = 0.0


def tile_products(one: Array, two: Array, group: Sequence[Tile]) -> np.ndarray:
    """Return the inner products of rows of two buffers, tiles off the diagonal counting twice, summed in float64."""
    parts = [
        (1 if tile.diagonal else 2, slice(start, min(start + PART, place.stop)))
        for tile, place in zip(group, places(group), strict=True)
        for start in range(place.start, place.stop, PART)
    ]

    @np.errstate(over="ignore", invalid="ignore", under="ignore")
    def product(part: tuple[int, slice]) -> np.ndarray:
        weight, place = part
        found: np.ndarray = weight * as_numpy(one[:, place] @ two[:, place].T)
        return found

    total = np.zeros((one.shape[0], two.shape[0]))
    threads = blas_threads() if isinstance(one, np.ndarray) else 1
    for block in side_by_side(product, parts, threads=threads) if threads > 1 else map(product, parts):
        total += block
    return total


def _by_feature(work: Work, without: set[int], client: Any) -> Products:
    """Multiply representations with each other, batch of members by batch of members."""
    least = 1 if client is None else TASKS
    batches, blocks = plan_batches(work.n, work.widths, work.itemsize, work.memory, least=least)
    batches = [kept for batch in batches if (kept := [index for index in batch if index not in without])]
    count = len(work.centrings)
    found = Products(np.zeros((count, count)), np.zeros((count, work.n)), np.zeros(count))
    pairs = [(one, two) for place, one in enumerate(batches) for two in batches[: place + 1]]
    parts = each(_batch_products, pairs, work, blocks, client=client, label="pairs of batches", show=work.progress)
    for (one, two), (block, diagonal, means) in zip(pairs, parts, strict=True):
        found.off[np.ix_(one, two)] = block
        found.off[np.ix_(two, one)] = block.T
        if one == two:
            found.diagonal[one], found.means[one] = diagonal, means
    return replace(found, off=found.off - found.diagonal @ found.diagonal.T)


@np.errstate(over="ignore", invalid="ignore", under="ignore")
def _batch_products(
    pair: tuple[list[int], list[int]], work: Work, blocks: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return the squared norms of the cross-covariances of two batches; diagonals and means of one with itself."""
    one, two = pair
    diagonal = np.zeros((len(one), work.n)) if one == two else np.zeros((0, 0))
    cross: Array = None
    for block in blocks:
        rows = {index: work.centrings[index].rows(block, blocks) for index in {*one, *two}}
        xp = array_namespace(rows[one[0]])
        for place, index in enumerate(one if one == two else []):
            diagonal[place, block] = as_numpy(xp.sum(rows[index] * rows[index], axis=1))
        first = xp.concat([rows[index] for index in one], axis=1)
        second = first if one == two else xp.concat([rows[index] for index in two], axis=1)
        product = first.T @ second
        cross = product if cross is None else cross + product
    ends = [np.cumsum([0, *(work.widths[index] for index in batch)]).tolist() for batch in pair]
    squares = as_numpy(cross) ** 2
    by_row = np.add.reduceat(squares, ends[0][:-1], axis=0, dtype=np.float64)
    means = [work.centrings[index].offset for index in one]
    return np.asarray(np.add.reduceat(by_row, ends[1][:-1], axis=1)), diagonal, means
