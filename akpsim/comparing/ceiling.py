r"""The noise ceiling of a family: how alike its members could at most be to anything that stands for the family.

Members differ by their seeds alone.  With a metric that is the cosine between points, the mean of the family's points
is what stands for it; a member's similarity to the mean of all members is an upper bound of the ceiling, to the mean of
the others a lower one (Nili et al. 2014, "A toolbox for representational similarity analysis", PLoS Computational
Biology 10).  Both follow from the matrix:
:math:`\langle u_i, \bar u \rangle / \|\bar u\| = \bar s_{i \cdot} / \sqrt{\bar s_{\cdot \cdot}}`.
"""

import numpy as np
import xarray as xr

from akpsim.checks import made_by
from akpsim.comparing.between import at_each, groups_of
from akpsim.errors import AkpsimError


def noise_ceiling(similarity: xr.DataArray | xr.Dataset, *, by: str = "family") -> xr.Dataset:
    """Return the noise ceiling of each family.

    Parameters
    ----------
    similarity : DataArray (member, other), or the Dataset it was saved as
        Of a metric that is a cosine, such as cka or rsa.
    by : str
        Coordinate that groups the members.  Members with the same seed began alike: where a group holds several of a
        seed, as one of several families does, the mean of the others leaves all of them out, unless `by` is the seed.

    Returns
    -------
    Dataset (family)
        ``lower``, ``upper`` and ``members``, those that have values; NaN below two (or below two seeds); at each layer
        or epoch of what `akpsim.compare_over` returns.

    Raises
    ------
    AkpsimError
        If the metric is not the cosine of an angle between points.
    """
    made_by(similarity, "similarity", "compare", "attrs", "dims")
    over = str(similarity.attrs.get("over", ""))
    if over in similarity.dims:
        return at_each(noise_ceiling, similarity, over, by=by)
    similarity, groups = groups_of(similarity, by)
    if not similarity.attrs.get("cosine", 0):
        name = similarity.attrs.get("metric", "this")
        raise AkpsimError(f"a noise ceiling is of metrics that are cosines, such as cka; {name} is none")
    values = similarity.to_numpy()
    names = list(dict.fromkeys(groups.tolist()))
    seeded = by != "seed" and "seed" in similarity.coords and bool(similarity["seed"].dims)
    seeds = similarity["seed"].to_numpy() if seeded else np.arange(len(values))
    rows = [_bounds(values, np.flatnonzero(groups == name), seeds) for name in names]
    columns = dict(zip(("lower", "upper", "members"), zip(*rows, strict=True), strict=True))
    attrs = {**similarity.attrs, "result": "noise_ceiling", "by": by}
    return xr.Dataset({key: (by, list(column)) for key, column in columns.items()}, {by: names}, attrs)


def _bounds(values: np.ndarray, members: np.ndarray, seeds: np.ndarray) -> tuple[float, float, int]:
    members = members[~np.isnan(values[members, members])]
    s, seeds = values[np.ix_(members, members)], seeds[members]
    if len(np.unique(seeds)) < 2:
        return float("nan"), float("nan"), len(s)
    upper = s.mean(axis=1) / np.sqrt(s.mean())
    lower = []
    for row, seed in zip(s, seeds, strict=True):
        others = np.flatnonzero(seeds != seed)
        lower.append(row[others].mean() / np.sqrt(s[np.ix_(others, others)].mean()))
    return float(np.mean(lower)), float(upper.mean()), len(s)
