"""Shock the learning rate."""

import torch

from akpsim.checks import positive
from akpsim.families.perturbations.perturbation import Moment, Perturbation


def shock(optimizer: torch.optim.Optimizer, moment: Moment, *, factor: float = 10.0) -> None:
    """Multiply the learning rate by ``factor ** strength`` from this epoch on."""
    for group in optimizer.param_groups:
        group["lr"] *= factor**moment.strength


learning_rate_shock = Perturbation(
    "learning_rate_shock",
    "optimizer",
    shock,
    "multiply the learning rate at an event; dose: the factor",
    lambda strengths, factor=10.0: float(factor ** sum(strengths)),
    allow=lambda factor=10.0: positive(factor, "factor"),
)
