"""Activation functions by torch's own names, of `torch.nn.functional` or, as ReLU and LeakyReLU, of `torch.nn`.

All that map each response, or the responses of a layer together, to as many: softmax, log_softmax and softmin are over
the neurons of a layer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from akpsim.errors import InvalidStudy, unknown_name

Activation = Callable[[Tensor], Tensor]

OVER_NEURONS = ("softmax", "log_softmax", "softmin")
NAMES = (
    "relu", "tanh", "softplus", "sigmoid", "elu", "selu", "celu", "gelu", "silu", "mish", "leaky_relu", "relu6",
    "hardtanh", "hardswish", "hardsigmoid", "softsign", "tanhshrink", "softshrink", "hardshrink", "logsigmoid",
    "identity", *OVER_NEURONS,
)  # fmt: skip
REFUSED = {
    "glu": "halves the number of neurons, and the layer after it would not fit",
    "prelu": "has weights of its own to learn, which no swap can bring along; leaky_relu is prelu with a fixed slope",
    "rrelu": "draws its slopes at random in training; leaky_relu is rrelu with a fixed slope",
    "threshold": "has no values of its own for where it begins and what it gives below",
    "gumbel_softmax": "draws at random in training; softmax is what it is without",
    "softmax2d": "is for maps of channels, and a layer's responses are a vector; softmax is over the neurons",
    "multi_head_attention_forward": "has weights of its own, and is a layer rather than an activation",
    "multiheadattention": "has weights of its own, and is a layer rather than an activation",
}
"""What torch files under activations and a dense layer cannot have, with the reason."""


def canonical(name: Any) -> str:
    """Return the name that `torch.nn.functional` gives an activation; say why if it can be none here."""
    names = {short: short for short in (*NAMES, *REFUSED)}
    names |= {kind: names.get(kind.lower(), kind) for kind in torch.nn.modules.activation.__all__}
    names |= {"LeakyReLU": "leaky_relu", "LogSoftmax": "log_softmax", "Identity": "identity"}
    found = names.get(name) if isinstance(name, str) else None
    if found in REFUSED:
        raise InvalidStudy(f"{name} {REFUSED[found]}; there are: {', '.join(NAMES)}")
    if found not in NAMES:
        raise unknown_name("activation", name, NAMES)
    return str(found)


def activation_named(name: str) -> Activation:
    """Return an activation by the name that torch gives it; ``identity`` for none."""
    name = canonical(name)
    if name == "identity":
        return torch.nn.Identity()
    found: Callable[..., Tensor] = getattr(torch, name, None) or getattr(functional, name)
    return partial(found, dim=-1) if name in OVER_NEURONS else found
