"""Ordinations: principal coordinates agree with R and reproduce distances; every map says the spread in full space."""

import json
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, squareform

import akpsim
import akpsim.ordination
from akpsim.distances import cailliez, gram, lingoes
from akpsim.errors import AkpsimError, AkpsimWarning

REFERENCE = Path(__file__).parent / "reference"
VEGAN = json.loads((REFERENCE / "vegan_varespec_expected.json").read_text())  # R 4.2.2, vegan 2.6-4
BRAY = np.loadtxt(REFERENCE / "varespec_bray.csv", delimiter=",", skiprows=1, usecols=range(1, 25))


def labelled(points, **coordinates):
    n = len(points)
    coords = {"member": [f"m{i}" for i in range(n)]} | {k: ("member", list(v)) for k, v in coordinates.items()}
    return xr.DataArray(cdist(points, points), dims=("member", "other"), coords=coords)


def test_principal_coordinates_of_varespec_are_those_of_vegan():
    expected = VEGAN["pcoa"]["varespec_bray"]
    with pytest.warns(AkpsimWarning, match=r"negative eigenvalues hold 5\.1%"):
        found = akpsim.pcoa(BRAY)
    np.testing.assert_allclose(found.eigenvalue, expected["eig"], atol=1e-10)
    np.testing.assert_allclose(np.abs(found.position[:, :2]), expected["abs_pts12"], atol=1e-10)
    assert (found.eigenvalue < 0).sum() == expected["n_negative"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 12), p=st.integers(1, 6))
def test_all_axes_together_reproduce_euclidean_distances(seed, n, p):
    points = np.random.default_rng(seed).normal(size=(n, p))
    position = akpsim.pcoa(labelled(points), negative="raise").position
    np.testing.assert_allclose(cdist(position, position), cdist(points, points), atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 10))
def test_corrected_distances_are_euclidean(seed, n):
    rng = np.random.default_rng(seed)
    dist = squareform(rng.uniform(0.1, 1, size=n * (n - 1) // 2))
    for corrected in (lingoes(dist), cailliez(dist)):
        eigenvalue = np.linalg.eigvalsh(gram(corrected))
        assert eigenvalue.min() > -1e-7 * eigenvalue.max()


def test_pcoa_agrees_with_scikit_bio():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skbio import DistanceMatrix
        from skbio.stats.ordination import pcoa

        dist = labelled(np.random.default_rng(0).normal(size=(8, 3)))
        theirs = pcoa(DistanceMatrix(dist.values)).samples.to_numpy()[:, :3]
    np.testing.assert_allclose(np.abs(akpsim.pcoa(dist).position), np.abs(theirs), atol=1e-6)


def test_pca_of_points_is_pcoa_of_their_distances():
    points = np.random.default_rng(0).normal(size=(9, 3))
    one, two = akpsim.pca(points), akpsim.pcoa(labelled(points))
    np.testing.assert_allclose(one.position, two.position, atol=1e-7)
    np.testing.assert_allclose(one.explained, two.explained, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_new_member_lands_where_it_would_have_been(seed):
    points = np.random.default_rng(seed).normal(size=(8, 3))
    old, new = points[:7], points[7:]
    map_ = akpsim.pcoa(labelled(old))
    placed = akpsim.place(map_, cdist(new, old))
    np.testing.assert_allclose(cdist(placed, map_.position), cdist(new, old), atol=1e-6)
    np.testing.assert_allclose(np.abs(akpsim.place(akpsim.pca(old), new)), np.abs(placed), atol=1e-6)


def test_new_members_have_no_place_on_other_maps():
    dist = labelled(np.random.default_rng(0).normal(size=(7, 3)))
    with pytest.raises(AkpsimError, match="new members can be placed on pcoa and pca only, got 'nmds'"):
        akpsim.place(akpsim.nmds(dist, seed=0, starts=1), dist)
    with pytest.raises(AkpsimError, match="7 distances are needed for each new member, got 6"):
        akpsim.place(akpsim.pcoa(dist), np.ones((1, 6)))
    with pytest.raises(AkpsimError, match="new members have no place after the correction 'lingoes'"):
        akpsim.place(akpsim.pcoa(dist, negative="lingoes"), dist)


def test_nmds_of_points_in_a_plane_finds_the_plane():
    grid = np.stack(np.meshgrid(range(5), range(4)), axis=-1).reshape(-1, 2)
    points = grid + np.random.default_rng(1).uniform(-0.3, 0.3, size=grid.shape)
    found = akpsim.nmds(labelled(points) ** 2, seed=0, starts=3)  # squares keep the order of distances
    assert float(found.stress_value) < 0.01
    assert float(akpsim.procrustes(found, points, permutations=9).m2) < 0.02
    assert found.start_stress.min() == found.stress_value


def test_pca_of_representations_is_that_of_all_their_numbers():
    values = np.random.default_rng(0).normal(size=(6, 5, 3))
    coords = {"member": list("abcdef"), "stress": ("member", ["none"] * 3 + ["severe"] * 3)}
    found = akpsim.ordinate(xr.DataArray(values, dims=("member", "sample", "neuron"), coords=coords), "pca")
    np.testing.assert_allclose(found.position, akpsim.pca(values.reshape(6, 15)).position)
    assert found.attrs["by"] == "stress"


def test_nmds_of_groups_too_far_apart_says_that_it_is_degenerate():
    points = np.random.default_rng(0).normal(size=(12, 20)) + 10 * np.repeat([0, 1], 6)[:, None]
    with pytest.warns(
        AkpsimWarning, match="nmds is degenerate: its stress is .* members have fallen onto a few points"
    ):
        akpsim.nmds(labelled(points), seed=0, starts=2)


COMPILES = [pytest.mark.slow]  # UMAP compiles itself for minutes


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=COMPILES if name in ("umap", "densmap") else [])
        for name, entry in akpsim.ORDINATIONS.items()
        if entry.takes == "distances"
    ],
)
def test_every_ordination_labels_members_and_says_the_spread_in_full_space(name):
    rng = np.random.default_rng(0)
    stress = np.repeat(["none", "severe"], 8)
    dist = labelled(rng.normal(size=(16, 5)) * np.repeat([1, 3], 8)[:, None], stress=stress)
    options = {"seed": 3} if akpsim.ORDINATIONS[name].random else {}
    found = akpsim.ordinate(dist, name, **options)
    assert found.position.dims == ("member", "axis")
    assert found.stress.values.tolist() == stress.tolist()
    assert found.attrs["by"] == "stress"
    assert ("explained" in found) == akpsim.ORDINATIONS[name].linear
    inside = dist.values[8:, 8:]
    assert float(found.full_space_distance.sel(group="severe")) == pytest.approx(inside.sum() / 56)
    assert np.isfinite(found.position).all()
    if options:
        xr.testing.assert_equal(found, akpsim.ordinate(dist, name, **options))


