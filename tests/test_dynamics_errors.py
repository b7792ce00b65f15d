"""Everything that cannot be fitted is refused by name, in a sentence that says what came."""

import json

import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.dynamics.trajectory import turns
from akpsim.errors import (
    AkpsimError,
    AtBound,
    DivergedFit,
    InsufficientTrajectory,
    InvalidData,
    InvalidTrajectory,
    MultipleOptima,
    NotIdentifiable,
    StoreError,
    UnknownName,
)

TIME = np.arange(30.0)
CYCLE = akpsim.simulate_lotka_volterra(TIME, a=0.5, b=0.02, c=0.8, d=0.02, initial=(30, 5), noise=0.05, seed=1)
GOOD = CYCLE.populations.values


def changed(row, column, value):
    values = GOOD.copy()
    values[row, column] = value
    return values


@pytest.mark.parametrize(
    ("time", "values", "kind", "message"),
    [
        (TIME, changed(7, 1, -2.5), InvalidTrajectory, "positive and finite, got -2.5 at time index 7 of 'W2'"),
        (TIME, changed(3, 0, np.nan), InvalidTrajectory, "positive and finite, got nan at time index 3 of 'W1'"),
        (TIME, changed(0, 0, 0), InvalidTrajectory, "positive and finite, got 0 at time index 0 of 'W1'"),
        (
            TIME[:8],
            GOOD[:8],
            InsufficientTrajectory,
            "at least 12 points in time, got 8: capture populations more often",
        ),
        (TIME[:2], GOOD[:2], InsufficientTrajectory, "at least 12 points in time, got 2"),
        (np.r_[TIME[:-1], 28], GOOD, InvalidTrajectory, "`time` must increase, got 28 after 28 at index 29"),
        (TIME[::-1], GOOD, InvalidTrajectory, "`time` must increase, got 28 after 29 at index 1"),
        (np.r_[TIME[:-1], np.inf], GOOD, InvalidTrajectory, "`time` must be finite, got inf at index 29"),
        (TIME, np.exp(TIME[:, None] * [0.1, -0.1]), InsufficientTrajectory, r"no population turns: .* \(equation 4\)"),
        (TIME, GOOD[:, [0, 0]] * [1, 2], InvalidTrajectory, r"'W1' and 'W2' are collinear \(correlation 1.000000\)"),
        (
            TIME,
            np.stack([0.5 + 0.4 * np.sin(TIME), 0.5 - 0.4 * np.sin(TIME)], 1),
            InvalidTrajectory,
            r"collinear \(correlation -1.000000\): shares that sum to one",
        ),
        (TIME, np.stack([GOOD[:, 0], np.full(30, 2.0)], 1), InvalidTrajectory, "population 'W2' is constant"),
        (TIME[:-1], GOOD, InvalidTrajectory, r"got shape \(30, 2\) for 29 times"),
        (TIME, GOOD[:, :1], InvalidTrajectory, "Lotka-Volterra has two populations, got 1"),
        (None, GOOD, InvalidTrajectory, "`time` is missing"),
    ],
)
def test_trajectories_that_no_fit_could_mean_much_for(time, values, kind, message):
    with pytest.raises(kind, match=message):
        akpsim.fit_lotka_volterra(time, values)


def test_shares_of_neurons_are_bounded_and_refused():
    shares = xr.DataArray(
        GOOD / 200,
        dims=("time", "population"),
        coords={"time": TIME},
        attrs={"bounded": 1, "definition": "active_share"},
    ).assign_coords(population=["one", "two"])
    with pytest.raises(InvalidTrajectory, match="active_share is a share of neurons, bounded by one: Lotka-Volterra"):
        akpsim.fit_lotka_volterra(None, shares)
    assert akpsim.fit_dynamics("logistic", None, shares, strict=False).attrs["model"] == "logistic"


def test_a_trajectory_that_no_start_can_follow_has_diverged(monkeypatch):
    from akpsim.dynamics import problem

    def explodes(*arguments, **options):
        return np.full((len(TIME), 2, 7, len(arguments[1])), np.nan)

    monkeypatch.setattr(problem, "runge_kutta", explodes)
    with pytest.raises(DivergedFit, match="none of 5 starts gave a trajectory that stays finite"):
        akpsim.fit_lotka_volterra(TIME, GOOD)


def test_starts_that_disagree():
    # A random walk has many nearly equal fits, none of which means anything.
    time, values = np.arange(40.0), np.exp(np.cumsum(np.random.default_rng(2).normal(size=(40, 2)) * 0.3, axis=0))
    with pytest.raises(MultipleOptima, match=r"the best of 5 starts stands alone: its cost is [\d.]+, the next [\d.]+"):
        akpsim.fit_lotka_volterra(time, values)
    fit = akpsim.fit_lotka_volterra(time, values, strict=False)
    assert fit.refused
    assert json.loads(fit.attrs["warnings"])[0].startswith("MultipleOptima: ")


