r"""Principal coordinates, also called classical scaling.

With :math:`G = -\tfrac12 J D^{\circ 2} J = V \Lambda V^\top`, members sit at :math:`V \Lambda^{1/2}`.  All axes
together reproduce Euclidean distances exactly; the first two are the plane that loses least of their squares.  Not to
be confused with multidimensional scaling by stress (`akpsim.nmds`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import at_least
from akpsim.distances import Negative, distance_matrix, gram, principal_coordinates
from akpsim.errors import InvalidData
from akpsim.ordination.ordination import ordination_result


def pcoa(
    dist: Any, *, by: str | Sequence[Any] | None = None, negative: Negative = "signed", axes: int | None = None
) -> xr.Dataset:
    """Return the principal coordinates of members.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str or sequence, optional
        Groups whose spread is reported; by default ``stress`` or ``family``.
    negative : {"signed", "lingoes", "cailliez", "raise"}
        What becomes of negative eigenvalues; with "signed" only the real axes have positions.
    axes : int, optional
        How many axes to keep; by default all.

    Returns
    -------
    Dataset
        ``position`` (member, axis), ``explained`` (axis): share of the sum of all eigenvalues' magnitudes,
        ``eigenvalue`` (eigen), ``negative_share``, ``squared_length`` (member) for placing new members, and the spread
        of groups.

    References
    ----------
    Gower (1966), "Some distance properties of latent root and vector methods used in multivariate analysis",
    Biometrika 53.
    """
    if axes is not None:
        at_least(axes, "axes", 1)
    checked = distance_matrix(dist)
    values = checked.values
    found = principal_coordinates(values, negative=negative)
    real = found.sign > 0
    position = found.position[:, real][:, :axes]
    if not position.shape[1]:
        raise InvalidData("all members are at distance zero from each other: there is nothing to ordinate")
    explained = found.eigenvalue[real] / np.abs(found.eigenvalue).sum()
    return ordination_result(
        position,
        checked,
        distances=values,
        by=by,
        attrs={"method": "pcoa", "negative": negative},
        explained=("axis", explained[:axes]),
        eigenvalue=("eigen", found.eigenvalue),
        negative_share=((), found.negative_share),
        squared_length=("member", np.diag(gram(values))),
    )
