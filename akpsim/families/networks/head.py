"""The head: dense layers ``dense_1``, ``dense_2``, ... with activations that can be swapped, then ``logits``."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from akpsim.errors import unknown_name
from akpsim.families.networks.activations import activation_named
from akpsim.families.networks.initializers import INITIALIZERS

DEFAULT_INITIALIZER = "glorot_uniform"
"""Of Keras's dense layers."""


class Dense(nn.Module):
    """A linear map and its activation; the module's output, which hooks see, is after the activation.

    Parameters
    ----------
    inputs, outputs : int
        Widths.
    activation : str
        A name of `akpsim.families.networks.activations`.
    """

    def __init__(self, inputs: int, outputs: int, *, activation: str) -> None:
        super().__init__()
        self.linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # Head draws, from its own stream
        self.dropout: nn.Module = nn.Identity()
        self.swap(activation)

    def swap(self, activation: str, *, strength: float = 1.0) -> None:
        """Change the activation; at a `strength` below 1 the old and the new one are mixed, at 0 nothing changes."""
        if strength == 0:
            return
        new = activation_named(activation)
        if strength == 1:
            self.name, self.activation = activation, new
            return
        old = self.activation
        self.name = f"{1 - strength:g} {self.name} + {strength:g} {activation}"
        self.activation = lambda x: torch.lerp(old(x), new(x), strength)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated responses."""
        return self.activated(self.linear(x))

    def activated(self, sums: Tensor) -> Tensor:
        """Return the responses to the weighted sums of the inputs."""
        responses: Tensor = self.dropout(self.activation(sums))
        return responses


class Head(nn.Sequential):
    """Dense layers ending in logits; the softmax is in the loss, where it is exact.

    Parameters
    ----------
    features, classes : int
        Width of the input and number of classes.
    dense : sequence of int
        Widths of the hidden layers.
    activation, initializer : str
        Of the hidden layers; biases start at zero and the last layer's weights as Keras's default, glorot_uniform.
    initialized : sequence of str
        Names or patterns of the hidden layers that `initializer` is for; the others start as the last layer does.
    generator : torch.Generator
        Draws the weights.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        dense: Sequence[int],
        activation: str,
        initializer: str,
        generator: torch.Generator,
        initialized: Sequence[str] = ("dense_*",),
    ) -> None:
        super().__init__()
        names = [f"dense_{number}" for number in range(1, len(dense) + 1)]
        chosen = {pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in initialized}
        for pattern, found in chosen.items():
            if not found:
                raise unknown_name("layer in `initializer_layers`", pattern, names)
        width = features
        for name, outputs in zip(names, dense, strict=True):
            layer = Dense(width, outputs, activation=activation)
            own = initializer if any(name in found for found in chosen.values()) else DEFAULT_INITIALIZER
            INITIALIZERS[own](layer.linear.weight, generator)
            nn.init.zeros_(layer.linear.bias)
            self.add_module(name, layer)
            width = outputs
        logits = nn.utils.skip_init(nn.Linear, width, classes)
        INITIALIZERS[DEFAULT_INITIALIZER](logits.weight, generator)
        nn.init.zeros_(logits.bias)
        self.add_module("logits", logits)

    @property
    def hidden(self) -> dict[str, Dense]:
        """The hidden layers by name."""
        return {name: layer for name, layer in self.named_children() if isinstance(layer, Dense)}
