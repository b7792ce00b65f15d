"""The head: dense layers ``dense_1``, ``dense_2``, ... with activations that can be swapped, then ``logits``."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from akpsim.families.networks.activations import activation_named
from akpsim.families.networks.initializers import INITIALIZERS


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
        return self.activation(self.linear(x))


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
    ) -> None:
        super().__init__()
        width = features
        for number, outputs in enumerate(dense, start=1):
            layer = Dense(width, outputs, activation=activation)
            INITIALIZERS[initializer](layer.linear.weight, generator)
            nn.init.zeros_(layer.linear.bias)
            self.add_module(f"dense_{number}", layer)
            width = outputs
        logits = nn.utils.skip_init(nn.Linear, width, classes)
        INITIALIZERS["glorot_uniform"](logits.weight, generator)
        nn.init.zeros_(logits.bias)
        self.add_module("logits", logits)

    @property
    def hidden(self) -> dict[str, Dense]:
        """The hidden layers by name."""
        return {name: layer for name, layer in self.named_children() if isinstance(layer, Dense)}
