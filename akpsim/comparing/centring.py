"""Rows of a representation, centred in the same way each time some of them are needed."""

from collections.abc import Sequence

from array_api_compat import array_namespace, device

from akpsim.comparing.align import Aligned
from akpsim.metrics.metric import Array, check_finite

NEAR = {4: 10.0, 8: 1e4}
"""Up to so many standard deviations from zero the mean of rows as they come is exact enough, by bytes of a number."""


class Centring:
    """Centre one representation by blocks of rows.

    The mean of rows as they come is rounded to the size of the mean; where that is far from zero for the spread, the
    mean of what is left is taken off too.

    Parameters
    ----------
    aligned : Aligned
        Where rows come from.
    index : int
        Which representation.
    dtype : dtype
        Of what is returned.
    eps : float
        Its spacing of numbers at 1.
    """

    def __init__(self, aligned: Aligned, index: int, dtype: Array, eps: float) -> None:
        self.aligned, self.index, self.dtype, self.eps = aligned, index, dtype, eps
        self.scale = 1.0
        self.means: list[Array] = []

    def load(self, rows: slice) -> Array:
        """Return rows as they are, in the working precision."""
        x = self.aligned.load(self.index, rows)
        return x if x.dtype == self.dtype else array_namespace(x).astype(x, self.dtype)

    def rows(self, needed: slice, blocks: Sequence[slice], work: Array | None = None) -> Array:
        """Return some rows, centred.

        Parameters
        ----------
        needed : slice
            Which rows.
        blocks : sequence of slice
            All rows, in blocks of which one may be in memory if there is no `work`.
        work : array (sample, neuron), optional
            Where to put the rows; all rows may then be read at once.
        """
        x = None if work is None else self.load(slice(None))
        if not self.means:
            self._find_means(blocks if x is None else [slice(0, x.shape[0])], x)
        x = self.load(needed) if x is None else x[needed, :]
        return self._centred(x, None if work is None else work[: x.shape[0], : x.shape[1]])

    def _centred(self, x: Array, out: Array | None = None) -> Array:
        x = x - self.means[0] if out is None else array_namespace(x).subtract(x, self.means[0], out=out)
        for mean in self.means[1:]:
            x -= mean
        if self.scale != 1:
            x *= self.scale
        return x

    def _find_means(self, blocks: Sequence[slice], x: Array | None) -> None:
        """Find the mean, and that of what it leaves if it is far from zero for the spread."""
        scale, self.scale = self.scale, 1.0
        for _ in range(3):
            total: Array = 0.0
            for rows in blocks:
                block = self.load(rows) if x is None else x
                block = self._centred(block) if self.means else block
                total = total + _shares(block, blocks[-1].stop) @ block
            self.means.append(total)
            if self._near(self.load(slice(0, 16)) if x is None else x[:16, :]):
                break
        self.scale = scale

    def _near(self, some: Array) -> bool:
        """Tell whether the last mean is no further from zero than some rows lie from it, within a factor."""
        xp = array_namespace(some)
        near = NEAR[8 if some.dtype == xp.float64 else 4]
        rest = self._centred(some)
        spread = float(xp.sum(rest * rest)) / some.shape[0]
        return bool(float(xp.sum(self.means[-1] ** 2)) <= near**2 * spread)

    @property
    def offset(self) -> float:
        """Squared norm of the mean that was taken off first."""
        return float(array_namespace(self.means[0]).sum(self.means[0] ** 2))

    def doubtful(self, trace: float, n: int, safe: tuple[float, float], offset: float) -> bool:
        """Tell whether the trace of the Gram matrix is out of the safe range, or what rounding of the mean leaves."""
        return not (max(safe[0], (64 * self.eps) ** 2 * n * offset) < trace <= safe[1])

    def rescale(self, blocks: Sequence[slice], name: str) -> bool:
        """Choose a scale at which no product over- or underflows; return False if all rows are the same.

        Raises
        ------
        UndefinedMetric
            If a value is NaN or infinite.
        """
        first = self.load(slice(0, 1))[0, :]
        largest = 0.0
        for rows in blocks:
            block = self.load(rows)
            check_finite(block, name, first=rows.start)
            xp = array_namespace(block)
            largest = max(largest, float(xp.max(xp.abs(block / 2 - first / 2))))
        most = float(array_namespace(first).finfo(self.dtype).max) / 8
        self.scale = min(1 / (2 * largest), most) if largest else 1.0
        return largest > 0


def _shares(x: Array, n: int) -> Array:
    """Return the share of each row of `x` in the mean of n rows."""
    return array_namespace(x).full(x.shape[0], 1 / n, dtype=x.dtype, device=device(x))
