"""What the engine multiplies, and what it may use for that."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace, device

from akpsim.comparing.align import Aligned
from akpsim.comparing.centring import Centring
from akpsim.comparing.tiles import workspace
from akpsim.metrics.metric import Array
from akpsim.parallel import blas_threads, side_by_side


@dataclass(frozen=True)
class Work:
    """What is to be multiplied, and within which memory."""

    centrings: Sequence[Centring]
    n: int
    widths: Sequence[int]
    itemsize: int
    eps: float
    memory: int | None
    progress: bool

    def usable(self, without: set[int]) -> list[int]:
        """Return the places of representations that take part."""
        return [index for index in range(len(self.centrings)) if index not in without]

    @cached_property
    def threads(self) -> int:
        """How many representations are worked on at a time: one if memory is counted or they are read from files."""
        there = all(isinstance(centring.aligned.sources[centring.index], np.ndarray) for centring in self.centrings)
        if self.memory is not None or not there:
            return 1
        one = self.n * max(self.widths) * self.itemsize
        return min(blas_threads(), max(1, workspace(len(self.centrings), one) // one))

    def map(self, function: Callable[[int], None], indices: Sequence[int]) -> Iterator[None]:
        """Call a function for each of some representations, `threads` at a time."""
        return side_by_side(function, indices, threads=self.threads) if self.threads > 1 else map(function, indices)

    def zeros(self, *shape: int) -> Array:
        """Return an array of zeros of the kind, and on the device, of the representations."""
        some = self.centrings[0].load(slice(0, 1))
        return array_namespace(some).zeros(shape, dtype=self.centrings[0].dtype, device=device(some))

    def room(self) -> Array:
        """Return a place for the largest representation."""
        return self.zeros(self.n, max(self.widths))

    def blocks(self) -> list[slice]:
        """Return all rows in blocks of about a million numbers."""
        size = max(1, 2**20 // max(self.widths))
        return [slice(start, min(start + size, self.n)) for start in range(0, self.n, size)]


def work_on(aligned: Aligned, memory: int | None, progress: bool = False, *, double: bool = False) -> Work:
    """Return what is to be multiplied, in the precision of the most precise representation, or in double precision."""
    x = aligned.load(0, slice(0, 1))
    xp = array_namespace(x)
    wide = double or any("64" in str(source.dtype) for source in aligned.sources)
    dtype = xp.float64 if wide else x.dtype
    itemsize = 8 if dtype == xp.float64 else 4
    widths = [int(source.shape[1]) for source in aligned.sources]
    eps = float(xp.finfo(dtype).eps)
    centrings = [Centring(aligned, index, dtype, eps) for index in range(len(aligned))]
    return Work(centrings, aligned.n, widths, itemsize, eps, memory, progress)
