r"""The Anna Karenina question, whole: effect with interval, permutation test, location, verdict.

*Effect*: log ratio of mean pairwise distances with a jackknife interval (`akpsim.karenina.effect`); it makes the
verdict.  *Test*: permutation of centred and rescaled members (`akpsim.permdisp`).  *Location*: `akpsim.wd_star`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from akpsim.checks import in_range
from akpsim.distances import Negative, distance_matrix, group_label, groups_of, member_coordinates
from akpsim.errors import InvalidData, unknown_name
from akpsim.karenina.centres import Center, centre_distances, small_sample, space_of
from akpsim.karenina.effect import (
    Estimate,
    Spread,
    against_reference,
    blocked_contrast,
    contrast,
    interval,
    pair_weights,
    spreads,
)
from akpsim.karenina.location import group_sums, observed_sums, wd_from_sums
from akpsim.karenina.permdisp import coded, group_means, relabelled_means
from akpsim.karenina.verdict import EQUIVALENCE, sentence, verdict
from akpsim.permutations import Relabelings, Seed, p_value, relabelings, step_down
from akpsim.store import provenance

REFERENCES = ("happy", "none", "baseline")
"""Groups that others are compared with, if there is one of that name."""


class Options(NamedTuple):
    """How to disperse."""

    center: Center = "centroid"
    negative: Negative = "signed"
    confidence: float = 0.95
    equivalence: float = EQUIVALENCE


class Design(NamedTuple):
    """Groups, the code of each member's, the group that others are compared with, and relabelings."""

    labels: np.ndarray
    groups: list[str]
    codes: np.ndarray
    reference: int
    drawn: Relabelings
    blocks: np.ndarray | None = None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of groups, the reference first in its pairs."""
        order = [self.reference, *(code for code in range(len(self.groups)) if code != self.reference)]
        return [(order[i], order[j]) for i in range(len(order)) for j in range(i + 1, len(order))]

    @property
    def others(self) -> str:
        """What the reference is compared with."""
        names = [name for code, name in enumerate(self.groups) if code != self.reference]
        return names[0] if len(names) == 1 else "others"


class Dispersed(NamedTuple):
    """What one matrix of distances says."""

    spreads: list[Spread]
    effect: Estimate
    pairs: list[Estimate]
    distance: np.ndarray
    statistic: float
    pair_statistics: np.ndarray
    null: np.ndarray
    pair_null: np.ndarray
    wd: float
    wd_null: np.ndarray
    negative_share: float


def disperse(
    dist: Any,
    by: str | Sequence[Any],
    *,
    reference: str | None = None,
    blocks: str | Sequence[Any] | None = None,
    center: Center = "centroid",
    negative: Negative = "signed",
    confidence: float = 0.95,
    equivalence: float = EQUIVALENCE,
    permutations: int = 999,
    seed: Seed = None,
) -> xr.Dataset:
    """Say whether members of some groups differ more from each other than those of the reference.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str or sequence
        Groups: a coordinate of members, or one label a member.
    reference : str, optional
        The group that others are compared with; by default ``happy``, ``none`` or ``baseline``, else the first.
    blocks : str or sequence, optional
        Labels are permuted only inside a block (a seed, an optimizer).  With five blocks or more the interval leaves
        out whole blocks instead of members, because members of one block are alike beyond their group.
    center, negative
        As for `akpsim.permdisp`.
    confidence : float
        Of intervals.
    equivalence : float
        Ratios between its inverse and it count as no effect.
    permutations : int
        How many relabelings, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``log_ratio`` of the mean distance within the other groups to that within the reference, with
        ``log_ratio_lower``, ``log_ratio_upper`` and ``p_interval`` (Welch's); ``p`` of the permutation test;
        ``mean_distance`` within each ``group``, with its interval; ``distance`` (member) to the centre and its mean
        ``center_distance`` (group); ``W`` and ``p_location``; for every ``pair`` of groups ``pair_log_ratio`` with its
        interval, ``pair_p`` and ``pair_p_adjusted`` (step-down maxT).  attrs: ``verdict``, and ``sentence``, which says
        it with the interval.

    Raises
    ------
    InvalidData
        If a group has one member, or no spread at all.

    Notes
    -----
    With several other groups the effect is the mean of their logs against the reference.  A group of two members has a
    spread but no interval, and the verdict is "inconclusive".
    """
    in_range(confidence, "confidence", 0.5, 0.9999)
    checked = distance_matrix(dist)
    design = design_of(checked, by, reference, blocks, permutations, seed)
    options = Options(center, negative, confidence, equivalence)
    found = disperse_one(checked.values, design, options)
    return described(found, checked, design, options).assign_attrs(by=group_label(by))


def design_of(
    members: xr.DataArray, by: Any, reference: str | None, blocks: Any, permutations: int, seed: Seed
) -> Design:
    """Return the groups, the reference among them and the relabelings that all tests share."""
    labels = groups_of(members, by)
    groups, codes = coded(labels)
    if reference is None:
        reference = next((name for name in REFERENCES if name in groups), groups[0])
    if reference not in groups:
        raise unknown_name("group for `reference`", reference, groups)
    inside = None if blocks is None else groups_of(members, blocks, name="blocks")
    drawn = relabelings(codes, permutations=permutations, blocks=inside, seed=seed)
    return Design(labels.astype(str), groups, codes, groups.index(reference), drawn, inside)


def disperse_one(values: np.ndarray, design: Design, options: Options) -> Dispersed:
    """Return effect, tests and their permutations for one matrix of checked distances."""
    upper = values[np.triu_indices(len(values), 1)]
    if np.ptp(upper) <= 1e-12 * upper.max():
        raise InvalidData(f"all distances are equal ({upper[0]:g}): there is no variation to judge a difference by")
    codes, number = design.codes, len(design.groups)
    own = spreads(values, codes, design.groups)
    effect, *pairs = (
        _estimate(values, own, weights, design, options)
        for weights in [against_reference(number, design.reference), *(pair_weights(number, *p) for p in design.pairs)]
    )
    space = space_of(values, negative=options.negative)
    distance = centre_distances(space, codes[None], center=options.center)[0] * small_sample(codes)
    logs = _logs(group_means(distance[None], codes[None]))
    null = _logs(relabelled_means(space, codes, design.drawn, center=options.center))
    sizes = np.bincount(codes)
    squared = values**2
    return Dispersed(
        own,
        effect,
        pairs,
        distance,
        float(_against(logs, design)[0]),
        _pairwise(logs, design)[0],
        _against(null, design),
        _pairwise(null, design),
        float(wd_from_sums(observed_sums(squared, codes), sizes)[0]),
        wd_from_sums(group_sums(squared, design.drawn.codes), sizes),
        space.negative_share,
    )


def _estimate(values: np.ndarray, own: list[Spread], weights: np.ndarray, design: Design, options: Options) -> Estimate:
    """Return a contrast; its interval leaves out blocks where there are enough, else members."""
    if design.blocks is not None:
        found = blocked_contrast(values, design.codes, weights, design.blocks, confidence=options.confidence)
        if found is not None:
            return found
    return contrast(own, weights, confidence=options.confidence)


def _logs(means: np.ndarray) -> np.ndarray:
    """Return logs of mean distances; a group on one point counts as extremely tight."""
    logs: np.ndarray = np.log(np.maximum(means, np.finfo(float).tiny))
    return logs


def _against(logs: np.ndarray, design: Design) -> np.ndarray:
    weights = against_reference(len(design.groups), design.reference)
    return np.asarray(np.abs(logs @ weights))


def _pairwise(logs: np.ndarray, design: Design) -> np.ndarray:
    first, second = np.array(design.pairs).T
    return np.asarray(np.abs(logs[:, second] - logs[:, first]))


def described(found: Dispersed, members: xr.DataArray, design: Design, options: Options) -> xr.Dataset:
    """Return a result with labels."""
    p_location = float(p_value(found.wd_null, found.wd))
    alpha = 1 - options.confidence
    said = verdict(found.effect, p_location, alpha=alpha, equivalence=options.equivalence)
    reference = design.groups[design.reference]
    own = [_within(each, options.confidence) for each in found.spreads]
    centre = [_mean(found.distance[design.codes == code], options.confidence) for code in range(len(design.groups))]
    pairs = np.array(design.pairs)
    names = np.array(design.groups)
    variables = {
        "log_ratio": found.effect.value,
        "log_ratio_lower": found.effect.lower,
        "log_ratio_upper": found.effect.upper,
        "p_interval": found.effect.p,
        "statistic": found.statistic,
        "p": float(p_value(found.null, found.statistic)),
        "W": found.wd,
        "p_location": p_location,
        "size": ("group", np.bincount(design.codes)),
        **_columns("mean_distance", "group", own),
        "distance": ("member", found.distance),
        "label": ("member", design.labels),
        **_columns("center_distance", "group", centre),
        **_columns("pair_log_ratio", "pair", found.pairs),
        "pair_p": ("pair", p_value(found.pair_null, found.pair_statistics)),
        "pair_p_adjusted": ("pair", step_down(found.pair_null, found.pair_statistics)),
    }
    return xr.Dataset(
        variables,
        coords={
            **member_coordinates(members),
            "group": design.groups,
            "first": ("pair", names[pairs[:, 0]]),
            "second": ("pair", names[pairs[:, 1]]),
        },
        attrs=provenance(**options._asdict(), negative_share=found.negative_share, reference=reference)
        | {
            "result": "dispersion",
            "verdict": said,
            "sentence": sentence(
                said,
                found.effect,
                p_location,
                confidence=options.confidence,
                alpha=alpha,
                others=design.others,
                reference=reference,
            ),
        }
        | design.drawn.attrs,
    )


def _within(own: Spread, confidence: float) -> Estimate:
    """Return the mean distance within a group, its interval symmetric in the log."""
    log = contrast([own], np.ones(1), confidence=confidence)
    value, lower, upper = np.exp(log[:3])
    return Estimate(value, lower, upper, log.freedom, np.nan)


def _mean(values: np.ndarray, confidence: float) -> Estimate:
    """Return the mean of distances to a centre, with Student's interval."""
    variance = float(values.var(ddof=1) / len(values))
    mean = float(values.mean())
    if len(values) < 3 or variance <= 1e-20:
        return Estimate(mean, np.nan, np.nan, np.nan, np.nan)
    return interval(mean, variance, len(values) - 1, confidence=confidence)


def _columns(name: str, dimension: str, estimates: list[Estimate]) -> dict[str, Any]:
    value, lower, upper = np.array([estimate[:3] for estimate in estimates]).T
    return {name: (dimension, value), f"{name}_lower": (dimension, lower), f"{name}_upper": (dimension, upper)}
