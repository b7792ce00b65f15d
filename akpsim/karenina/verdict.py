"""The verdict in words: what location and dispersion say together.

============================ ======================= =====================
dispersion                   location does not differ location differs
============================ ======================= =====================
interval inside +-log 1.1    none                     deterministic shift
interval above 0             Anna Karenina            both
interval below 0             reversed                 reversed
anything else                inconclusive             inconclusive
============================ ======================= =====================

Where members are so few that no relabeling can make location differ, the column is not known, and the verdict names
both: "Anna Karenina or both", "none or deterministic shift".

"None" is a claim of its own: it needs an interval so narrow that a difference of a tenth is ruled out.  An interval
that merely includes zero is not evidence of absence.
"""

import numpy as np

from akpsim.karenina.effect import Estimate

EQUIVALENCE = 1.1
"""Ratios of spread between 1/1.1 and 1.1 count as equal."""


def verdict(
    effect: Estimate,
    location_p: float,
    *,
    smallest_p: float = 0.0,
    alpha: float = 0.05,
    equivalence: float = EQUIVALENCE,
) -> str:
    """Return a verdict of the table; "inconclusive" if there is no interval."""
    if not (np.isfinite(effect.lower) and np.isfinite(effect.upper)):
        return "inconclusive"
    differs, unknown = location_p <= alpha, smallest_p > alpha
    if effect.lower > -np.log(equivalence) and effect.upper < np.log(equivalence):
        return "none or deterministic shift" if unknown else "deterministic shift" if differs else "none"
    if effect.lower > 0:
        return "Anna Karenina or both" if unknown else "both" if differs else "Anna Karenina"
    return "reversed" if effect.upper < 0 else "inconclusive"


def sentence(
    said: str,
    effect: Estimate,
    location_p: float,
    *,
    smallest_p: float,
    confidence: float,
    alpha: float,
    others: str,
    reference: str,
) -> str:
    """Say a verdict with its ratio, interval and test of location."""
    percent = f"{confidence:.0%}"
    spread = f"spread {others} / {reference} = {np.exp(effect.value):.2f}"
    if np.isfinite(effect.lower):
        spread += f" ({percent} interval {np.exp(effect.lower):.2f} to {np.exp(effect.upper):.2f})"
    else:
        spread += " (no interval: three members of a group, not all alike, are needed)"
    if smallest_p > alpha:
        location = f"location cannot be tested with so few permutations (smallest attainable p {smallest_p:.3g})"
    else:
        location = f"location {'differs' if location_p <= alpha else 'not shown to differ'} (W*d p = {location_p:.3g})"
    return f"{said}: {spread}; {location}"


def disagreement(effect: Estimate, p: float, *, alpha: float, smallest_p: float, groups: int, blocked: bool) -> str:
    """Say which of the interval and the permutation test makes the verdict where they disagree; else nothing."""
    if not np.isfinite(effect.lower) or (effect.p <= alpha) == (p <= alpha):
        return ""
    if smallest_p > alpha:
        return f"The interval excludes 1 and makes the verdict; so few permutations allow no p below {smallest_p:.3g}"
    interval, test = ("excludes", "does not reject") if effect.p <= alpha else ("includes", "rejects")
    why = ["they measure spread in two ways, by pairs and from the centre"]
    if groups > 2:
        why.append("with more than two groups the permutations assume that all are alike; read the pairs")
    if blocked:
        why.append("the permutations stay inside blocks")
    return (
        f"The interval {interval} 1 and makes the verdict, the permutation test {test} (p = {p:.3g}): {'; '.join(why)}"
    )
