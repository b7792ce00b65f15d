"""From a folder of microscope's files to a folder of images, one sub-folder a class kept.

Headers of all files are read before the first image is written, and the result gets its name when it is whole.
"""

import contextlib
import csv
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.checks import one_of
from akpsim.errors import InvalidData
from akpsim.families.datasets.contact_sheet import CONTACT_SHEET, write_contact_sheet
from akpsim.families.datasets.images import SYNTHETIC_NOTE
from akpsim.families.datasets.microscopy import SUFFIXES, Stack, open_stack
from akpsim.families.datasets.projection import PROJECTIONS, coloured, colours_for, project, stretched, value_range
from akpsim.files import atomic_folder
from akpsim.progress import Progress

CONTRASTS = ("image", "all", "type")
COLUMNS = ("path", "label", "source", "shape", "axes", "type", "projection", "colours", "low", "high", "sha256")
SAMPLED_PIXELS = 2**16
"""Pixels an image and channel from which the percentiles over all images are taken."""


@dataclass(frozen=True)
class Recipe:
    """How a stack becomes an image.

    Parameters
    ----------
    projection : {"max", "mean", "sum", "std"}
        Over the layers.
    percentiles : tuple of float
        What becomes black and what becomes full colour.
    contrast : {"image", "all", "type"}
        Percentiles of each channel of each image; of each channel over all images, so that a dark image stays dark;
        or none, but the whole range of the pixels' type (0 to 1 for real numbers).
    colours : tuple of str, optional
        One a channel; by default grey, green and magenta, or red, green and blue.
    axes : str, optional
        What the axes of the files are, where they do not say it.
    time : int, optional
        Which time point, from 1.
    suffixes : tuple of str
        Ends of file names without their extension: the files ``NAME_F.tif`` and ``NAME_D.tif`` are two channels of
        one image with ``("_F", "_D")``.  Empty: every file is an image.
    """

    projection: str = "max"
    percentiles: tuple[float, float] = (0.5, 99.8)
    contrast: str = "image"
    colours: tuple[str, ...] | None = None
    axes: str | None = None
    time: int | None = None
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One image to make: its files, its class (empty if there are none) and its name without extension."""

    files: tuple[Path, ...]
    label: str
    name: str


def stack_folder(
    source: Path | str,
    target: Path | str,
    recipe: Recipe | None = None,
    *,
    file_format: str = "png",
    mixed: bool = False,
    show: bool = False,
    note: Callable[[str], object] = lambda line: None,
) -> list[dict[str, Any]]:
    """Make an image of every stack below a folder.

    Parameters
    ----------
    source : Path
        A file, or a folder with one sub-folder a class, or a folder of files without classes.
    target : Path
        The folder to make: the images in the same sub-folders, ``manifest.csv`` and ``contact_sheet.png``.
    recipe : Recipe, optional
    file_format : {"png", "tiff"}
    mixed : bool
        Allow stacks whose bit depth or number of channels differ, which a network could learn instead of the class.
    show, note : bool, callable
        Show progress; gets a line about files that are left out.

    Returns
    -------
    list of dict
        The rows of the manifest.
    """
    source, target, recipe = Path(source), Path(target), recipe or Recipe()
    one_of(file_format, "format", ("png", "tiff"))
    one_of(recipe.contrast, "contrast", CONTRASTS)
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise InvalidData(f"{target} lies inside {source}; choose a folder outside of it")
    jobs = jobs_in(source, recipe.suffixes)
    unused = sorted(set(stacks_in(source)) - {file for job in jobs for file in job.files})
    if unused:
        note(f"left out, as they end in none of {', '.join(recipe.suffixes)}: {len(unused)} files, first {unused[0]}")
    recipe = surveyed(jobs, recipe, mixed=mixed)
    rows, images = [], []
    with atomic_folder(target) as folder, Progress("stacks", total=len(jobs), show=show) as progress:
        ranges = common_ranges(jobs, recipe) if recipe.contrast == "all" else None
        for job in jobs:
            pixels, row = image_with_row(job, recipe, ranges)
            path = folder / f"{job.name}.{'png' if file_format == 'png' else 'tif'}"
            write_image(path, pixels)
            root = source if source.is_dir() else source.parent
            names = ";".join(file.relative_to(root).as_posix() for file in job.files)
            rows.append({"path": path.relative_to(folder).as_posix(), "label": job.label, "source": names} | row)
            images.append(path)
            progress.advance(note=job.name)
        write_manifest(folder / "manifest.csv", rows)
        mark = source / SYNTHETIC_NOTE
        write_contact_sheet(folder / CONTACT_SHEET, images, [job.label for job in jobs], synthetic=mark.exists())
        if mark.exists():
            shutil.copyfile(mark, folder / SYNTHETIC_NOTE)
    return rows


def jobs_in(source: Path, suffixes: Sequence[str] = ()) -> list[Job]:
    """Return the images to make of the files below `source`, in the order of their names."""
    if not source.exists():
        raise InvalidData(f"{source} does not exist")
    if not (files := stacks_in(source)):
        raise InvalidData(f"{source} holds no stack ({', '.join(SUFFIXES)})")
    root = source if source.is_dir() else source.parent
    if suffixes:
        jobs = channel_jobs(files, root, suffixes)
    else:
        jobs = [Job((file,), label_of(file, root), name_of(file, root)) for file in files]
    loose = [job for job in jobs if not job.label]
    if 0 < len(loose) < len(jobs):
        raise InvalidData(f"{loose[0].files[0]} lies beside the folders of the classes; move it into one")
    seen: dict[str, Job] = {}
    for job in jobs:
        twin = seen.setdefault(job.name.casefold(), job)
        if twin is not job:
            raise InvalidData(f"{twin.files[0]} and {job.files[0]} would both become {job.name}; rename one")
    return jobs


def stacks_in(folder: Path) -> list[Path]:
    """Return the stacks below a folder, without hidden ones, or the one that it is."""
    if folder.is_file():
        return [folder]
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    visible = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(visible, key=Path.as_posix)


def name_of(file: Path, root: Path) -> str:
    """Return a file's path below `root` without its extension; ``.ome.tif`` is one extension."""
    stem = file.stem.removesuffix(".ome")
    return (file.relative_to(root).parent / stem).as_posix()


