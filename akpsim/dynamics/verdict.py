"""What a comparison of models means, in a sentence; and no sentence where an optimum was missed."""

from collections.abc import Iterable

from akpsim.dynamics.forms import Array

WEAK = 2.0
"""Differences of BIC or AICc below this are no more than a hint (Kass and Raftery 1995)."""
MISSED = 1e-3
"""A sum of squares above that of a contained model by more than this share is no optimum."""

CONTAINS = {
    "exponential": ("constant",),
    "logistic": ("constant",),
    "competitive": ("logistic",),
    "generalized": ("exponential", "competitive", "lotka_volterra"),
    "ar1": ("random_walk",),
    "var1": ("ar1",),
}
"""Models, and those that are cases of them."""

MEANING = {
    "lotka_volterra": "prey and predator say more",
    "random_walk": "a random walk says more",
    "var1": "a linear map with noise (VAR(1), rotations included) says more",
    "ar1": "each population goes its own way, with memory and noise",
    "exponential": "two exponentials (equation 4), no interaction",
    "constant": "nothing changes but noise",
    "logistic": "each population grows to its own limit",
    "competitive": "populations that limit each other",
    "generalized": "a generalized Lotka-Volterra system says more",
}
TITLES = {"lotka_volterra": "Lotka-Volterra, prey and predator"}


def missed(names: Iterable[str], costs: Array, *, number: int) -> str:
    """Say which model's optimum was missed, since one that it contains has a lower sum of squares; else nothing."""
    cost = dict(zip(map(str, names), costs, strict=True))
    for larger, contained in CONTAINS.items():
        for smaller in contained:
            if larger in cost and smaller in cost and cost[larger] > cost[smaller] * (1 + MISSED) + 1e-9 * number:
                return (
                    f"none: {larger} contains {smaller} and yet leaves a larger sum of squares ({cost[larger]:.5g} "
                    f"against {cost[smaller]:.5g}): its optimum was missed, more starts may find it"
                )
    return ""


def verdict(names: Iterable[str], values: Array, criterion: str, *, model: str) -> str:
    """Say what the best model means for the one that was asked about, and by how much; `names` go from the best on."""
    value = dict(zip(map(str, names), map(float, values), strict=True))
    best, second = list(value)[:2]
    title = model if model != "lotka_volterra" else "Lotka-Volterra"
    said = TITLES.get(model, model) if best == model else f"not {title}: {MEANING[best]}"
    other = second if best == model else model
    margin = f"{criterion} {value[other] - value[best]:.3g} below {other}"
    near = [name for name in value if name != best and value[name] - value[best] < WEAK]
    if criterion == "forecast" or not near:
        return f"{said} ({margin})"
    if model in (best, *near):
        return f"undecided: {said}, but {' and '.join(near)} as good ({margin}; {WEAK:g} would be something)"
    return f"{said}, and {' and '.join(near)} as much ({margin})"
