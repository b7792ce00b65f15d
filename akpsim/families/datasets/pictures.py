"""One picture file as an array: 8 bits, three colours, whatever it was saved as."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.duplicates import SIDE, equal_pairs, fingerprint, groups_of, near_pairs

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""What counts as a picture; every other file is passed over."""

DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's names for more than 8 bits a pixel."""


def is_picture(path: Path) -> bool:
    """Tell whether a file is a picture by its suffix; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as it is.

    Parameters
    ----------
    path : Path
        PNG, JPEG or TIFF with 8 bits a colour; grey becomes three equal colours, transparency is dropped.

    Returns
    -------
    array of uint8, shape (height, width, 3)

    Raises
    ------
    InvalidData
        If the file is damaged, or is a stack or has more than 8 bits: how those become a picture is a choice that
        `akpsim data stack` makes in the open.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                pages, mode = getattr(picture, "n_frames", 1), picture.mode
                pixels = np.asarray(picture.convert("RGB")) if pages == 1 and mode not in DEEP_MODES else None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InvalidData(f"{path} has more pixels than {Image.MAX_IMAGE_PIXELS:,}; make it smaller first") from None
    except FileNotFoundError:
        raise InvalidData(f"{path} does not exist") from None
    except Exception as error:  # Pillow's readers raise OSError, SyntaxError, struct.error, ... on damaged files
        raise InvalidData(f"{path} is damaged or no image: {first_line(error)}") from None
    if pixels is None:
        what = f"{pages} pages" if pages > 1 else "more than 8 bits a pixel"
        raise InvalidData(f"{path} has {what}; make 8-bit images of such files with `akpsim data stack`")
    return pixels


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """Return a picture scaled to a square of `size` pixels, averaging over what it shrinks; the ratio of sides goes."""
    from PIL import Image

    if pixels.shape[:2] == (size, size):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def content_hash(pixels: np.ndarray) -> str:
    """Return a hash of what a picture shows: equal for the same pixels in different files."""
    return hashlib.sha256(f"{pixels.shape}{pixels.dtype}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def read_pictures(paths: list[Path], ids: list[str], *, image_size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Read pictures into one array.

    Parameters
    ----------
    paths : list of Path
    ids : list of str
        Their names in messages.
    image_size : int, optional
        Scale to a square of this side; without it all must have the size of the first.

    Returns
    -------
    images : array of uint8, shape (sample, height, width, 3)
    groups : array of int64, shape (sample,)
        Equal for pictures with the same pixels, and for near-duplicates, also of two classes, which `akpsim data
        verify` shows: a network that has seen one of them knows the other.
    """
    images: Any = None
    hashes, prints = [], np.empty((len(paths), SIDE, SIDE, 3), dtype=np.float32)
    for index, path in enumerate(paths):
        pixels = read_picture(path)
        hashes.append(content_hash(pixels))
        prints[index] = fingerprint(pixels)
        pixels = pixels if image_size is None else resized(pixels, image_size)
        if images is None:
            images = np.empty((len(paths), *pixels.shape), dtype=np.uint8)
        if pixels.shape != images.shape[1:]:
            raise InvalidData(
                f"images differ in size: {ids[index]} has {shape_text(pixels)} pixels and {ids[0]} has "
                f"{shape_text(images[0])}; set `image_size`"
            )
        images[index] = pixels
    return images, groups_of(len(paths), equal_pairs(hashes) + near_pairs(prints))


def shape_text(pixels: np.ndarray) -> str:
    """Return width x height."""
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
