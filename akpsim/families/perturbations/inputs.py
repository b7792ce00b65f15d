"""Disturb the inputs of each training batch: noise on what the network sees, or images out of focus."""

import torch
from torch import Tensor
from torch.nn import functional

from akpsim.checks import positive
from akpsim.errors import InvalidStudy
from akpsim.families.perturbations.perturbation import Moment, Perturbation


def add_noise(inputs: Tensor, moment: Moment, *, scale: float = 1.0) -> Tensor:
    """Add Gaussian noise with a standard deviation of `strength` times `scale` times that of the batch.

    The inputs are images, or the features of a frozen trunk.
    """
    if moment.strength == 0:
        return inputs
    noise = torch.empty(inputs.shape).normal_(generator=moment.generator).to(inputs)
    return inputs + moment.strength * scale * inputs.std() * noise


def blur_images(inputs: Tensor, moment: Moment, *, sigma: float = 2.0) -> Tensor:
    """Blur images by a Gaussian of `strength` times `sigma` pixels, with edges continued by reflection."""
    if moment.strength == 0:
        return inputs
    width = moment.strength * sigma
    if inputs.ndim != 4:
        raise InvalidStudy(
            f"blur needs images (sample, channel, height, width), got features of shape {tuple(inputs.shape)}; "
            "a frozen trunk or the backbone 'none' has none left, use input_noise"
        )
    radius = min(max(1, round(3 * width)), min(inputs.shape[2:]) - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=inputs.dtype, device=inputs.device)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    kernel /= kernel.sum()
    channels = inputs.shape[1]
    padded = functional.pad(inputs, [radius] * 4, mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


input_noise = Perturbation(
    "input_noise",
    "inputs",
    add_noise,
    "Gaussian noise on each batch; dose: its standard deviation over the batch's",
    lambda strengths, scale=1.0: scale * max(strengths),
    allow=lambda scale=1.0: positive(scale, "scale"),
)
blur = Perturbation(
    "blur",
    "inputs",
    blur_images,
    "images out of focus; dose: sigma in pixels",
    lambda strengths, sigma=2.0: sigma * max(strengths),
    allow=lambda sigma=2.0: positive(sigma, "sigma"),
)
