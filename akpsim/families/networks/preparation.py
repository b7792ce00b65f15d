"""From images as they are kept to the batch that a network wants: channels, size, scale."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from akpsim.errors import InvalidData


@dataclass(frozen=True)
class Preparation:
    """How images become a batch; calling it does it.

    Parameters
    ----------
    size : int, optional
        Edge of the square to which images are resized, the whole image and no crop; by default they stay as they are.
    mean, deviation : float or tuple of float
        Subtracted from, and divided into, the values in [0, 1]; .5 and .5 give [-1, 1].
    interpolation : {"bilinear", "bicubic"}
        Both with antialiasing, so that making an image smaller averages.
    channels : int, optional
        What the network takes; a grey image is repeated.  By default any number.
    """

    size: int | None = None
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    interpolation: str = "bilinear"
    channels: int | None = None

    def __call__(self, images: np.ndarray) -> Tensor:
        """Return a batch, float32 and channels last in memory.

        Parameters
        ----------
        images : array, shape (sample, height, width, channel)
            uint8 in [0, 255], or floats in [0, 1].

        Returns
        -------
        Tensor, shape (sample, channel, height, width)

        Raises
        ------
        InvalidData
            If the array has another shape, or channels that the network cannot take.
        """
        if images.ndim != 4:
            raise InvalidData(f"images must have the shape (sample, height, width, channel), got {images.shape}")
        batch = torch.tensor(images).permute(0, 3, 1, 2)
        batch = batch.to(torch.float32) / 255 if images.dtype == np.uint8 else batch.to(torch.float32)
        if self.channels is not None and batch.shape[1] != self.channels:
            if batch.shape[1] != 1:
                raise InvalidData(f"the network takes images of 1 or {self.channels} channels, got {batch.shape[1]}")
            batch = batch.expand(-1, self.channels, -1, -1)
        if self.size is not None and batch.shape[2:] != (self.size, self.size):
            batch = functional.interpolate(
                batch, (self.size, self.size), mode=self.interpolation, antialias=True, align_corners=False
            )
        return ((batch - _by_channel(self.mean)) / _by_channel(self.deviation)).contiguous(
            memory_format=torch.channels_last
        )


def _by_channel(values: tuple[float, ...]) -> Tensor | float:
    """Return what broadcasts over (sample, channel, height, width): one number, the faster way, if all are equal."""
    return values[0] if len(set(values)) == 1 else torch.tensor(values).view(1, -1, 1, 1)
