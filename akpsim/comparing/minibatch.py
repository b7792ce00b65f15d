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
from akpsim.metrics.metric import Array, as_numpy, precise
from akpsim.store import provenance

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
        If no batch has 4 samples, or a representation does not vary.
    """
    parts, weights, left_out, samples = [], [], 0, 0
    for batch in instance(batches, "batches", Iterable, "pairs of arrays (sample, neuron)"):
        if not (isinstance(batch, Sequence) and len(batch) == 2 and all(hasattr(part, "shape") for part in batch)):
            raise InvalidData(f"`batches` must be pairs of arrays (sample, neuron), got {shortened(batch)}")
        x, y = batch
        if x.shape[0] != y.shape[0]:
            raise MisalignedSamples(f"both sides of a batch must have the same samples, got {x.shape[0]}, {y.shape[0]}")
        n = int(x.shape[0])
        if n < LEAST:
            left_out += n
            continue
        k, m = (_u_gram(a) for a in (x, y))
        parts.append([float((a * b).sum()) / (n * (n - 3)) for a, b in ((k, m), (k, k), (m, m))])
        weights.append(n * (n - 1))
        samples += n
    if not parts:
        raise UndefinedMetric(f"minibatch_cka needs a batch of at least {LEAST} samples, got none")
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


def _u_gram(x: Array) -> np.ndarray:
    """Return the U-centred Gram matrix in the units of the data, which must be those of all batches."""
    x = precise(x)
    k = as_numpy((x - x[0, :]) @ (x - x[0, :]).T)
    found: np.ndarray = u_centred(k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean(), "minibatch_cka")
    return found


def _ratio(terms: np.ndarray) -> float:
    if min(terms[1], terms[2]) <= 0:
        raise UndefinedMetric("minibatch_cka is undefined: a representation does not vary within batches")
    return float(terms[0] / math.sqrt(terms[1] * terms[2]))
