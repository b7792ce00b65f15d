"""The Anna Karenina question: the effect has an interval, and the verdict is never given without it."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist, squareform

import akpsim
from akpsim.errors import AkpsimError
from akpsim.karenina.effect import Estimate, spread
from akpsim.karenina.verdict import disagreement, verdict

TINY = json.loads((Path(__file__).parent / "reference" / "tiny_exact.json").read_text())  # algebra


def cloud(seed=0, *, sizes=(10, 10), spreads=(1.0, 1.0), shift=0.0, p=20):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(size=(n, p)) * s for n, s in zip(sizes, spreads, strict=True)])
    points[sizes[0] :] += shift
    return cdist(points, points), np.repeat(["happy", "unhappy", "third"][: len(sizes)], sizes)


def test_members_on_corners_twice_as_far_apart_are_twice_as_spread():
    points = np.array(TINY["dispersion_square"]["A"] + TINY["dispersion_square"]["B"], dtype=float)
    found = akpsim.disperse(cdist(points, points), list("AAAABBBB"))
    assert float(found.log_ratio) == pytest.approx(TINY["dispersion_square"]["log_ratio_ustat"], abs=1e-12)
    assert np.isnan(found.log_ratio_lower)  # nothing varies inside groups
    assert found.attrs["verdict"] == "inconclusive"
    assert "no interval: three members of a group, not all alike, are needed" in found.attrs["sentence"]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 8))
def test_pseudo_values_are_those_of_leaving_members_out(seed, n):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    dist = cdist(points, points)

    def log_mean(members):
        return np.log(np.mean([dist[i, j] for i in members for j in members if i < j]))

    everyone = list(range(n))
    expected = [n * log_mean(everyone) - (n - 1) * log_mean([j for j in everyone if j != i]) for i in everyone]
    np.testing.assert_allclose(spread(dist).pseudo, expected, rtol=1e-9)


def test_the_interval_is_welchs_on_pseudo_values():
    dist, labels = cloud(sizes=(6, 9))
    found = akpsim.disperse(dist, labels)
    happy, unhappy = (spread(dist[np.ix_(labels == g, labels == g)]).pseudo for g in ("happy", "unhappy"))
    welch = stats.ttest_ind(unhappy - unhappy.mean(), happy - happy.mean() + 1, equal_var=False)  # only for the error
    error = -1 / welch.statistic
    half = stats.t.ppf(0.975, welch.df) * error
    assert float(found.log_ratio_upper - found.log_ratio) == pytest.approx(half, rel=1e-9)
    assert float(found.log_ratio - found.log_ratio_lower) == pytest.approx(half, rel=1e-9)


def test_two_members_have_a_spread_but_no_interval():
    dist, labels = cloud(sizes=(2, 5))
    found = akpsim.disperse(dist, labels)
    assert np.isfinite(found.log_ratio)
    assert np.isnan(found.log_ratio_lower)
    assert found.attrs["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("spreads", "shift", "expected"),
    [
        ((1, 2), 0, "Anna Karenina"),
        ((1, 2), 5, "both"),
        ((2, 1), 0, "reversed"),
        ((1, 1), 0, "none"),
        ((1, 1), 3, "deterministic shift"),
    ],
)
def test_the_verdict_tells_spread_from_location(spreads, shift, expected):
    dist, labels = cloud(1, sizes=(40, 40), spreads=spreads, shift=shift, p=100)
    found = akpsim.disperse(dist, labels, seed=0)
    assert found.attrs["verdict"] == expected
    assert found.attrs["sentence"].startswith(f"{expected}: spread unhappy / happy = ")
    assert "95% interval" in found.attrs["sentence"]


@pytest.mark.parametrize(
    ("lower", "upper", "p", "expected"),
    [
        (0.1, 0.5, 0.5, "Anna Karenina"),
        (0.1, 0.5, 0.01, "both"),
        (-0.5, -0.1, 0.5, "reversed"),
        (-0.09, 0.09, 0.5, "none"),
        (-0.09, 0.09, 0.01, "deterministic shift"),
        (-0.09, 0.1, 0.5, "inconclusive"),  # log 1.1 = 0.0953
        (-0.5, 0.5, 0.01, "inconclusive"),
        (np.nan, np.nan, 0.01, "inconclusive"),
        (0.01, 0.09, 0.5, "none"),  # different, but by less than a tenth
    ],
)
def test_no_effect_is_a_claim_that_needs_a_narrow_interval(lower, upper, p, expected):
    assert verdict(Estimate((lower + upper) / 2, lower, upper, 10, np.nan), p) == expected


def test_several_groups_are_compared_with_the_reference_and_in_pairs():
    dist, labels = cloud(2, sizes=(8, 8, 8), spreads=(1, 2, 4))
    found = akpsim.disperse(dist, labels, seed=0)
    logs = np.log(found.mean_distance.sel(group=["happy", "unhappy", "third"]).values)
    assert found.attrs["reference"] == "happy"
    assert float(found.log_ratio) == pytest.approx(logs[1:].mean() - logs[0])
    pairs = dict(
        zip(zip(found.first.values, found.second.values, strict=True), found.pair_log_ratio.values, strict=True)
    )
    assert pairs["happy", "unhappy"] == pytest.approx(logs[1] - logs[0])
    assert len(pairs) == 3
    assert (found.pair_p_adjusted >= found.pair_p).all()
    other = akpsim.disperse(dist, labels, reference="third", seed=0)
    assert other.attrs["verdict"] == "reversed"
    assert other.group.values.tolist() == ["third", "happy", "unhappy"]
    with pytest.raises(AkpsimError, match="unknown group for `reference` 'hapy': did you mean 'happy'"):
        akpsim.disperse(dist, labels, reference="hapy")


def test_groups_come_in_the_order_of_their_stress():
    dist, _ = cloud(sizes=(4, 4, 4), spreads=(1, 1, 1))
    found = akpsim.disperse(dist, ["severe"] * 4 + ["mild"] * 4 + ["none"] * 4, permutations=9, seed=0)
    assert found.group.values.tolist() == ["none", "mild", "severe"]
    assert list(zip(found["first"].values, found["second"].values, strict=True)) == [
        ("none", "mild"),
        ("none", "severe"),
        ("mild", "severe"),
    ]
    assert "(9 relabelings, random; smallest attainable p 0.1)" in found.attrs["tests"]


def test_a_pair_is_judged_by_its_own_relabelings_whatever_the_other_groups_do():
    dist, labels = cloud(5, sizes=(5, 5, 5), spreads=(1, 1.5, 40))
    pair = labels != "third"
    alone = akpsim.disperse(dist[np.ix_(pair, pair)], labels[pair])
    together = akpsim.disperse(dist, labels)
    assert (together["first"].values[0], together["second"].values[0]) == ("happy", "unhappy")
    assert float(together.pair_p[0]) == pytest.approx(float(alone.p))
    assert float(alone.pair_p[0]) == float(alone.p)
    assert float(together.pair_log_ratio_lower[0]) == pytest.approx(float(alone.log_ratio_lower))


def test_a_pair_that_no_block_holds_has_no_p_value():
    dist, labels = cloud(5, sizes=(6, 6, 6), spreads=(1, 1, 1))
    found = akpsim.disperse(dist, labels, blocks=[0] * 6 + [0] * 3 + [1] * 9, permutations=99, seed=0)
    assert np.isfinite(found.pair_p.values).tolist() == [True, False, True]  # happy and third share no block
    assert np.isfinite(found.pair_p_adjusted.values).tolist() == [True, False, True]


def test_the_result_is_labelled_saved_and_read_again(tmp_path):
    dist, labels = cloud()
    array = xr.DataArray(dist, dims=("member", "other"), coords={"stress": ("member", labels), "member": range(20)})
    found = akpsim.disperse(array, "stress", permutations=99, seed=3)
    again = akpsim.open_result(akpsim.save(found, tmp_path / "dispersion.nc"))
    xr.testing.assert_equal(again, found)
    assert again.attrs["by"] == "stress"
    assert again.attrs["permutations"] == 99
    assert again.attrs["result"] == "dispersion"
    assert again.distance.coords["stress"].values.tolist() == labels.tolist()


def test_scale_and_order_of_members_do_not_matter():
    dist, labels = cloud(4, sizes=(4, 5))
    order = np.random.default_rng(0).permutation(9)
    one = akpsim.disperse(dist, labels)
    two = akpsim.disperse(3 * dist[np.ix_(order, order)], labels[order])
    for name in ("log_ratio", "log_ratio_lower", "p", "p_location", "W"):
        assert float(two[name]) == pytest.approx(float(one[name]))


@pytest.mark.parametrize(
    ("dist", "labels", "message"),
    [
        (
            1 - np.eye(6),
            list("aaabbb"),
            r"all distances are equal \(1\): there is no variation to judge a difference by",
        ),
        (np.kron(1 - np.eye(2), np.ones((3, 3))), list("aaabbb"), "all members of group a are at distance zero"),
        (cloud()[0][:5, :5], TINY["singleton_group"]["groups"], "group h has one member"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(dist, labels, message):
    with pytest.raises(AkpsimError, match=message):
        akpsim.disperse(dist, labels)


def test_with_blocks_the_interval_leaves_out_whole_blocks():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(6, 5)), 2 * rng.normal(size=(6, 5))])
    dist, labels, seeds = cdist(points, points), np.repeat(["none", "severe"], 6), np.tile(range(6), 2)
    found = akpsim.disperse(dist, labels, blocks=seeds)

    def effect(kept):
        means = [
            dist[np.ix_(m, m)].sum() / (m.sum() * (m.sum() - 1))
            for m in (kept & (labels == g) for g in ("none", "severe"))
        ]
        return np.log(means[1] / means[0])

    left = np.array([effect(seeds != seed) for seed in range(6)])
    error = np.sqrt(5 / 6 * ((left - left.mean()) ** 2).sum())
    assert float(found.log_ratio) == pytest.approx(effect(seeds >= 0))
    assert float(found.log_ratio_upper - found.log_ratio) == pytest.approx(stats.t.ppf(0.975, 5) * error)


def test_copies_of_members_do_not_narrow_an_interval_over_blocks():
    dist, labels = cloud(3, sizes=(6, 6))
    seeds = np.tile(range(6), 2)
    twice = np.tile(range(12), 2)
    rng = np.random.default_rng(0)
    copies = dist[np.ix_(twice, twice)] + squareform(rng.uniform(0, 1e-9, size=24 * 23 // 2))
    one = akpsim.disperse(dist, labels, blocks=seeds, seed=0)
    two = akpsim.disperse(copies, labels[twice], blocks=seeds[twice], seed=0)
    assert float(two.log_ratio_upper - two.log_ratio) > 0.9 * float(one.log_ratio_upper - one.log_ratio)


def test_location_that_no_relabeling_can_show_to_differ_is_no_anna_karenina():
    dist, labels = cloud(1, sizes=(3, 3), spreads=(1, 8))
    found = akpsim.disperse(dist, labels)
    assert found.attrs["smallest_p"] == pytest.approx(2 / 20)
    assert found.attrs["verdict"] == "Anna Karenina or both"
    assert "location cannot be tested with so few permutations (smallest attainable p 0.1)" in found.attrs["sentence"]
    assert found.attrs["disagreement"] == (
        "The interval excludes 1 and makes the verdict; so few permutations allow no p below 0.1"
    )
    assert verdict(Estimate(0, -0.01, 0.01, 4, 1.0), 0.5, smallest_p=0.1) == "none or deterministic shift"


@pytest.mark.parametrize(
    ("effect_p", "p", "groups", "expected"),
    [
        (0.01, 0.01, 3, ""),
        (
            0.01,
            0.2,
            2,
            "The interval excludes 1 and makes the verdict, the permutation test does not reject (p = 0.2): ",
        ),
        (0.2, 0.01, 2, "The interval includes 1 and makes the verdict, the permutation test rejects (p = 0.01): they"),
        (0.01, 0.2, 3, "with more than two groups the permutations assume that all are alike; read the pairs; the"),
    ],
)
def test_which_of_interval_and_permutations_makes_the_verdict_is_said(effect_p, p, groups, expected):
    effect = Estimate(0.3, 0.1, 0.5, 8, effect_p)
    said = disagreement(effect, p, alpha=0.05, smallest_p=0.001, groups=groups, blocked=True)
    assert expected in said
    assert bool(said) == bool(expected)


def test_a_number_a_member_makes_no_groups():
    dist, _ = cloud()
    with pytest.raises(AkpsimError, match=r"makes no groups: `akpsim.disperse_on` asks whether members differ more"):
        akpsim.disperse(dist, np.linspace(0, 1, 20))
