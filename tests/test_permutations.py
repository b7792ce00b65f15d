"""Permutations: complete when few, inside blocks, and p-values that count the observed labels."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akpsim.errors import AkpsimError
from akpsim.permutations import false_discovery, holm, p_value, rearrangements, relabelings, step_down


@pytest.mark.parametrize(
    ("sizes", "smallest"),
    [((5, 5), 1 / 126), ((4, 1), 1 / 5), ((3, 4), 1 / 35), ((2, 2, 2), 6 / 90)],  # by counting; equal groups may swap
)
def test_the_smallest_attainable_p_is_known(sizes, smallest):
    drawn = relabelings(np.repeat(range(len(sizes)), sizes))
    assert drawn.complete
    assert drawn.smallest_p == pytest.approx(smallest)


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 3), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_a_complete_enumeration_has_every_other_labelling_once(sizes, seed):
    codes = np.random.default_rng(seed).permutation(np.repeat(range(len(sizes)), sizes))
    drawn = relabelings(codes)
    total = np.prod([comb(sum(sizes[: i + 1]), size) for i, size in enumerate(sizes)])
    assert len(np.unique(drawn.codes, axis=0)) == len(drawn.codes) == total - 1
    assert not (drawn.codes == codes).all(axis=1).any()
    assert (np.sort(drawn.codes, axis=1) == np.sort(codes)).all()


@pytest.mark.parametrize("pairs", [3, 30])
def test_labels_stay_inside_their_block(pairs):
    codes, blocks = np.tile([0, 1], pairs), np.repeat(np.arange(pairs), 2)
    drawn = relabelings(codes, blocks=blocks, permutations=50, seed=0)
    assert drawn.complete == (2**pairs <= 20_000)
    assert (drawn.codes.reshape(-1, pairs, 2).sum(axis=2) == 1).all()


def test_blocks_that_hold_one_group_each_leave_nothing_to_permute():
    with pytest.raises(AkpsimError, match=r"nothing can be permuted: none of 2 blocks holds members of two groups"):
        relabelings(np.array([0, 0, 1, 1]), blocks=np.array([0, 0, 1, 1]))
    with pytest.raises(AkpsimError, match=r"nothing can be permuted: each of 3 blocks holds one member"):
        rearrangements(3, blocks=np.arange(3))


def test_the_same_seed_gives_the_same_permutations():
    codes = np.repeat([0, 1], 20)
    one, two, three = (relabelings(codes, permutations=20, seed=seed).codes for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != three).any()


def test_a_p_value_counts_the_observed_labels_and_ties():
    assert p_value(np.array([1.0, 2.0, 3.0]), 2.0 + 1e-12) == 3 / 4  # (2 hits + 1) / (3 + 1)
    assert p_value(np.array([np.nan, 0.0]), 2.0) == 2 / 3  # a statistic without a value is no evidence


def test_step_down_by_hand():
    # Largest first: max over both tests exceeds 3 in one of four rows, the second test alone exceeds 1 in two of four.
    statistics = np.array([[4.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(step_down(statistics, np.array([3.0, 1.0])), [2 / 5, 3 / 5])


def test_false_discovery_by_hand():
    np.testing.assert_allclose(false_discovery(np.array([0.01, 0.04, 0.03, 0.5])), [0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04, 0.03, 0.9])), [0.04, np.nan, 0.09, 0.09, 0.9])


def test_how_many_permutations_is_checked():
    with pytest.raises(AkpsimError, match="`permutations` must be a whole number of at least 1, got 0"):
        relabelings(np.array([0, 1]), permutations=0)