def label_of(file: Path, root: Path) -> str:
    """Return the class of a file: the first folder below `root`."""
    parts = file.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""


def channel_jobs(files: list[Path], root: Path, suffixes: Sequence[str]) -> list[Job]:
    """Put the files that are channels of one image together."""
    by_name: dict[str, dict[str, Path]] = {}
    for file in files:
        for suffix in suffixes:
            if (name := name_of(file, root)).endswith(suffix):
                by_name.setdefault(name.removesuffix(suffix), {})[suffix] = file
    if not by_name:
        raise InvalidData(f"no stack below {root} ends in {' or '.join(suffixes)}, for example {files[0].name}")
    jobs = []
    for name, found in by_name.items():
        for lacking in (suffix for suffix in suffixes if suffix not in found):
            raise InvalidData(f"{root / name}: the channel {lacking!r} is missing")
        paths = tuple(found[suffix] for suffix in suffixes)
        jobs.append(Job(paths, label_of(paths[0], root), name))
    return jobs


@contextlib.contextmanager
def open_job(job: Job, recipe: Recipe) -> Iterator[Stack]:
    """Open the files of an image as one stack."""
    with contextlib.ExitStack() as closing:
        stacks = [closing.enter_context(open_stack(file, axes=recipe.axes, time=recipe.time)) for file in job.files]
        yield stacks[0] if len(stacks) == 1 else joined(stacks)


