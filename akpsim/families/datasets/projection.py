r"""From a stack to one 8-bit colour image: project over the layers, stretch the contrast, colour the channels.

Projection of a channel :math:`I_{zyx}` over its :math:`n` layers is :math:`\max_z`, :math:`\sum_z / n`,
:math:`\sum_z` or the standard deviation :math:`\sqrt{\sum_z (I_z - \bar I)^2 / n}`.  The stretch maps its low
percentile to 0 and its high one to 1 and clips.  Colours add: :math:`\min(1, \sum_c s_c k_c)`, so that green and
magenta, which together are all three primaries, overlap in white.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from akpsim.errors import InvalidData, unknown_name
from akpsim.families.datasets.microscopy import Stack

PROJECTIONS = ("max", "mean", "sum", "std")

COLOURS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "magenta": (1, 0, 1),
    "cyan": (0, 1, 1),
    "yellow": (1, 1, 0),
    "grey": (1, 1, 1),
    "none": (0, 0, 0),
}
"""Shares of red, green and blue; "none" leaves a channel out."""

DEFAULT_COLOURS = {1: ("grey",), 2: ("green", "magenta"), 3: ("red", "green", "blue")}


def project(stack: Stack, method: str = "max") -> np.ndarray:
    """Flatten a stack over its layers, reading one plane at a time.

    Parameters
    ----------
    stack : Stack
    method : {"max", "mean", "sum", "std"}

    Returns
    -------
    array, shape (channel, height, width)
        Of the stack's type for "max", float64 else.

    Raises
    ------
    InvalidData
        If there is a pixel that is not finite, or one layer only and the standard deviation is asked for.
    """
    if method not in PROJECTIONS:
        raise unknown_name("projection", method, PROJECTIONS)
    if method == "std" and stack.layers == 1:
        raise InvalidData(f"{stack.name} has one layer, whose standard deviation is zero; project by max")
    kind = np.dtype(np.uint8) if stack.dtype == bool else stack.dtype  # yes and no have no percentiles
    dtype = kind if method == "max" else np.dtype(float)
    result: np.ndarray = np.zeros((stack.channels, stack.height, stack.width), dtype)
    deviation = np.zeros_like(result) if method == "std" else None
    for layer in range(stack.layers):
        for channel in range(stack.channels):
            plane = stack.plane(channel, layer)
            if plane.dtype.kind == "f" and not np.isfinite(plane).all():
                raise InvalidData(
                    f"{stack.name}: channel {channel + 1}, layer {layer + 1} has pixels that are not finite"
                )
            if method == "max":
                result[channel] = plane if layer == 0 else np.maximum(result[channel], plane)
            elif deviation is None:
                result[channel] += plane
            else:  # Welford: no large sums of squares that cancel
                apart = plane - result[channel]
                result[channel] += apart / (layer + 1)
                apart *= plane - result[channel]
                deviation[channel] += apart
    if method == "mean":
        result /= stack.layers
    if deviation is not None:
        deviation /= stack.layers
        np.sqrt(deviation, out=result)
    return result


def value_range(values: np.ndarray, percentiles: tuple[float, float] = (0.5, 99.8)) -> tuple[float, float]:
    """Return the low and the high percentile of some pixels."""
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise InvalidData(f"`--percentiles` must be two rising numbers in [0, 100], got {low:g} {high:g}")
    return tuple(float(value) for value in np.percentile(values, percentiles))  # type: ignore[return-value]


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to [0, 1] and clip; a channel without contrast (low = high) is dark."""
    if high <= low:
        return np.zeros(values.shape, dtype=np.float32)
    wide: Any = np.result_type(values.dtype, np.float32).type  # float64 where float32 cannot tell neighbours apart
    scaled: np.ndarray = values - wide(low) if values.dtype == wide else values.astype(wide) - wide(low)
    scaled /= wide(high - low)
    return np.clip(scaled, 0, 1, out=scaled)


def coloured(channels: Iterable[np.ndarray], colours: Sequence[str]) -> np.ndarray:
    """Add channels in their colours.

    Parameters
    ----------
    channels : iterable of arrays, shape (height, width)
        In [0, 1]; one is in memory at a time if they are made one by one.
    colours : sequence of str
        One name a channel, see `COLOURS`.

    Returns
    -------
    array of uint8, shape (height, width, 3)
    """
    image: Any = None
    for channel, colour in zip(channels, colours, strict=True):
        image = np.zeros((*channel.shape, 3), dtype=np.float32) if image is None else image
        for primary, share in enumerate(COLOURS[colour]):
            if share:
                image[..., primary] += share * channel
    np.minimum(image, 1, out=image)
    image *= 255
    pixels: np.ndarray = np.rint(image, out=image).astype(np.uint8)
    return pixels


def colours_for(channels: int, colours: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return one colour a channel: those asked for, or the default for their number."""
    if colours is None:
        if channels not in DEFAULT_COLOURS:
            raise InvalidData(
                f"{channels} channels need a colour each: `--colours`, with {', '.join(COLOURS)} to choose from"
            )
        return DEFAULT_COLOURS[channels]
    for colour in colours:
        if colour not in COLOURS:
            raise unknown_name("colour", colour, COLOURS)
    if len(colours) != channels:
        raise InvalidData(f"{channels} channels need {channels} colours, got {len(colours)}: {','.join(colours)}")
    return tuple(colours)


def image_of(
    stack: Stack,
    *,
    projection: str = "max",
    percentiles: tuple[float, float] = (0.5, 99.8),
    colours: Sequence[str] | None = None,
) -> np.ndarray:
    """Make one image of a stack, each channel stretched by its own percentiles.

    Returns
    -------
    array of uint8, shape (height, width, 3)
    """
    names = colours_for(stack.channels, colours)
    flat = project(stack, projection)
    return coloured((stretched(channel, *value_range(channel, percentiles)) for channel in flat), names)
