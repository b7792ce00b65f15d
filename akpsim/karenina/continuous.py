r"""Dispersion without groups: whether members that generalize less are farther from all others.

The contribution of member i is the log of its mean distance to all others; its slope on accuracy is negative where the
principle holds.  Members are permuted as wholes, inside blocks; the interval leaves out one member at a time, from the
distances too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import in_range
from akpsim.distances import distance_matrix, group_label, groups_of, made_of, member_coordinates
from akpsim.errors import InvalidData
from akpsim.karenina.effect import interval
from akpsim.permutations import Seed, p_value, rearrangements
from akpsim.store import provenance


def disperse_on(
    dist: Any,
    on: str | Sequence[float],
    *,
    blocks: str | Sequence[Any] | None = None,
    confidence: float = 0.95,
    permutations: int = 999,
    seed: Seed = None,
) -> xr.Dataset:
    """Regress how far a member is from the others on a number such as its accuracy.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    on : str or sequence of float
        A coordinate of members (``accuracy``, ``dose``), or one number a member.
    blocks : str or sequence, optional
        Slopes are those inside blocks, and members are permuted only inside a block.
    confidence : float
        Of the interval.
    permutations : int
        How many permutations, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``slope`` (of the log mean distance, per unit of `on`) with its jackknife interval, ``p``, ``contribution``
        (member), ``value`` (member).
    """
    in_range(confidence, "confidence", 0.5, 0.9999)
    checked = distance_matrix(dist)
    value = groups_of(checked, on, name="on")
    if value.dtype.kind not in "biuf":
        raise InvalidData(f"`on` must be numbers, got words such as {value[0]!r}")
    value, n = value.astype(np.float64), len(value)
    if n < 4:
        raise InvalidData(f"four members at least are needed for a slope, got {n}")
    inside = np.zeros(n, dtype=int) if blocks is None else groups_of(checked, blocks, name="blocks")
    centred = within(value, inside)
    if not np.any(np.abs(centred) > 1e-12):
        raise InvalidData(f"`{group_label(on)}` does not vary inside blocks: there is no slope")
    given = contribution(checked.values)
    slope = float(centred @ given / (centred @ centred))
    drawn = rearrangements(n, permutations=permutations, blocks=inside, seed=seed)
    # Rearranged inside blocks, centred values keep their sum of squares.
    null = np.abs(centred[drawn.codes] @ given) / (centred @ centred)
    pseudo = np.array([n * slope - (n - 1) * _slope_without(i, checked.values, value, inside) for i in range(n)])
    p = float(p_value(null, abs(slope)))
    estimate = interval(slope, float(pseudo.var(ddof=1) / n), n - 2, confidence=confidence)
    return xr.Dataset(
        {
            "slope": slope,
            "slope_lower": estimate.lower,
            "slope_upper": estimate.upper,
            "p": p,
            "contribution": ("member", given),
            "value": ("member", value),
        },
        coords=member_coordinates(checked),
        attrs=provenance(
            on=group_label(on),
            confidence=confidence,
            blocks=None if blocks is None else group_label(blocks),
            seed=seed if isinstance(seed, int) else None,
        )
        | made_of(checked)
        | {"result": "dispersion_slope", "tests": f"p = {p:.3g} ({drawn.words})"}
        | drawn.attrs,
    )


def contribution(values: np.ndarray) -> np.ndarray:
    """Return the log of each member's mean distance to the others."""
    found: np.ndarray = np.log(values.sum(axis=1) / (len(values) - 1))
    return found


def within(value: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return values minus the mean of their block."""
    found = value.astype(np.float64)
    for block in np.unique(blocks):
        found[blocks == block] -= found[blocks == block].mean()
    return found


def _slope_without(member: int, values: np.ndarray, value: np.ndarray, blocks: np.ndarray) -> float:
    kept = np.arange(len(value)) != member
    centred = within(value[kept], blocks[kept])
    return float(centred @ contribution(values[np.ix_(kept, kept)]) / (centred @ centred))
