"""Pictures of dynamics show what the results hold: positions and labels are read back."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.errors import AkpsimError
from akpsim.plots.dynamics import plot_members, plot_populations, plot_profiles, plot_selection
from akpsim.plots.lotka_volterra import plot_lotka_volterra

mpl.use("Agg")
PELTS = akpsim.read_trajectory(Path(__file__).parents[1] / "data" / "lynx_hare.csv")


@pytest.fixture(scope="module")
def fit():
    return akpsim.fit_lotka_volterra(None, PELTS, prey="hare", starts=2)


@pytest.fixture(autouse=True)
def _closed():
    yield
    mpl.pyplot.close("all")


def test_trajectories_and_phase_portrait(fit):
    band = akpsim.bootstrap_lotka_volterra(fit, resamples=19, seed=0)
    time, phase = plot_lotka_volterra(fit, band=band)
    assert np.asarray(time.collections[0].get_offsets())[:, 1] == pytest.approx(PELTS.values[:, 0])
    assert [line.get_label() for line in time.lines] == ["hare (prey)", "lynx (predator)"]
    assert time.lines[0].get_ydata()[0] == pytest.approx(float(fit.W1_0))
    assert len(time.collections) == 4  # points and band of either
    labels = {line.get_label(): line for line in phase.lines}
    assert labels["hare stands still: lynx = a/b = 19.9"].get_ydata()[0] == pytest.approx(float(fit.W2_equilibrium))
    assert labels["lynx stands still: hare = c/d = 33.6"].get_xdata()[0] == pytest.approx(float(fit.W1_equilibrium))
    assert phase.get_xlabel() == "hare (prey)"


def test_many_need_a_name(fit):
    many = xr.concat([fit, fit], dim="member").assign_coords(member=["x", "y"])
    with pytest.raises(AkpsimError, match="the fit holds 2 trajectories: name one to draw"):
        plot_lotka_volterra(many)
    assert len(plot_lotka_volterra(many, member="y")) == 2


def test_profiles_have_their_threshold(fit):
    axes = plot_profiles(akpsim.profile_lotka_volterra(fit, points=5))
    assert [ax.get_xlabel() for ax in axes] == ["a", "b", "c", "d", "W1_0", "W2_0"]
    assert axes[0].lines[1].get_ydata()[0] == pytest.approx(3.841459)


def test_models_are_sorted_by_bic():
    selection = akpsim.select_dynamics(None, PELTS, starts=2, forecasts=False)
    ax = plot_selection(selection)
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0
    assert ax.get_yticklabels()[-1].get_text() == selection.attrs["best"]
    assert ax.get_title().replace("\n", " ") == selection.attrs["verdict"]


def test_members_by_group_and_population_lines():
    runs = [
        akpsim.simulate_lotka_volterra(range(30), a=0.5, b=0.02, c=0.8, d=0.02, initial=(30, 5), noise=0.03, seed=seed)
        for seed in range(3)
    ]
    populations = xr.concat([run.populations for run in runs], dim="member").assign_coords(
        member=["x", "y", "z"], stress=("member", ["none", "none", "severe"])
    )
    populations = populations.where(populations.member != "z", np.exp(populations.time / 9))
    table = akpsim.fit_members(populations, starts=2)
    axes = plot_members(table)
    assert np.asarray(axes[0].collections[0].get_offsets())[:, 1] == pytest.approx(table.a.values[:2])
    assert axes[5].get_title() == "model chosen by BIC"
    assert axes[0].get_title() == "a  (1 without a value)"
    assert axes[2].get_xlim() == (-0.5, 1.5)
    assert [text.get_text() for text in axes[5].get_yticklabels()] == ["lotka_volterra", "not judged"]
    ax = plot_populations(populations.assign_attrs(unit="mean |activation|"), by="stress")
    assert ax.get_ylabel() == "mean |activation|"
    assert len(ax.lines) == 6
