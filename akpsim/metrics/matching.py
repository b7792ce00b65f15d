r"""Correlations of neurons with neurons, over samples.

:math:`r_{jk}` is Pearson's correlation of neuron j of the first representation with neuron k of the second.  The
matching says which pairs count: neurons with the same number, as members trained from one initialization allow; the
assignment that is best in sum; or for each neuron its best partner.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.metric import Array, Metric, Parameter, as_numpy, centred, each_pair, precise

MATCHES = ("identity", "hungarian", "soft")
DEAD = Parameter("refuse", "neurons with the same response to all samples", allowed=("refuse", "drop"))


def standard_neurons(x: Array, *, dead: str, name: str = "correlation") -> tuple[Array, Array]:
    """Return the centred columns scaled to unit norm, zero for dead neurons, and which are alive."""
    xp = array_namespace(x)
    alive = xp.any(x != x[0, :], axis=0)
    if not bool(xp.all(alive)) and (dead == "refuse" or not bool(xp.any(alive))):
        place = int(xp.argmin(xp.astype(alive, xp.int8)))
        raise UndefinedMetric(
            f"{name} is undefined: neuron {place} has the same response to all samples"
            + ("; dead='drop' leaves such neurons out" if dead == "refuse" else ", as have all others")
        )
    x = precise(x)
    x = xp.where(alive, centred(x), xp.zeros_like(x))
    largest = xp.max(xp.abs(x), axis=0)
    x = x / xp.where(alive, largest, xp.ones_like(largest))
    norm = xp.linalg.vector_norm(x, axis=0)
    return x / xp.where(alive, norm, xp.ones_like(norm)), alive


def matched(one: tuple[Array, Array], two: tuple[Array, Array], *, match: str) -> float:
    """Return the mean correlation of matched neurons."""
    (x, living), (y, alive) = one, two
    xp = array_namespace(x)
    if match == "identity":
        if x.shape[1] != y.shape[1]:
            raise UndefinedMetric(
                f"correlation with match='identity' needs equal numbers of neurons, got {x.shape[1]} and {y.shape[1]}"
            )
        both = living & alive
        count = int(xp.sum(xp.astype(both, xp.int64)))
        if count == 0:
            raise UndefinedMetric("correlation is undefined: no neuron is alive in both representations")
        return float(xp.sum(xp.where(both, xp.sum(x * y, axis=0), xp.zeros_like(x[0, :])))) / count
    r = x[:, living].T @ y[:, alive]
    if match == "soft":
        return float(xp.mean(xp.max(r, axis=1)))
    from scipy.optimize import linear_sum_assignment

    table = as_numpy(r)
    return float(table[linear_sum_assignment(table, maximize=True)].mean())


def hard(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Return the mean correlation under the assignment that is best in sum."""
    return matched(one, two, match="hungarian")


def soft(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    """Return the mean over neurons of the first of the correlation with the best partner."""
    return matched(one, two, match="soft")


def _declared(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a choice of matching changes in the declarations."""
    if arguments["match"] == "identity":
        return {}
    return {
        "invariant_to": frozenset({"translation", "permutation", "scaling"}),
        "symmetric": arguments["match"] != "soft",
    }


correlation = Metric(
    name="correlation",
    summary="mean correlation of neurons with the same number, for members whose neurons correspond",
    embed=standard_neurons,
    score=each_pair(matched),
    kind="similarity",
    invariant_to=frozenset({"translation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{1}{D} \sum_{j=1}^{D} r_{jj}",
    source="Pearson 1895; as in the paper that this package follows; matchings: see hard_match and soft_match",
    beware="neurons of networks from different seeds do not correspond, and it is then near 0 for equal functions",
    parameters={
        "match": Parameter("identity", "which neurons are compared", allowed=MATCHES),
        "dead": DEAD,
    },
    varies=_declared,
)

hard_match = Metric(
    name="hard_match",
    summary="mean correlation of neurons under the best one-to-one assignment",
    embed=partial(standard_neurons, name="hard_match"),
    score=each_pair(hard),
    kind="similarity",
    invariant_to=frozenset({"translation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\max_\pi \frac{1}{\min(D, D')} \sum_j r_{j \pi(j)}",
    source="Li, Yosinski, Clune, Lipson, Hopcroft 2016, ICLR, section 3.1",
    beware="above 0 for independent data, as a maximum is taken; signed, where some codes take absolute correlations",
    parameters={"dead": DEAD},
)

soft_match = Metric(
    name="soft_match",
    summary="mean correlation of each neuron of the first with its best partner",
    embed=partial(standard_neurons, name="soft_match"),
    score=each_pair(soft),
    kind="similarity",
    invariant_to=frozenset({"translation", "permutation", "scaling"}),
    range=(-1, 1),
    formula=r"\frac{1}{D} \sum_{j=1}^{D} \max_k r_{jk}",
    source="Li, Yosinski, Clune, Lipson, Hopcroft 2016, ICLR, section 3.2 (semi-matching)",
    beware="not symmetric; not the soft matching distance of Khosla and Williams 2024, which is optimal transport",
    symmetric=False,
    parameters={"dead": DEAD},
)
