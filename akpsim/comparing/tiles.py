r"""Which tiles of a Gram matrix are worked on together, so that a memory cap holds.

A symmetric matrix is known from the tiles on and below the diagonal.  Tiles go through memory in groups; of each group
all representations' tiles lie side by side in one buffer, whose rows' inner products are added to the result.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from akpsim.errors import AkpsimError

WORKSPACE = 42 * 10**6
"""Bytes of a group's buffer when no cap is given and the representations are no larger than eight times it."""
BLOCKS = (4, 12)
"""Fewest and most blocks a side when one fits in memory: with 4, 5/8 of the entries are computed."""


def workspace(count: int, one: int) -> int:
    """Return the bytes of a group's buffer, for `count` representations of `one` bytes each, when no cap is given."""
    return max(WORKSPACE, count * one // 8)


@dataclass(frozen=True)
class Tile:
    """Part of a symmetric matrix: some rows, and columns that are the same rows or end where these begin."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def diagonal(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.rows == self.columns


@dataclass(frozen=True)
class Plan:
    """Blocks of samples, and the groups of tiles to work on one after the other.

    `whole` says whether one whole representation may be in memory at a time.
    """

    blocks: tuple[slice, ...]
    groups: tuple[tuple[Tile, ...], ...]
    whole: bool


def entries(tiles: Sequence[Tile]) -> int:
    """Return the number of entries of some tiles."""
    return sum(math.prod(tile.shape) for tile in tiles)


def places(tiles: Sequence[Tile]) -> list[slice]:
    """Return where each of some tiles lies when they are laid side by side."""
    ends = itertools.accumulate((math.prod(tile.shape) for tile in tiles), initial=0)
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def plan_tiles(count: int, n: int, width: int, itemsize: int, memory: int | None, *, least: int = 1) -> Plan:
    """Return blocks and groups of tiles for some representations.

    Parameters
    ----------
    count, n, width : int
        Numbers of representations, of samples, and of neurons of the widest.
    itemsize : int
        Bytes of a number.
    memory : int, optional
        Bytes that may be used over the representations themselves.
    least : int
        Fewest groups, as far as there are samples enough.

    Raises
    ------
    AkpsimError
        If not even tiles of one sample fit; it says how much is needed.
    """
    one = n * width * itemsize
    # The result in float64 and its parts, the diagonals, and first rows and means.
    results = 8 * count * (4 * count + 2 * n) + 2 * itemsize * count * width
    room = workspace(count, one) if memory is None else memory - results
    if memory is None or 4 * one <= room:
        # One as it is read, of which the file's own pages may be a second copy, and one centred.
        free = (room - (0 if memory is None else 3 * one)) // (count * itemsize)
        strips = _strips(n, free if least == 1 else min(free, n * n // (2 * least)))
        if strips is not None:
            return strips
    # A tile of all representations, and two blocks of rows of one, as read and centred.
    rows = 4 * width
    size = min(n, (math.isqrt(rows**2 + 4 * count * max(0, room) // itemsize) - rows) // (2 * count))
    if size < 1:
        needed = results + (count + 4 * width) * itemsize
        raise AkpsimError(f"`memory` must be at least {needed} bytes for these representations, got {memory}")
    blocks = _blocks(n, math.ceil(n / size))
    tiles = [Tile(row, column) for index, row in enumerate(blocks) for column in blocks[: index + 1]]
    return Plan(blocks, tuple((tile,) for tile in tiles), whole=False)


def whole_plan(n: int) -> Plan:
    """Return the plan of one group that holds the whole lower triangle, in the same tiles for any memory."""
    blocks = _blocks(n, min(n, BLOCKS[0]))
    return Plan(blocks, (tuple(tile for block in blocks for tile in _strip(block)),), whole=True)


def _blocks(n: int, sides: int) -> tuple[slice, ...]:
    size = math.ceil(n / sides)
    return tuple(slice(start, min(start + size, n)) for start in range(0, n, size))


def _strips(n: int, room: int) -> Plan | None:
    """Return row strips, each a diagonal tile and one tile to its left, in the fewest groups of `room` entries."""
    best: Plan | None = None
    for sides in sorted({min(n, sides) for sides in (*range(BLOCKS[0], BLOCKS[1] + 1), 2 * BLOCKS[1], 4 * BLOCKS[1])}):
        blocks = _blocks(n, sides)
        groups: list[tuple[Tile, ...]] = []
        for strip in map(_strip, blocks):
            if groups and entries((*groups[-1], *strip)) <= room:
                groups[-1] = (*groups[-1], *strip)
            else:
                groups.append(strip)
        fits = all(entries(group) <= room for group in groups)
        if fits and (best is None or len(groups) < len(best.groups)):
            best = Plan(blocks, tuple(groups), whole=True)
    return best


def _strip(block: slice) -> tuple[Tile, ...]:
    """Return the diagonal tile of some rows, and the one tile to its left if there is any."""
    return (*((Tile(block, slice(0, block.start)),) if block.start else ()), Tile(block, block))


def plan_batches(
    n: int, widths: Sequence[int], itemsize: int, memory: int | None, *, least: int = 1
) -> tuple[list[list[int]], tuple[slice, ...]]:
    """Return batches of members whose cross-covariances fit in memory, and blocks of samples.

    A quarter of the memory is for the cross-covariances of two batches (and as much for their squares), a quarter for
    rows.  At least `least` batches are made, as far as there are members enough.

    Raises
    ------
    AkpsimError
        If not even two members fit, a sample at a time; it says how much is needed.
    """
    widest = max(widths)
    results = 8 * len(widths) * (4 * len(widths) + 2 * n) + 2 * itemsize * sum(widths)
    if memory is not None and memory < (needed := results + 4 * max(8 * widest**2, 4 * itemsize * widest)):
        raise AkpsimError(f"`memory` must be at least {needed} bytes for these representations, got {memory}")
    room = workspace(1, n * sum(widths) * itemsize) if memory is None else memory
    most = min(math.isqrt(room // 4 // 8), math.ceil(sum(widths) / least))
    batches: list[list[int]] = [[]]
    filled = 0
    for index, width in enumerate(widths):
        if batches[-1] and filled + width > most:
            batches.append([])
            filled = 0
        batches[-1].append(index)
        filled += width
    wide = max(sum(widths[index] for index in batch) for batch in batches)
    size = max(1, min(n, room // 4 // (4 * wide * itemsize)))
    return batches, tuple(slice(start, min(start + size, n)) for start in range(0, n, size))
