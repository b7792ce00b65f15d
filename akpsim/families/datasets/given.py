"""What data of others bring along: a split without probe images, and classes to rename, join or leave out."""

from dataclasses import replace

import numpy as np

from akpsim.errors import InvalidData, unknown_name
from akpsim.families.datasets.images import Images
from akpsim.study import Data

PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "probe": "probe",
    "test": "test",
    "testing": "test",
}
"""How the parts of a split are called -> how they are called here."""

TAKEN_FROM = {"probe": ("test", 2), "validation": ("train", 6)}
"""A part that is missing -> every how-manieth group of which part becomes it."""


def complete_split(split: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray:
    """Return a split that has all four parts.

    Data published with train, validation and test have no images set apart for looking at representations.  Where
    probe is missing, half of the test groups of each class become it; where validation is missing, a sixth of the
    training groups.

    Parameters
    ----------
    split : array of str, shape (sample,)
        In the words of `PART_NAMES`.
    labels, groups : arrays of int, shape (sample,)
    seed : int
        Of the choice.
    """
    unknown = [name for name in dict.fromkeys(split.tolist()) if str(name).lower() not in PART_NAMES]
    if unknown:
        raise unknown_name("part of the split", str(unknown[0]), PART_NAMES)
    parts = np.array([PART_NAMES[str(name).lower()] for name in split], dtype="<U10")
    rng = np.random.default_rng(seed)
    for missing, (source, every) in TAKEN_FROM.items():
        if missing in parts:
            continue
        for label in np.unique(labels):
            candidates = np.unique(groups[(parts == source) & (labels == label)])
            taken = rng.permutation(candidates)[::every]
            parts[np.isin(groups, taken) & (parts == source)] = missing
    return parts


def with_class_map(images: Images, data: Data) -> Images:
    """Return images whose classes are renamed by ``data.class_map``; two of one new name are joined, "" is left out."""
    if not data.class_map:
        return images
    for name in data.class_map:
        if name not in images.classes:
            raise unknown_name("class in `class_map`", name, images.classes)
    new = [data.class_map.get(name, name) for name in images.classes]
    classes = tuple(dict.fromkeys(name for name in new if name))
    if len(classes) < 2:
        raise InvalidData(f"`class_map` leaves {len(classes)} class; two are the least")
    index = np.array([classes.index(name) if name else -1 for name in new])
    labels = index[images.labels]
    keep = labels >= 0
    return replace(
        images,
        images=images.images[keep],
        labels=labels[keep],
        classes=classes,
        ids=images.ids[keep],
        groups=None if images.groups is None else images.groups[keep],
        split=None if images.split is None else images.split[keep],
    )
