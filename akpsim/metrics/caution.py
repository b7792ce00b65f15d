r"""What a value must not be read without: how much of it chance alone gives, from counts.

Spaces of k and l dimensions among the :math:`m = n - 1` of all centred responses to n samples share at least
:math:`k + l - m` of them, whatever the responses are.  Of two unrelated spaces, turned at random, the mean squared
canonical correlation over the smaller is :math:`\max(k, l) / m`: where representations keep unequal numbers of
dimensions, those that keep many look more alike to everything.  Of k neighbours, unrelated representations share
:math:`k / m` on average.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akpsim.metrics.metric import Metric


CHANCE = 0.05
"""Share of variance from which what chance alone gives is said beside a value."""


def chance(metric: "Metric", n: int, dimensions: Mapping[str, int]) -> str | None:
    """Return what unrelated representations have, for metrics whose values mean nothing without it.

    Parameters
    ----------
    metric, n, dimensions
        As for `cautions`.
    """
    if metric.name not in ("cca", "cca_squared", "pwcca", "linear_regression") or len(dimensions) < 2:
        return None
    most = n - 1 if "translation" in metric.invariant_to else n
    ordered = sorted(dimensions.values())
    # Of two spaces the larger counts; of a regression that of the predictors, which may be any.
    shares = [min(1.0, k / most) for k in (ordered[0 if metric.name == "linear_regression" else 1], ordered[-1])]
    if shares[1] < CHANCE:
        return None
    words = " to ".join(dict.fromkeys(f"{share:.2g}" for share in shares))
    what = "explain" if metric.name == "linear_regression" else "have a mean squared canonical correlation of"
    unit = " of the variance" if metric.name == "linear_regression" else ""
    return (
        f"unrelated representations {what} about {words}{unit}, as up to {ordered[-1]} dimensions stand against "
        f"{most} free samples"
    )


def cautions(metric: "Metric", n: int, arguments: Mapping[str, Any], dimensions: Mapping[str, int]) -> list[str]:
    """Return sentences that belong beside values of a metric; none if counts say nothing against them.

    Parameters
    ----------
    metric : Metric
        Which metric.
    n : int
        Number of samples.
    arguments : mapping
        All parameters of the metric.
    dimensions : mapping
        Of the space that each representation's point spans, by name; empty for metrics that compare no spaces.
    """
    found = []
    most = n - 1 if "translation" in metric.invariant_to else n
    if 2 * (k := arguments.get("k", 0)) > n - 1:
        found.append(
            f"{metric.name}: {k} neighbours of {n - 1} other samples: unrelated representations share "
            f"{k / (n - 1):.0%} of them; take more samples or a smaller `k`"
        )
    if metric.products == "biased" and n == 2:
        found.append(f"{metric.name}: of 2 samples any two representations have the value 1; take more samples")
    if len(dimensions) < 2:
        return found
    ordered = sorted(dimensions, key=lambda name: dimensions[name])
    fewest, second, largest = (ordered[place] for place in (0, -2, -1))
    both = dimensions[second] + dimensions[largest]
    if both > most:
        found.append(
            f"{metric.name}: {dimensions[second]} dimensions of {second} and {dimensions[largest]} of {largest} are "
            f"more than the {most} that {n} samples have, so that {both - most} coincide whatever the responses are; "
            "take more samples or fewer components"
        )
    if "components" in arguments and len(dimensions) > 2 and dimensions[fewest] < dimensions[largest]:
        low, high = (f"{dimensions[name] / most:.2g}" for name in (ordered[1], largest))
        chance = high if low == high else f"{low} to {high}"
        found.append(
            f"{metric.name}: {dimensions[fewest]} ({fewest}) to {dimensions[largest]} ({largest}) components are kept; "
            f"unrelated representations have a mean squared correlation of about {chance}, the more the more are kept, "
            f"so values of different pairs do not compare; give `components`, at most {dimensions[fewest]}"
        )
    return found
