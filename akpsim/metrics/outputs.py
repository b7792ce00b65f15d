r"""Comparisons of outputs (sample, class): what two networks answer, not how they come to it."""

import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from akpsim.errors import UndefinedMetric
from akpsim.metrics.metric import Array, Metric, Parameter, differences, each_pair, precise


def probabilities(x: Array, *, logits: bool) -> Array:
    """Return rows that are probabilities: as they are, or the softmax of logits."""
    xp = array_namespace(x)
    x = precise(x)
    if logits:
        x = xp.exp(x - xp.max(x, axis=1)[:, None])
        return x / xp.sum(x, axis=1)[:, None]
    off = float(xp.max(xp.abs(xp.sum(x, axis=1) - 1)))
    if float(xp.min(x)) < 0 or off > 1e-5:
        raise UndefinedMetric("jsd is undefined: rows must be probabilities that sum to 1, or give `logits` = true")
    return x


def mean_divergence(p: Array, q: Array) -> float:
    r"""Return the mean Jensen-Shannon divergence of rows, in bits.

    With :math:`s = p + q` and :math:`t = (p - q) / s` each class adds
    :math:`\frac{s}{4} \left((1 + t) \log (1 + t) + (1 - t) \log (1 - t)\right)`, which is never negative.
    """
    xp = array_namespace(p)
    _same_classes(p, q, "jsd")
    both = p + q
    contrast = (p - q) / xp.where(both > 0, both, xp.ones_like(both))
    return float(xp.mean(xp.sum(both * lost_bits(contrast), axis=1))) / 4


def lost_bits(t: Array) -> Array:
    r"""Return :math:`(1 + t) \log_2 (1 + t) + (1 - t) \log_2 (1 - t)` to full precision, for t from -1 to 1.

    For small t this is the same as :math:`\log (1 - t^2) + t \log \frac{1 + t}{1 - t}`, where nothing cancels.
    """
    xp = array_namespace(t)
    small = xp.abs(t) <= 0.5
    near = xp.where(small, t, xp.zeros_like(t))
    below = xp.log1p(-(near**2)) + near * (xp.log1p(near) - xp.log1p(-near))

    def entropy(x: Array) -> Array:
        return x * xp.log(xp.where(x > 0, x, xp.ones_like(x)))

    return xp.where(small, below, entropy(1 + t) + entropy(1 - t)) / math.log(2)


def answers(x: Array) -> Array:
    """Return the class with the largest output, the first of equal ones; the number of classes comes last."""
    xp = array_namespace(x)
    return xp.concat([xp.argmax(x, axis=1), xp.asarray([x.shape[1]], device=x.device)])


def different(one: Array, two: Array) -> float:
    """Return the share of samples that get different answers."""
    xp = array_namespace(one)
    _same_number(int(one[-1]), int(two[-1]), "disagreement")
    return float(xp.mean(xp.astype(one[:-1] != two[:-1], xp.float64)))


def accuracy(x: Array, *, labels: Any) -> float:
    """Return the share of samples whose largest output is that of their label."""
    xp = array_namespace(x)
    if labels is None:
        raise UndefinedMetric("accuracy_difference is undefined without `labels`, the true class of each sample")
    if len(labels) != x.shape[0]:
        raise UndefinedMetric(f"`labels` must name the class of each of {x.shape[0]} samples, got {len(labels)}")
    found = np.asarray(xp.argmax(x, axis=1).tolist())
    return float((found == np.asarray(labels)).mean())


def _same_classes(p: Array, q: Array, name: str) -> None:
    _same_number(p.shape[1], q.shape[1], name)


def _same_number(first: int, second: int, name: str) -> None:
    if first != second:
        raise UndefinedMetric(f"{name} needs equal numbers of classes, got {first} and {second}")


class Labels(Parameter):
    """An argument that is one whole number a sample, or none."""

    def check(self, name: str, value: Any) -> Any:
        """Return the labels as a list of whole numbers, or raise."""
        if value is None:
            return None
        found = np.asarray(value)
        if found.ndim != 1 or found.dtype.kind not in "iub":
            raise UndefinedMetric(f"`{name}` must be one whole number a sample, got {value!r}")
        return [int(label) for label in found]

    @property
    def says(self) -> str:
        """The values allowed, in words."""
        return "one whole number a sample"


jsd = Metric(
    name="jsd",
    summary="mean Jensen-Shannon divergence of outputs",
    embed=probabilities,
    score=each_pair(mean_divergence),
    kind="dissimilarity",
    invariant_to=frozenset(),
    range=(0, 1),
    formula=r"\frac{1}{2 n} \sum_i \left( D(p_i \| m_i) + D(q_i \| m_i) \right), \quad m_i = \frac{p_i + q_i}{2}",
    source="Lin 1991, IEEE Transactions on Information Theory 37; Klabunde et al. 2025, ACM Computing Surveys 57",
    beware="in bits, and the divergence itself: its root is the metric that scipy's jensenshannon returns",
    smallest=1,
    widths="equal",
    data="outputs",
    parameters={"logits": Parameter(False, "rows are logits, of which the softmax is taken")},
)

disagreement = Metric(
    name="disagreement",
    summary="share of samples that get different answers",
    embed=answers,
    score=each_pair(different),
    kind="metric",
    invariant_to=frozenset({"scaling"}),
    range=(0, 1),
    formula=r"\frac{1}{n} \sum_i \left[ \arg\max_c p_{ic} \neq \arg\max_c q_{ic} \right]",
    source="Madani, Pennock, Flake 2004, NeurIPS; Klabunde et al. 2025, ACM Computing Surveys 57",
    beware="depends on the accuracies; two accurate networks cannot disagree much",
    smallest=1,
    widths="equal",
    data="outputs",
)

accuracy_difference = Metric(
    name="accuracy_difference",
    summary="difference of accuracies",
    embed=accuracy,
    score=differences,
    kind="metric",
    invariant_to=frozenset({"scaling"}),
    range=(0, 1),
    formula=r"|a(P) - a(Q)|, \quad a(P) = \frac{1}{n} \sum_i \left[ \arg\max_c p_{ic} = c_i \right]",
    source="Klabunde et al. 2025, ACM Computing Surveys 57, section 4.1",
    beware="0 for networks that err on different samples equally often: see disagreement",
    smallest=1,
    data="outputs",
    parameters={"labels": Labels(None, "the true class of each sample")},
)
