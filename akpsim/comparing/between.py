r"""Similarity within and between families: one mean a pair of families, with an interval.

Pairs that share a member are not independent, so the standard error is the jackknife's over members (Arvesen 1969,
"Jackknifing U-statistics", Annals of Mathematical Statistics 40):
:math:`\mathrm{se}^2 = \sum_{sides} \frac{m-1}{m} \sum_{i=1}^{m} (\theta_{-i} - \bar\theta_-)^2`
with :math:`\theta_{-i}` the mean without member i.  The interval is Student's t with the smaller family's m - 1 degrees
of freedom.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from akpsim.checks import among, in_range, made_by
from akpsim.errors import UnknownName, unknown_name

FEWEST = 3
"""Members a family that an interval needs: with two, one number would have to say how far it may be off."""
EXTRA = {
    "z": "mean_z",
    "p_corrected": "significant",
    "similarity_lower": "half_width",
    "similarity_upper": "half_width",
}
"""What else is summarised of `akpsim.significance`, and under which name."""
ALPHA = 0.05
"""Up to this corrected p a pair counts as significant."""


def between_families(similarity: xr.DataArray | xr.Dataset, *, by: str = "family", level: float = 0.95) -> xr.Dataset:
    """Return mean similarities within each family and between each two.

    Parameters
    ----------
    similarity : DataArray (member, other), or the Dataset it was saved as
        As `akpsim.compare` returns it; for what `akpsim.compare_over` returns, one table a layer or epoch.
    by : str
        Coordinate that groups the members.
    level : float
        Coverage of the interval.

    Returns
    -------
    Dataset (family, other_family)
        ``mean``, ``mean_lower``, ``mean_upper`` and ``pairs``; on the diagonal those within a family, without pairs of
        a member with itself.  Where `akpsim.significance` gave them also ``mean_z``, ``significant``, the pairs with a
        corrected p of at most .05, and ``half_width``, the median of half a pair's interval over samples.
        Members with the same seed began alike, so that ``same_seed`` and ``same_seed_pairs`` give those pairs apart,
        also within a group that holds several families; they are left out of the rest, unless `by` is the seed.

    Raises
    ------
    UnknownName
        If the members have no such coordinate.
    """
    in_range(level, "level", 0, 1)
    made_by(similarity, "similarity", "compare", "attrs", "dims")
    over = str(similarity.attrs.get("over", ""))
    if over in similarity.dims:
        return at_each(between_families, similarity, over, by=by, level=level)
    extra = {name: similarity[name].to_numpy() for name in EXTRA if name in getattr(similarity, "data_vars", ())}
    similarity, groups = groups_of(similarity, by)
    names = list(dict.fromkeys(groups.tolist()))
    seeded = by != "seed" and "seed" in similarity.coords and bool(similarity["seed"].dims)
    seeds = similarity["seed"].to_numpy() if seeded else None
    shape = (len(names), len(names))
    columns: dict[str, Any] = {
        key: np.full(shape, np.nan) for key in ("mean", "mean_lower", "mean_upper", "same_seed")
    } | {key: np.zeros(shape, dtype=np.int64) for key in ("pairs", "same_seed_pairs")}
    columns |= {EXTRA[name]: np.full(shape, np.nan) for name in extra}
    for row, one in enumerate(names):
        for column, two in enumerate(names):
            first, second = np.flatnonzero(groups == one), np.flatnonzero(groups == two)
            found = _cell(similarity.to_numpy(), first, second, seeds, level, extra)
            for key, value in found.items():
                columns[key][row, column] = value
    fixed = {str(name): value.reset_coords(drop=True) for name, value in similarity.coords.items() if not value.dims}
    attrs = {**similarity.attrs, "result": "between", "by": by, "level": level}
    return xr.Dataset(
        {key: ((by, f"other_{by}"), values) for key, values in columns.items()},
        coords={by: names, f"other_{by}": names, **fixed},
        attrs=attrs,
    )


def at_each(function: Callable[..., xr.Dataset], similarity: Any, over: str, **options: Any) -> xr.Dataset:
    """Return the tables that `function` makes of the matrix at each layer or epoch, side by side."""
    parts = [function(similarity.isel({over: place}), **options) for place in range(similarity.sizes[over])]
    return xr.concat(parts, dim=similarity[over], combine_attrs="override")


def groups_of(similarity: xr.DataArray | xr.Dataset, by: str) -> tuple[xr.DataArray, np.ndarray]:
    """Return the matrix, and the group of each of its rows under a coordinate's name."""
    similarity = matrix_of(similarity)
    axis = str(similarity.dims[0])
    if not among(by, similarity.coords) or similarity[by].dims != (axis,):
        known = [str(name) for name in similarity.coords if similarity[name].dims == (axis,) and name != axis]
        if known:
            raise unknown_name(f"coordinate of {axis}", by, known)
        raise UnknownName(f"the {axis}s of this matrix have no coordinate {by!r} to group them by")
    return similarity, similarity[by].to_numpy()


