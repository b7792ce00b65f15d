r"""New members on an old map.

On principal coordinates with eigenvalues :math:`\Lambda` a new member with distances :math:`d` to the old ones sits at
:math:`\tfrac12 \Lambda^{-1} X^\top (g - d^2)`, where :math:`g` are the squared lengths of the old ones (Gower 1968).
On principal components it is projected on the loadings.
"""

from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import made_by, numbers_of
from akpsim.errors import InvalidData


def place(ordination: xr.Dataset, new: Any) -> xr.DataArray:
    """Return the positions of new members on an ordination, which stays as it is.

    Parameters
    ----------
    ordination : Dataset
        Of `akpsim.pcoa` or `akpsim.pca`.
    new : DataArray or array, shape (new member, member) or (new member, attribute)
        Distances to the members of a `pcoa`; attributes for a `pca`.

    Returns
    -------
    DataArray (member, axis)

    Raises
    ------
    InvalidData
        If the ordination is of another method, or the shape does not fit.
    """
    made_by(ordination, "ordination", "ordinate", "position", "attrs")
    method = ordination.attrs.get("method")
    values = np.atleast_2d(numbers_of(new, "new"))
    if method == "pca":
        _fits(values, ordination.sizes["attribute"], "attributes")
        position = (values - ordination["mean"].values) @ ordination.loading.values.T
    elif method == "pcoa":
        if ordination.attrs["negative"] != "signed":
            raise InvalidData(f"new members have no place after the correction {ordination.attrs['negative']!r}")
        _fits(values, ordination.sizes["member"], "distances")
        old = ordination.position.values
        position = (ordination.squared_length.values - values**2) @ old / (2 * (old**2).sum(axis=0))
    else:
        raise InvalidData(f"new members can be placed on pcoa and pca only, got {method!r}")
    names = new["member"].values if isinstance(new, xr.DataArray) and "member" in new.coords else np.arange(len(values))
    return xr.DataArray(position, dims=("member", "axis"), coords={"member": names, "axis": ordination.axis.values})


def _fits(values: np.ndarray, expected: int, what: str) -> None:
    if values.shape[1] != expected:
        raise InvalidData(f"{expected} {what} are needed for each new member, got {values.shape[1]}")
