r"""Every pair of groups by itself: effect, interval and permutation test.

Relabelings of all groups assume that all are alike; they would judge two groups by how different the others are.  So
each pair has relabelings of its own, and the p-values are adjusted for how many pairs there are (Holm 1979).
"""

import warnings
from itertools import combinations
from typing import Any

import numpy as np

from akpsim.errors import AkpsimWarning, InvalidData
from akpsim.karenina.centres import centre_distances, small_sample, space_of
from akpsim.karenina.design import Design, Options, estimate
from akpsim.karenina.effect import Spread, columns, pair_weights
from akpsim.karenina.permdisp import group_means, logs_of, relabelled_means
from akpsim.permutations import holm, p_value, relabelings


def pairs_of(
    values: np.ndarray,
    spreads: list[Spread],
    design: Design,
    options: Options,
    permutations: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return the effect and the p-values of every pair of groups.

    Relabelings of all groups would judge two of them by how different the others are; those of a pair are its own.
    """
    number = len(design.groups)
    pairs = list(combinations(range(number), 2))
    effects = [estimate(values, spreads, pair_weights(number, *pair), design, options) for pair in pairs]
    p, smallest = np.array([_pair_p(values, design, pair, options, permutations, rng) for pair in pairs]).T
    return columns("pair_log_ratio", "pair", effects) | {
        "pair_p": ("pair", p),
        "pair_p_adjusted": ("pair", holm(p)),
        "pair_smallest_p": ("pair", smallest),
        "first": ("pair", [design.groups[first] for first, _ in pairs]),
        "second": ("pair", [design.groups[second] for _, second in pairs]),
    }


def _pair_p(
    values: np.ndarray,
    design: Design,
    pair: tuple[int, int],
    options: Options,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the p-value of the permutation test between two groups and its least; NaN if no block holds both."""
    members = np.isin(design.codes, pair)
    codes = (design.codes[members] == pair[1]).astype(np.int64)
    blocks = None if design.blocks is None else design.blocks[members]
    try:
        drawn = design.drawn
        if not members.all():
            drawn = relabelings(codes, permutations=permutations, blocks=blocks, seed=rng)
    except InvalidData:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AkpsimWarning)  # all members together have said it
        space = space_of(values[np.ix_(members, members)], negative=options.negative)
        distance = centre_distances(space, codes[None], center=options.center)
        null = logs_of(relabelled_means(space, codes, drawn, center=options.center))
    logs = logs_of(group_means(distance * small_sample(codes), codes[None]))
    p = p_value(np.abs(null[:, 1] - null[:, 0]), abs(float(logs[0, 1] - logs[0, 0])))
    return float(p), drawn.smallest_p
