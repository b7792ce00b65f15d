"""Convolutional maps (sample, channel, height, width) as representations: one rule, whatever the metric."""

from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace

from akpsim.checks import at_least, generator, one_of
from akpsim.errors import InvalidData, shortened

Rule = Literal["flatten", "pool", "space_as_samples"]
RULES = ("flatten", "pool", "space_as_samples")


def from_maps(maps: Any, rule: Rule = "pool", *, positions: int | None = None, seed: int = 0) -> Any:
    """Return convolutional maps as a representation (sample, neuron).

    Parameters
    ----------
    maps : array, shape (sample, channel, height, width)
        Numpy or torch; any number of spatial dimensions.
    rule : str
        ``"pool"``: each channel's mean over space is a neuron.  ``"flatten"``: each channel at each place is one; maps
        must then be of one size.  ``"space_as_samples"``: each place of each sample is a sample of its own and each
        channel a neuron, which needs both sides to have maps of one size.
    positions : int, optional
        How many places are kept by the last two; all by default.
    seed : int
        Of the choice of places, which is the same for all representations of maps of one size.

    Raises
    ------
    InvalidData
        If it is no array of maps.
    """
    one_of(rule, "rule", RULES)
    if not hasattr(maps, "shape"):
        raise InvalidData(f"maps are arrays (sample, channel, height, width), got {shortened(maps)}")
    if len(maps.shape) < 3:
        raise InvalidData(f"maps are arrays (sample, channel, height, width), got shape {tuple(maps.shape)}")
    xp = array_namespace(maps)
    flat = xp.reshape(maps, (maps.shape[0], maps.shape[1], -1))
    if rule == "pool":
        return xp.mean(flat, axis=2)
    places = flat.shape[2]
    if positions is not None and at_least(positions, "positions", 1) < places:
        kept = np.sort(generator(seed).permutation(places)[:positions])
        flat = xp.take(flat, xp.asarray(kept, device=flat.device), axis=2)
    if rule == "flatten":
        return xp.reshape(flat, (flat.shape[0], -1))
    return xp.reshape(xp.permute_dims(flat, (0, 2, 1)), (-1, flat.shape[1]))
