"""Planes of a Zeiss CZI file, each put together from its tiles.

There are two czifiles: from 2026 on, for Python 3.12 and later, it gives planes; the one of 2019 finds the tiles, and
they are read here, because its `asarray` needs the whole file in memory, leaves a tile that it cannot read black
without a word, and does not know zstd, in which today's microscopes write.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.microscopy import Blocks, Reader

ZSTD, ZSTD_WITH_HEADER = 5, 6
"""Numbers of compressions in the CZI format."""


def czi_reader(path: Path, file: Any) -> Blocks:
    """Return the axes of length above 1 with Y and X, their lengths, the type and a reader of planes."""
    return blocks_of_2026(path, file) if hasattr(file, "scenes") else blocks_of_2019(path, file)


def blocks_of_2026(path: Path, file: Any) -> Blocks:
    """Read with czifile 2026: one selection a plane."""
    scenes = list(file.scenes.values())
    if len(scenes) != 1:
        raise InvalidData(f"{path} holds {len(scenes)} scenes; export one of them alone")
    image = scenes[0]
    sizes, start = dict(image.sizes), dict(zip(image.axes, image.start, strict=True))
    sizes = {"Y": 1, "X": 1} | sizes
    outside, inside = [axis for axis in sizes if axis not in "YXS"], [axis for axis in "YXS" if axis in sizes]
    places = list(product(*(range(sizes[axis]) for axis in outside)))

    def plane(flat: int) -> np.ndarray:
        chosen = {axis: start[axis] + place for axis, place in zip(outside, places[flat], strict=True)}
        selected = image(**chosen) if chosen else image
        if not selected.directory_entries:
            raise ValueError("the plane is missing")
        return np.asarray(selected.asarray(maxworkers=1))

    order = outside + inside
    return (
        "".join(order),
        tuple(sizes[axis] for axis in order),
        np.dtype(image.dtype),
        partial(plane_after, path, len(outside), plane),
    )


def plane_after(path: Path, leading: int, plane: Callable[[int], np.ndarray], head: int) -> Reader:
    """Return the reader of planes behind `leading` axes, which is what `head` must say."""
    if head != leading:
        raise InvalidData(f"{path}: a CZI file knows its height and width; `--axes` must end in YX")
    return Reader(leading, plane)


def blocks_of_2019(path: Path, file: Any) -> Blocks:
    """Read with czifile 2019: tile by tile."""
    tiles = [tile for tile in file.filtered_subblock_directory if tile.shape == tile.stored_shape]
    if not tiles:
        raise InvalidData(f"{path} holds no image")
    kinds = sorted({np.dtype(tile.dtype).base.newbyteorder("=").str[1:] for tile in tiles})
    if len(kinds) > 1:
        raise InvalidData(f"{path} mixes bit depths: {', '.join(kinds)}")
    # czifile calls a scene S and a colour sample 0
    axes = file.axes.replace("S", "P").replace("0", "S")
    shape, start = tuple(int(size) for size in file.shape), tuple(int(first) for first in file.start)
    kept = [i for i, axis in enumerate(axes) if shape[i] > 1 or axis in "YX"]
    inside = [i for i in kept if axes[i] in "YXS"]
    outside = [i for i in kept if i not in inside]
    places = list(product(*(range(shape[i]) for i in outside)))
    by_place: dict[tuple[int, ...], list[Any]] = {place: [] for place in places}
    for tile in tiles:
        by_place[tuple(tile.start[i] - start[i] for i in outside)].append(tile)

    def plane(flat: int) -> np.ndarray:
        found = by_place[places[flat]]
        if not found:
            raise ValueError("the plane is missing")
        pixels = np.zeros([shape[i] for i in inside], np.dtype(kinds[0]))
        for tile in found:
            box = tuple(slice(tile.start[i] - start[i], tile.start[i] - start[i] + tile.shape[i]) for i in inside)
            pixels[box] = tile_pixels(tile).reshape([tile.shape[i] for i in inside])
        return pixels

    order = outside + inside
    return (
        "".join(axes[i] for i in order),
        tuple(shape[i] for i in order),
        np.dtype(kinds[0]),
        partial(plane_after, path, len(outside), plane),
    )


def tile_pixels(tile: Any) -> np.ndarray:
    """Return the pixels of a tile."""
    segment = tile.data_segment()
    if tile.compression not in (ZSTD, ZSTD_WITH_HEADER):
        return np.asarray(segment.data(resize=False))
    import imagecodecs

    packed = segment.data(raw=True)
    high_and_low_apart = False
    if tile.compression == ZSTD_WITH_HEADER:
        size = packed[0]
        high_and_low_apart = size == 3 and bool(packed[2] & 1)
        packed = packed[size:]
    data = np.frombuffer(imagecodecs.zstd_decode(packed), np.uint8)
    if high_and_low_apart:  # first the low bytes of all pixels, then the high ones
        data = data.reshape(2, -1).T.ravel()
    pixels: np.ndarray = data.view(np.dtype(tile.dtype).base).reshape(tile.stored_shape)
    return pixels[..., ::-1] if tile.stored_shape[-1] == 3 else pixels  # stored as blue, green, red
