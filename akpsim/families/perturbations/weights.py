"""Disturb the weights themselves at an event, or switch neurons off for an epoch."""

import torch
from torch import nn

from akpsim.families.networks.head import Dense
from akpsim.families.perturbations.perturbation import Moment, Perturbation


def add_noise(network: nn.Module, moment: Moment) -> None:
    """Add Gaussian noise to each weight matrix, with a standard deviation of `strength` times the matrix's own."""
    if moment.strength == 0:
        return
    with torch.no_grad():
        for weight in (p for p in network.parameters() if p.requires_grad and p.ndim > 1):
            noise = torch.empty(weight.shape).normal_(generator=moment.generator).to(weight)
            weight.add_(moment.strength * weight.std() * noise)


def switch_off(network: nn.Module, moment: Moment) -> None:
    """Set the incoming weights of a random share, `strength`, of each hidden layer's neurons to zero (a lesion)."""
    with torch.no_grad():
        for layer in (module for module in network.modules() if isinstance(module, Dense)):
            neurons = len(layer.linear.weight)
            hit = torch.randperm(neurons, generator=moment.generator)[: round(moment.strength * neurons)]
            layer.linear.weight[hit] = 0
            layer.linear.bias[hit] = 0


weight_noise = Perturbation(
    "weight_noise", "weights", add_noise, "Gaussian noise on weights; dose: its standard deviation over the matrix's"
)
lesion = Perturbation("lesion", "weights", switch_off, "zero the weights of hidden neurons; dose: the share")
