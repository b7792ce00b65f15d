"""Images that are arrays already: checked and labelled, from Python or from an .npz file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.duplicates import equal_pairs, fingerprint, groups_of, near_pairs
from akpsim.families.datasets.given import complete_split, with_class_map
from akpsim.families.datasets.images import Dataset, Images
from akpsim.families.datasets.options import options_of
from akpsim.families.datasets.pictures import first_line, resized
from akpsim.study import Data


def images_from_arrays(
    images: Any,
    labels: Any,
    *,
    classes: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    groups: Any = None,
    split: Any = None,
    source: str = "arrays",
) -> Images:
    """Check arrays and return them as labelled images.

    Parameters
    ----------
    images : array, shape (sample, height, width) or (sample, height, width, channel)
        uint8 in [0, 255] or real numbers in [0, 1]; 1, 3 or 4 channels, the fourth being transparency, which goes.
    labels : array, shape (sample,) or (sample, 1)
        Names of classes, or whole numbers that count them from 0.
    classes : sequence of str, optional
        Names; by default the sorted labels, or "0", "1", ... for numbers.
    ids : sequence of str, optional
        One stable name a sample; by default ``sample-00000`` and so on.
    groups : array, shape (sample,), optional
        Samples of one group stay on one side of every split; near-duplicates do in any case.
    split : array of str, shape (sample,), optional
        ``train``, ``validation``, ``probe`` or ``test``.
    source : str
        Where they come from.

    Returns
    -------
    Images

    Examples
    --------
    >>> from akpsim.families import DATASETS, Dataset, images_from_arrays
    >>> mine = images_from_arrays(np.zeros((4, 8, 8), np.uint8), ["a", "a", "b", "b"])
    >>> DATASETS.add(Dataset("mine", lambda data: mine, "four black squares"))
    >>> del DATASETS["mine"]
    """
    pixels = checked_pixels(np.asarray(images))
    count = len(pixels)
    numbers, names = numbered(np.asarray(labels), classes)
    for what, given in (("labels", numbers), ("ids", ids), ("groups", groups), ("split", split)):
        if given is not None and len(given) != count:
            raise InvalidData(f"{count} images need {count} {what}, got {len(given)}")
    named = np.array([f"sample-{index:05d}" for index in range(count)] if ids is None else [str(one) for one in ids])
    if len(set(named.tolist())) < count:
        raise InvalidData("ids must all be different")
    return Images(
        pixels,
        numbers,
        names,
        named,
        groups=groups_with_copies(pixels, None if groups is None else np.asarray(groups)),
        split=None if split is None else np.asarray(split).astype(str),
        source=source,
    )


def groups_with_copies(pixels: np.ndarray, groups: np.ndarray | None) -> np.ndarray | None:
    """Return numbers of groups (sample,) in which near-duplicates, of whatever class, are joined to those given."""
    pairs = near_pairs(np.array([fingerprint(one) for one in pixels]))
    if groups is None and not pairs:
        return None
    return groups_of(len(pixels), pairs + ([] if groups is None else equal_pairs(list(map(str, groups)))))


def checked_pixels(images: np.ndarray) -> np.ndarray:
    """Return images (sample, height, width, channel), uint8 or float32 in [0, 1]."""
    images = images[..., None] if images.ndim == 3 else images
    shape = " x ".join(map(str, images.shape))
    if images.ndim != 4:
        raise InvalidData(f"images need the axes sample, height, width and channel; got {images.ndim} axes, {shape}")
    if images.shape[-1] not in (1, 3, 4):
        hint = "; move the channel to the last axis" if images.shape[1] in (1, 3, 4) else ""
        raise InvalidData(f"images need 1, 3 or 4 channels on the last axis; got {shape}{hint}")
    images = images[..., :3]
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise InvalidData(f"images must be uint8 or real numbers in [0, 1], got {images.dtype}")
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # also true of NaN
        raise InvalidData(f"images of real numbers must lie in [0, 1], got [{low:g}, {high:g}]")
    return images.astype(np.float32)


def numbered(labels: np.ndarray, classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as numbers from 0, and the names of the classes."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1:
        raise InvalidData(f"labels must be one class a sample, got the shape {labels.shape}")
    if labels.dtype.kind in "iu":
        count = int(labels.max(initial=0)) + 1
        names = tuple(map(str, range(count))) if classes is None else tuple(map(str, classes))
        if labels.size and (labels.min() < 0 or count > len(names)):
            raise InvalidData(f"labels must lie in [0, {len(names) - 1}], got {labels.min()} to {labels.max()}")
    elif labels.dtype.kind == "U":
        names = tuple(sorted(set(labels.tolist()))) if classes is None else tuple(map(str, classes))
        unknown = sorted(set(labels.tolist()) - set(names))
        if unknown:
            raise InvalidData(f"the label {unknown[0]!r} is not among the classes {', '.join(names)}")
        labels = np.array([names.index(label) for label in labels.tolist()])
    else:
        raise InvalidData(f"labels must be whole numbers or names, got {labels.dtype}")
    if len(set(labels.tolist())) < 2:
        raise InvalidData(f"labels hold {len(set(labels.tolist()))} class; two are the least")
    return labels.astype(np.int64), names


MEDMNIST_PARTS = ("train", "val", "test")


def load_npz(data: Data) -> Images:
    """Read ``data.path``, an .npz file.

    Parameters
    ----------
    data : Data
        The file holds ``images`` and ``labels``, or MedMNIST's ``train_images``, ``train_labels``, ``val_images``, ...
        In the second case half of the test images become the probe.  With the option ``own_split`` the file's split
        is set aside and the study's is dealt instead.
    """
    options = options_of(data, {"own_split": False})
    if data.path is None:
        raise InvalidData("the data set 'npz' needs `path`, an .npz file")
    path = Path(data.path).expanduser()
    tables = npz_tables(path)
    if {"images", "labels"} <= set(tables):
        parts = [""]
    else:
        parts = [part for part in MEDMNIST_PARTS if f"{part}_images" in tables and f"{part}_labels" in tables]
    if not parts:
        raise InvalidData(
            f"{path} needs the arrays images and labels, or train_images, train_labels, val_images, ...; "
            f"it has {', '.join(tables) or 'none'}"
        )
    join = [f"{part}_" if part else "" for part in parts]
    counts = [len(tables[f"{part}images"]) for part in join]
    images = images_from_arrays(
        np.concatenate([tables[f"{part}images"] for part in join]),
        np.concatenate([tables[f"{part}labels"] for part in join]),
        ids=[f"{part or 'sample'}-{i:05d}" for part, count in zip(parts, counts, strict=True) for i in range(count)],
        source=f"{path.name}",
    )
    split = None
    if parts != [""] and not options["own_split"]:
        groups = np.arange(len(images.labels)) if images.groups is None else images.groups
        split = complete_split(np.repeat(parts, counts), images.labels, groups, seed=data.seed)
    pixels = images.images if data.image_size is None else scaled(images.images, data.image_size)
    return with_class_map(replace(images, images=pixels, split=split), data)


def scaled(images: np.ndarray, size: int) -> np.ndarray:
    """Return 8-bit images scaled to a square of `size` pixels."""
    if images.dtype != np.uint8:
        raise InvalidData("`image_size` scales 8-bit images only; scale images of real numbers before saving them")
    return np.stack([resized(one if one.shape[-1] == 3 else one.repeat(3, axis=-1), size) for one in images])


def npz_tables(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; pickled objects are refused."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InvalidData(f"{path} does not exist") from None
    except Exception as error:  # zipfile, zlib and numpy raise errors of their own on damaged files
        raise InvalidData(f"{path} is damaged or no .npz file of plain arrays: {first_line(error)}") from None


npz = Dataset("npz", load_npz, "an .npz file with images and labels, or in MedMNIST's layout; give `path`")
