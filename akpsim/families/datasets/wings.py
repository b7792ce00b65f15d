r"""Synthetic wing discs: what a fly's wing with or without a clone of tumour cells might look like under a microscope.

Nobody photographed these.  They stand in for the published wings, so that the whole path (stack, image, families,
comparison) runs on any machine; nothing can be learned from them about flies.

A disc is a pear-shaped, domed sheet at height :math:`z_0(x, y)`.  Its nuclei (magenta) are spots on a jittered grid,
its membranes (green) a network of thin lines, both with a Gaussian profile of height around the sheet; folds, a stripe
of stronger green, debris, haze, brightness, place, turn and tilt differ from disc to disc.  In a tumour a clone of
irregular outline has denser nuclei, brighter membranes and bulges, all times :math:`s = 1 - \text{difficulty}`: with
difficulty 1 a tumour is pixel for pixel the healthy disc of the same number.  Photons are Poisson-like, the camera adds
an offset and read-out noise and stops at 12 bits.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from akpsim.checks import at_least, in_range
from akpsim.families.datasets.images import SYNTHETIC_NOTE, Dataset, Images
from akpsim.families.datasets.microscopy import stack_of
from akpsim.families.datasets.options import options_of
from akpsim.families.datasets.pictures import resized
from akpsim.families.datasets.projection import image_of
from akpsim.files import atomic_folder, write_text
from akpsim.progress import Progress
from akpsim.study import Data

CLASSES = ("healthy", "tumour")
DEFAULTS = {"tumour": 76, "healthy": 139, "difficulty": 0.5, "size": 128, "layers": 13, "seed": 0}
"""As many as the published data set has; `seed` draws other wings."""

NUCLEI, EXTRA_NUCLEI = 34, 500
"""Nuclei along a side of the field, and those that a clone may add."""
CAMERA_OFFSET, READ_NOISE, FULL_WELL = 100.0, 4.0, 4095


class Disc(NamedTuple):
    """Shape of a disc on the field: each array (height, width)."""

    inside: np.ndarray
    along: np.ndarray
    across: np.ndarray
    height: np.ndarray
    clone: np.ndarray


def wing_stack(
    number: int, *, tumour: bool, difficulty: float = 0.5, size: int = 128, layers: int = 13, seed: int = 0
) -> np.ndarray:
    """Draw one synthetic wing disc.

    Parameters
    ----------
    number : int
        Which disc; the same number and seed give the same disc.
    tumour : bool
        With a clone of tumour cells.
    difficulty : float
        In [0, 1]: 0 is plain to see, 1 makes no difference at all.
    size, layers : int
        Pixels of a side, and planes.
    seed : int

    Returns
    -------
    array of uint16, shape (channel, layer, height, width)
        Channel 0 is green (membranes), 1 magenta (nuclei); 12 bits.
    """
    in_range(difficulty, "difficulty", 0, 1)
    rng = np.random.default_rng([seed, number])
    strength = (1 - difficulty) * tumour
    disc = drawn_disc(rng, size, layers, strength)
    planes = np.stack([membranes(rng, disc, layers, strength), nuclei(rng, disc, layers, strength)])
    return photographed(rng, planes)


def drawn_disc(rng: np.random.Generator, size: int, layers: int, strength: float) -> Disc:
    """Draw the outline, the dome and the place of the clone."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.08, 0.08, 2).tolist()
    x, y = x - shift[0], y - shift[1]
    cosine, sine = math.cos(turn), math.sin(turn)
    along, across = cosine * x + sine * y, cosine * y - sine * x
    radius = np.hypot(along, across) / outline(rng, along, across, pear=0.2) / rng.uniform(0.64, 0.74)
    tilt = rng.uniform(-1.2, 1.2, 2).tolist()
    height = layers * (0.3 + 0.35 * np.clip(1 - radius**2, 0, 1)) + tilt[0] * along + tilt[1] * across
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    u, v = along - distance * math.cos(angle), across - distance * math.sin(angle)
    clone = smooth_step(1 - np.hypot(u, v) / outline(rng, u, v) / rng.uniform(0.18, 0.3), 0.12)
    inside = smooth_step(1 - radius, 0.03)
    clone = clone * inside
    return Disc(inside, along, across, height + 2 * strength * clone, clone)


