r"""CKA from batches of samples, with its error: for streams of samples that cannot be held or read twice.

The three HSIC_1 of a pair are averaged over batches before the ratio is taken (Nguyen, Raghu, Kornblith 2021, ICLR,
section 2): each is unbiased in each batch, whatever its size, so the ratio tends to the value for all samples as
batches grow in number.  A batch counts by its number of pairs of samples.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from akpsim.checks import instance
from akpsim.errors import InvalidData, MisalignedSamples, UndefinedMetric, shortened
from akpsim.metrics.cka import u_centred
from akpsim.metrics.metric import Array, as_numpy, check_finite, check_table, floating, precise
from akpsim.store import provenance

NAME = "minibatch_cka"
LEAST = 4


def minibatch_cka(batches: Iterable[tuple[Array, Array]]) -> xr.Dataset:
    """Return the mini-batch estimate of debiased CKA of two representations.

    Parameters
    ----------
    batches : iterable of pairs of arrays (sample, neuron)
        The two responses to one batch of samples, in turn.  Batches may be of any size; one of fewer than 4 samples,
        as a last batch may be, has no HSIC_1 and is left out.

    Returns
    -------
    Dataset
        ``similarity`` and ``standard_error`` (jackknife over batches; NaN below three), ``batches``, ``samples`` and
        ``samples_left_out``.

    Raises
    ------
    UndefinedMetric
        If no batch has 4 samples, a value is NaN, or a representation does not vary.
    MisalignedSamples
        If both sides of a batch differ in samples, or a side's batches in neurons.
    """
    parts, weights, left_out, samples = [], [], 0, 0
    sides: tuple[Side, Side] | None = None
    for batch in instance(batches, "batches", Iterable, "pairs of arrays (sample, neuron)"):
        if not (isinstance(batch, Sequence) and len(batch) == 2 and all(hasattr(part, "shape") for part in batch)):
            raise InvalidData(f"`batches` must be pairs of arrays (sample, neuron), got {shortened(batch)}")
        for part in batch:
            check_table(part.shape, NAME)
        x, y = map(floating, batch)
        if x.shape[0] != y.shape[0]:
            raise MisalignedSamples(f"both sides of a batch must have the same samples, got {x.shape[0]}, {y.shape[0]}")
        sides = sides or (Side(x, "first"), Side(y, "second"))
        k, m = (side.u_gram(part) for side, part in zip(sides, (x, y), strict=True))
        n = int(x.shape[0])
        if k is None or m is None:
            left_out += n
            continue
        parts.append([float((a * b).sum()) / (n * (n - 3)) for a, b in ((k, m), (k, k), (m, m))])
        weights.append(n * (n - 1))
        samples += n
    if sides is None or not parts:
        raise UndefinedMetric(f"{NAME} needs a batch of at least {LEAST} samples, got none")
    for side in sides:
        side.check_varies()
    terms, shares = np.array(parts), np.array(weights, dtype=np.float64)[:, None]
    total = (terms * shares).sum(axis=0)
    value = _ratio(total)
    error = math.nan
    if len(parts) > 2:
        without = np.array([_ratio(total - one) for one in terms * shares])
        error = math.sqrt((len(parts) - 1) / len(parts) * ((without - without.mean()) ** 2).sum())
    found = {"similarity": value, "standard_error": error, "batches": len(parts), "samples": samples}
    attrs = provenance(result="minibatch_cka", metric="cka_debiased", kind="similarity")
    return xr.Dataset({**found, "samples_left_out": left_out}, attrs=attrs)


class Side:
    """One of the two representations: its unit, that of the first batch, and what its Gram matrices add up to.

    Parameters
    ----------
    first : array (sample, neuron)
        The first batch.
    which : str
        For messages.
    """

    def __init__(self, first: Array, which: str) -> None:
        self.which, self.neurons = which, int(first.shape[1])
        self.unit: float | None = None
        self.whole = self.u_centred = 0.0
        self.rounding = 0.0

    def u_gram(self, x: Array) -> np.ndarray | None:
        """Return the U-centred Gram matrix of a batch, in the unit of all; None below 4 samples.

        Raises
        ------
        MisalignedSamples
            If the number of neurons is another than in the first batch.
        UndefinedMetric
            If a value is NaN or infinite.
        """
        if x.shape[1] != self.neurons:
            raise MisalignedSamples(
                f"the {self.which} side must have the same neurons in all batches, got {self.neurons} and {x.shape[1]}"
            )
        check_finite(x, NAME)
        n = int(x.shape[0])
        if n < LEAST:
            return None
        x = as_numpy(precise(x))
        largest = float(np.abs(x / 2 - x[0] / 2).max())
        self.unit = self.unit or 2.0 ** min(1020, -math.frexp(largest)[1] if largest else 0)
        x = x * self.unit - x[0] * self.unit
        k = x @ x.T
        k = k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()
        found: np.ndarray = u_centred(k, NAME)
        self.whole += float((k * k).sum())
        self.u_centred += float((found * found).sum())
        self.rounding = max(self.rounding, 4 * n * 2.0**-52)
        return found

    def check_varies(self) -> None:
        """Raise if what is left of the Gram matrices is rounding alone."""
        if not self.u_centred > self.whole * self.rounding**2:
            raise UndefinedMetric(f"{NAME} is undefined: the {self.which} representation does not vary within batches")


def _ratio(terms: np.ndarray) -> float:
    if min(terms[1], terms[2]) <= 0:
        raise UndefinedMetric(f"{NAME} is undefined: without one batch, a representation does not vary")
    return float(terms[0] / math.sqrt(terms[1] * terms[2]))
