"""Drop neurons at random in training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from akpsim.families.perturbations.activations import layers_named
from akpsim.families.perturbations.order import check_layers
from akpsim.families.perturbations.perturbation import Moment, Perturbation


def drop(network: nn.Module, moment: Moment, *, layers: Sequence[str] | str = "dense_*") -> None:
    """In this epoch, zero a share, `strength`, of a layer's responses at each training step, and scale the rest.

    Evaluation is not touched.
    """
    for layer in layers_named(network, layers).values():
        layer.dropout = Dropout(moment.strength, moment.generator) if moment.strength else nn.Identity()


def lift(network: nn.Module, *, layers: Sequence[str] | str = "dense_*") -> None:
    """Drop nothing any more."""
    for layer in layers_named(network, layers).values():
        layer.dropout = nn.Identity()


class Dropout(nn.Module):
    """Dropout whose random numbers come from a generator of its own."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        """Return responses with a share of them zeroed in training, unchanged in evaluation."""
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.generator).to(x.device) >= self.share
        return x * kept / (1 - self.share) if self.share < 1 else x * 0


dropout = Perturbation(
    "dropout",
    "weights",
    drop,
    "zero random responses of hidden layers in training; dose: the share",
    audited=False,
    lift=lift,
    allow=lambda layers="dense_*": check_layers(layers),
)
