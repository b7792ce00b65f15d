"""The verdict in words: what location and dispersion say together.

============================ ======================= =====================
dispersion                   location does not differ location differs
============================ ======================= =====================
interval inside +-log 1.1    none                     deterministic shift
interval above 0             Anna Karenina            both
interval below 0             reversed                 reversed
anything else                inconclusive             inconclusive
============================ ======================= =====================

"None" is a claim of its own: it needs an interval so narrow that a difference of a tenth is ruled out.  An interval
that merely includes zero is not evidence of absence.
"""

import numpy as np

from akpsim.karenina.effect import Estimate

EQUIVALENCE = 1.1
"""Ratios of spread between 1/1.1 and 1.1 count as equal."""
VERDICTS = ("none", "deterministic shift", "Anna Karenina", "both", "reversed", "inconclusive")


def verdict(effect: Estimate, location_p: float, *, alpha: float = 0.05, equivalence: float = EQUIVALENCE) -> str:
    """Return one of `VERDICTS`; "inconclusive" if there is no interval."""
    if not (np.isfinite(effect.lower) and np.isfinite(effect.upper)):
        return "inconclusive"
    differs = location_p <= alpha
    if effect.lower > -np.log(equivalence) and effect.upper < np.log(equivalence):
        return "deterministic shift" if differs else "none"
    if effect.lower > 0:
        return "both" if differs else "Anna Karenina"
    return "reversed" if effect.upper < 0 else "inconclusive"


def sentence(
    said: str, effect: Estimate, location_p: float, *, confidence: float, alpha: float, others: str, reference: str
) -> str:
    """Say a verdict with its ratio, interval and test of location."""
    percent = f"{confidence:.0%}"
    spread = f"spread {others} / {reference} = {np.exp(effect.value):.2f}"
    if np.isfinite(effect.lower):
        spread += f" ({percent} interval {np.exp(effect.lower):.2f} to {np.exp(effect.upper):.2f})"
    else:
        spread += " (no interval: three members of a group, not all alike, are needed)"
    location = f"location {'differs' if location_p <= alpha else 'not shown to differ'} (W*d p = {location_p:.3g})"
    return f"{said}: {spread}; {location}"
