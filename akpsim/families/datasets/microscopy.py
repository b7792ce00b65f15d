"""A microscope's file as a stack of planes: channels x layers, read one plane at a time.

TIFF, OME-TIFF, ImageJ hyperstacks and Zeiss LSM are read by tifffile; CZI by czifile, which is an optional extra.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.axes import Layout, layout_of
from akpsim.families.datasets.pictures import first_line

TIFF_SUFFIXES = (".tif", ".tiff", ".lsm", ".btf", ".tf8")
SUFFIXES = (*TIFF_SUFFIXES, ".czi")
"""What counts as a stack."""

DAMAGE = ("invalid page offset", "invalid value offset", "corrupt", "eof", "failed to read", "truncated")
"""What tifffile logs as an error, then goes on with fewer planes than there were."""


@dataclass(frozen=True)
class Stack:
    """Planes of one microscope's file.

    Parameters
    ----------
    name : str
        For messages.
    channels, layers : int
        How many planes there are: ``channels * layers``.
    height, width : int
        Pixels of a plane.
    dtype : numpy.dtype
    plane : callable
        ``plane(channel, layer)`` reads one plane, array (height, width).
    axes : str
        Axes as they lie in the file, such as ``ZCYX``.
    shape : tuple of int
        Lengths of `axes`.
    colours : bool
        True if the channels are the red, green and blue of a colour image.
    """

    name: str
    channels: int
    layers: int
    height: int
    width: int
    dtype: np.dtype
    plane: Callable[[int, int], np.ndarray]
    axes: str
    shape: tuple[int, ...]
    colours: bool = False


def stack_of(planes: np.ndarray, *, name: str = "array") -> Stack:
    """Return an array (channel, layer, height, width) as a stack."""
    channels, layers, height, width = planes.shape
    return Stack(
        name, channels, layers, height, width, planes.dtype, lambda c, z: planes[c, z], axes="CZYX", shape=planes.shape
    )


@contextlib.contextmanager
def open_stack(path: Path | str, *, axes: str | None = None, time: int | None = None) -> Iterator[Stack]:
    """Open a microscope's file.

    Parameters
    ----------
    path : Path
        TIFF, OME-TIFF, ImageJ, LSM or CZI.
    axes : str, optional
        What the axes are, from the slowest to the fastest, where the file does not say it or says it wrongly:
        letters of ``TCZYXS`` (time, channel, layer, height, width, colour sample).
    time : int, optional
        Which time point, from 1, if there are several.

    Yields
    ------
    Stack
        Good until the block is left.

    Raises
    ------
    InvalidData
        If the file is missing, damaged, cut short, or its axes cannot be told.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidData(f"{path} does not exist")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidData(f"{path}: a stack ends in one of {', '.join(SUFFIXES)}")
    opener = open_czi if path.suffix.lower() == ".czi" else open_tiff
    with opener(path) as (native_axes, shape, dtype, read):
        if dtype.kind not in "buif":
            raise InvalidData(f"{path} has pixels of type {dtype}; whole or real numbers are allowed")
        layout = layout_of(path, native_axes, shape, axes=axes, time=time)
        sizes = layout.sizes
        yield Stack(
            name=str(path),
            channels=sizes["C"],
            layers=sizes["Z"],
            height=sizes["Y"],
            width=sizes["X"],
            dtype=dtype,
            plane=plane_reader(path, layout, read(layout.head)),
            axes=layout.axes,
            shape=layout.shape,
            colours=layout.colours,
        )


@dataclass(frozen=True)
class Reader:
    """Reads blocks of a file: `leading` axes count blocks, the rest are inside a block."""

    leading: int
    block: Callable[[int], np.ndarray]


Blocks = tuple[str, tuple[int, ...], np.dtype, Callable[[int], Reader]]
"""Axes, lengths, type of pixels, and what gives the reader once it is known how many axes lie before Y and X."""


def plane_reader(path: Path, layout: Layout, read: Reader) -> Callable[[int, int], np.ndarray]:
    """Return the function that reads one plane, and keeps the last block, which may hold several planes."""
    leading, inside = layout.shape[: read.leading], layout.shape[read.leading :]
    last: dict[int, np.ndarray] = {}

    def plane(channel: int, layer: int) -> np.ndarray:
        place = layout.place(channel, layer)
        flat = int(np.ravel_multi_index(place[: read.leading], leading)) if leading else 0  # type: ignore[arg-type]
        if flat not in last:
            last.clear()
            last[flat] = sound_block(path, read, flat, inside)
        pixels = last[flat][place[read.leading :]]
        return pixels.T if layout.transposed else pixels

    return plane


