"""The permutation test of dispersion agrees with R's vegan, and is not misled by location or by small groups."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError, AkpsimWarning
from akpsim.karenina.centres import centre_distances, centred_space, space_of

REFERENCE = Path(__file__).parent / "reference"
VEGAN = json.loads((REFERENCE / "vegan_varespec_expected.json").read_text())["betadisper"]  # R 4.2.2, vegan 2.6-4
BRAY = np.loadtxt(REFERENCE / "varespec_bray.csv", delimiter=",", skiprows=1, usecols=range(1, 25))
TINY = json.loads((REFERENCE / "tiny_exact.json").read_text())  # algebra


def vegan_variant(name, **options):
    """Return our answer to a variant of betadisper; the Bray-Curtis distances of varespec are not Euclidean."""
    dist = np.sqrt(BRAY) if "sqrt" in name else BRAY
    negative = next((word for word in ("lingoes", "cailliez") if word in name), "signed")
    center = "median" if "median" in name else "centroid"
    arguments = {"center": center, "scheme": "vegan", "bias_adjust": "biasadj" in name, "negative": negative} | options
    if "sqrt" in name:
        return akpsim.permdisp(dist, VEGAN[name]["group"], **arguments)
    with pytest.warns(AkpsimWarning, match=rf"negative eigenvalues hold 5\.1% \({negative}\)"):
        return akpsim.permdisp(dist, VEGAN[name]["group"], **arguments)


@pytest.mark.parametrize("name", VEGAN)
def test_betadisper_and_permutest_of_varespec(name):
    expected = VEGAN[name]
    found = vegan_variant(name, permutations=9999, seed=0)
    # vegan stops its search for a spatial median early; see the next test.
    distance, ratio = (2e-4 if "sqrt" in name else 1e-4, 3e-4) if "median" in name else (1e-10, 1e-10)
    np.testing.assert_allclose(found.distance, expected["distances"], atol=distance)
    np.testing.assert_allclose(found.mean_distance, list(expected["group_distances"].values()), atol=distance)
    assert float(found.F) == pytest.approx(expected["F"], abs=ratio)
    p = expected["p_perm9999_seed1"]
    assert float(found.p) == pytest.approx(p, abs=4 * np.sqrt(2 * p * (1 - p) / 9999))


@pytest.mark.parametrize("name", [f"varespec_median_{euclidean}" for euclidean in ("sqrt", "lingoes", "cailliez")])
def test_our_spatial_median_is_nearer_to_all_members_than_that_of_vegan(name):
    ours, theirs = vegan_variant(name).distance.values, np.array(VEGAN[name]["distances"])
    groups = np.array(VEGAN[name]["group"])
    for group in np.unique(groups):
        assert ours[groups == group].sum() <= theirs[groups == group].sum() + 1e-12  # what a spatial median minimises


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 9))
def test_the_spatial_median_minimises_the_sum_of_distances(seed, n):
    points = np.random.default_rng(seed).normal(size=(n, 2))
    found = centre_distances(space_of(cdist(points, points)), np.zeros((1, n), dtype=int), center="median").sum()
    best = minimize(
        lambda m: np.linalg.norm(points - m, axis=1).sum(),
        points.mean(axis=0),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12},
    ).fun
    assert found == pytest.approx(best, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(2, 6), min_size=2, max_size=4))
def test_distances_to_centroids_need_no_coordinates(seed, sizes):
    points = np.random.default_rng(seed).normal(size=(sum(sizes), 3))
    codes = np.repeat(range(len(sizes)), sizes)
    expected = np.concatenate(
        [np.linalg.norm(own - own.mean(axis=0), axis=1) for own in np.split(points, np.cumsum(sizes)[:-1])]
    )
    found = centre_distances(space_of(cdist(points, points)), codes[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_what_is_permuted_has_the_unbiased_variance_of_each_group_whatever_its_size():
    points = np.random.default_rng(0).normal(size=(9, 3)) + np.repeat([0.0, 5.0], [2, 7])[:, None]
    codes = np.repeat([0, 1], [2, 7])
    squared = np.diag(centred_space(space_of(cdist(points, points)), codes).real)
    for code in (0, 1):
        own = points[codes == code]
        assert squared[codes == code].mean() == pytest.approx(own.var(axis=0, ddof=1).sum())  # Stier et al. 2013


@pytest.mark.parametrize("scheme", ["centred", "vegan"])
@pytest.mark.parametrize("center", ["centroid", "median"])
def test_a_shift_of_one_group_changes_nothing(scheme, center):
    points = np.random.default_rng(3).normal(size=(16, 4))
    shifted = points + np.repeat([0.0, 50.0], 8)[:, None]
    one, two = (
        akpsim.permdisp(cdist(p, p), np.repeat([0, 1], 8), scheme=scheme, center=center, seed=1)
        for p in (points, shifted)
    )
    assert float(two.p) == pytest.approx(float(one.p), abs=1e-12)
    assert float(two.F) == pytest.approx(float(one.F), rel=1e-5)


def test_members_on_four_corners_have_distances_one_and_two():
    points = np.array(TINY["dispersion_square"]["A"] + TINY["dispersion_square"]["B"], dtype=float)
    found = akpsim.permdisp(cdist(points, points), list("AAAABBBB"), bias_adjust=False)
    np.testing.assert_allclose(found.distance, [1] * 4 + [2] * 4, atol=1e-12)
    assert float(found.F) == np.inf  # nothing varies inside groups
    assert float(found.p) == pytest.approx(2 / 70)  # 8! / 4! 4! relabelings; the observed and its mirror image
    assert np.isnan(akpsim.permdisp(cdist(points, points), list("AAAABBBB"), scheme="vegan").p)  # no residuals


def test_a_group_of_one_has_no_dispersion():
    points = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(AkpsimError, match="group h has one member: what differs from nothing has no dispersion"):
        akpsim.permdisp(cdist(points, points), TINY["singleton_group"]["groups"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:, :3], r"distances must be a square matrix \(member, other\), got shape \(6, 3\)"),
        (
            lambda d: d + np.triu(np.ones_like(d), 1),
            r"distances must be symmetric, got .* and .* between members 0 and ",
        ),
        (lambda d: -d, "distances must not be negative, got -"),
        (lambda d: 1 - d / 100, "distances must be zero on the diagonal, got similarities; `akpsim.as_distance` turns"),
        (lambda d: d + np.eye(6) * 0.2, r"distances must be zero on the diagonal, got 0\.2"),
        (lambda d: np.where(d == d.max(), np.nan, d), "distances must be finite, got nan between members"),
        (lambda d: d * 0, r"all distances are equal \(0\)"),
        (lambda d: d[0], r"distances must be a square matrix \(member, other\), got shape \(6,\)"),
    ],
)
def test_what_is_no_matrix_of_distances_is_refused_in_a_sentence(change, message):
    points = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(AkpsimError, match=message):
        akpsim.permdisp(change(cdist(points, points)), list("aaabbb"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": list("aabb")}, "`by` needs one label a member: 6, got 4"),
        ({"by": list("aaaaaa")}, "two groups at least are needed to compare, got one: a"),
        ({"by": "family"}, "unknown coordinate of members for `by` 'family': there are: member"),
        ({"by": [1.0, 1, 1, np.nan, 2, 2]}, "`by` has 1 missing labels"),
        ({"by": ["a", "a", "a", None, None, "b"]}, "`by` has 2 missing labels"),
        ({"by": ["a", "a", "a", np.nan, "b", "b"]}, "`by` has 1 missing labels"),
        ({"by": ["a", "a", "a", 1, 1, 1]}, "`by` needs labels of one kind, words or numbers, got int, str"),
        ({"blocks": [None] * 6}, "`blocks` has 6 missing labels"),
        ({"blocks": list("abcdefg")}, "`blocks` needs one label a member: 6, got 7"),
        ({"blocks": list("abcdef")}, "nothing can be permuted: none of 6 blocks holds members of two groups"),
        ({"center": "mean"}, "unknown `center` 'mean': did you mean 'median'"),
        ({"scheme": "label"}, "unknown `scheme` 'label'"),
        ({"negative": "drop"}, "unknown `negative` 'drop': there are: signed, lingoes, cailliez, raise"),
    ],
)
def test_arguments_that_make_no_test_are_refused_in_a_sentence(arguments, message):
    points = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(AkpsimError, match=message):
        akpsim.permdisp(cdist(points, points), **({"by": list("aaabbb")} | arguments))


def test_distances_that_are_not_euclidean_can_be_refused():
    with pytest.raises(
        AkpsimError, match=r"not Euclidean: negative eigenvalues hold 5\.1%; allow them by negative='signed'"
    ):
        akpsim.permdisp(BRAY, VEGAN["varespec_median"]["group"], negative="raise")
