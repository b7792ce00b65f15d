r"""Every pair with what chance gives: z, p and an interval beside the similarity.

Raw similarities grow with width and depth; the z of a cell says by how many standard deviations it is above what the
same two representations give when the samples of one are in random order.
"""

import json
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy import stats

from akpsim.checks import at_least, in_range, one_of
from akpsim.comparing.align import Aligned, align
from akpsim.comparing.compare import by_points, in_bytes, labelled, raise_if_useless, valued
from akpsim.comparing.engine import linear_products
from akpsim.comparing.null import Null, permutation_null
from akpsim.errors import AkpsimError, UndefinedMetric
from akpsim.metrics import METRICS, Metric
from akpsim.progress import Progress

Correction = Literal["max", "fdr", "none"]
CORRECTIONS = ("max", "fdr", "none")


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
    progress: bool = False,
    **parameters: Any,
) -> xr.Dataset:
    """Compare every pair of representations, with its null, p-value and interval.

    Parameters
    ----------
    representations, metric, memory, axis, progress, **parameters
        As for `akpsim.compare`.
    permutations : int
        Random orders of the samples for p-values; none by default.  Linear CKA has its z without any.
    correction : str
        Over all pairs: ``"max"``, the largest z of each permutation (strong control of any false positive); ``"fdr"``,
        Benjamini and Hochberg's share of false positives; or ``"none"``.
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
    """
    found = METRICS[metric] if isinstance(metric, str) else metric
    arguments = found.arguments(parameters)
    one_of(correction, "correction", CORRECTIONS)
    in_range(level, "level", 0, 1)
    at_least(permutations, "permutations", 0)
    at_least(resamples, "resamples", 0)
    if not found.products and not permutations:
        raise AkpsimError(f"{found.name} has no closed-form null; give `permutations`, such as 199")
    if not found.symmetric:
        raise AkpsimError(f"significance is of symmetric metrics, got {found.name}")
    aligned = align(representations, axis=axis)
    rng = np.random.default_rng(seed)
    values, null, reasons = _values(found, aligned, arguments, in_bytes(memory))
    raise_if_useless(values, reasons, strict=False)
    more: dict[str, Any] = {}
    if permutations:
        more, null = _p_values(found, aligned, arguments, values, null, permutations, correction, rng, progress)
    if null is not None:
        more |= {"null_mean": null.mean, "null_sd": null.sd, "z": _z(found, values, null)}
    if resamples:
        lower, upper = _interval(found, aligned, arguments, values, resamples, level, rng, progress)
        more |= {"similarity_lower": lower, "similarity_upper": upper}
    matrix = labelled(values, aligned, found, arguments, reasons)
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


def _values(
    metric: Metric, aligned: Aligned, arguments: dict[str, Any], memory: int | None
) -> tuple[np.ndarray, Null | None, dict[str, str]]:
    if not metric.products:
        values, reasons = by_points(metric, aligned, arguments, memory, progress=False)
        return values, None, reasons
    products, absent = linear_products(aligned, name=metric.name, memory=memory)
    values, reasons = valued(metric, aligned, products, absent)
    return values, permutation_null(products, metric.products), reasons


def _z(metric: Metric, values: np.ndarray, null: Null) -> np.ndarray:
    """Return how many standard deviations more alike than chance each pair is."""
    sign = 1 if metric.kind == "similarity" else -1
    found: np.ndarray = sign * (values - null.mean) / null.sd
    np.fill_diagonal(found, np.nan)
    return found


def _p_values(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    values: np.ndarray,
    null: Null | None,
    permutations: int,
    correction: str,
    rng: np.random.Generator,
    progress: bool,
) -> tuple[dict[str, np.ndarray], Null]:
    """Return p-values of all pairs, each corrected and not, and the null they are relative to."""
    kept = np.flatnonzero(~np.isnan(values).all(axis=1))
    xs = [metric.checked(aligned.load(index)) for index in kept.tolist()]
    points = [metric.point(x, arguments) for x in xs]
    upper = np.triu_indices(len(kept), 1)
    drawn = np.empty((permutations, upper[0].size))
    with Progress("permutations", total=permutations, show=progress) as bar:
        for draw in range(permutations):
            order = rng.permutation(aligned.n)
            moved = [metric.point(x[order, :], arguments) for x in xs]
            table = np.asarray(metric.scores(points, moved, arguments), dtype=np.float64)
            drawn[draw] = table[upper]
            bar.advance()
    observed = values[np.ix_(kept, kept)][upper]
    if null is None:
        mean, sd = (_square(f, upper, kept, len(values)) for f in (drawn.mean(axis=0), drawn.std(axis=0, ddof=1)))
        null = Null(mean, sd)
    centre, spread = (table[np.ix_(kept, kept)][upper] for table in null)
    sign = 1 if metric.kind == "similarity" else -1
    z, z_drawn = sign * (observed - centre) / spread, sign * (drawn - centre) / spread
    p = (1 + (z_drawn >= z - 1e-9).sum(axis=0)) / (permutations + 1)
    if correction == "max":
        largest = np.sort(z_drawn.max(axis=1))
        corrected = (1 + permutations - np.searchsorted(largest, z - 1e-9)) / (permutations + 1)
    else:
        corrected = stats.false_discovery_control(p) if correction == "fdr" else p
    tables = {"p": p, "p_corrected": corrected}
    return {name: _square(table, upper, kept, len(values)) for name, table in tables.items()}, null


def _square(flat: np.ndarray, upper: tuple[np.ndarray, ...], kept: np.ndarray, size: int) -> np.ndarray:
    """Return a symmetric matrix from its entries above the diagonal, NaN elsewhere."""
    found = np.full((size, size), np.nan)
    found[kept[upper[0]], kept[upper[1]]] = found[kept[upper[1]], kept[upper[0]]] = flat
    return found


def _interval(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    values: np.ndarray,
    resamples: int,
    level: float,
    rng: np.random.Generator,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each pair from the spread of its values over random halves of the samples."""
    half = aligned.n // 2
    if half < max(metric.smallest, 4):
        raise UndefinedMetric(f"an interval needs at least {2 * max(metric.smallest, 4)} samples, got {aligned.n}")
    drawn = np.empty((resamples, *values.shape))
    with Progress("halves of the samples", total=resamples, show=progress) as bar:
        for draw in range(resamples):
            rows = np.sort(rng.permutation(aligned.n)[:half])
            drawn[draw] = _values(metric, aligned.take(rows), arguments, None)[0]
            bar.advance()
    # The variance over samples of m of n, times m / (n - m), is that of the whole.
    spread = np.sqrt(half / (aligned.n - half)) * (drawn - drawn.mean(axis=0))
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return values + low, values + high
