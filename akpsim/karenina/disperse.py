r"""The Anna Karenina question, whole: effect with interval, permutation test, location, verdict.

*Effect*: log ratio of mean pairwise distances with a jackknife interval (`akpsim.karenina.effect`); it makes the
verdict.  *Test*: permutation of centred and rescaled members (`akpsim.permdisp`).  *Location*: `akpsim.wd_star`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from akpsim.checks import generator
from akpsim.distances import Negative, group_label, made_of, member_coordinates, varied
from akpsim.karenina.centres import Center, centre_distances, small_sample, space_of
from akpsim.karenina.design import Design, Options, design_of, estimate, options_of
from akpsim.karenina.effect import Estimate, Spread, against_reference, columns, contrast, interval, spreads
from akpsim.karenina.location import group_sums, observed_sums, wd_from_sums
from akpsim.karenina.pairs import pairs_of
from akpsim.karenina.permdisp import group_means, logs_of, relabelled_means
from akpsim.karenina.verdict import EQUIVALENCE, disagreement, sentence, verdict
from akpsim.permutations import Seed, p_value
from akpsim.store import provenance


class Dispersed(NamedTuple):
    """What one matrix of distances says."""

    spreads: list[Spread]
    effect: Estimate
    distance: np.ndarray
    statistic: float
    null: np.ndarray
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
        interval, ``pair_p`` from relabelings of these two groups only (NaN if no block holds both) and
        ``pair_p_adjusted`` (Holm, over all pairs), and ``pair_smallest_p``, the least ``pair_p`` there is.  Groups
        come in the order reference, none, mild, severe, others.  attrs: ``verdict``, a few words; ``sentence``, which
        says it with the interval;
        ``tests``, the p-values with the smallest that can come out; ``disagreement``, empty unless interval and
        permutation test contradict each other.

    Raises
    ------
    InvalidData
        If a group has one member, or no spread at all.

    Notes
    -----
    With several other groups the effect is the mean of their logs against the reference.  A group of two members has a
    spread but no interval, and the verdict is "inconclusive".
    """
    checked = varied(dist)
    rng = generator(seed)
    design = design_of(checked, by, reference, blocks, permutations, rng)
    options = options_of(center, negative, confidence, equivalence)
    found = disperse_one(checked.values, design, options)
    result = described(found, checked, design, options).assign_attrs(
        provenance(
            by=group_label(by),
            blocks=None if blocks is None else group_label(blocks),
            seed=seed if isinstance(seed, int) else None,
        )
    )
    pairs = pairs_of(checked.values, found.spreads, design, options, permutations, rng)
    return result.assign(pairs).set_coords(["first", "second"])


def disperse_one(values: np.ndarray, design: Design, options: Options) -> Dispersed:
    """Return effect, tests and their permutations for one matrix of checked distances."""
    codes = design.codes
    own = spreads(values, codes, design.groups)
    weights = against_reference(len(design.groups))
    space = space_of(values, negative=options.negative)
    distance = centre_distances(space, codes[None], center=options.center)[0] * small_sample(codes)
    logs = logs_of(group_means(distance[None], codes[None]))
    null = logs_of(relabelled_means(space, codes, design.drawn, center=options.center))
    sizes = np.bincount(codes)
    squared = values**2
    return Dispersed(
        own,
        estimate(values, own, weights, design, options),
        distance,
        float(np.abs(logs @ weights)[0]),
        np.abs(null @ weights),
        float(wd_from_sums(observed_sums(squared, codes), sizes)[0]),
        wd_from_sums(group_sums(squared, design.drawn.codes), sizes),
        space.negative_share,
    )


def described(found: Dispersed, members: xr.DataArray, design: Design, options: Options) -> xr.Dataset:
    """Return a result with labels."""
    p, p_location = float(p_value(found.null, found.statistic)), float(p_value(found.wd_null, found.wd))
    alpha, smallest = 1 - options.confidence, design.drawn.smallest_p
    said = verdict(found.effect, p_location, smallest_p=smallest, alpha=alpha, equivalence=options.equivalence)
    reference = design.groups[0]
    own = [_within(each, options.confidence) for each in found.spreads]
    centre = [_mean(found.distance[design.codes == code], options.confidence) for code in range(len(design.groups))]
    variables = {
        "log_ratio": found.effect.value,
        "log_ratio_lower": found.effect.lower,
        "log_ratio_upper": found.effect.upper,
        "p_interval": found.effect.p,
        "statistic": found.statistic,
        "p": p,
        "W": found.wd,
        "p_location": p_location,
        "size": ("group", np.bincount(design.codes)),
        **columns("mean_distance", "group", own),
        "distance": ("member", found.distance),
        "label": ("member", design.labels),
        **columns("center_distance", "group", centre),
    }
    return xr.Dataset(
        variables,
        coords={
            **member_coordinates(members),
            "group": design.groups,
        },
        attrs=provenance(**options._asdict(), negative_share=found.negative_share, reference=reference)
        | made_of(members)
        | {
            "result": "dispersion",
            "tests": f"permutation test of dispersion p = {p:.3g}, of location p = {p_location:.3g} "
            f"({design.drawn.words})",
            "verdict": said,
            "sentence": sentence(
                said,
                found.effect,
                p_location,
                smallest_p=smallest,
                confidence=options.confidence,
                alpha=alpha,
                others=design.others,
                reference=reference,
            ),
            "disagreement": disagreement(
                found.effect,
                p,
                alpha=alpha,
                smallest_p=smallest,
                groups=len(design.groups),
                blocked=design.blocks is not None,
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
