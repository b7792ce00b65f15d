r"""Is it Lotka-Volterra at all?  Models against honest nulls, by information criteria and forecasts.

With :math:`N` logs observed, :math:`k` parameters (rates, initial state, one variance) and residual sum of squares
:math:`S`, the log likelihood is :math:`-\tfrac N2 (\log(2 \pi S / N) + 1)`,

.. math:: \mathrm{BIC} = -2 \log L + k \log N, \qquad
          \mathrm{AICc} = -2 \log L + 2 k + \frac{2 k (k + 1)}{N - k - 1} .

When the prey is chosen by fit, Lotka-Volterra is two models and pays :math:`2 \log 2` for the choice.  A curve with
:math:`R^2 > 0.5` proves little: random walks are fitted as well.  What tells is whether it beats ``random_walk``
and ``var1``.
"""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from akpsim.checks import among, at_least, generator, one_of
from akpsim.dynamics.candidates import Candidate, fit_candidates
from akpsim.dynamics.forms import CYCLING, FORMS, Array
from akpsim.dynamics.noise import normal_log_likelihood
from akpsim.dynamics.starts import Start
from akpsim.dynamics.trajectory import as_trajectories, check_sufficient, check_values
from akpsim.dynamics.verdict import missed, verdict
from akpsim.errors import unknown_name
from akpsim.store import provenance

ORIGINS = 4
FEW = 2
"""Starts of a refit besides the optimum of all data."""
FIRST_ORIGIN = 0.6
"""Forecasts start from points after this share of the trajectory."""


def select_dynamics(
    time: ArrayLike | None,
    populations: Any,
    *,
    model: str | None = None,
    prey: str | int | None = None,
    criterion: str = "bic",
    starts: int = 5,
    forecasts: bool = True,
    seed: int | np.random.Generator | None = 0,
) -> xr.Dataset:
    """Fit Lotka-Volterra and its nulls to one trajectory or many, and say which describes them best.

    Parameters
    ----------
    time : array, shape (time,), or None
        Increasing; None takes the coordinate of a DataArray.
    populations : array or DataArray, (time, population) or (trajectory, time, population)
        Positive; two populations, or more (then without Lotka and Volterra's own form).
    model : str, optional
        The form that the verdict is about: lotka_volterra for two populations, else generalized (logistic for one).
    prey : str or int, optional
        Name or index of the prey; by default it is chosen by fit, and counted as two models.
    criterion : {"bic", "aicc", "forecast"}
        What decides.
    starts : int
        Starts of the Lotka-Volterra fit: the same as those of `akpsim.fit_lotka_volterra` with the same seed, and the
        optimum of the generalized system besides.
    forecasts : bool
        Whether to forecast from later and later origins, refitting each time, from the optimum of all data as well.
    seed : int or Generator
        Scatters starts.

    Returns
    -------
    Dataset
        Along ``model``: ``aicc``, ``bic`` (infinite where parameters are as many as data),
        ``log_likelihood``, ``sse`` (logs), ``parameters``, ``r2``, ``weight``
        (share of exp(-BIC/2)), ``forecast_error`` (root mean square in logs) and ``skill`` against persistence;
        ``n``, ``best``, ``verdict``, ``problem``.  Where a model leaves more than one that it contains, its optimum was
        missed: ``best`` is empty and ``verdict`` says so; attrs ``best`` and ``verdict`` for a single trajectory.

    Raises
    ------
    InvalidTrajectory, InsufficientTrajectory
        For a single trajectory that nothing can be said about; among many the reason is in ``problem``.
    """
    given = as_trajectories(time, populations)
    one_of(criterion, "criterion", ("bic", "aicc", "forecast"))
    at_least(starts, "starts", 1)
    asked = _asked(model, given.values.shape[2])
    reasons = given.reasons(lambda values: _refuse(values, given.names, asked))
    if given.single and reasons[0] is not None:
        raise reasons[0]
    usable = np.array([reason is None for reason in reasons])
    prey_index = None if prey is None else given.index(prey)
    parts = []
    for points in np.unique(given.length[usable]) if usable.any() else [len(given.time)]:
        rows = np.flatnonzero(usable & (given.length == points))
        times, values = given.time[:points], given.values[rows, :points]
        length = np.full(len(values), points)
        rng = generator(seed)
        candidates = fit_candidates(times, values, length=length, prey=prey_index, starts=starts, rng=rng)
        table = _criteria(candidates, values)
        if forecasts or criterion == "forecast":
            errors = _forecast_errors(times, values, candidates, prey=prey_index, starts=starts, rng=rng)
            table["forecast_error"] = (("trajectory", "model"), errors)
            walk = errors[:, [list(candidates).index("random_walk")]]
            table["skill"] = (("trajectory", "model"), 1 - errors / np.maximum(walk, np.finfo(float).tiny))
        parts.append(xr.Dataset(table, coords={"trajectory": rows, "model": list(candidates)}))
    found = xr.concat(parts, dim="trajectory", coords="minimal", compat="override", data_vars="minimal")
    found = found.reindex(trajectory=np.arange(len(usable))).drop_vars("trajectory")
    found = _with_verdicts(found, criterion, usable, asked)
    found["problem"] = ("trajectory", [f"{type(r).__name__}: {r}" if r else "" for r in reasons])
    attrs = {"result": "dynamics_selection", "criterion": criterion, "model": asked} | provenance(
        prey=prey, starts=starts, seed=seed if isinstance(seed, int) else None
    )
    if given.single:
        found = found.isel(trajectory=0)
        attrs |= {"best": str(found["best"].values), "verdict": str(found["verdict"].values)}
        return found.assign_attrs(attrs)
    return found.rename(trajectory=given.dim).assign_coords(given.labels).assign_attrs(attrs)


