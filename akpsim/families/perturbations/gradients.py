"""Disturb the gradient at each training step."""

import torch
from torch import nn

from akpsim.families.perturbations.perturbation import Moment, Perturbation


def add_noise(network: nn.Module, moment: Moment) -> None:
    """Add Gaussian noise to each gradient, with an expected norm of `strength` times the gradient's.

    At strength 1 the expected cosine between the gradient and what the optimizer sees is about .71.
    """
    if moment.strength == 0:
        return
    for parameter in network.parameters():
        if parameter.grad is not None:
            scale = moment.strength * parameter.grad.norm() / parameter.grad.numel() ** 0.5
            noise = torch.empty(parameter.shape).normal_(generator=moment.generator).to(parameter)
            parameter.grad += scale * noise


gradient_noise = Perturbation(
    "gradient_noise", "gradients", add_noise, "Gaussian noise on gradients; dose: its norm over the gradient's"
)
