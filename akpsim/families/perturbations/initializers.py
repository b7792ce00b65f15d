"""Draw the initial weights of chosen layers from another distribution, as the paper's group C does."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from akpsim.families.networks.initializers import INITIALIZERS
from akpsim.families.perturbations.activations import layers_named
from akpsim.families.perturbations.order import check_layers
from akpsim.families.perturbations.perturbation import Moment, Perturbation


def draw(network: nn.Module, moment: Moment, *, kernel: str = "zeros", layers: Sequence[str] | str = "dense_1") -> None:
    """Draw the weights of layers anew from the initializer `kernel`; at a strength s < 1, (1 - s) old + s new."""
    if moment.strength == 0:
        return
    for layer in layers_named(network, layers).values():
        new = torch.empty_like(layer.linear.weight)
        INITIALIZERS[kernel](new, moment.generator)
        with torch.no_grad():
            layer.linear.weight.lerp_(new, moment.strength)


def allow(*, kernel: Any = "zeros", layers: Any = "dense_1") -> None:
    """Refuse a name that is no initializer, and what cannot be layers."""
    check_layers(layers)
    _ = INITIALIZERS[kernel]


initializer = Perturbation(
    "initializer",
    "initializer",
    draw,
    "other initial weights in chosen layers, by name; dose: the share of the new",
    allow=allow,
)
