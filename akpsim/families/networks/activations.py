"""Activation functions by torch's own names."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from akpsim.errors import unknown_name

Activation = Callable[[Tensor], Tensor]

NAMES = (
    "relu", "tanh", "softplus", "sigmoid", "elu", "selu", "celu", "gelu", "silu", "mish", "leaky_relu", "relu6",
    "hardtanh", "hardswish", "hardsigmoid", "softsign", "tanhshrink", "softshrink", "hardshrink", "logsigmoid",
    "identity",
)  # fmt: skip


def activation_named(name: str) -> Activation:
    """Return an activation by the name that `torch.nn.functional` gives it; ``identity`` for none."""
    if name not in NAMES:
        raise unknown_name("activation", name, NAMES)
    if name == "identity":
        return torch.nn.Identity()
    found: Activation = getattr(torch, name, None) or getattr(functional, name)
    return found