def sound_block(path: Path, read: Reader, flat: int, inside: tuple[int, ...]) -> np.ndarray:
    """Read a block, or say that the file is damaged or cut short."""
    try:
        block = read.block(flat)
    except Exception as error:  # each codec has errors of its own
        raise InvalidData(f"{path} is damaged or cut short at plane {flat + 1}: {first_line(error)}") from None
    if block.size != int(np.prod(inside)):
        raise InvalidData(f"{path} is damaged: plane {flat + 1} has {block.size} pixels of {int(np.prod(inside))}")
    return block.reshape(inside)


@contextlib.contextmanager
def open_tiff(path: Path) -> Iterator[Blocks]:
    """Open a TIFF of any kind; the first series only, which must be the only one of full size."""
    import tifffile

    with contextlib.ExitStack() as closing:
        try:
            with damage_is_an_error(path):
                file = closing.enter_context(tifffile.TiffFile(path))
                series = [one for one in file.series if not one.keyframe.is_reduced]
        except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError) as error:
            if isinstance(error, InvalidData):
                raise
            raise InvalidData(f"{path} is damaged or no TIFF: {first_line(error)}") from None
        if not series:
            raise InvalidData(f"{path} holds no image")
        if len(series) > 1:
            kinds = ", ".join(f"{one.dtype} {one.shape}" for one in series[:3])
            raise InvalidData(
                f"{path} holds {len(series)} images of different place, shape or bit depth ({kinds}); "
                "save the stack alone"
            )
        one = series[0]
        yield one.axes.upper(), one.shape, np.dtype(one.dtype), partial(tiff_reader, path, file, one)


def tiff_reader(path: Path, file: Any, series: Any, head: int) -> Reader:
    """Return the reader of a series: from contiguous bytes, page by page, or whole where neither can be."""
    shape = series.shape
    if series.dataoffset is not None:
        stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
        size = int(np.prod(shape[head:]))

        def from_bytes(flat: int) -> np.ndarray:
            offset = series.dataoffset + flat * size * stored.itemsize
            pixels = np.fromfile(path, dtype=stored, count=size, offset=offset)
            return pixels.astype(series.dtype, copy=False)

        return Reader(head, from_bytes)
    page = series.keyframe.shape
    leading = len(shape) - len(page)
    if leading <= head and shape[leading:] == page and int(np.prod(shape[:leading])) == len(series.pages):
        return Reader(leading, lambda flat: read_page(series.pages[flat]))
    return Reader(0, lambda _: series.asarray())


def read_page(page: Any) -> np.ndarray:
    """Read one page of a TIFF; a page that the metadata promise and the file lacks is an error."""
    if page is None:
        raise ValueError("the plane is missing")
    return np.asarray(page.asarray())


@contextlib.contextmanager
def damage_is_an_error(path: Path) -> Iterator[None]:
    """Raise what tifffile only logs: a file cut short opens as a shorter stack, or as a single plane."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, listener = logging.getLogger("tifffile"), Listener(logging.ERROR)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagate
    damage = [text for text in said if any(sign in text.lower() for sign in DAMAGE)]
    if damage:
        raise InvalidData(f"{path} is damaged or cut short: {damage[-1].rpartition('> ')[2]}")


@contextlib.contextmanager
def open_czi(path: Path) -> Iterator[Blocks]:
    """Open a Zeiss CZI file; its planes are the blocks."""
    try:
        import czifile
    except ImportError:
        raise InvalidData(f"{path}: to read CZI files, install akpsim[czi], or export the file as OME-TIFF") from None

    from akpsim.families.datasets.czi import czi_reader

    with contextlib.ExitStack() as closing:
        try:
            blocks = czi_reader(path, closing.enter_context(czifile.CziFile(str(path))))
        except InvalidData:
            raise
        except Exception as error:  # czifile raises ValueError, struct.error, SegmentNotFoundError, ...
            raise InvalidData(f"{path} is damaged or no CZI: {first_line(error)}") from None
        yield blocks
