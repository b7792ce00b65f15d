r"""Where a layer's weights start: the initializers of Keras, and torch's own default.

With :math:`n_{in}` and :math:`n_{out}` the fans of a weight (inputs and outputs of one neuron, times the window of a
convolution), Keras scales by the variance :math:`s^2`:

==================  =======================================================================================
glorot              :math:`s^2 = 2 / (n_{in} + n_{out})` (Glorot and Bengio 2010, equation 16)
he                  :math:`s^2 = 2 / n_{in}` (He, Zhang, Ren, Sun 2015, equation 10)
lecun               :math:`s^2 = 1 / n_{in}` (LeCun, Bottou, Orr, Mueller 1998, section 4.6)
==================  =======================================================================================

``uniform`` draws from :math:`\pm\sqrt 3 s`.  ``normal`` draws from a normal cut at two standard deviations and widened
by 1/.8796 so that its variance *after* the cut is :math:`s^2`; torch's `xavier_normal_` and `kaiming_normal_` are not
cut.  ``truncated_normal`` is (0, .5) cut at :math:`\pm 1`, as in the paper's group C.

Numbers are drawn on the generator's device and transformed by the formulas here, so that a GPU and a CPU, and this and
the next torch, start from the same weights.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from akpsim.registry import Registry

CUT_NORMAL_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal cut at two, the constant of Keras."""

Draw = Callable[[Sequence[int], Generator], Tensor]


@dataclass(frozen=True)
class Initializer:
    """A distribution of starting weights; calling it fills a weight in place."""

    name: str
    draw: Draw
    summary: str

    def __call__(self, weight: Tensor, generator: Generator) -> None:
        """Fill the weight of a linear or convolutional layer in place.

        Parameters
        ----------
        weight : Tensor, shape (out, in, ...)
            The weight; no gradient is recorded.
        generator : torch.Generator
            Where the numbers come from; always the same count for the same shape.
        """
        with torch.no_grad():
            weight.copy_(self.draw(weight.shape, generator))


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return inputs and outputs of one neuron of a weight (out, in, window...)."""
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def variance(kind: str, shape: Sequence[int]) -> float:
    """Return the variance that an initializer of this kind gives to a weight of this shape."""
    inputs, outputs = fans(shape)
    return {"glorot": 2 / (inputs + outputs), "he": 2 / inputs, "lecun": 1 / inputs}[kind]


def uniform(limit: float, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw from [-limit, limit)."""
    return (2 * torch.rand(shape, generator=generator, device=generator.device) - 1) * limit


def cut_normal(deviation: float, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw from a normal of this deviation cut at two deviations, by inverting its distribution function."""
    low = torch.special.ndtr(torch.tensor(-2.0, dtype=torch.float64)).item()
    share = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    drawn: Tensor = deviation * torch.special.ndtri(low + share * (1 - 2 * low))
    return drawn.to(torch.float32)


def scaled_uniform(kind: str, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw from a uniform distribution of the kind's variance."""
    return uniform(math.sqrt(3 * variance(kind, shape)), shape, generator)


def scaled_normal(kind: str, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw from a cut normal of the kind's variance."""
    return cut_normal(math.sqrt(variance(kind, shape)) / CUT_NORMAL_DEVIATION, shape, generator)


def zeros(shape: Sequence[int], generator: Generator) -> Tensor:
    """Return zeros."""
    return torch.zeros(shape)


def normal(deviation: float, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw from a normal, not cut."""
    return deviation * torch.randn(shape, generator=generator, device=generator.device)


def orthogonal(shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw a matrix (out, the rest) with orthonormal rows or columns, evenly over all of them (Saxe et al. 2014)."""
    weight = torch.empty(shape, device=generator.device)
    return torch.nn.init.orthogonal_(weight, generator=generator)


def torch_default(shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw as torch's linear and convolutional layers do: uniform within one over the root of the inputs."""
    return uniform(1 / math.sqrt(fans(shape)[0]), shape, generator)


INITIALIZERS: Registry[Initializer] = Registry(
    "initializer",
    [
        Initializer("glorot_uniform", partial(scaled_uniform, "glorot"), "Keras's default for dense layers"),
        Initializer("glorot_normal", partial(scaled_normal, "glorot"), "cut at two deviations"),
        Initializer("he_uniform", partial(scaled_uniform, "he"), "made for ReLU"),
        Initializer("he_normal", partial(scaled_normal, "he"), "made for ReLU; cut at two deviations"),
        Initializer("lecun_uniform", partial(scaled_uniform, "lecun"), "variance one over the inputs"),
        Initializer("lecun_normal", partial(scaled_normal, "lecun"), "made for SELU; cut at two deviations"),
        Initializer("truncated_normal", partial(cut_normal, 0.5), "(0, .5) cut at -1 and 1, whatever the fans"),
        Initializer("random_normal", partial(normal, 0.05), "(0, .05), whatever the fans"),
        Initializer("random_uniform", partial(uniform, 0.05), "within .05 of zero, whatever the fans"),
        Initializer("orthogonal", orthogonal, "orthonormal rows or columns"),
        Initializer("zeros", zeros, "all zero: dead behind a ReLU, alive behind a tanh"),
        Initializer("torch_default", torch_default, "within one over the root of the inputs"),
    ],
)