def test_an_unknown_ordination_suggests_the_nearest():
    with pytest.raises(AkpsimError, match="unknown ordination 'pcaa': did you mean 'pca"):
        akpsim.ordinate(np.eye(3), "pcaa")


@pytest.mark.parametrize(
    ("function", "data", "message"),
    [
        (
            akpsim.pcoa,
            np.zeros((3, 3)),
            "all members are at distance zero from each other: there is nothing to ordinate",
        ),
        (akpsim.pca, np.ones((3, 3)), "all members have the same attributes: there is nothing to ordinate"),
        (
            akpsim.pca,
            cdist(np.eye(4), np.eye(4)),
            r"pca starts from a table \(member, attribute\) or representations, got a",
        ),
        (
            akpsim.pca,
            labelled(np.eye(4)) + np.diag([0, 0, 0, 0.3]),
            r"got a matrix between members; pcoa starts from that",
        ),
        (akpsim.pca, np.ones(4), r"pca takes a table \(member, attribute\), got \('dim_0',\)"),
        (akpsim.pca, np.full((3, 3), np.nan), "attributes must be finite, got 9 missing or infinite"),
        (akpsim.nmds, 1 - np.eye(3), "4 members at least, not all at one point, are needed for 2 axes, got 3"),
        (akpsim.ordination.umap, 1 - np.eye(4), "five members at least are needed for a map of neighbours, got 4"),
        (akpsim.ordination.tsne, 1 - np.eye(4), "five members at least are needed for a map of neighbours, got 4"),
    ],
)
def test_what_cannot_be_ordinated_is_refused(function, data, message):
    with pytest.raises(AkpsimError, match=message):
        function(data)


