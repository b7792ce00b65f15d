"""The picture of an ordination shows what the result holds."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import UnknownName
from akpsim.plots import PLOTS

mpl.use("Agg")


@pytest.fixture
def ordination():
    points = np.random.default_rng(0).normal(size=(9, 4))
    coords = {
        "member": np.arange(9),
        "stress": ("member", ["none"] * 3 + ["severe"] * 3 + ["mild"] * 3),
        "family": ("member", list("abcabcabc")),
    }
    return akpsim.ordinate(xr.DataArray(cdist(points, points), dims=("member", "other"), coords=coords))


def test_points_are_where_the_result_says_coloured_by_stress(ordination):
    ax = PLOTS[ordination.attrs["result"]].draw(ordination)
    shown = {points.get_label(): points.get_offsets() for points in ax.collections}
    assert list(shown) == ["none", "mild", "severe"]
    np.testing.assert_allclose(shown["severe"], ordination.position[3:6, :2])
    assert ax.get_xlabel() == f"axis 1 ({float(ordination.explained[0]):.0%})"
    assert ax.get_aspect() == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["none", "mild", "severe"]


def test_the_map_prints_the_ratio_of_spreads_in_the_full_space(ordination):
    full = ordination.full_space_distance.sel(group=["none", "mild", "severe"])
    ratio = " : ".join(f"{value:.2f}" for value in (full / full[0]).values)
    assert f"full space {ratio};" in PLOTS["ordination"].draw(ordination).get_title()


def test_another_coordinate_colours_members_but_shows_no_foreign_ellipses(ordination):
    ax = PLOTS["ordination"].draw(ordination, by="family")
    assert [points.get_label() for points in ax.collections] == ["a", "b", "c"]
    assert not ax.lines
    with pytest.raises(UnknownName, match=r"unknown coordinate of members 'dose': There are: "):
        PLOTS["ordination"].draw(ordination, by="dose")