def test_a_rate_at_its_bound():
    # A predator that grows whatever the prey does, and prey that turns: d W1 - c is never negative.
    time = np.linspace(0, 10, 40)
    prey = np.exp(0.5 * time - 0.05 * time**2)
    values = np.stack([prey, 0.1 * np.exp(0.3 * time)], 1) * np.exp(
        0.01 * np.random.default_rng(0).normal(size=(40, 2))
    )
    with pytest.raises(AtBound, match="went to zero, the edge of what is allowed: the data show no cycle"):
        akpsim.fit_lotka_volterra(time, values, prey=0)
    fit = akpsim.fit_lotka_volterra(time, values, prey=0, strict=False)
    assert float(fit.c) == 0
    assert np.isnan(fit.period)


def near_rest(amplitude):
    """Small orbits are circles of one frequency, whatever b and d are."""
    return akpsim.simulate_lotka_volterra(
        np.linspace(0, 30, 40), a=0.5, b=0.02, c=0.8, d=0.02, initial=(40 * np.exp(amplitude), 25), noise=0.02, seed=2
    ).populations


def test_rates_that_the_data_do_not_determine():
    with pytest.raises(
        NotIdentifiable, match=r"rates: the information matrix has condition 2.67e\+04, at most 10000 is"
    ):
        akpsim.fit_lotka_volterra(None, near_rest(0.05), prey=0)


def test_weakly_determined_rates_are_a_warning():
    fit = akpsim.fit_lotka_volterra(None, near_rest(0.2), prey=0)
    assert 1e3 < float(fit.condition) < 1e4
    assert "weakly determined: the information matrix has condition" in fit.attrs["warnings"]


def test_residuals_that_remember_each_other_are_a_warning():
    rng = np.random.default_rng(0)
    drift = np.zeros((60, 2))
    for step in range(1, 60):
        drift[step] = 0.9 * drift[step - 1] + 0.05 * rng.normal(size=2)
    truth = akpsim.simulate_lotka_volterra(np.arange(60.0), a=0.5, b=0.02, c=0.8, d=0.02, initial=(30, 5))
    fit = akpsim.fit_lotka_volterra(truth.time.values, truth.populations.values * np.exp(drift))
    assert not fit.refused
    assert "DoubtfulFit: residuals are autocorrelated (Ljung-Box p = " in fit.attrs["warnings"]


def test_turning_points_are_told_from_noise():
    rng = np.random.default_rng(0)
    trend = np.exp(np.linspace(0, 2, 50))
    noisy = [turns(trend * np.exp(0.1 * rng.normal(size=50))) for _ in range(200)]
    assert np.mean(noisy) <= 0.05
    assert turns(np.exp(np.sin(np.linspace(0, 5, 50))))
    assert turns(GOOD[:, 0])


def test_arguments_are_checked():
    with pytest.raises(UnknownName, match="unknown noise 'normal'"):
        akpsim.fit_lotka_volterra(TIME, GOOD, noise="normal")
    with pytest.raises(UnknownName, match=r"unknown population 'hares': there are: W1, W2"):
        akpsim.fit_lotka_volterra(TIME, GOOD, prey="hares")
    with pytest.raises(InvalidTrajectory, match="population 2 does not exist: there are 2, counted from 0"):
        akpsim.fit_lotka_volterra(TIME, GOOD, prey=2)
    with pytest.raises(AkpsimError, match="`level` must lie between 0 and 1, got 95"):
        akpsim.fit_lotka_volterra(TIME, GOOD, level=95)
    with pytest.raises(AkpsimError, match="`starts` must be a whole number of at least 1, got 0"):
        akpsim.fit_lotka_volterra(TIME, GOOD, starts=0)
    with pytest.raises(InvalidTrajectory, match="segment 1 of 2 has 5 points, at least 12 are needed"):
        akpsim.fit_segments(TIME, GOOD, breakpoints=[4])
    with pytest.raises(InvalidTrajectory, match="no breakpoint lies between 0 and 29"):
        akpsim.fit_segments(TIME, GOOD, breakpoints=[40])
    with pytest.raises(InvalidTrajectory, match="T is not determined"):
        akpsim.feature_map(GOOD[:, [0, 0]], GOOD)


def test_tables_are_read_or_refused_with_their_row(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("# pelts\nyear,hare,lynx\n1900,30,4\n1901,47.2,6.1\n")
    found = akpsim.read_trajectory(table)
    assert found.values.tolist() == [[30, 4], [47.2, 6.1]]
    assert found.time.values.tolist() == [1900, 1901]
    assert akpsim.read_trajectory(table, columns=["lynx"]).values.tolist() == [[4], [6.1]]
    with pytest.raises(UnknownName, match=r"unknown population in .*'hares': did you mean 'hare'"):
        akpsim.read_trajectory(table, columns=["hares"])
    table.write_text("year,hare\n1900,many\n")
    with pytest.raises(InvalidData, match="row 2 holds 'many', which is no number"):
        akpsim.read_trajectory(table)
    table.write_text("year,hare\n1900\n")
    with pytest.raises(InvalidData, match="row 2 has 1 values, the header has 2"):
        akpsim.read_trajectory(table)
    with pytest.raises(StoreError, match=r"cannot read .*nowhere.csv: No such file"):
        akpsim.read_trajectory(tmp_path / "nowhere.csv")
