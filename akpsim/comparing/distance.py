"""From similarities to distances."""

import numpy as np
import xarray as xr

from akpsim.checks import made_by
from akpsim.errors import AkpsimError


def as_distance(similarity: xr.DataArray | xr.Dataset) -> xr.DataArray:
    r"""Return a matrix of distances for a matrix that `akpsim.compare` made.

    A similarity s becomes :math:`\sqrt{2 (1 - s)}`.  For the cosine of an angle, as CKA is one, this is the Euclidean
    distance between unit vectors, exactly.  Dissimilarities and metrics are returned as they are.

    Parameters
    ----------
    similarity : DataArray (member, other), or the Dataset it was saved as
        Square and symmetric, with the attribute ``kind``.

    Returns
    -------
    DataArray (member, other)
        Zero on the diagonal for similarities; NaN where the similarity is.  ``attrs["euclidean"]`` is 1 where the
        distances are those of points in a Euclidean space.

    Raises
    ------
    AkpsimError
        If the metric is not symmetric, or a similarity is above 1.
    """
    made_by(similarity, "similarity", "compare", "attrs", "dims")
    if isinstance(similarity, xr.Dataset):
        name = "similarity" if "similarity" in similarity else "distance"
        made_by(similarity, "similarity", "compare", name)
        similarity = similarity[name].assign_attrs(similarity.attrs)
    name, kind = similarity.attrs.get("metric", "this"), similarity.attrs.get("kind")
    if kind is None:
        raise AkpsimError("distances are made of what `akpsim.compare` returns; this matrix has no attribute `kind`")
    if not similarity.attrs.get("symmetric", 1):
        raise AkpsimError(f"{name} is not symmetric, so it makes no distance; choose a symmetric metric")
    values = similarity.to_numpy()
    if kind == "similarity":
        if np.nanmax(values) > 1 + 1e-6:
            raise AkpsimError(f"a similarity must be at most 1 to become a distance, got {np.nanmax(values):g}")
        values = np.sqrt(2 * (1 - np.minimum(values, 1.0)))  # rounding alone takes a cosine above 1
        diagonal = np.diagonal(values)
        values = values - np.diag(np.where(np.isnan(diagonal), 0.0, diagonal))
    distance = similarity.copy(data=values).rename("distance")
    euclidean = int(kind == "similarity" and bool(similarity.attrs.get("cosine", 0)))
    return distance.assign_attrs(
        {**similarity.attrs, "result": "distance", "kind": "metric" if euclidean else kind, "euclidean": euclidean}
    )
