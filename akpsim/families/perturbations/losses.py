"""Swap the loss during training, as the paper's second perturbation does."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from akpsim.checks import one_of
from akpsim.families.perturbations.order import check_order, name_at
from akpsim.families.perturbations.perturbation import Moment, Perturbation, total
from akpsim.families.training.losses import ENCODINGS, LOSSES

DEFAULT_ORDER = ("kl_divergence", "poisson", "cross_entropy")

LossFunction = Callable[[Tensor, Tensor], Tensor]


def swap(
    loss: LossFunction,
    moment: Moment,
    *,
    order: Sequence[str] | str = DEFAULT_ORDER,
    choices: Sequence[str] = DEFAULT_ORDER,
    labels: str = "onehot",
    finally_: str | None = None,
) -> LossFunction:
    """Return the next loss of `order` (or a random one); the last event gives `finally_`.

    With one-hot labels the gradients of the three losses point the same way (those of KL divergence and cross-entropy
    are equal, Poisson's is 1/classes of them), so this is nearly no perturbation; ``labels="broadcast"`` reproduces
    what Keras does when integer labels of shape (sample, 1) reach the other two.  At a strength s < 1 the loss is
    (1 - s) old + s new.
    """
    name = name_at(moment, order=order, choices=choices, finally_=finally_, current=name_of(loss))
    new = partial(LOSSES[name], encoding=labels)
    if moment.strength == 0:
        return loss
    if moment.strength == 1:
        return new
    return Mixed(loss, new, moment.strength)


def allow(
    *, order: Any = DEFAULT_ORDER, choices: Any = DEFAULT_ORDER, labels: Any = "onehot", finally_: Any = None
) -> None:
    """Refuse names that are no losses, and labels in no known encoding."""
    one_of(labels, "labels", ENCODINGS)
    check_order(LOSSES.__getitem__, order=order, choices=choices, finally_=finally_)


class Mixed:
    """A loss between two."""

    def __init__(self, old: LossFunction, new: LossFunction, strength: float) -> None:
        self.old, self.new, self.strength = old, new, strength
        self.name = f"{1 - strength:g} {name_of(old)} + {strength:g} {name_of(new)}"

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mixed loss of each sample."""
        return torch.lerp(self.old(logits, labels), self.new(logits, labels), self.strength)


def name_of(loss: object) -> str:
    """Return the registry's name of a loss, whatever it is wrapped in."""
    return str(getattr(getattr(loss, "func", loss), "name", "loss"))


swap_loss = Perturbation(
    "swap_loss", "loss", swap, "change the loss; dose: events times strength (see the audit)", total, allow=allow
)