def matrix_of(similarity: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Return the matrix alone of what `akpsim.compare` or `akpsim.significance` returned."""
    made_by(similarity, "similarity", "compare", "dims", "attrs")
    if isinstance(similarity, xr.Dataset):
        made_by(similarity, "similarity", "significance", "similarity")
        return similarity["similarity"].assign_attrs(similarity.attrs)
    return similarity


def _cell(
    values: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    seeds: np.ndarray | None,
    level: float,
    extra: dict[str, np.ndarray],
) -> dict[str, float]:
    """Return the mean of a block of pairs, its interval and the same-seed pairs apart."""
    block = values[np.ix_(first, second)]
    usable = ~np.isnan(block) & (first[:, None] != second[None, :])
    same = np.zeros_like(usable) if seeds is None else usable & (seeds[first][:, None] == seeds[second][None, :])
    apart = usable & ~same
    within = first.size == second.size and bool((first == second).all())
    pairs, twins = (int(chosen.sum()) // (2 if within else 1) for chosen in (apart, same))
    found: dict[str, float] = {"pairs": pairs, "same_seed_pairs": twins}
    if same.any():
        found["same_seed"] = block[same].mean()
    if pairs:
        found["mean"] = block[apart].mean()
        half = _half_width(block, apart, within, level)
        found |= {"mean_lower": found["mean"] - half, "mean_upper": found["mean"] + half}
        of_pairs = {name: table[np.ix_(first, second)][apart] for name, table in extra.items()}
        if "z" in of_pairs:
            found["mean_z"] = np.nanmean(of_pairs["z"]) if np.isfinite(of_pairs["z"]).any() else np.nan
        if "p_corrected" in of_pairs:
            found["significant"] = int((of_pairs["p_corrected"] <= ALPHA).sum()) // (2 if within else 1)
        if "similarity_upper" in of_pairs:
            found["half_width"] = np.median(of_pairs["similarity_upper"] - of_pairs["similarity_lower"]) / 2
    return found


def _half_width(block: np.ndarray, usable: np.ndarray, within: bool, level: float) -> float:
    """Return half the width of the jackknife interval, NaN where there are too few members for one."""
    sums = np.where(usable, block, 0.0)
    variance, fewest = 0.0, np.inf
    for axis in (1,) if within else (1, 0):
        # A member of a family compared with itself is both a row and a column.
        both = 2 if within else 1
        left = usable.sum() - both * usable.sum(axis=axis)
        there = usable.any(axis=axis)
        if there.sum() < FEWEST or (left[there] <= 0).any():
            return float("nan")
        without = (sums.sum() - both * sums.sum(axis=axis))[there] / left[there]
        m = without.size
        variance += (m - 1) / m * ((without - without.mean()) ** 2).sum()
        fewest = min(fewest, m)
    return float(stats.t.ppf((1 + level) / 2, fewest - 1) * np.sqrt(variance))
