r"""Losses of a classifier, one number a sample, with the arithmetic of Keras behind a softmax.

With :math:`p` the softmax of the logits, :math:`y` the target, :math:`C` classes and :math:`\epsilon` = 1e-7:

==================  ================================================================================
cross_entropy       :math:`-\log p_{label}`, from the logits, not clipped
kl_divergence       :math:`\sum y \log(y / p)`, both clipped to :math:`[\epsilon, 1]`
poisson             :math:`\frac 1 C \sum (p - y \log(p + \epsilon))`
mean_squared_error  :math:`\frac 1 C \sum (p - y)^2`, the Brier score over C
focal               :math:`-(1 - p_{label})^2 \log p_{label}` (Lin et al. 2017, equation 4)
label_smoothing     cross-entropy against :math:`.9 y + .1 / C` (Szegedy et al. 2016, section 7)
==================  ================================================================================

With one-hot targets the gradient of `kl_divergence` on the logits is that of `cross_entropy`, :math:`p - y`, and that
of `poisson` is :math:`1/C` of it: :math:`\partial p_k / \partial z_j = p_k (\delta_{jk} - p_j)` turns
:math:`-y_k / p_k` into :math:`p_j - y_j`, and the term :math:`\sum p = 1` has no gradient.  Swapping them is no
perturbation of the direction of training.

``encoding="broadcast"`` feeds integer labels, shape (N, 1), to losses made for one-hot targets, as Keras silently
allows: every class then has the *label* as its target, class 0 gives no gradient, and class 1 pushes to even
probabilities.  `cross_entropy`, `focal` and `label_smoothing` take integer labels properly and stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from akpsim.checks import one_of
from akpsim.registry import Registry

EPSILON = 1e-7
ENCODINGS = ("onehot", "broadcast")


@dataclass(frozen=True)
class Loss:
    """A loss by name.

    Parameters
    ----------
    name : str
        The word a user types.
    score : callable
        (logits, labels) -> (sample,) for `of_labels`, else (probabilities, targets) -> (sample,).
    summary : str
        One line.
    of_labels : bool
        True if `score` takes logits and integer labels as they are, so that no encoding can go wrong.
    """

    name: str
    score: Callable[[Tensor, Tensor], Tensor]
    summary: str
    of_labels: bool = False

    def __call__(self, logits: Tensor, labels: Tensor, *, encoding: str = "onehot") -> Tensor:
        """Return the loss of each sample.

        Parameters
        ----------
        logits : Tensor, shape (sample, class)
            Before the softmax.
        labels : Tensor of int64, shape (sample,)
            True classes.
        encoding : {"onehot", "broadcast"}
            How losses that compare probabilities with targets get their targets, see the module.

        Returns
        -------
        Tensor, shape (sample,)
            Not averaged.
        """
        one_of(encoding, "encoding", ENCODINGS)
        if self.of_labels:
            return self.score(logits, labels)
        probabilities = torch.softmax(logits, dim=-1)
        if encoding == "broadcast":
            targets = labels.to(probabilities.dtype).unsqueeze(-1).expand_as(probabilities)
        else:
            targets = functional.one_hot(labels, logits.shape[-1]).to(probabilities.dtype)
        return self.score(probabilities, targets)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return minus the logarithm of the true class's probability."""
    return functional.cross_entropy(logits, labels, reduction="none")


def label_smoothing(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy against targets mixed with a tenth of the uniform distribution."""
    return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy weighted down where the class is already found, with focus 2."""
    entropy = cross_entropy(logits, labels)
    return (-torch.expm1(-entropy)) ** 2 * entropy


def kl_divergence(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the divergence of targets from probabilities, both clipped."""
    p, y = probabilities.clamp(EPSILON, 1.0), targets.clamp(EPSILON, 1.0)
    return (y * (y / p).log()).sum(-1)


def poisson(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of the Poisson deviance, up to a constant."""
    return (probabilities - targets * (probabilities + EPSILON).log()).mean(-1)


def mean_squared_error(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of the squared difference."""
    return (probabilities - targets).square().mean(-1)


LOSSES: Registry[Loss] = Registry(
    "loss",
    [
        Loss("cross_entropy", cross_entropy, "the usual one", of_labels=True),
        Loss("kl_divergence", kl_divergence, "the gradient of cross-entropy with one-hot targets"),
        Loss("poisson", poisson, "that gradient over the number of classes"),
        Loss("mean_squared_error", mean_squared_error, "the Brier score"),
        Loss("focal", focal, "cross-entropy with easy samples weighted down", of_labels=True),
        Loss("label_smoothing", label_smoothing, "cross-entropy against softened targets", of_labels=True),
    ],
)
