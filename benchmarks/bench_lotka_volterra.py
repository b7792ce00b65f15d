"""Prey and predator fitted to 100 trajectories: time and recovery against scipy, one by one; cost for more.

Run as ``python benchmarks/bench_lotka_volterra.py``, or by pytest.  CPU time within one process, one thread.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from akpsim.dynamics.fitting import fit_system
from akpsim.dynamics.forms import FORMS
from akpsim.dynamics.integrate import runge_kutta
from akpsim.dynamics.noise import NOISES
from akpsim.dynamics.problem import Problem
from akpsim.dynamics.starts import scatter

SYSTEM = FORMS["lotka_volterra"].system(2)
POINTS, NOISE = 50, 0.1


def trajectories(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, rates, initial populations and noisy populations of random prey and predators."""
    rng = np.random.default_rng(seed)
    when = np.linspace(0, 20, POINTS)
    rates = np.exp(rng.uniform(np.log(0.5), np.log(1.5), size=(count, 4))) * [1, 0.1, 1, 0.1]
    rest = np.stack([rates[:, 2] / rates[:, 3], rates[:, 0] / rates[:, 1]], axis=1)
    start = rest * np.exp(rng.uniform(-1, 1, size=(count, 2)))
    path = runge_kutta(SYSTEM, rates * SYSTEM.signs, np.log(start), time=when, substeps=40, sensitivities=False)
    populations = np.exp(np.moveaxis(path[:, :, 0], -1, 0))
    return when, rates, start, populations * np.exp(NOISE * rng.normal(size=populations.shape))


def ours(when: np.ndarray, populations: np.ndarray, starts: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Rates, costs and seconds of CPU time."""
    begun = time.process_time()
    problem = Problem(SYSTEM, NOISES["lognormal"], when, populations, np.full(len(populations), len(when)))
    fit = fit_system(problem, starts=starts, rng=np.random.default_rng(0), polish=False)
    return np.abs(fit.values), fit.cost, time.process_time() - begun


def scipys(when: np.ndarray, populations: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The same by least_squares over solve_ivp, from a plain guess: rates of one, populations as first observed."""
    begun = time.process_time()
    found, costs = [], []
    for one in populations:
        logs = np.log(one)
        guess = np.log([1, 1 / one[:, 1].mean(), 1, 1 / one[:, 0].mean(), *one[0]])
        fit = least_squares(_residual(when, logs), guess, x_scale=0.1, max_nfev=200)
        found.append(np.exp(fit.x[:4]))
        costs.append(2 * fit.cost)
    return np.array(found), np.array(costs), time.process_time() - begun


def _residual(when: np.ndarray, logs: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def residual(parameters: np.ndarray) -> np.ndarray:
        a, b, c, d = np.exp(np.clip(parameters[:4], -20, 5))

        def slope(_: float, u: np.ndarray) -> list[float]:
            prey, predator = np.exp(np.minimum(u, 30))
            return [a - b * predator, -c + d * prey]

        path = solve_ivp(slope, (when[0], when[-1]), parameters[4:], t_eval=when, rtol=1e-6, atol=1e-6)
        if path.y.shape[1] < len(when):
            return np.full(logs.size, 1e3)
        return (path.y.T - logs).ravel()

    return residual


def optimum(when: np.ndarray, populations: np.ndarray, rates: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The cost of the optimum that is reached from the truth."""
    problem = Problem(SYSTEM, NOISES["lognormal"], when, populations, np.full(len(populations), len(when)))
    truth = scatter(problem, (rates * SYSTEM.signs, np.log(start)))
    return problem.minimise(truth, np.arange(len(truth)), substeps=16, tolerance=1e-12).cost


def test_one_hundred_trajectories() -> None:
    when, rates, start, populations = trajectories(100)
    best = optimum(when, populations, rates, start)
    theirs, their_cost, their_seconds = scipys(when, populations)
    print(f"\n{'100 trajectories x 50 points, 10 % noise':44}{'CPU s':>8}{'ratio':>8}{'recovered':>11}{'optimum':>9}")
    _line("scipy least_squares + solve_ivp, one by one", their_seconds, 1.0, theirs, their_cost, rates, best)
    counts = {}
    for starts in (1, 5):
        found, cost, seconds = ours(when, populations, starts)
        counts[starts] = _line(
            f"batched, starts = {starts}", seconds, their_seconds / seconds, found, cost, rates, best
        )
        if starts == 1:
            ratio = their_seconds / seconds
    assert ratio >= 40
    assert counts[1][0] >= 97
    assert counts[5][1] >= 99


def _line(
    name: str, seconds: float, ratio: float, found: np.ndarray, cost: np.ndarray, rates: np.ndarray, best: np.ndarray
) -> tuple[int, int]:
    recovered = int((np.abs(found / rates - 1) < 0.25).all(axis=1).sum())
    reached = int((cost <= best * 1.001).sum())
    print(f"{name:44}{seconds:8.2f}{ratio:8.1f}{recovered:11d}{reached:9d}")
    return recovered, reached


def test_cost_for_more() -> None:
    print(f"\n{'trajectories':>12}{'1 start, s':>12}{'5 starts, s':>12}{'ms each':>9}")
    for count in (10, 100, 1000):
        when, _, _, populations = trajectories(count)
        one, five = (ours(when, populations, starts)[2] for starts in (1, 5))
        print(f"{count:12d}{one:12.2f}{five:12.2f}{1000 * five / count:9.1f}")


if __name__ == "__main__":
    test_one_hundred_trajectories()
    test_cost_for_more()