def _asked(model: str | None, species: int) -> str:
    """Return the form that the verdict is about; of one population, all that are no mere trend are logistic."""
    forms = [name for name in FORMS if FORMS[name].species in (None, species)]
    if model is not None and not among(model, forms):
        raise unknown_name(f"form of dynamics of {species} populations", model, forms)
    if species == 1:
        return model if model in ("constant", "exponential") else "logistic"
    return model or ("lotka_volterra" if species == 2 else "generalized")


def _refuse(values: Array, names: tuple[str, ...], asked: str) -> None:
    check_values(values, names)
    check_sufficient(values, cycles=asked in CYCLING)


def _criteria(candidates: dict[str, Candidate], values: Float[Array, "batch time population"]) -> dict[str, Any]:
    number = values.shape[1] * values.shape[2]
    cost = np.stack([model.cost for model in candidates.values()], axis=1)
    likelihood = normal_log_likelihood(cost, number)
    k = np.array([model.parameters for model in candidates.values()])
    choice = 2 * np.log([model.orders for model in candidates.values()])
    logs = np.log(values)
    whole = ((logs - logs.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2))
    # A model with hardly fewer parameters than observations fits anything: its criteria say nothing.
    spare = np.where(number - k - 1 > 0, number - k - 1.0, np.nan)
    bic = np.where(spare > 0, -2 * likelihood + k * np.log(number) + choice, np.inf)
    with np.errstate(under="ignore"):
        weight = np.exp(-(bic - bic.min(axis=1, keepdims=True, initial=np.inf)) / 2)
    columns = {
        "aicc": np.nan_to_num(-2 * likelihood + 2 * k + 2 * k * (k + 1) / spare + choice, nan=np.inf),
        "bic": bic,
        "log_likelihood": likelihood,
        "sse": cost,
        "r2": 1 - cost / whole[:, None],
        "weight": weight / weight.sum(axis=1, keepdims=True),
    }
    table: dict[str, Any] = {name: (("trajectory", "model"), column) for name, column in columns.items()}
    return table | {"parameters": ("model", k), "n": ("trajectory", np.full(len(values), number))}


def _forecast_errors(
    time: Array,
    values: Float[Array, "batch time population"],
    whole: dict[str, Candidate],
    *,
    prey: int | None,
    starts: int,
    rng: np.random.Generator,
) -> Float[Array, "batch model"]:
    """Forecast a tenth of the points ahead from several origins; return root mean squares of errors in logs.

    Refits start from what all data say as well: the optimum is that of the points before the origin, and only the way
    to it is shorter.
    """
    points = len(time)
    steps = max(1, points // 10)
    origins = np.unique(np.linspace(FIRST_ORIGIN * points, points - steps, ORIGINS).astype(int))
    repeated = np.repeat(values, len(origins), axis=0)
    length = np.tile(origins, len(values))
    known: dict[str, Start] = {}
    for name, model in whole.items():
        if model.start is not None:
            rates, first = (np.repeat(part, len(origins), axis=0) for part in model.start)
            known[name] = rates, first
    candidates = fit_candidates(
        time, repeated, length=length, prey=prey, starts=min(starts, FEW), rng=rng, whole=known, finish=False
    )
    places = length[:, None] + np.arange(steps)
    future = np.log(np.take_along_axis(repeated, places[..., None], axis=1))
    errors = []
    for model in candidates.values():
        with np.errstate(invalid="ignore", over="ignore"):
            squares = (np.nan_to_num(model.forecast(steps), nan=np.inf) - future) ** 2
            by_trajectory = squares.reshape(len(values), len(origins) * steps * values.shape[2])
            errors.append(np.sqrt(by_trajectory.mean(axis=1)))
    return np.stack(errors, axis=1)


def _with_verdicts(found: xr.Dataset, criterion: str, usable: Array, asked: str) -> xr.Dataset:
    column = found["forecast_error" if criterion == "forecast" else criterion].values
    names = found["model"].values
    best, said = [], []
    for row, costs, number, use in zip(column, found["sse"].values, found["n"].values, usable, strict=True):
        order = np.argsort(row)
        none = missed(names, costs, number=int(number)) if use else ""
        best.append(str(names[order[0]]) if use and not none else "")
        said.append(none or verdict(names[order], row[order], criterion, model=asked) if use else "")
    return found.assign(best=("trajectory", best), verdict=("trajectory", said))
