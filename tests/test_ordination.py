"""Ordinations: principal coordinates agree with R and reproduce distances; every map says the spread in full space."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimWarning

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
