"""What speaks against a fit: named errors that make it meaningless, and warnings."""

import numpy as np

from akpsim.dynamics.fitting import Fit
from akpsim.dynamics.forms import Array
from akpsim.dynamics.goodness import AUTOCORRELATED, ljung_box
from akpsim.dynamics.identifiability import CONDITION_LIMIT, CONDITION_WARNING, SD_LIMIT, Identifiability
from akpsim.errors import AkpsimError, AkpsimWarning, AtBound, DivergedFit, MultipleOptima, NotIdentifiable

Finding = AkpsimError | Warning
AGREEMENT = 1e-3
"""Starts agree when their costs differ by no more than this share (the coarse stage stops at 1e-6)."""

DECISIVE = 10.0
"""Another optimum whose BIC is worse by more than this is no rival (Kass and Raftery 1995)."""


class DoubtfulFit(AkpsimWarning):
    """A fit to be read with care; kept with the result, never raised."""


def judge(fit: Fit, information: Identifiability, *, starts: int) -> list[list[Finding]]:
    """Return what speaks against each trajectory's fit, the gravest first."""
    residuals = residuals_of(fit)
    p = ljung_box(residuals)
    found = [
        _diverged(fit, row)
        or [*_optima(fit, row, starts), *_bounds(fit, row), *_identifiable(fit, information, row), *_memory(p[row])]
        for row in range(len(fit.cost))
    ]
    return [sorted(findings, key=lambda finding: isinstance(finding, Warning)) for findings in found]


def raise_first(findings: list[Finding]) -> None:
    """Raise the first finding that is an error, with how to see the numbers nevertheless."""
    for finding in findings:
        if isinstance(finding, AkpsimError):
            raise type(finding)(f"{finding}; strict=False returns the numbers all the same")


def residuals_of(fit: Fit) -> Array:
    """Return residuals in the noise's own scale (batch, time, population); zero beyond a trajectory's length."""
    problem = fit.problem
    with np.errstate(all="ignore"):
        state = np.log(fit.fitted / problem.mean[:, None])
        residual, _, _ = problem.noise.residual(problem.scaled, state)
        scale = problem.mean[:, None] if problem.noise.name == "natural" else 1.0
        return np.asarray(np.where(problem.observed, residual * scale, 0.0))


def _diverged(fit: Fit, row: int) -> list[Finding]:
    if np.isfinite(fit.cost[row]):
        return []
    return [DivergedFit(f"none of {fit.start_costs.shape[1]} starts gave a trajectory that stays finite")]


def _optima(fit: Fit, row: int, starts: int) -> list[Finding]:
    costs = np.sort(fit.start_costs[row])
    if starts < 2:
        return []
    floor = 1e-9 * fit.problem.length[row]
    close = costs <= costs[0] * (1 + AGREEMENT) + floor
    if close.sum() == 1:
        return [
            MultipleOptima(
                f"the best of {costs.size} starts stands alone: its cost is {costs[0]:.6g}, the next {costs[1]:.6g}, "
                f"more than {AGREEMENT:g} apart; more starts may find it again"
            )
        ]
    with np.errstate(divide="ignore"):
        count = fit.problem.length[row] * fit.problem.system.species
        drop = costs - costs[0] if fit.problem.noise.known_scale else count * np.log(costs / costs[0])
    rivals = int(np.sum(~close & (drop < DECISIVE)))
    if not rivals:
        return []
    return [DoubtfulFit(f"{rivals} of {costs.size} starts ended in another optimum that is nearly as good")]


def _bounds(fit: Fit, row: int) -> list[Finding]:
    names = [name for name, bound in zip(fit.problem.system.names, fit.at_bound[row], strict=True) if bound]
    if not names:
        return []
    said = f"{' and '.join(names)} went to zero, the edge of what is allowed"
    if fit.problem.system.names != ("a", "b", "c", "d"):
        return [DoubtfulFit(said)]
    return [AtBound(f"{said}: the data show no cycle of prey and predator")]


def _identifiable(fit: Fit, information: Identifiability, row: int) -> list[Finding]:
    condition, sd = float(information.condition[row]), information.sd[row]
    wide = np.flatnonzero(sd > SD_LIMIT)
    if condition > CONDITION_LIMIT or wide.size:
        names = (*fit.problem.system.names, *(f"W{i + 1}_0" for i in range(fit.problem.system.species)))
        if condition > CONDITION_LIMIT:
            why = f"the information matrix has condition {condition:.3g}, at most {CONDITION_LIMIT:g} is allowed"
        else:
            why = f"log {names[wide[0]]} has a standard deviation of {sd[wide[0]]:.3g}, at most {SD_LIMIT:g} is allowed"
        return [NotIdentifiable(f"the data do not determine the rates: {why}")]
    if condition > CONDITION_WARNING:
        return [DoubtfulFit(f"the rates are weakly determined: the information matrix has condition {condition:.3g}")]
    return []


def _memory(p: Array) -> list[Finding]:
    if np.nanmin(p) < AUTOCORRELATED / len(p):
        return [
            DoubtfulFit(
                f"residuals are autocorrelated (Ljung-Box p = {np.nanmin(p):.2g}): intervals are too narrow and the "
                "model leaves out something"
            )
        ]
    return []
