"""Pictures of results: each takes a labelled result and an optional Axes, computes nothing, and returns the Axes.

A result says in ``attrs["result"]`` what it is; `PLOTS` says which function draws it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from akpsim.plots.audit import plot_audit
from akpsim.plots.crisis import plot_crisis
from akpsim.plots.curves import plot_training_curves
from akpsim.plots.dispersion import plot_dispersion, plot_layers
from akpsim.plots.dynamics import plot_members, plot_populations, plot_profiles, plot_selection
from akpsim.plots.history import plot_history
from akpsim.plots.lotka_volterra import plot_lotka_volterra, plot_trajectories
from akpsim.plots.ordination import plot_ordination, plot_panels
from akpsim.plots.rates import plot_calibration, plot_slope
from akpsim.plots.similarity import plot_similarity
from akpsim.plots.similarity_curve import plot_similarity_curve, plot_similarity_over
from akpsim.plots.similarity_strip import plot_similarity_strip
from akpsim.registry import Registry


@dataclass(frozen=True)
class Plot:
    """A picture: the `result` it draws (the value of ``attrs["result"]``) and the function that draws it."""

    name: str
    draw: Callable[..., Any]
    summary: str


PLOTS: Registry[Plot] = Registry(
    "plot",
    [
        Plot("audit", plot_audit, "what each swap changed: gradient, loss and function"),
        Plot("history", plot_history, "accuracy over epochs, a line a member"),
        Plot("training_curves", plot_training_curves, "accuracy by optimizer and perturbation, with the swaps marked"),
        Plot("calibration", plot_calibration, "false-positive rates of the tests"),
        Plot("dispersion_slope", plot_slope, "distance to the others against accuracy"),
        Plot("crisis", plot_crisis, "correlations between attributes and variance of members over epochs"),
        Plot("dispersion", plot_dispersion, "distances of members to the centre of their group, with the verdict"),
        Plot("dispersion_layers", plot_layers, "the ratio of spreads at each layer"),
        Plot("ordination", plot_ordination, "members on the first two axes of an ordination"),
        Plot("ordination_panels", plot_panels, "maps beside each other with the tested effects, as figure 1"),
        Plot("similarity", plot_similarity, "a matrix of similarities, ordered by family"),
        Plot("similarity_over", plot_similarity_over, "similarity of families along layers or epochs, or the matrices"),
        Plot("between", plot_similarity_curve, "similarity within and between families along layers or epochs"),
        Plot("similarity_pairs", plot_similarity_strip, "every pair of members within and between families"),
        Plot("distance", plot_similarity, "a matrix of distances, ordered by family"),
        Plot("lotka_volterra", plot_lotka_volterra, "prey and predator over time and against each other"),
        Plot("lotka_volterra_members", plot_members, "rates and period of members by group, and the model chosen"),
        Plot("dynamics", plot_trajectories, "populations over time with the fitted course"),
        Plot("dynamics_selection", plot_selection, "models of dynamics by BIC"),
        Plot("profile", plot_profiles, "profile likelihood of each rate"),
        Plot("populations", plot_populations, "population trajectories, a line a member"),
    ],
)
