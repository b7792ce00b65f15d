"""Weights of classes in the loss, as in Keras: the mean over a batch is over samples, not over their weights."""

import torch
from torch import Tensor

from akpsim.errors import unknown_name


def weights_of_classes(wanted: str | dict[str, float], classes: tuple[str, ...], labels: Tensor) -> Tensor | None:
    """Return one weight a class, or None where all samples count alike.

    Parameters
    ----------
    wanted : "none", "balanced" or dict
        "balanced" is ``n / (k * n_c)`` for n samples, k classes and n_c samples of class c, so that each class has the
        same share of the loss; a dictionary gives weights by name, and 1 to those it does not name.
    classes : tuple of str
    labels : Tensor, shape (sample,)
        Of the training images.
    """
    if wanted == "none":
        return None
    if isinstance(wanted, dict):
        for name in wanted:
            if name not in classes:
                raise unknown_name("class in `training.class_weights`", name, classes)
        return torch.tensor([wanted.get(name, 1.0) for name in classes])
    counts = torch.bincount(labels, minlength=len(classes))
    return len(labels) / (len(classes) * counts.float())
