"""Swap the activation of hidden layers during training, as the paper's first perturbation does."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from akpsim.errors import unknown_name
from akpsim.families.networks.activations import canonical
from akpsim.families.networks.head import Dense
from akpsim.families.perturbations.order import check_layers, check_order, name_at
from akpsim.families.perturbations.perturbation import Moment, Perturbation, total

DEFAULT_ORDER = ("tanh", "softplus", "relu")


def swap(
    network: nn.Module,
    moment: Moment,
    *,
    order: Sequence[str] | str = DEFAULT_ORDER,
    choices: Sequence[str] = DEFAULT_ORDER,
    layers: Sequence[str] | str = "dense_*",
    finally_: str | None = None,
) -> None:
    """Give the chosen layers the next activation of `order` (or a random one); the last event gives `finally_`.

    At a strength s < 1 the layer computes (1 - s) old + s new.
    """
    found = layers_named(network, layers)
    choices = [canonical(name) for name in choices]
    current = next(iter(found.values())).name
    name = name_at(moment, order=order, choices=choices, finally_=finally_, current=current)
    for layer in found.values():
        layer.swap(canonical(name), strength=moment.strength)


def allow(
    *, order: Any = DEFAULT_ORDER, choices: Any = DEFAULT_ORDER, layers: Any = "dense_*", finally_: Any = None
) -> None:
    """Refuse names that are no activations, and what cannot be layers."""
    check_layers(layers)
    check_order(canonical, order=order, choices=choices, finally_=finally_)


def layers_named(network: nn.Module, patterns: Sequence[str] | str) -> dict[str, Dense]:
    """Return the dense layers whose names match the patterns, also where the head stands on a trunk that trains."""
    dense = {name.rpartition(".")[2]: m for name, m in network.named_modules() if isinstance(m, Dense)}
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in dense):
            raise unknown_name("dense layer", pattern, dense)
    return {name: layer for name, layer in dense.items() if any(fnmatchcase(name, p) for p in wanted)}


swap_activation = Perturbation(
    "swap_activation",
    "activation",
    swap,
    "change the activation of hidden layers; dose: events times strength",
    total,
    allow=allow,
)
