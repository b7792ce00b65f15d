"""Simulated trajectories, their period and their invariant agree with what is known exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import akpsim
from akpsim.dynamics.period import equilibrium, invariant, period
from akpsim.errors import AkpsimError, DivergedFit, InvalidTrajectory

IDENTITIES = json.loads((Path(__file__).parent / "reference" / "lv_identities.json").read_text())
EXACT = {"a": 1.5, "b": 1.0, "c": 3.0, "d": 1.0}
rate = st.floats(0.2, 3.0)


def test_the_exact_trajectory_from_one_one():
    # scipy's DOP853 and LSODA at 1e-13 and a Taylor series agree on these digits.
    found = akpsim.simulate_lotka_volterra([0, 3, 10], **EXACT, initial=(1, 1))
    assert found.populations.values[-1] == pytest.approx([1.02634476757509, 0.909691078136042], abs=1e-9)


def test_the_exact_period():
    found = akpsim.simulate_lotka_volterra([0, 10], **EXACT, initial=(1, 1))
    assert float(found.period) == pytest.approx(3.31745706850, abs=1e-9)


def test_equation_four_is_the_case_without_interaction():
    case = IDENTITIES["exponential_eq4"]
    rates = {key: case["params"][key] for key in "abcd"}
    found = akpsim.simulate_lotka_volterra(case["t"], **rates, initial=(2, 5))
    assert found.populations.values[:, 0] == pytest.approx(case["W1"], rel=1e-12)
    assert found.populations.values[:, 1] == pytest.approx(case["W2"], rel=1e-12)
    assert np.isnan(found.period)


def test_the_rest_point_stays():
    case = IDENTITIES["equilibrium"]
    rates = case["params"]
    assert equilibrium(*rates.values()) == pytest.approx((case["W1"], case["W2"]), rel=1e-12)
    found = akpsim.simulate_lotka_volterra([0, 50], **rates, initial=(case["W1"], case["W2"]))
    assert found.populations.values[-1] == pytest.approx([case["W1"], case["W2"]], rel=1e-12)
    assert float(found.period) == pytest.approx(2 * np.pi / np.sqrt(0.5 * 0.8), rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(a=rate, b=rate, c=rate, d=rate, prey=st.floats(0.3, 3.0), predator=st.floats(0.3, 3.0))
def test_after_a_period_everything_is_where_it_was_and_the_means_are_those_at_rest(a, b, c, d, prey, predator):
    turn = float(period(a, b, c, d, prey=prey, predator=predator))
    times = np.linspace(0, turn, 513)
    found = akpsim.simulate_lotka_volterra(times, a=a, b=b, c=c, d=d, initial=(prey, predator)).populations.values
    assert found[-1] == pytest.approx(found[0], rel=1e-7)
    kept = invariant(a, b, c, d, prey=found[:, 0], predator=found[:, 1])
    assert kept == pytest.approx(np.full(513, kept[0]), rel=1e-9, abs=1e-9)
    # The trapezoid rule is exact for periodic functions, but for spikes between its nodes.
    assert found[:-1].mean(axis=0) == pytest.approx([c / d, a / b], rel=1e-3)


@settings(max_examples=15, deadline=None)
@given(a=rate, c=rate, scale=st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)))
def test_units_of_populations_change_b_and_d_alone(a, c, scale):
    times = [0.0, 1.0, 2.0]
    plain = akpsim.simulate_lotka_volterra(times, a=a, b=1, c=c, d=1, initial=(1.2, 0.7))
    s, r = scale
    scaled = akpsim.simulate_lotka_volterra(times, a=a, b=1 / r, c=c, d=1 / s, initial=(1.2 * s, 0.7 * r))
    assert scaled.populations.values / [s, r] == pytest.approx(plain.populations.values, rel=1e-9)
    assert float(scaled.period) == pytest.approx(float(plain.period), rel=1e-9)


@pytest.mark.parametrize("distance", [1e-9, 1e-4, 1e-2, 1.0])
def test_small_orbits_take_two_pi_over_the_root_of_ac(distance):
    # Frame (1974): T = 2 pi / sqrt(ac) (1 + O(amplitude^2)).
    found = period(1.5, 1, 3, 1, prey=3 * (1 + distance), predator=1.5)
    assert found == pytest.approx(2 * np.pi / np.sqrt(4.5), rel=max(1e-12, distance**2))


def test_the_period_has_no_value_without_a_cycle():
    assert np.isnan(period([1.0, 0.0], 1, 1, 1, prey=2, predator=1)).tolist() == [False, True]


def test_logistic_growth_is_the_closed_form():
    times = np.linspace(0, 5, 7)
    rates = {"growth_1": 1.2, "crowding_1": 0.3}
    found = akpsim.simulate_dynamics("logistic", times, rates, initial=[0.5]).populations.values[:, 0]
    assert found == pytest.approx(4 / (1 + 7 * np.exp(-1.2 * times)), rel=1e-9)  # limit 1.2 / .3 = 4, 4 / .5 - 1 = 7


def test_noise_is_log_normal_and_repeats_with_its_seed():
    arguments = {"time": np.arange(2000.0), **EXACT, "initial": (3, 1.5)}
    noisy = akpsim.simulate_lotka_volterra(**arguments, noise=0.2, seed=1).populations.values
    again = akpsim.simulate_lotka_volterra(**arguments, noise=0.2, seed=1).populations.values
    assert (noisy == again).all()
    assert np.std(np.log(noisy / [3, 1.5])) == pytest.approx(0.2, rel=0.05)


def test_what_cannot_be_simulated_is_said():
    with pytest.raises(AkpsimError, match=r"`b` must lie in \[0, 1e\+100\], got -1"):
        akpsim.simulate_lotka_volterra([0, 1], a=1, b=-1, c=1, d=1, initial=(1, 1))
    with pytest.raises(InvalidTrajectory, match="`initial` must be positive, got 1, 0"):
        akpsim.simulate_lotka_volterra([0, 1], **EXACT, initial=(1, 0))
    with pytest.raises(InvalidTrajectory, match="`time` must be one increasing sequence"):
        akpsim.simulate_lotka_volterra([0, 0], **EXACT, initial=(1, 1))
    with pytest.raises(AkpsimError, match="lotka_volterra has 2 populations, `initial` has 3"):
        akpsim.simulate_dynamics("lotka_volterra", [0, 1], {}, initial=[1, 1, 1])
    with pytest.raises(AkpsimError, match=r"unknown rate of logistic 'growth': did you mean 'growth_1'\?"):
        akpsim.simulate_dynamics("logistic", [0, 1], {"growth": 1}, initial=[1])
    with pytest.raises(DivergedFit, match="generalized with these rates explodes before time 10"):
        akpsim.simulate_dynamics("generalized", [0, 10], {"growth_1": 1, "effect_11": 1}, initial=[1])
