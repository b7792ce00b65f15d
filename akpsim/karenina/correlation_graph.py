r"""The correlation graph: how strongly attributes move together across members, against what chance alone gives.

Rows are members, columns are attributes; two attributes are joined when :math:`|r_{jk}| \ge \alpha`, and the weight
of the graph is :math:`G = \sum_{j<k} |r_{jk}|` over those pairs (Gorban, Smirnova and Tyukina 2010).  With few members
chance correlations are large: for independent normal columns :math:`P(|r| \ge .5)` is .39 with 5 members, .14 with 10
and .02 with 20.  So G stands beside its null, from permuting every column by itself, and beside the spread of members,
the trace of their covariance.
"""

from typing import Any

import numpy as np
import xarray as xr
from scipy.special import beta

from akpsim.checks import at_least, generator, in_range, numbers_of
from akpsim.errors import InvalidData
from akpsim.permutations import Seed, p_value
from akpsim.store import provenance

DIMENSIONS = ("kaiser", "broken_stick", "condition", "participation", "entropy")
FEWEST = 4


def correlation_graph(
    table: Any,
    *,
    threshold: float = 0.5,
    permutations: int = 999,
    bootstrap: int = 999,
    confidence: float = 0.95,
    seed: Seed = None,
) -> xr.Dataset:
    """Return the weight of the correlation graph of attributes, its null, and the variance of members.

    Parameters
    ----------
    table : DataArray or array, shape (member, attribute)
        Four members and two attributes at least.
    threshold : float
        Least magnitude of a correlation that counts.
    permutations, bootstrap : int
        How many permutations of columns, and how many resamples of members for the intervals.
    confidence : float
        Of intervals.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``G`` with its interval, ``G_null`` and ``G_null_sd`` (mean and standard deviation over permutations), ``z``,
        ``p`` (of so large a G), ``G_expected`` (of independent normal columns), ``edges``, ``variance`` with its
        interval, ``dimensions`` (rule) and ``correlation`` (attribute, other_attribute); a column that does not vary is
        joined to none and counted in attrs ``constant``.

    References
    ----------
    Gorban, Smirnova, Tyukina (2010), "Correlations, risk and crisis", Physica A 389.
    """
    in_range(threshold, "threshold", 0, 1)
    at_least(permutations, "permutations", 1)
    at_least(bootstrap, "bootstrap", 1)
    in_range(confidence, "confidence", 0.5, 0.9999)
    named = labelled_table(table)
    values = np.asarray(named.values, dtype=np.float64)
    n, p = values.shape
    rng = generator(seed)
    matrix = correlations(values[None])[0]
    observed = float(weights(matrix[None], threshold)[0])
    null = weights(correlations(columns_permuted(values, permutations, rng)), threshold)
    again = values[rng.integers(n, size=(bootstrap, n))]
    graph = bootstrap_interval(weights(correlations(again), threshold), observed, confidence, least=0)
    spread = bootstrap_interval(variances(again), variances(values[None])[0], confidence, least=0)
    deviation = float(null.std(ddof=1)) if permutations > 1 else np.nan
    return xr.Dataset(
        {
            "G": observed,
            "G_lower": graph[0],
            "G_upper": graph[1],
            "G_null": null.mean(),
            "G_null_sd": deviation,
            "G_expected": p * (p - 1) / 2 * expected_weight(n, threshold),
            "z": (observed - null.mean()) / deviation if deviation > 0 else np.nan,
            "p": float(p_value(null, observed)),
            "edges": int((np.abs(matrix[np.triu_indices(p, 1)]) >= threshold).sum()),
            "variance": float(variances(values[None])[0]),
            "variance_lower": spread[0],
            "variance_upper": spread[1],
            "dimensions": ("rule", list(dimensions(matrix).values())),
            "correlation": (("attribute", "other_attribute"), matrix),
        },
        coords={
            "rule": list(DIMENSIONS),
            "attribute": named.attribute.values,
            "other_attribute": named.attribute.values,
        },
        attrs=provenance(
            threshold=threshold, permutations=permutations, bootstrap=bootstrap, confidence=confidence, n=n
        )
        | {"result": "correlation_graph", "constant": int((np.ptp(values, axis=0) == 0).sum())},
    )


