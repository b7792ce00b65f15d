"""Noise on labels."""

import torch
from torch import Tensor

from akpsim.families.perturbations.perturbation import Moment, Perturbation


def noise(labels: Tensor, moment: Moment, *, redraw: bool = False) -> Tensor:
    """Give a share of the training images, `strength`, a label drawn evenly from the other classes.

    The share is exact (rounded to whole images).  The same images are hit with the same labels at every epoch, unless
    `redraw`; a smaller strength hits a subset of those that a larger one hits with the same seed.
    """
    if moment.strength == 0:
        return labels
    generator = moment.generator if redraw else torch.Generator().manual_seed(moment.generator.initial_seed())
    order = torch.randperm(len(labels), generator=generator)
    shift = torch.randint(1, moment.classes, (len(labels),), generator=generator)
    hit = order[: round(moment.strength * len(labels))]
    noisy = labels.clone()
    noisy[hit] = (labels[hit] + shift[hit]) % moment.classes
    return noisy


label_noise = Perturbation(
    "label_noise", "labels", noise, "wrong labels on a share of the training images; dose: the share"
)
