r"""Correlation and variance over training: crisis, recovery, catastrophe.

Under stress both the correlations between attributes and the variance of members grow (crisis); in recovery both fall;
when correlations fall while variance still grows, the system disadapts (catastrophe) (Gorban et al. 2010; Rybnikov
2017).  A phase is named only when the intervals of both changes exclude zero.

Epochs of one member are not exchangeable: intervals resample members with their whole trajectories, and nulls permute
whole trajectories among members, attribute by attribute.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import at_least, generator, in_range, made_by
from akpsim.distances import group_label, groups_of, in_order
from akpsim.errors import InvalidData
from akpsim.karenina.correlation_graph import (
    FEWEST,
    bootstrap_interval,
    correlations,
    expected_weight,
    variances,
    weights,
)
from akpsim.permutations import Seed, p_value
from akpsim.store import provenance

PHASES = ("undecided", "crisis", "recovery", "catastrophe")


def crisis(
    table: xr.DataArray,
    by: str | Sequence[Any] | None = None,
    *,
    threshold: float = 0.5,
    permutations: int = 499,
    bootstrap: int = 499,
    confidence: float = 0.95,
    seed: Seed = None,
) -> xr.Dataset:
    """Follow the correlation graph and the variance of members over epochs.

    Parameters
    ----------
    table : DataArray (member, epoch, attribute)
        One table an epoch.
    by : str or sequence, optional
        Groups of members, each followed by itself; by default the coordinate ``family`` if there is one, because a
        group that pools families with different means is correlated by that alone; else all are one group.
    threshold : float
        Least magnitude of a correlation that counts.
    permutations, bootstrap : int
        How many permutations of trajectories, and how many resamples of members.
    confidence : float
        Of intervals.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        Along (group, epoch): ``G`` and ``variance`` with intervals, ``G_null`` (mean over permutations), ``z``;
        ``G_change`` and ``log_variance_change`` since the epoch ``since``, with intervals, and the ``phase`` they make.
        Along group: ``since``, the first epoch at which its members differ, before which only their variance, 0, has a
        value; ``size``, ``G_expected``, ``G_slope`` (per epoch) and ``p_trend``, its permutation p-value.
        attrs: ``smallest_p`` that can come out.

    Raises
    ------
    InvalidData
        If a group has fewer than four members, or there are fewer than two epochs at which they differ.
    """
    in_range(threshold, "threshold", 0, 1)
    at_least(permutations, "permutations", 1)
    at_least(bootstrap, "bootstrap", 1)
    in_range(confidence, "confidence", 0.5, 0.9999)
    values = _checked(table)
    if by is None and "family" in table.coords:
        by = "family"
    labels = np.full(values.shape[0], "all") if by is None else groups_of(table, by).astype(str)
    epochs = np.asarray(table["epoch"].values, dtype=np.float64)
    rng = generator(seed)
    rows = []
    groups = in_order(labels)
    for group in groups:
        inside = values[labels == group]
        if len(inside) < FEWEST:
            raise InvalidData(f"group {group} has {len(inside)} members: {FEWEST} at least make a correlation graph")
        first = _first_difference(inside, str(group))
        row = _follow(inside[:, first:], epochs[first:], threshold, permutations, bootstrap, confidence, rng)
        rows.append({name: _padded(name, value, first) for name, value in row.items()} | {"since": epochs[first]})
    over = {name for name, value in rows[0].items() if np.ndim(value) == 1}
    return xr.Dataset(
        {
            name: (("group", "epoch") if name in over else "group", np.array([row[name] for row in rows]))
            for name in rows[0]
        },
        coords={"group": groups, "epoch": table["epoch"].values},
        attrs=provenance(threshold=threshold, permutations=permutations, bootstrap=bootstrap, confidence=confidence)
        | {
            "result": "crisis",
            "by": "all" if by is None else group_label(by),
            "attributes": values.shape[2],
            "smallest_p": 1 / (permutations + 1),
        },
    )


def _checked(table: xr.DataArray) -> np.ndarray:
    """Return values (member, epoch, attribute)."""
    made_by(table, "table", "read_attributes", "dims", "coords")
    if set(table.dims) != {"member", "epoch", "attribute"}:
        raise InvalidData(f"a table (member, epoch, attribute) is needed, got {tuple(map(str, table.dims))}")
    if table.sizes["epoch"] < 2 or table.sizes["attribute"] < 2:
        shape = f"{table.sizes['epoch']} and {table.sizes['attribute']}"
        raise InvalidData(f"two epochs and two attributes at least are needed, got {shape}")
    values = np.asarray(table.transpose("member", "epoch", "attribute").values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidData(f"attributes must be finite, got {int((~np.isfinite(values)).sum())} missing or infinite")
    return values


def _first_difference(values: np.ndarray, group: str) -> int:
    """Return the place of the first epoch at which members differ: with one seed they may start alike."""
    differ = np.flatnonzero(np.ptp(values, axis=0).any(axis=1))
    if len(differ) < 2:
        raise InvalidData(f"the members of group {group} differ at {len(differ)} epochs; two at least are needed")
    return int(differ[0])


def _padded(name: str, value: Any, first: int) -> Any:
    """Return a series with what it is before members differ in front; what is one number stays so."""
    if np.ndim(value) == 0 or first == 0:
        return value
    before: Any = "undecided" if name == "phase" else 0.0 if name.startswith("variance") else np.nan
    return np.concatenate([np.full(first, before), value])


def _follow(
    values: np.ndarray,
    epochs: np.ndarray,
    threshold: float,
    permutations: int,
    bootstrap: int,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what one group does over epochs."""
    n, _, p = values.shape
    graph, spread = _over_epochs(values[None], threshold)
    members = rng.integers(n, size=(bootstrap, n))
    many_graphs, many_spreads = _over_epochs(values[members], threshold)
    # Each attribute's trajectories change members by themselves, the same way at all epochs.
    order = rng.permuted(np.tile(np.arange(n)[:, None], (permutations, 1, p)), axis=1)
    null, _ = _over_epochs(
        values[order[:, :, None, :], np.arange(len(epochs))[None, None, :, None], np.arange(p)], threshold
    )
    change, changes = graph[0] - graph[0, 0], many_graphs - many_graphs[:, :1]
    log = np.log(np.where(spread[0] > 0, spread[0], np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(many_spreads)  # minus infinity where a resample holds members that do not differ
        grows, grown = log - log[0], np.nan_to_num(logs - logs[:, :1], nan=0, posinf=np.inf, neginf=-np.inf)
    graph_ends = bootstrap_interval(many_graphs, graph[0], confidence, least=0)
    with np.errstate(invalid="ignore"):  # between minus infinity and a number lies none
        log_ends, grow_ends = (bootstrap_interval(m, o, confidence) for m, o in ((logs, log), (grown, grows)))
    spread_ends = np.where(spread[0] > 0, np.exp(unbounded(log_ends)), 0)
    change_ends = bootstrap_interval(changes, change, confidence)
    grow_ends = unbounded(grow_ends)
    slope, slopes = _slope(graph, epochs)[0], _slope(null, epochs)
    deviation = null.std(axis=0)
    return {
        "G": graph[0],
        "G_lower": graph_ends[0],
        "G_upper": graph_ends[1],
        "G_null": null.mean(axis=0),
        "z": np.where(deviation > 0, (graph[0] - null.mean(axis=0)) / np.where(deviation > 0, deviation, 1), np.nan),
        "variance": spread[0],
        "variance_lower": spread_ends[0],
        "variance_upper": spread_ends[1],
        "G_change": change,
        "G_change_lower": change_ends[0],
        "G_change_upper": change_ends[1],
        "log_variance_change": grows,
        "log_variance_change_lower": grow_ends[0],
        "log_variance_change_upper": grow_ends[1],
        "phase": np.array([phase(*change_ends[:, e], *grow_ends[:, e]) for e in range(len(epochs))]),
        "size": n,
        "G_expected": p * (p - 1) / 2 * expected_weight(n, threshold),
        "G_slope": slope,
        "p_trend": float(p_value(np.abs(slopes), abs(slope))),
    }


def unbounded(ends: np.ndarray) -> np.ndarray:
    """Return the ends of an interval, infinite where they lie between a number and infinity, or are of no number."""
    return np.where(np.isnan(ends), np.array([[-np.inf], [np.inf]]), ends)


def _over_epochs(tables: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return G and variance (table, epoch) of tables (table, member, epoch, attribute)."""
    by_epoch = np.swapaxes(tables, 1, 2)
    return weights(correlations(by_epoch), threshold), variances(by_epoch)


def _slope(values: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    centred = epochs - epochs.mean()
    found: np.ndarray = values @ centred / (centred @ centred)
    return found


def phase(graph_lower: float, graph_upper: float, variance_lower: float, variance_upper: float) -> str:
    """Name a phase from the intervals of the changes of G and of the log variance."""
    if graph_lower > 0 and variance_lower > 0:
        return "crisis"
    if graph_upper < 0 and variance_upper < 0:
        return "recovery"
    if graph_upper < 0 and variance_lower > 0:
        return "catastrophe"
    return "undecided"