def outline(rng: np.random.Generator, u: np.ndarray, v: np.ndarray, *, pear: float = 0.0) -> np.ndarray:
    """Return how far an irregular outline lies from the centre in each direction, about 1."""
    angle = np.arctan2(v, u)
    result = 1 + pear * np.cos(angle)
    for wave in (2, 3, 4, 5):
        result += rng.normal(0, 0.12 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    limited: np.ndarray = np.maximum(result, 0.3)
    return limited


def smooth_step(values: np.ndarray, width: float) -> np.ndarray:
    """Return 0 for values far below zero, 1 for those far above."""
    rising: np.ndarray = 1 / (1 + np.exp(-np.clip(values / width, -30, 30)))
    return rising


def profile(height: np.ndarray, layers: int, width: float) -> np.ndarray:
    """Return how bright each layer is around a height: (layer, ...)."""
    layer = np.arange(layers, dtype=np.float32).reshape(-1, *(1,) * height.ndim)
    bright: np.ndarray = np.exp(-0.5 * ((layer - height.astype(np.float32)) / np.float32(width)) ** 2)
    return bright


def membranes(rng: np.random.Generator, disc: Disc, layers: int, strength: float) -> np.ndarray:
    """Return photons of the green channel: (layer, height, width)."""
    from scipy.ndimage import gaussian_filter

    noise = rng.normal(size=disc.inside.shape).astype(np.float32)
    scale = len(noise) / 128
    waves = gaussian_filter(noise, 1.3 * scale) - gaussian_filter(noise, 2.6 * scale)
    lines = np.exp(-((waves / (0.35 * waves.std())) ** 2))
    stripe = rng.uniform(0.1, 0.9) * np.exp(-(((disc.across - rng.uniform(-0.2, 0.2)) / 0.09) ** 2))
    flat = disc.inside * (0.15 + lines) * (1 + stripe + 1.6 * strength * disc.clone)
    bright: np.ndarray = flat * profile(disc.height, layers, 1.4) + 0.08 * gaussian_filter(flat, 5 * scale)
    return rng.uniform(220, 420) * bright


def nuclei(rng: np.random.Generator, disc: Disc, layers: int, strength: float) -> np.ndarray:
    """Return photons of the magenta channel: (layer, height, width)."""
    from scipy.ndimage import gaussian_filter

    size = len(disc.inside)
    grid = np.stack(np.meshgrid(*(np.linspace(0, 1, NUCLEI),) * 2, indexing="ij")).reshape(2, -1)
    grid = np.clip(grid + rng.normal(0, 0.3 / NUCLEI, grid.shape), 0, 1)
    places = np.concatenate([grid, rng.uniform(0, 1, (2, EXTRA_NUCLEI))], axis=1)
    row, column = np.rint(places * (size - 1)).astype(int)
    bright = rng.lognormal(0, 0.3, row.size) * disc.inside[row, column]
    bright[-EXTRA_NUCLEI:] *= 1.5 * strength * disc.clone[row[-EXTRA_NUCLEI:], column[-EXTRA_NUCLEI:]]
    weights = bright * profile(disc.height[row, column] + rng.normal(0, 0.7, row.size), layers, 1.0)
    spots = np.zeros((layers, size * size), dtype=np.float32)
    for layer in range(layers):
        spots[layer] = np.bincount(row * size + column, weights=weights[layer], minlength=size * size)
    sigma = 1.5 * size / 128
    spots = gaussian_filter(spots.reshape(layers, size, size), (0, sigma, sigma)) * np.float32(2 * np.pi * sigma**2)
    ellipse = np.hypot(disc.along / 0.42, disc.across / 0.3)
    fold = 0.5 * disc.inside * np.exp(-(((ellipse - 1) / 0.12) ** 2)) * profile(disc.height + 1, layers, 1.2)
    haze = 0.1 * gaussian_filter(spots.mean(axis=0), 4 * sigma)
    bright_spots: np.ndarray = spots + fold + haze
    return rng.uniform(300, 550) * bright_spots


def photographed(rng: np.random.Generator, photons: np.ndarray) -> np.ndarray:
    """Add debris and noise, and read the camera out: uint16 of at most 12 bits."""
    size = photons.shape[-1]
    for _ in range(rng.poisson(3)):
        channel, layer = rng.integers(photons.shape[0]), rng.integers(photons.shape[1])
        row, column = rng.integers(2, size - 2, 2)
        photons[channel, layer, row - 1 : row + 2, column - 1 : column + 2] += rng.uniform(300, 900)
    counts = rng.standard_normal(photons.shape, dtype=np.float32)
    counts *= np.sqrt(photons + np.float32(READ_NOISE**2))
    counts += photons
    counts += CAMERA_OFFSET
    np.rint(counts, out=counts)
    return np.clip(counts, 0, FULL_WELL, out=counts).astype(np.uint16)


def load_wings(data: Data) -> Images:
    """Draw the discs and make images of them by the same code as `akpsim data stack`.

    Parameters
    ----------
    data : Data
        `options` may set ``tumour`` and ``healthy`` (how many), ``difficulty``, ``size``, ``layers`` and ``seed``;
        `image_size` scales the finished images, as it does those of a folder.
    """
    chosen = chosen_options(data)
    labels = labels_of(chosen)
    size = data.image_size or chosen["size"]
    images = np.empty((len(labels), size, size, 3), dtype=np.uint8)
    for number, label in enumerate(labels):
        images[number] = resized(image_of(stack_of(wing_of(number, label, chosen))), size)
    ids = np.array([name_of(number, label) for number, label in enumerate(labels)])
    return Images(images, labels, CLASSES, ids, synthetic=True, source=description(chosen))


def chosen_options(data: Data) -> dict[str, Any]:
    """Return the options of the study, checked."""
    chosen = options_of(data, DEFAULTS)
    for name, least in (("tumour", 2), ("healthy", 2), ("size", 16), ("layers", 2), ("seed", 0)):
        at_least(chosen[name], name, least)
    in_range(chosen["difficulty"], "difficulty", 0, 1)
    return chosen


def labels_of(chosen: dict[str, Any]) -> np.ndarray:
    """Return the class of each disc: first the healthy ones."""
    return np.repeat([0, 1], [chosen[name] for name in CLASSES]).astype(np.int64)


def wing_of(number: int, label: int, chosen: dict[str, Any]) -> np.ndarray:
    """Draw one disc of the data set."""
    options = {key: chosen[key] for key in ("difficulty", "size", "layers", "seed")}
    return wing_stack(number, tumour=bool(label), **options)


def name_of(number: int, label: int) -> str:
    """Return the name of a disc, which says that it is synthetic."""
    return f"synthetic-{CLASSES[label]}-{number:04d}"


def description(chosen: dict[str, Any]) -> str:
    """Say what these images are."""
    return f"synthetic wing discs, not photographs (difficulty {chosen['difficulty']:g}, seed {chosen['seed']})"


wings = Dataset(
    "wings", load_wings, "synthetic wing discs, 76 with a tumour and 139 without; not photographs", ignores=("path",)
)


def write_wings(target: Path | str, data: Data, *, show: bool = False) -> int:
    """Write the synthetic discs as OME-TIFF stacks, one sub-folder a class, to try the whole path on.

    Parameters
    ----------
    target : Path
        The folder to make; a file in it says that the stacks are synthetic, and so do their names and descriptions.
    data : Data
        As for `load_wings`.
    show : bool
        Show progress.

    Returns
    -------
    int
        How many there are.
    """
    import tifffile

    chosen = chosen_options(data)
    with (
        atomic_folder(target) as folder,
        Progress("synthetic stacks", total=chosen["healthy"] + chosen["tumour"], show=show) as progress,
    ):
        write_text(folder / SYNTHETIC_NOTE, f"{description(chosen)}\nDrawn by akpsim; nobody photographed these.\n")
        for number, label in enumerate(labels_of(chosen)):
            path = folder / CLASSES[label] / f"{name_of(number, label)}.ome.tif"
            path.parent.mkdir(exist_ok=True)
            metadata = {"axes": "CZYX", "Name": f"{path.stem} ({description(chosen)})"}
            tifffile.imwrite(path, wing_of(number, label, chosen), ome=True, metadata=metadata, compression="zlib")
            progress.advance()
    return progress.done
