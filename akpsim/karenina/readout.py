r"""Take out of a representation what its own logits already say.

Members are called happy for their accuracy, which is read from the logits; choosing members whose logits are alike
chooses members whose representations are alike in the part the logits read.  That makes a principle out of nothing: of
20 members drawn from one cloud and split by an accuracy that reads k of its 50 directions, .05 (k = 1) to .99 (k = 50)
show the effect.  With :math:`Q` an orthonormal basis of the centred logits (sample, class),

.. math:: X \mapsto X - Q Q^\top X

leaves what is linearly independent of them.
"""

import numpy as np
import xarray as xr

from akpsim.checks import made_by
from akpsim.errors import InvalidData


def project_out(values: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return columns without their part in the span of other columns.

    Parameters
    ----------
    values : array, shape (sample, neuron)
        What to project.
    directions : array, shape (sample, class)
        What to take out; need not be independent.

    Returns
    -------
    array, shape (sample, neuron)
    """
    if len(values) != len(directions):
        raise InvalidData(
            f"as many rows are needed in both: {len(values)} samples, but {len(directions)} of the readout"
        )
    left, size, _ = np.linalg.svd(np.asarray(directions, dtype=np.float64), full_matrices=False)
    basis = left[:, size > 1e-9 * size.max(initial=0)]
    remaining: np.ndarray = values - basis @ (basis.T @ values)
    return remaining


def without_readout(representations: xr.DataArray, logits: xr.DataArray) -> xr.DataArray:
    """Return representations without what each member's own logits predict linearly.

    Parameters
    ----------
    representations : DataArray (member, sample, neuron)
        As `Run.representations` gives them.
    logits : DataArray (member, sample, neuron)
        The logits of the same members on the same samples.

    Returns
    -------
    DataArray (member, sample, neuron)
        In memory, centred.

    Raises
    ------
    InvalidData
        If members or samples differ, or nothing is left of any member.
    """
    for name, array in (("representations", representations), ("logits", logits)):
        made_by(array, name, "Run.representations", "member", "sample")
    for name in ("member", "sample"):
        if representations[name].values.tolist() != logits[name].values.tolist():
            raise InvalidData(f"representations and logits have different {name}s")
    values = np.asarray(representations.transpose("member", "sample", "neuron").values, dtype=np.float64)
    outputs = np.asarray(logits.transpose("member", "sample", "neuron").values, dtype=np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    read = outputs - outputs.mean(axis=1, keepdims=True)
    remaining = np.stack([project_out(x, y) for x, y in zip(centred, read, strict=True)])
    # What rounding leaves of a layer that the logits say wholly is nothing.
    nothing = np.abs(remaining).max(axis=(1, 2)) <= 1e-6 * np.abs(centred).max(axis=(1, 2))
    if nothing.all():
        raise InvalidData(
            f"the logits say all of this layer ({values.shape[2]} neurons, {outputs.shape[2]} logits): nothing is left "
            "beside the readout; choose an earlier or wider layer"
        )
    remaining[nothing] = 0
    return representations.transpose("member", "sample", "neuron").copy(data=remaining)
