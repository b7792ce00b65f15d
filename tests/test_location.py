"""Tests of location agree with R and scikit-bio, and W*d does not take spread for location."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError
from akpsim.karenina.location import group_sums, observed_sums

REFERENCE = Path(__file__).parent / "reference"
TINY = json.loads((REFERENCE / "tiny_exact.json").read_text())["permanova_1d"]  # algebra
GROUPS = list("aaabbb")


def line():
    x = np.array(TINY["x"], dtype=float)[:, None]
    return np.abs(x - x.T)


def test_permanova_of_four_points_on_a_line():
    found = akpsim.permanova(line(), TINY["groups"])
    assert float(found.F) == pytest.approx(TINY["F"], rel=1e-12)
    assert float(found.p) == pytest.approx(TINY["exact_p"], rel=1e-12)
    assert float(found.R2) == pytest.approx(100 / 101, rel=1e-12)  # SSB / SST


def test_permanova_by_terms_agrees_with_one_way_and_with_adonis2_to_the_last_relabeling():
    # R 4.2.2, vegan 2.6-4, adonis2 on the six samples of scikit-bio's tests: sums of squares, complete enumeration.
    expected = json.loads((REFERENCE / "vegan_varespec_expected.json").read_text())["adonis2"]["skbio6_exact"]
    one = akpsim.permanova(line(), TINY["groups"])
    terms = akpsim.permanova(line(), {"side": TINY["groups"]})
    assert float(terms.F[0]) == pytest.approx(float(one.F))
    assert float(terms.p[0]) == pytest.approx(float(one.p))
    assert expected["p"][0] == pytest.approx((0.9 * 720 + 1) / 721)  # vegan counts the observed order twice


def test_terms_split_the_sum_of_squares_of_a_balanced_design_as_averages_do():
    a, b = np.repeat([0, 1], 4), np.tile([0, 0, 1, 1], 2)
    x = (3.0 * a + 1.0 * b + np.array([0.1, -0.1] * 4))[:, None]
    coords = {"member": range(8), "a": ("member", a), "b": ("member", b)}
    found = akpsim.permanova(
        xr.DataArray(np.abs(x - x.T), dims=("member", "other"), coords=coords), "a + b + a:b", seed=0
    )
    np.testing.assert_allclose(found.sum_of_squares, [8 * 1.5**2, 8 * 0.5**2, 0], atol=1e-9)  # by hand
    assert float(found.residual_sum_of_squares) == pytest.approx(8 * 0.01)
    assert found.df.values.tolist() == [1, 1, 1]
    assert float(found.residual_df) == 4
    with pytest.raises(AkpsimError, match="term 'b' adds nothing to the terms before it"):
        akpsim.permanova(x * 0 + np.abs(x - x.T), {"a": a, "b": a})
    with pytest.raises(AkpsimError, match="the terms take 7 degrees of freedom of 7: none is left for residuals"):
        akpsim.permanova(np.abs(x - x.T), {"a": np.arange(8)})


def test_a_dose_is_one_column():
    x = np.array([0.0, 1, 2, 3, 4])[:, None]
    found = akpsim.permanova(np.abs(x - x.T) + 0.0, {"dose": np.array([0.0, 1, 2, 3, 5])})
    assert found.df.item() == 1
    # R squared of a simple regression: (cov(x, dose))^2 / var var, by hand = 12^2 / (10 * 14.8)
    assert found.R2.item() == pytest.approx(144 / 148)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(2, 6), min_size=2, max_size=3))
def test_permanova_and_anosim_agree_with_scikit_bio(seed, sizes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skbio import DistanceMatrix
        from skbio.stats.distance import anosim, permanova
    points = np.random.default_rng(seed).normal(size=(sum(sizes), 3))
    labels = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    dist = cdist(points, points)
    theirs = DistanceMatrix((dist + dist.T) / 2, [str(i) for i in range(len(dist))])
    assert float(akpsim.permanova(dist, labels).F) == pytest.approx(
        permanova(theirs, labels, permutations=0)["test statistic"]
    )
    assert float(akpsim.anosim(dist, labels).R) == pytest.approx(
        anosim(theirs, labels, permutations=0)["test statistic"]
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(2, 6), second=st.integers(2, 6))
def test_wd_star_of_one_variable_is_the_square_of_welchs_t(seed, first, second):
    from scipy.stats import ttest_ind

    x = np.random.default_rng(seed).normal(size=(first + second, 1))
    welch = ttest_ind(x[:first, 0], x[first:, 0], equal_var=False).statistic
    labels = np.repeat(["a", "b"], [first, second])
    assert float(akpsim.wd_star(np.abs(x - x.T), labels).W) == pytest.approx(welch**2, rel=1e-6)


def test_wd_star_of_three_groups_of_one_variable_is_welchs_anova():
    x = np.array([1.0, 2, 4, 3, 5, 8, 9, 2, 1, 1.5])
    labels = np.repeat(["a", "b", "c"], [3, 4, 3])
    groups = [x[labels == g] for g in "abc"]
    n = np.array([len(g) for g in groups])
    weight = n / np.array([g.var(ddof=1) for g in groups])
    mean = np.array([g.mean() for g in groups])
    grand = (weight * mean).sum() / weight.sum()
    spare = ((1 - weight / weight.sum()) ** 2 / (n - 1)).sum()
    expected = (weight * (mean - grand) ** 2).sum() / 2 / (1 + 2 * (3 - 2) / (9 - 1) * spare)  # Welch 1951, k = 3
    assert float(akpsim.wd_star(np.abs(x[:, None] - x), labels).W) == pytest.approx(expected)


def test_wd_star_refuses_a_group_without_spread_and_anosim_says_what_it_is():
    points = np.array([[0.0], [0], [0], [1], [2], [4]])
    with pytest.raises(AkpsimError, match="all members of group a are at distance zero from each other: its weight is"):
        akpsim.wd_star(cdist(points, points), GROUPS)
    assert akpsim.anosim(cdist(points, points), GROUPS).attrs["note"] == "mixes location with spread"


def test_groups_of_one_leave_nothing_to_compare_with():
    points = np.arange(3.0)[:, None]
    with pytest.raises(AkpsimError, match=r"every group has one member \(3 groups\): nothing varies inside groups"):
        akpsim.permanova(cdist(points, points), list("abc"))
    with pytest.raises(AkpsimError, match="all distances are equal"):
        akpsim.permanova(np.zeros((4, 4)), list("aabb"))


def test_a_term_of_one_level_is_called_that():
    dist = cdist(*[np.random.default_rng(0).normal(size=(8, 2))] * 2)
    terms = {"optimizer": ["sgd"] * 8, "stress": list("aabbaabb")}
    with pytest.raises(AkpsimError, match="term 'optimizer' has one level only: nothing differs by it"):
        akpsim.permanova(dist, terms)
    with pytest.raises(AkpsimError, match="term 'again' adds nothing to the terms before it"):
        akpsim.permanova(dist, {"stress": terms["stress"], "again": terms["stress"]})


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(1, 5), min_size=2, max_size=4))
def test_sums_over_pairs_of_groups_are_those_of_their_terms(seed, sizes):
    rng = np.random.default_rng(seed)
    codes = np.array([rng.permutation(np.repeat(range(len(sizes)), sizes)) for _ in range(3)])
    matrix = cdist(*[rng.normal(size=(sum(sizes), 2))] * 2)
    expected = [
        [[matrix[np.ix_(row == g, row == h)].sum() for h in range(len(sizes))] for g in range(len(sizes))]
        for row in codes
    ]
    np.testing.assert_allclose(group_sums(matrix, codes), expected, atol=1e-9)
    np.testing.assert_allclose(observed_sums(matrix, codes[0]), expected[:1])


def test_the_smallest_p_of_few_members_is_said():
    points = np.random.default_rng(0).normal(size=(10, 2))
    found = akpsim.wd_star(cdist(points, points), np.repeat(["a", "b"], 5))
    assert found.attrs["smallest_p"] == pytest.approx(1 / 126)
    assert found.attrs["complete_enumeration"] == 1


def test_groups_that_are_perfectly_apart_have_the_smallest_p_and_no_warning():
    dist = np.kron([[0, 1], [1, 0]], np.ones((5, 5)))
    for scale in (1, 0.1):  # tenths are rounded
        found = akpsim.permanova(scale * dist, list("aaaaabbbbb"))
        assert np.isinf(found.F)
        assert float(found.p) == pytest.approx(2 / 252)  # the observed labels and the same with names exchanged
        assert float(akpsim.anosim(scale * dist, list("aaaaabbbbb")).p) == pytest.approx(2 / 252)
    mixed = akpsim.permanova(dist, {"side": list("aaaaabbbbb")}, permutations=199, seed=0)
    assert float(mixed.p[0]) < 0.05


@pytest.mark.parametrize(
    "asked",
    [
        akpsim.permanova,
        akpsim.wd_star,
        akpsim.anosim,
        akpsim.permdisp,
        akpsim.disperse,
        lambda dist, by: akpsim.permanova(dist, {"one": by}),
        lambda dist, by: akpsim.disperse_layers({"one": dist}, by),
        lambda dist, by: akpsim.calibrate(dist, by, sizes=(2, 2), repetitions=2),
        lambda dist, by: akpsim.ordinate(dist, "pcoa", by=by),
        lambda dist, by: akpsim.ordinate(dist, "nmds", by=by, seed=0),
    ],
)
@pytest.mark.parametrize("constant", [0.0, 0.3])
def test_constant_distances_are_refused_by_all(asked, constant):
    with pytest.raises(AkpsimError, match=r"all distances are equal .*: there is no variation to judge a difference"):
        asked(constant * (1 - np.eye(10)), list("aaaaabbbbb"))
