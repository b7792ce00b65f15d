"""The picture of an ordination shows what the result holds."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError, UnknownName
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
    assert f"full space {ratio}\n" in PLOTS["ordination"].draw(ordination).get_title()


def test_another_coordinate_colours_members_but_shows_no_foreign_ellipses(ordination):
    ax = PLOTS["ordination"].draw(ordination, by="family")
    assert [points.get_label() for points in ax.collections] == ["a", "b", "c"]
    assert not ax.lines
    with pytest.raises(UnknownName, match=r"unknown coordinate of members 'dose': there are: "):
        PLOTS["ordination"].draw(ordination, by="dose")


def test_panels_show_their_own_members_and_what_the_test_said(tmp_path):
    rng = np.random.default_rng(0)
    maps = {}
    for title, members in (("noise", range(8)), ("swaps", range(4, 12))):
        points = rng.normal(size=(8, 3))
        coords = {
            "member": list(members),
            "stress": ("member", ["none"] * 4 + ["mild" if title == "noise" else "severe"] * 4),
        }
        dist = xr.DataArray(cdist(points, points), dims=("member", "other"), coords=coords)
        maps[title] = akpsim.with_effect(akpsim.pcoa(dist), akpsim.disperse(dist, "stress"))
    joined = akpsim.panels(maps)
    found = akpsim.open_result(akpsim.save(joined, tmp_path / "panels.nc"))
    axes = PLOTS[found.attrs["result"]].draw(found)
    assert len(axes) == 2
    for index, (ax, (title, own)) in enumerate(zip(axes, maps.items(), strict=True)):
        assert ax.get_title(loc="left") == f"{'ab'[index]}: {title}"
        (below,) = (" ".join(text.get_text().split()) for text in ax.texts)
        assert below.startswith(f"{own.attrs['sentence']} {own.attrs['tests']} mean distance within none : ")
        assert "smallest attainable p 0.0286" in below  # 1 / 35
        shown = {points.get_label(): points.get_offsets() for points in ax.collections}
        np.testing.assert_allclose(shown["none"], own.position[:4, :2])
        assert "mild" in shown if title == "noise" else "severe" in shown
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["none", "mild", "severe"]  # those of all panels
    with pytest.raises(AkpsimError, match="one panel at least is needed, got none"):
        akpsim.panels({})
    with pytest.raises(AkpsimError, match="the ordination and the test of dispersion have different members"):
        akpsim.with_effect(maps["noise"], akpsim.disperse(dist, "stress"))


def test_dispersion_is_drawn_as_it_was_measured():
    points = np.random.default_rng(0).normal(size=(10, 4))
    dist = xr.DataArray(cdist(points, points), dims=("member", "other"), coords={"layer": "x"}, attrs={"metric": "cka"})
    found = akpsim.disperse(dist, np.repeat(["none", "severe"], 5))
    ax = PLOTS[found.attrs["result"]].draw(found)
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], found.distance[:5])
    assert " ".join(ax.get_title().split()) == f"{found.attrs['sentence']} {found.attrs['tests']} layer x, cka"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["none\nn = 5", "severe\nn = 5"]


def test_the_effect_at_each_layer_is_drawn_with_its_interval():
    rng = np.random.default_rng(0)
    layers = {name: cdist(x, x) for name, x in zip(("dense_1", "logits"), rng.normal(size=(2, 10, 4)), strict=True)}
    found = akpsim.disperse_layers(layers, np.repeat(["none", "severe"], 5))
    ax = PLOTS[found.attrs["result"]].draw(found)
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(heights, np.exp([*found.log_ratio.values, float(found.omnibus_log_ratio)]))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["dense_1", "logits", "all"]
    assert ax.get_ylabel() == "spread severe / none"


def test_rates_and_slopes_are_drawn_as_they_were_measured():
    points = np.random.default_rng(0).normal(size=(12, 4))
    rates = akpsim.calibrate(cdist(points, points), sizes=(3, 3), repetitions=20, seed=0)
    ax = PLOTS[rates.attrs["result"]].draw(rates)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), rates.rate)
    slope = akpsim.disperse_on(cdist(points, points), points[:, 0], permutations=9)
    ax = PLOTS[slope.attrs["result"]].draw(slope)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.column_stack([slope.value, slope.contribution]))