def labelled_table(table: Any) -> xr.DataArray:
    """Return a table as a checked DataArray (member, attribute)."""
    if isinstance(table, xr.DataArray) and set(table.dims) == {"member", "attribute"}:
        found = table.transpose("member", "attribute")
    else:
        values = numbers_of(table, "table")
        if values.ndim != 2:
            raise InvalidData(f"a table (member, attribute) is needed, got shape {values.shape}")
        found = xr.DataArray(values, dims=("member", "attribute"))
    if "attribute" not in found.coords:
        found = found.assign_coords(attribute=[f"attribute_{index + 1}" for index in range(found.sizes["attribute"])])
    if found.sizes["member"] < FEWEST or found.sizes["attribute"] < 2:
        shape = f"{found.sizes['member']} members and {found.sizes['attribute']} attributes"
        raise InvalidData(f"{FEWEST} members and 2 attributes at least make a correlation graph, got {shape}")
    if not np.isfinite(np.asarray(found.values, dtype=np.float64)).all():
        raise InvalidData(
            f"attributes must be finite, got {int((~np.isfinite(found.values)).sum())} missing or infinite"
        )
    return found


def correlations(tables: np.ndarray) -> np.ndarray:
    """Return the correlations of columns (table, attribute, attribute); zero with a column that does not vary."""
    centred = tables - tables.mean(axis=-2, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=-2, keepdims=True))
    scale = np.abs(tables).max(axis=-2, keepdims=True)
    unit = np.where(size > 1e-12 * scale, centred / np.where(size > 0, size, 1), 0)
    found: np.ndarray = np.clip(np.swapaxes(unit, -1, -2) @ unit, -1, 1)
    return found


def weights(matrices: np.ndarray, threshold: float) -> np.ndarray:
    """Return G of each correlation matrix."""
    rows, columns = np.triu_indices(matrices.shape[-1], 1)
    pairs = np.abs(matrices[..., rows, columns])
    found: np.ndarray = np.where(pairs >= threshold, pairs, 0).sum(axis=-1)
    return found


def variances(tables: np.ndarray) -> np.ndarray:
    """Return the trace of the covariance of each table."""
    # From the first member, so that members that are alike have none: their mean may be rounded.
    found: np.ndarray = (tables - tables[..., :1, :]).var(axis=-2, ddof=1).sum(axis=-1)
    return found


def bootstrap_interval(
    resampled: np.ndarray, observed: np.ndarray | float, confidence: float, *, least: float = -np.inf
) -> np.ndarray:
    """Return the ends (end, ...) of a bootstrap interval whose middle is what was observed.

    Resamples repeat members, which raises G and lowers variance, the more the fewer members; the percentiles are
    therefore moved by what their median is off.
    """
    ends = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    moved: np.ndarray = np.maximum(ends - np.median(resampled, axis=0) + observed, least)
    return moved


def columns_permuted(values: np.ndarray, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return tables (permutation, member, attribute) whose columns are permuted independently."""
    return rng.permuted(np.broadcast_to(values, (permutations, *values.shape)), axis=1)


def expected_weight(n: int, threshold: float) -> float:
    """Return the expected contribution to G of one pair of independent normal columns of `n` members."""
    return float((1 - threshold**2) ** ((n - 2) / 2) * 2 / (n - 2) / beta(0.5, (n - 2) / 2))


def dimensions(matrix: np.ndarray) -> dict[str, float]:
    """Return the number of dimensions of a correlation matrix by five rules.

    Eigenvalues above one (Kaiser); above those of a broken stick; above a tenth of the largest; participation ratio
    (sum of eigenvalues)^2 / sum of squares; exponential of the entropy of their shares.
    """
    eigenvalue = np.maximum(np.linalg.eigvalsh(matrix)[::-1], 0)
    p = len(eigenvalue)
    share = eigenvalue / max(eigenvalue.sum(), np.finfo(float).tiny)
    stick = np.array([(1 / np.arange(k, p + 1)).sum() / p for k in range(1, p + 1)])
    above = share > stick
    positive = share[share > 0]
    return {
        "kaiser": float((eigenvalue > 1).sum()),
        "broken_stick": float(p if above.all() else above.argmin()),
        "condition": float((eigenvalue > eigenvalue[0] / 10).sum()),
        "participation": float(1 / (share**2).sum()) if positive.size else 0.0,
        "entropy": float(np.exp(-(positive * np.log(positive)).sum())),
    }
