"""A gap in the data, or a start in the wrong place, must not decide which model is chosen."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import curve_fit, least_squares

import akpsim
from akpsim.dynamics.forms import FORMS
from akpsim.dynamics.matching import integral_matching, stretches
from akpsim.dynamics.verdict import missed, verdict

TRUTH = {"a": 0.8, "b": 0.04, "c": 0.5, "d": 0.02}


@pytest.fixture(scope="module")
def gap():
    """Prey and predators at 61 times over three periods, ten of them, half a period, not seen."""
    whole = akpsim.simulate_lotka_volterra(np.linspace(0, 30, 61), **TRUTH, initial=(40, 10), noise=0.1, seed=7)
    return whole.populations.drop_isel(time=range(20, 30))


@pytest.fixture(scope="module")
def optimum(gap):
    """Sum of squares in logs at the optimum that scipy reaches from the truth."""
    time, logs = gap.time.values, np.log(gap.values)

    def residual(free):
        a, b, c, d = np.exp(free[:4])
        path = solve_ivp(
            lambda _, u: [a - b * np.exp(u[1]), -c + d * np.exp(u[0])],
            (0, 30), free[4:], t_eval=time, rtol=1e-9, atol=1e-9, method="DOP853",
        )  # fmt: skip
        return (path.y.T - logs).ravel()

    return 2 * least_squares(residual, np.log([*TRUTH.values(), 40, 10]), method="lm").cost


@pytest.mark.parametrize("starts", [1, 5])
def test_the_fit_and_the_comparison_find_the_optimum_despite_a_gap(gap, optimum, starts):
    fit = akpsim.fit_lotka_volterra(None, gap, starts=starts)
    assert float(fit.sse) == pytest.approx(optimum, rel=1e-5)
    found = akpsim.select_dynamics(None, gap, starts=starts)
    assert float(found.sse.sel(model="lotka_volterra")) == pytest.approx(optimum, rel=1e-5)
    assert float(found.sse.sel(model="generalized")) <= optimum * (1 + 1e-6)
    assert found.attrs["verdict"].startswith("Lotka-Volterra, prey and predator (bic ")
    assert float(found.skill.sel(model="lotka_volterra")) > 0.5


def test_matching_takes_no_integral_over_a_gap(gap):
    # 40 noiseless times would give the rates within 2 %; a trapezoid over the gap is wrong by more than half in some.
    smooth = akpsim.simulate_lotka_volterra(gap.time.values, **TRUTH, initial=(40, 10)).populations
    values, first = integral_matching(FORMS["lotka_volterra"].system(2), gap.time.values, smooth.values)
    assert np.abs(values) == pytest.approx(list(TRUTH.values()), rel=0.05)
    assert np.exp(first) == pytest.approx([40, 10], rel=0.1)


def test_stretches_end_at_gaps_and_not_where_times_grow_sparse():
    assert stretches(np.array([0.0, 1, 2, 3, 9, 10, 11, 12])).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert stretches(np.geomspace(1, 1000, 30)).tolist() == [0] * 30


def test_no_verdict_where_an_optimum_was_missed():
    names = ["generalized", "lotka_volterra", "var1"]
    assert missed(names, np.array([1.0, 1.0005, 0.5]), number=100) == ""
    assert missed(names, np.array([1.2, 1.0, 0.5]), number=100) == (
        "none: generalized contains lotka_volterra and yet leaves a larger sum of squares (1.2 against 1): its optimum "
        "was missed, more starts may find it"
    )


def test_a_verdict_compares_what_was_asked_about_with_the_best():
    names, bic = ["random_walk", "ar1", "lotka_volterra"], np.array([10.0, 17.0, 147.0])
    said = "a random walk says more (bic 137 below lotka_volterra)"
    assert verdict(names, bic, "bic", model="lotka_volterra") == f"not Lotka-Volterra: {said}"
    assert verdict(names, bic, "bic", model="random_walk") == "random_walk (bic 7 below ar1)"
    close = np.array([10.0, 11.0, 147.0])
    assert verdict(names, close, "bic", model="lotka_volterra") == (
        "not Lotka-Volterra: a random walk says more, and ar1 as much (bic 137 below lotka_volterra)"
    )


def test_a_monotone_trajectory_has_no_cycle_and_may_have_a_limit():
    # Logistic growth to 100 and 50, by hand, with 2 % noise.
    time = np.linspace(0, 20, 30)
    limits = np.stack([100 / (1 + 20 * np.exp(-0.6 * time)), 50 / (1 + 5 * np.exp(-0.9 * time))], axis=1)
    values = limits * np.exp(0.02 * np.random.default_rng(0).normal(size=limits.shape))
    found = akpsim.select_dynamics(time, values, model="logistic", forecasts=False)
    assert "logistic" in found.attrs["verdict"]
    assert "Lotka" not in found.attrs["verdict"]
    with pytest.raises(akpsim.errors.InsufficientTrajectory, match="no population turns"):
        akpsim.select_dynamics(time, values)


def test_logistic_growth_reports_its_limit():
    time = np.linspace(0, 20, 40)
    limits = np.stack([100 / (1 + 20 * np.exp(-0.6 * time)), 50 / (1 + 5 * np.exp(-0.9 * time))], axis=1)
    values = limits * np.exp(0.02 * np.random.default_rng(3).normal(size=limits.shape))
    fit = akpsim.fit_dynamics("logistic", time, values)
    # The same curves by scipy, one population at a time, so that the noise of each is its own.
    for index in (1, 2):
        best, covariance = curve_fit(
            lambda t, log_limit, log_odds, growth: log_limit - np.log1p(np.exp(log_odds - growth * t)),
            time, np.log(values[:, index - 1]), p0=[np.log(70), 2, 0.7],
        )  # fmt: skip
        limit, half = fit.sel(rate=f"limit_{index}"), 1.96 * np.sqrt(covariance[0, 0])
        assert float(limit.value) == pytest.approx(np.exp(best[0]), rel=1e-4)
        assert float(fit.value.sel(rate=f"growth_{index}")) == pytest.approx(best[2], rel=1e-3)
        assert np.log(float(limit.value_upper / limit.value)) == pytest.approx(half, rel=0.25)
    assert fit.course.dims == ("moment", "population")


def test_the_page_shows_calls_that_work(capsys):
    page = (Path(__file__).parents[1] / "docs" / "method-dynamics.md").read_text()
    exec(page.split("```python\n")[1].split("```")[0], {})  # noqa: S102
    a, said = capsys.readouterr().out.split(" ", 1)
    assert float(a) == pytest.approx(0.5, rel=0.1)  # the page simulates a = .5
    assert "Lotka-Volterra, prey and predator" in said
