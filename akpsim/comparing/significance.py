r"""Every pair with what chance gives: z, p and an interval beside the similarity.

Raw similarities grow with width and depth; the z of a cell says by how many standard deviations it is above what the
same two representations give when the samples of one are in random order.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.checks import at_least, generator, in_range, one_of
from akpsim.cluster import each, perhaps_connected
from akpsim.comparing.align import Aligned, align
from akpsim.comparing.compare import all_pairs, check_enough, in_bytes, labelled, mapped, raise_if_useless
from akpsim.comparing.engine import ONCE
from akpsim.comparing.maps import Rule
from akpsim.comparing.null import Null, permutation_null
from akpsim.comparing.points import Embedded, Scores, blocks_within, embedded, scores_of
from akpsim.errors import AkpsimError, UndefinedMetric
from akpsim.metrics import METRICS, Metric
from akpsim.metrics.metric import differences
from akpsim.permutations import false_discovery, p_value, step_down

Correction = Literal["max", "fdr", "none"]
CORRECTIONS = ("max", "fdr", "none")
ROUNDING = 1e-12
"""Share of a value that is no variation."""


def significance(
    representations: Any,
    *,
    metric: str | Metric = "cka",
    permutations: int = 0,
    correction: Correction = "max",
    resamples: int = 0,
    level: float = 0.95,
    seed: int | np.random.Generator | None = 0,
    memory: int | str | None = None,
    axis: str = "member",
    maps: Rule | None = None,
    positions: int | None = None,
    maps_seed: int = 0,
    cache: Path | str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = False,
    **parameters: Any,
) -> xr.Dataset:
    """Compare every pair of representations, with its null, p-value and interval.

    Parameters
    ----------
    representations, metric, memory, axis, maps, positions, maps_seed, cache, workers, scheduler, progress, **parameters
        As for `akpsim.compare`.
    permutations : int
        Random orders of the samples for p-values; none by default.  Linear CKA has its z without any.
    correction : str
        Over all pairs: ``"max"``, the largest z of each permutation, step by step (strong control of any false
        positive; Westfall and Young 1993); ``"fdr"``, Benjamini and Hochberg's share of false positives; or ``"none"``.
    resamples : int
        Random halves of the samples for the interval; none by default.  Halves, not bootstrap samples: a sample that is
        drawn twice is perfectly similar to itself, which no debiasing removes.  The spread over halves estimates that
        of the whole (delete-half jackknife; Shao and Wu 1989, Annals of Statistics 17).
    level : float
        Coverage of the interval.
    seed : int or Generator
        Of permutations and halves.

    Returns
    -------
    Dataset (member, other)
        ``similarity``; ``null_mean``, ``null_sd`` and ``z``; with permutations ``p`` and ``p_corrected``, one-sided
        (more alike than chance); with resamples ``similarity_lower`` and ``similarity_upper``.

    Raises
    ------
    AkpsimError
        If nothing but a null is asked for and the metric has none in closed form, or if the order of samples says
        nothing to the metric.
    """
    found = metric if isinstance(metric, Metric) else METRICS[metric]
    arguments = found.arguments(parameters)
    found = found.under(arguments)
    one_of(correction, "correction", CORRECTIONS)
    in_range(level, "level", 0, 1)
    at_least(permutations, "permutations", 0)
    at_least(resamples, "resamples", 0)
    if not found.products and not permutations and not resamples:
        raise AkpsimError(f"{found.name} has no closed-form null; give `permutations`, such as 199")
    if permutations and found.score is differences:
        raise AkpsimError(
            f"{found.name} compares one number of each side, which the order of samples does not change: "
            "`permutations` say nothing about it"
        )
    aligned = mapped(align(representations, axis=axis), maps, positions, maps_seed)
    check_enough(aligned, found)
    rng = generator(seed)
    most = in_bytes(memory)
    null: Null | None = None
    more: dict[str, Any] = {}
    with perhaps_connected(workers, scheduler) as client:
        scores, products = all_pairs(
            found, aligned, arguments, memory=most, cache=cache, progress=progress, client=client
        )
        raise_if_useless(scores, strict=False)
        if products is not None and found.products:
            null = permutation_null(products, found.products)
        if permutations or resamples:  # all rows are needed again and again
            aligned = aligned.in_memory(ONCE if most is None else most // 2)
        if permutations:
            orders = [rng.permutation(aligned.n) for _ in range(permutations)]
            drawn = _drawn(found, aligned, arguments, orders, most, progress, client)
            null = null or _null_of(drawn, found.name)
            more = _p_values(found, scores.values, drawn, null, correction)
        if null is not None:
            more |= {"null_mean": null.mean, "null_sd": null.sd, "z": z_of(found, scores.values, null)}
        if resamples:
            halves = [np.sort(rng.permutation(aligned.n)[: aligned.n // 2]) for _ in range(resamples)]
            lower, upper = _interval(found, aligned, arguments, scores.values, halves, level, progress, client)
            more |= {"similarity_lower": lower, "similarity_upper": upper}
    matrix = labelled(scores, aligned, found, arguments)
    attrs = {
        **matrix.attrs,
        "permutations": permutations,
        "correction": correction,
        "smallest_p": 1 / (permutations + 1),
        "resamples": resamples,
        "level": level,
        "seed": json.dumps(seed) if isinstance(seed, int | None) else "a generator",
    }
    variables = {name: (matrix.dims, table) for name, table in more.items()}
    return xr.Dataset({"similarity": matrix, **variables}, attrs=attrs)


def z_of(metric: Metric, values: np.ndarray, null: Null) -> np.ndarray:
    """Return how many standard deviations more alike than chance each pair is; NaN where chance gives one value."""
    sign = 1 if metric.kind == "similarity" else -1
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = sign * (values - null.mean) / np.where(null.sd > 0, null.sd, np.nan)
    if found.ndim == 2:
        np.fill_diagonal(found, np.nan)
        return found
    diagonal = np.arange(found.shape[-1])
    found[..., diagonal, diagonal] = np.nan
    return found


def _drawn(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    orders: Sequence[np.ndarray],
    memory: int | None,
    progress: bool,
    client: Any,
) -> np.ndarray:
    """Return the scores (draw, member, other) of all pairs, the second of which has its samples in another order."""
    if memory is not None and blocks_within(memory // 2, metric, aligned, arguments) > 1:
        raise AkpsimError(
            f"`permutations` keep two points of each of {len(aligned)} representations in memory, which is more than "
            f"`memory`, {memory} bytes; leave one of the two out"
        )
    points = [embedded(index, metric, aligned, arguments) for index in range(len(aligned))]
    tables = each(draw, orders, aligned, points, metric, arguments, client=client, label="permutations", show=progress)
    return np.stack(list(tables))


def draw(
    order: np.ndarray, aligned: Aligned, points: Sequence[Embedded], metric: Metric, arguments: dict[str, Any]
) -> np.ndarray:
    """Return the scores of points with those of the same representations in another order of samples."""
    turned = aligned.take(order)
    moved = [
        (None, point[1]) if point[1] is not None else embedded(index, metric, turned, arguments)
        for index, point in enumerate(points)
    ]
    return scores_of(points, moved, metric, arguments, half=metric.symmetric)[0]


def _null_of(drawn: np.ndarray, name: str) -> Null:
    """Return the mean and standard deviation of draws, those without a value left out; no deviation but rounding is 0.

    Raises
    ------
    AkpsimError
        If no pair's value changes with the order of the samples.
    """
    known = np.ma.masked_invalid(drawn)
    mean, sd = known.mean(axis=0).filled(np.nan), known.std(axis=0, ddof=1).filled(np.nan)
    sd[sd <= ROUNDING * np.abs(known).max(axis=0).filled(np.nan)] = 0
    apart = sd[~np.eye(len(sd), dtype=bool)]
    if len(drawn) > 1 and not (apart > 0).any() and (apart == 0).any():
        raise AkpsimError(f"{name} does not change with the order of the samples: `permutations` say nothing about it")
    return Null(mean, sd)


def _p_values(
    metric: Metric, values: np.ndarray, drawn: np.ndarray, null: Null, correction: str
) -> dict[str, np.ndarray]:
    """Return p-values of all pairs, each corrected and not; a draw without a value counts as extreme."""
    count = len(values)
    kept = (
        ~np.isnan(values) & ~np.eye(count, dtype=bool) & (np.triu(np.ones_like(values)) > 0 if metric.symmetric else 1)
    )
    place = np.nonzero(kept)
    z = z_of(metric, values, null)[place]
    z_drawn = z_of(metric, drawn, null)[:, place[0], place[1]]
    p = np.where(np.isnan(z), 1.0, p_value(z_drawn, z))
    if correction == "max":
        some = ~np.isnan(z)
        corrected = np.ones_like(p)
        corrected[some] = step_down(np.where(np.isnan(z_drawn), np.inf, z_drawn)[:, some], z[some])
    else:
        corrected = false_discovery(p) if correction == "fdr" else p
    found = {}
    for name, flat in {"p": p, "p_corrected": corrected}.items():
        table = np.full_like(values, np.nan)
        table[place] = flat
        if metric.symmetric:
            table[place[::-1]] = flat
        found[name] = table
    return found


def _interval(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    values: np.ndarray,
    halves: Sequence[np.ndarray],
    level: float,
    progress: bool,
    client: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each pair from the spread of its values over random halves of the samples."""
    half = aligned.n // 2
    if half < max(metric.smallest, 4):
        raise UndefinedMetric(f"an interval needs at least {2 * max(metric.smallest, 4)} samples, got {aligned.n}")
    parts = list(
        each(of_half, halves, aligned, metric, arguments, client=client, label="halves of the samples", show=progress)
    )
    drawn = np.stack([part.values for part in parts])
    without = [part for part in parts if np.isnan(part.values[~np.isnan(values)]).any()]
    if without:
        name, reason = next(iter(without[0].reasons.items()))
        raise UndefinedMetric(
            f"there is no interval: on {len(without)} of {len(parts)} random halves of {half} samples {name} has no "
            f"value, the first time because {reason}"
        )
    # The variance over samples of m of n, times m / (n - m), is that of the whole.
    spread = np.sqrt(half / (aligned.n - half)) * (drawn - drawn.mean(axis=0))
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return values + low, values + high


def of_half(rows: np.ndarray, aligned: Aligned, metric: Metric, arguments: dict[str, Any]) -> Scores:
    """Return the scores of all pairs on some of the samples."""
    sliced = {
        name: [value[row] for row in rows.tolist()] if isinstance(value, list) else value
        for name, value in arguments.items()
    }
    return all_pairs(metric, aligned.take(rows), sliced)[0]
