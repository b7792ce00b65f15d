"""Fits agree with Hudson Bay's lynx and hare, with what trajectories were simulated from, and with themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import akpsim
from akpsim.dynamics.forms import FORMS
from akpsim.dynamics.matching import integral_matching

HERE = Path(__file__).parent
# stan-dev/example-models and posteriordb; own solvers: DOP853 with TRF, and another Levenberg-Marquardt.
EXPECTED = json.loads((HERE / "reference" / "lynx_hare_expected.json").read_text())
COMPUTED = EXPECTED["computed_here"]
PELTS = akpsim.read_trajectory(HERE.parent / "data" / "lynx_hare.csv")
NAMES = ("a", "b", "c", "d", "W1_0", "W2_0")


@pytest.fixture(scope="module")
def pelts() -> xr.Dataset:
    return akpsim.fit_lotka_volterra(None, PELTS, interval="profile")


def simulated(count: int, *, seed: int = 0, points: int = 50, noise: float = 0.1):
    """Trajectories of random rates and starts around the rest point, and the rates."""
    rng = np.random.default_rng(seed)
    rates = np.exp(rng.uniform(np.log(0.5), np.log(1.5), size=(count, 4))) * [1, 0.1, 1, 0.1]
    start = np.stack([rates[:, 2] / rates[:, 3], rates[:, 0] / rates[:, 1]], 1) * np.exp(rng.uniform(-1, 1, (count, 2)))
    time = np.linspace(0, 20, points)
    values = [
        akpsim.simulate_lotka_volterra(time, **dict(zip("abcd", r, strict=True)), initial=w, noise=noise, seed=rng)
        for r, w in zip(rates, start, strict=True)
    ]
    return time, np.stack([each.populations.values for each in values]), rates


@pytest.mark.parametrize("name", [*NAMES, "sse"])
def test_hudson_bay_least_squares_in_logs(pelts, name):
    assert float(pelts[name]) == pytest.approx(COMPUTED["log_least_squares_pooled_sigma"][name], rel=1e-5)


def test_hudson_bay_finds_the_prey(pelts):
    assert pelts["prey"] == "hare"
    assert float(pelts.order_advantage) > 10


@pytest.mark.parametrize("name", NAMES)
def test_hudson_bay_profile_intervals(pelts, name):
    expected = COMPUTED["profile_likelihood_ci"]["level95"][name]
    assert [float(pelts[f"{name}_lower"]), float(pelts[f"{name}_upper"])] == pytest.approx(expected, rel=0.02)


def test_hudson_bay_lies_where_stan_finds_it(pelts):
    # posteriordb: posterior means and standard deviations, "within 0.25 posterior sd for any correct MLE".
    posterior = EXPECTED["published"]["posteriordb_hudson_lynx_hare"]["quantiles_sd"]
    for name, theirs in zip("abcd", ("theta[1]", "theta[2]", "theta[3]", "theta[4]"), strict=True):
        assert abs(float(pelts[name]) - posterior[theirs]["mean"]) < 0.25 * posterior[theirs]["sd"]


def test_hudson_bay_quality(pelts):
    assert float(pelts.r2) == pytest.approx(COMPUTED["log_least_squares_pooled_sigma"]["R2_log"], rel=1e-6)
    assert float(pelts.condition) == pytest.approx(COMPUTED["model_selection"]["LV"]["fim_cond_logparams"], rel=1e-4)
    # sigma^2 = S / (n - 6); the reference gives S / n.
    sigma = COMPUTED["log_least_squares_pooled_sigma"]["sigma_ml"] * np.sqrt(42 / 36)
    assert float(pelts.sigma) == pytest.approx(sigma, rel=1e-6)
    assert pelts.n == 42


def test_hudson_bay_standard_errors():
    fit = akpsim.fit_lotka_volterra(None, PELTS)
    expected = COMPUTED["log_least_squares_pooled_sigma"]["se_log_params"]
    found = [np.log(float(fit[f"{name}_upper"] / fit[name])) / 1.959964 for name in NAMES]
    assert found == pytest.approx(expected, rel=1e-3)


def test_hudson_bay_on_the_natural_scale():
    free = akpsim.fit_lotka_volterra(None, PELTS, noise="natural")
    for name in (*NAMES, "sse"):
        assert float(free[name]) == pytest.approx(COMPUTED["natural_nls_free_ic"][name], rel=1e-5)
    held = akpsim.fit_lotka_volterra(None, PELTS, noise="natural", initial="data")
    for name in ("a", "b", "c", "d", "sse"):  # Howard 2009: .55, .028, .84, .026
        assert float(held[name]) == pytest.approx(COMPUTED["natural_nls_ic_fixed_at_data"][name], rel=1e-5)
    assert [float(held.W1_0), float(held.W2_0)] == pytest.approx([30, 4], rel=1e-12)


def test_hudson_bay_integral_matching():
    expected = COMPUTED["integral_matching_init"]
    system = FORMS["lotka_volterra"].system(2)
    values, start = integral_matching(system, PELTS.time.values, PELTS.values)
    assert np.abs(values) == pytest.approx([expected[name] for name in "abcd"], rel=1e-6)
    assert np.exp(start) == pytest.approx([expected["W1_0"], expected["W2_0"]], rel=1e-6)


def test_poisson_counts_are_fitted_by_their_deviance():
    truth = akpsim.simulate_lotka_volterra(np.arange(40.0), a=0.5, b=0.005, c=0.8, d=0.005, initial=(120, 40))
    counts = np.random.default_rng(0).poisson(truth.populations.values).astype(float)
    fit = akpsim.fit_lotka_volterra(truth.time.values, counts, noise="poisson")
    for name, value in {"a": 0.5, "b": 0.005, "c": 0.8, "d": 0.005}.items():
        assert float(fit[f"{name}_lower"]) < value < float(fit[f"{name}_upper"])
    assert float(fit.sse) / (80 - 6) == pytest.approx(1, abs=0.4)  # a deviance is about its degrees of freedom


def test_without_noise_the_rates_come_back():
    truth = akpsim.simulate_lotka_volterra(np.linspace(0, 12, 40), a=0.7, b=0.02, c=1.1, d=0.03, initial=(20, 30))
    fit = akpsim.fit_lotka_volterra(None, truth.populations)
    assert [float(fit[name]) for name in NAMES] == pytest.approx([0.7, 0.02, 1.1, 0.03, 20, 30], rel=1e-7)
    assert float(fit.period) == pytest.approx(float(truth.period), rel=1e-7)
    assert float(fit.invariant) == pytest.approx(float(truth.invariant), rel=1e-7)
    assert [float(fit.W1_equilibrium), float(fit.W2_equilibrium)] == pytest.approx([1.1 / 0.03, 35], rel=1e-7)


def test_many_trajectories_at_once_are_as_good_as_one_by_one():
    time, values, rates = simulated(8)
    many = akpsim.fit_lotka_volterra(time, values)
    assert many.a.dims == ("trajectory",)
    found = np.stack([many[name].values for name in "abcd"], axis=1)
    assert (np.abs(found / rates - 1) < 0.25).all(axis=1).sum() >= 7
    for row in (0, 5):
        one = akpsim.fit_lotka_volterra(time, values[row])
        for name in (*NAMES, "sse", "period"):
            assert float(many[name][row]) == pytest.approx(float(one[name]), rel=1e-5)


def test_a_trajectory_does_not_depend_on_its_neighbours():
    time, values, _ = simulated(3)
    together = akpsim.fit_lotka_volterra(time, values)
    apart = akpsim.fit_lotka_volterra(time, values[::-1][:2])
    assert together.a.values[::-1][:2] == pytest.approx(apart.a.values, rel=1e-5)


def test_among_many_the_hopeless_are_named_and_the_short_end_in_nan():
    time, values, _ = simulated(4)
    values[1] = np.exp(np.outer(time, [0.1, -0.1]))
    values[2, 40:] = np.nan
    values[3, 7, 0] = -1
    found = akpsim.fit_lotka_volterra(time, values)
    assert found.refused.values.tolist() == [False, True, False, True]
    assert str(found.problem.values[1]).startswith("InsufficientTrajectory: no population turns")
    assert "got -1 at time index 7 of 'W1'" in str(found.problem.values[3])
    assert np.isnan(found.a.values).tolist() == [False, True, False, True]
    assert np.isnan(found.fitted.values[2, 40:]).all()
    assert found.n.values[[0, 2]].tolist() == [100, 80]
    hopeless = akpsim.fit_lotka_volterra(time, values[[1, 3]])
    assert hopeless.refused.values.all()
    assert np.isnan(hopeless.a.values).all()


@settings(max_examples=3, deadline=None)
@given(scale=st.tuples(st.floats(0.01, 100.0), st.floats(0.01, 100.0)), stretch=st.floats(0.01, 100.0))
def test_units_change_nothing_but_units(scale, stretch):
    plain = akpsim.fit_lotka_volterra(None, PELTS, prey=0)
    scaled = akpsim.fit_lotka_volterra(PELTS.time.values * stretch, PELTS.values * scale, prey=0)
    s, r = scale
    assert float(scaled.sse) == pytest.approx(float(plain.sse), rel=1e-8)
    assert float(scaled.condition) == pytest.approx(float(plain.condition), rel=1e-4)
    for name, unit in {"a": 1, "b": 1 / r, "c": 1, "d": 1 / s}.items():
        assert float(scaled[name]) == pytest.approx(float(plain[name]) * unit / stretch, rel=1e-5)


def test_exchanging_the_populations_exchanges_nothing_else(pelts):
    turned = akpsim.fit_lotka_volterra(None, PELTS[:, ::-1])
    assert turned["prey"] == "hare"
    assert float(turned.a) == pytest.approx(float(pelts.a), rel=1e-6)
    assert turned.fitted.sel(population="lynx").values == pytest.approx(
        pelts.fitted.sel(population="lynx").values, rel=1e-6
    )


def test_the_input_is_not_modified():
    before = PELTS.copy(deep=True)
    akpsim.fit_lotka_volterra(None, PELTS)
    assert PELTS.identical(before)


def test_a_saved_fit_is_the_fit(pelts, tmp_path):
    path = akpsim.save(pelts, tmp_path / "fit.nc")
    again = akpsim.open_result(path)
    assert again.attrs["result"] == "lotka_volterra"
    assert float(again.a) == float(pelts.a)


def test_general_forms_contain_what_they_were_simulated_from():
    time = np.linspace(0, 10, 40)
    rates = {"growth_1": 1.0, "growth_2": 0.8, "compete_11": 0.1, "compete_12": 0.05, "compete_21": 0.03,
             "compete_22": 0.12}  # fmt: skip
    truth = akpsim.simulate_dynamics("competitive", time, rates, initial=[0.5, 12.0])
    fit = akpsim.fit_dynamics("competitive", None, truth.populations, strict=False)
    signs = [1, 1, -1, -1, -1, -1]
    assert fit.value.values == pytest.approx(np.array(list(rates.values())) * signs, rel=1e-5)
    three = {"growth_1": 1.0, "growth_2": -0.5, "growth_3": 0.4, "effect_12": -0.5, "effect_21": 0.4,
             "effect_23": -0.2, "effect_32": 0.1, "effect_33": -0.3}  # fmt: skip
    truth = akpsim.simulate_dynamics("generalized", np.linspace(0, 25, 60), three, initial=[1.0, 1.0, 1.0])
    fit = akpsim.fit_dynamics("generalized", None, truth.populations, strict=False)
    assert {
        str(n): v for n, v in zip(fit.rate.values, fit.value.values, strict=True) if abs(v) > 1e-4
    } == pytest.approx(three, rel=1e-4)
    assert fit.interaction.sel(population="W2", by="W3") == pytest.approx(-0.2, rel=1e-4)


def test_two_exponentials_are_a_line_in_logs():
    # By hand: least squares of log pelts on the year; sum of squares from the reference.
    fit = akpsim.fit_dynamics("exponential", None, PELTS, strict=False)
    slope = np.polyfit(PELTS.time.values, np.log(PELTS.values), 1)[0]
    assert fit.growth.values == pytest.approx(slope, rel=1e-6)
    assert float(fit.sse) == pytest.approx(COMPUTED["model_selection"]["exponential_eq4"]["sse"], rel=1e-9)


def test_features_are_a_linear_map_and_the_map_depends_on_the_gauge():
    W = PELTS.values
    T = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])
    found = akpsim.feature_map(W, W @ T.T)
    assert found["T"].values == pytest.approx(T, abs=1e-10)
    assert found.r2.values == pytest.approx(1)
    scaled = akpsim.feature_map(W * [2, 5], W @ T.T)
    assert scaled["T"].values == pytest.approx(T / [2, 5], abs=1e-10)
    assert "depends on the gauge" in found.attrs["warning"]


def test_breakpoints_are_found_where_rates_change_and_not_where_they_stay():
    first = akpsim.simulate_lotka_volterra(range(30), a=0.5, b=0.02, c=0.8, d=0.02, initial=(30, 5), noise=0.05, seed=1)
    other = akpsim.simulate_lotka_volterra(
        range(30), a=0.9, b=0.03, c=0.8, d=0.03, initial=(30, 15), noise=0.05, seed=2
    )
    broken = np.concatenate([first.populations.values, other.populations.values])
    found = akpsim.fit_segments(np.arange(60.0), broken, breakpoints=[29.0])
    assert found.attrs["best"] == "separate"
    assert found.rate.sel(fit="separate", parameter="a").values == pytest.approx([0.5, 0.9], rel=0.1)
    whole = akpsim.simulate_lotka_volterra(range(60), a=0.5, b=0.02, c=0.8, d=0.02, initial=(30, 5), noise=0.05, seed=3)
    same = akpsim.fit_segments(None, whole.populations, breakpoints=[29.5])
    assert same.attrs["best"] == "unbroken"
    assert (
        float(same.sse.sel(fit="separate")) <= float(same.sse.sel(fit="shared")) <= float(same.sse.sel(fit="unbroken"))
    )
