r"""Representational similarity analysis: how alike two matrices of dissimilarities between samples are.

Each representation gives the dissimilarities of all pairs of different samples, as a vector; the vectors are compared.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.distances import distance_rounding, rounding, squared_distances, tied, upper
from akpsim.metrics.metric import Array, Metric, Parameter, as_numpy, inner_products, precise, unit

FLAT = "rsa is undefined: all pairs of samples are equally far apart"


def dissimilarities(x: Array, *, rdm: str) -> Array:
    """Return the dissimilarities of all pairs of different samples as a vector; equal but for rounding are equal."""
    xp = array_namespace(x)
    x = precise(x)
    if rdm in ("euclidean", "squared_euclidean"):
        squared = squared_distances(x)
        squared = tied(upper(squared), upper(distance_rounding(squared, x)))
        return squared**0.5 if rdm == "euclidean" else squared
    eps = float(xp.finfo(x.dtype).eps)
    given = xp.linalg.vector_norm(x, axis=1)
    if rdm == "correlation":
        x = x - x[:, :1]
        x = x - xp.mean(x, axis=1)[:, None]
    norm = xp.linalg.vector_norm(x, axis=1)
    if bool(xp.any(norm <= 4 * eps * given)):
        place = int(xp.argmin(norm - 4 * eps * given))
        what = "the same response of all neurons" if rdm == "correlation" else "no response"
        raise UndefinedMetric(f"rsa is undefined with a {rdm} RDM: sample {place} has {what}")
    x, lost = x / norm[:, None], 4 * eps * given / norm
    return tied(1 - upper(x @ x.T), rounding(x) + upper(lost[:, None] + lost[None, :]))


def ranks(x: Array) -> Array:
    """Return ranks from 1; equal values share the mean of theirs."""
    xp = array_namespace(x)
    order = xp.sort(x)
    below, up_to = xp.searchsorted(order, x, side="left"), xp.searchsorted(order, x, side="right")
    return xp.astype(below + up_to + 1, x.dtype) / 2


def comparable(x: Array, *, rdm: str, compare: str) -> Array:
    """Return a vector whose inner product with another of its kind is the comparison asked for."""
    xp = array_namespace(x)
    vector = dissimilarities(x, rdm=rdm)
    if compare in ("spearman", "kendall"):
        vector = ranks(vector)
    if not bool(xp.any(vector != vector[0])):
        raise UndefinedMetric(FLAT)
    if compare == "kendall":
        return vector
    if compare != "cosine":
        vector = vector - vector[0]
        vector = vector - xp.mean(vector)
    return unit(vector, FLAT)


def agreement(points: list[Array], others: list[Array], *, compare: str) -> Array:
    """Return the agreement of all pairs of vectors of dissimilarities."""
    if compare != "kendall":
        return inner_products(points, others)
    from scipy.stats import kendalltau

    vectors, against = ([as_numpy(x) for x in side] for side in (points, others))
    return np.asarray([[kendalltau(one, two).statistic for two in against] for one in vectors])


def _declared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the choice of dissimilarities and of their comparison changes in the declarations."""
    more: set[Any] = {"correlation": set(), "cosine": {"rotation"}}.get(arguments["rdm"], {"rotation", "translation"})
    return {
        "invariant_to": frozenset({"permutation", "scaling"} | more),
        "cosine": arguments["compare"] != "kendall",
    }


rsa = Metric(
    name="rsa",
    summary="representational similarity analysis: agreement of two matrices of dissimilarities",
    embed=comparable,
    score=agreement,
    kind="similarity",
    invariant_to=frozenset({"permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\mathrm{corr}\left(d(x_i, x_j)_{i<j}, \; d(y_i, y_j)_{i<j}\right)",
    source="Kriegeskorte, Mur, Bandettini 2008, Frontiers in Systems Neuroscience 2; ties: tau-b of Kendall 1945",
    beware="with the default correlation RDM an offset of a neuron changes it; entries of an RDM are not independent, "
    "so that a p-value of the correlation itself means nothing",
    smallest=4,
    cosine=True,
    varies=_declared,
    parameters={
        "rdm": Parameter(
            "correlation",
            "dissimilarity of samples",
            allowed=("correlation", "euclidean", "squared_euclidean", "cosine"),
        ),
        "compare": Parameter(
            "spearman", "comparison of dissimilarities", allowed=("pearson", "spearman", "kendall", "cosine")
        ),
    },
)