def joined(stacks: Sequence[Stack]) -> Stack:
    """Return stacks of one channel each as one stack."""
    first = stacks[0]
    for stack in stacks:
        if stack.channels != 1:
            raise InvalidData(f"{stack.name} has {stack.channels} channels; a file of one channel is needed")
        size, came = ([str(n) for n in (one.layers, one.height, one.width, one.dtype)] for one in (first, stack))
        if size != came:
            raise InvalidData(
                f"{first.name} and {stack.name} are channels of one image and differ: layers, height, width and type "
                f"{' x '.join(size)} against {' x '.join(came)}"
            )
    return replace(first, channels=len(stacks), plane=lambda c, z: stacks[c].plane(0, z))


def surveyed(jobs: Sequence[Job], recipe: Recipe, *, mixed: bool) -> Recipe:
    """Read all headers; return the recipe with the colours settled, or say what does not agree."""
    value_range(np.zeros(1), recipe.percentiles)
    one_of(recipe.projection, "projection", PROJECTIONS)
    if recipe.contrast == "type" and recipe.projection in ("sum", "std"):
        raise InvalidData(f"`--contrast type` is for the projections max and mean, got {recipe.projection}")
    first: tuple[str, str, int] | None = None
    for job in jobs:
        with open_job(job, recipe) as stack:
            colours_for(stack.channels, recipe.colours)
            kind = (stack.name, str(stack.dtype), stack.channels)
        first = first or kind
        if not mixed and kind[1] != first[1]:
            raise InvalidData(
                f"mixed bit depths: {first[0]} is {first[1]}, {kind[0]} is {kind[1]}; a network can learn the "
                "microscope's setting instead of the class, so say `--mixed` if that is meant"
            )
        if not mixed and kind[2] != first[2]:
            channels = f"{first[0]} has {first[2]} channels, {kind[0]} has {kind[2]}"
            raise InvalidData(f"{channels}; say `--mixed` if that is meant")
    return recipe


def common_ranges(jobs: Sequence[Job], recipe: Recipe) -> list[tuple[float, float]]:
    """Return the percentiles of each channel over all images, from evenly spaced pixels of each."""
    samples: dict[int, list[np.ndarray]] = {}
    for job in jobs:
        with open_job(job, recipe) as stack:
            for channel, values in enumerate(project(stack, recipe.projection)):
                step = -(-values.size // SAMPLED_PIXELS)
                samples.setdefault(channel, []).append(values.ravel()[::step].copy())
    return [value_range(np.concatenate(values), recipe.percentiles) for values in samples.values()]


def type_range(dtype: np.dtype) -> tuple[float, float]:
    """Return the range of a type of pixels: 0 to 1 for real numbers and for yes/no."""
    return (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if dtype.kind in "ui" else (0.0, 1.0)


def image_with_row(
    job: Job, recipe: Recipe, ranges: list[tuple[float, float]] | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Make an image and the part of its manifest row that says how."""
    with open_job(job, recipe) as stack:
        flat = project(stack, recipe.projection)
        names = colours_for(stack.channels, recipe.colours)
        if recipe.contrast == "type":
            ranges = [type_range(stack.dtype)] * stack.channels
        limits = ranges or [value_range(channel, recipe.percentiles) for channel in flat]
        row = {
            "shape": "x".join(map(str, stack.shape)),
            "axes": stack.axes,
            "type": str(stack.dtype),
            "projection": recipe.projection,
            "colours": ";".join(names),
            "low": ";".join(f"{low:g}" for low, _ in limits),
            "high": ";".join(f"{high:g}" for _, high in limits),
            "sha256": ";".join(digest(file) for file in job.files),
        }
    return coloured((stretched(channel, *limit) for channel, limit in zip(flat, limits, strict=False)), names), row


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write an 8-bit colour image."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"compression": "tiff_deflate"} if path.suffix == ".tif" else {}
    Image.fromarray(pixels).save(path, **options)


def write_manifest(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one line an image."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
