"""A fit of one form as a start of another: every form is a generalized system, seen without some of its rates."""

from collections.abc import Sequence

import numpy as np

from akpsim.dynamics.fitting import Fit
from akpsim.dynamics.forms import FORMS, Array
from akpsim.dynamics.starts import Start


def generalized(fit: Fit, *, swapped: Array | None = None) -> Start:
    """Return a fit as a generalized system, prey and predator put back in the order of the data."""
    growth, interaction = fit.problem.system.matrices(fit.values)
    first = np.log(fit.initial)
    if swapped is not None:
        growth = np.where(swapped, growth[::-1], growth)
        interaction = np.where(swapped, interaction[::-1, ::-1], interaction)
        first = np.where(swapped[:, None], first[:, ::-1], first)
    effects = np.moveaxis(interaction, -1, 0).reshape(len(first), -1)
    return np.concatenate([growth.T, effects], axis=1), first


def seen_as(start: Start, name: str, *, order: Sequence[int] | None = None) -> Start:
    """Return what a form keeps of a generalized system, its populations in another order if one is given.

    Nothing is lost where the form contains the system; elsewhere this is a place to start from.
    """
    values, first = start
    species = first.shape[1]
    order = range(species) if order is None else order
    places = [
        order[rate.row] if rate.column is None else species + species * order[rate.row] + order[rate.column]
        for rate in FORMS[name].system(species).rates
    ]
    return values[:, places], first[:, list(order)]