def test_envfit_of_a_number_is_its_regression_and_of_groups_their_share():
    points = np.random.default_rng(2).normal(size=(12, 4))
    accuracy = points[:, 0] + 0.1
    family = np.repeat(["a", "b", "c"], 4)
    found = akpsim.envfit(
        akpsim.pcoa(labelled(points, accuracy=accuracy, family=family)), ["accuracy", "family"], seed=0
    )
    axes = akpsim.pcoa(labelled(points)).position.values[:, :2]
    residual = (
        accuracy
        - np.column_stack([np.ones(12), axes]) @ np.linalg.lstsq(np.column_stack([np.ones(12), axes]), accuracy)[0]
    )
    assert float(found.R2[0]) == pytest.approx(1 - residual.var() / accuracy.var())
    within = sum(((own - own.mean(axis=0)) ** 2).sum() for own in np.split(axes, 3))
    assert float(found.R2[1]) == pytest.approx(1 - within / ((axes - axes.mean(axis=0)) ** 2).sum())
    assert np.linalg.norm(found.direction[0]) == pytest.approx(1)
    with pytest.raises(AkpsimError, match="'dose' is the same for all members: there is nothing to fit"):
        akpsim.envfit(akpsim.pcoa(labelled(points, dose=np.ones(12))), ["dose"])


def test_procrustes_undoes_rotation_scale_and_place():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(10, 3))
    other = 5 * one @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 7
    found = akpsim.procrustes(one, other, seed=0)
    assert float(found.m2) == pytest.approx(0, abs=1e-12)
    assert float(found.p) == 1 / 1000
    np.testing.assert_allclose(found.turned, one, atol=1e-9)
    from scipy.spatial import procrustes

    noisy = other + rng.normal(size=other.shape)
    assert float(akpsim.procrustes(one, noisy).m2) == pytest.approx(procrustes(one, noisy)[2])
    assert float(akpsim.procrustes(one, rng.normal(size=(10, 3)), seed=1).p) > 0.05
    with pytest.raises(AkpsimError, match="both ordinations need the same members, got 10 and 9"):
        akpsim.procrustes(one, other[:9])


def test_mantel_agrees_with_scikit_bio():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skbio.stats.distance import mantel
    one, two = (cdist(x, x) for x in np.random.default_rng(0).normal(size=(2, 7, 3)))
    for method in ("pearson", "spearman"):
        found = akpsim.mantel(one, one + two, method=method)
        assert float(found.r) == pytest.approx(mantel(one, one + two, method=method, permutations=0)[0])
        assert found.attrs["permutations"] == 5039
    with pytest.raises(AkpsimError, match="all distances of one matrix are equal: there is nothing to correlate"):
        akpsim.mantel(one, 1 - np.eye(7))


@pytest.mark.parametrize("name", ["umap", "densmap"])
def test_umap_is_given_the_points_and_the_options(name, monkeypatch):
    asked = {}

    class Fake:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, points):
            asked["points"] = points
            return points[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Fake))
    points = np.random.default_rng(0).normal(size=(8, 3))
    found = akpsim.ordinate(labelled(points), name, neighbours=30, seed=1)
    np.testing.assert_allclose(cdist(asked["points"], asked["points"]), cdist(points, points), atol=1e-7)
    assert asked["n_neighbors"] == 7  # all others
    assert asked["densmap"] == (name == "densmap")
    assert found.attrs["method"] == name


TWO_CLOUDS = """
import json, numpy as np, akpsim
points = np.random.default_rng(0).normal(size=(10, 4)) + 20 * np.repeat([0, 1], 5)[:, None]
dist = np.linalg.norm(points[:, None] - points, axis=-1)
maps = [
    akpsim.ordinate(dist, name, by=list("aaaaabbbbb"), neighbours=4, seed=1)
    for name in ("umap", "umap", "densmap")
]
print(json.dumps([map_.position.values.tolist() for map_ in maps]))
"""


def test_umap_and_densmap_themselves_keep_two_clouds_apart_the_same_way_each_time():
    # Uncompiled: compiling takes UMAP minutes, ten members a second.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", TWO_CLOUDS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    one, again, dense = np.array(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_array_equal(one, again)
    for position in (one, dense):
        away = cdist(position, position)
        assert away[:5, :5].max() < away[:5, 5:].min()
    assert not np.allclose(one, dense)


def test_the_page_of_ordinations_is_current():
    from akpsim.ordination.page import ordinations_page

    page = Path(__file__).parents[1] / "docs" / "ordinations.md"
    made = ordinations_page(akpsim.ORDINATIONS.values())
    assert page.read_text(encoding="utf-8") == made, "write docs/ordinations.md again with ordinations_page"
