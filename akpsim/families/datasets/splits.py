"""Stratified split into train, validation, probe and test; no image, and no copy of an image, is in two parts."""

import hashlib

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.duplicates import groups_of
from akpsim.families.datasets.images import Images
from akpsim.study import Split

PARTS = ("train", "validation", "probe", "test")


def split_images(images: Images, shares: Split, *, seed: int) -> dict[str, np.ndarray]:
    """Deal the images of each class to the four parts.

    Images of one group, and images whose pixels are the same, stay together.  Groups are shuffled, those that hold
    several classes (an animal with healthy and ill tissue) come first, then the others class by class.  A group goes
    to the part that lacks most of its classes, and if none does to the part that is furthest behind its share.

    Parameters
    ----------
    images : Images
        If it comes with a split of its own, that split is kept.
    shares : Split
        Wanted share of each part.
    seed : int
        Of the shuffle.

    Returns
    -------
    dict
        Part -> sorted indices.

    Raises
    ------
    InvalidData
        If images of two classes have the same pixels, a class is in too few groups for the four parts, or a given
        split puts a group into two parts.
    """
    groups = _groups_with_copies(images)
    if images.split is not None:
        return _given_split(images, images.split, groups)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    counts = np.array([np.bincount(images.labels[own], minlength=len(images.classes)) for own in members])
    for name, found in zip(images.classes, (counts > 0).sum(axis=0).tolist(), strict=True):
        if found < len(PARTS):
            raise InvalidData(
                f"class {name!r} has {found} distinct image{'s' * (found != 1)} or groups of images; "
                f"at least {len(PARTS)} are needed, one each for {', '.join(PARTS)}"
            )
    goal = np.outer([getattr(shares, part) for part in PARTS], counts.sum(axis=0))
    have = np.zeros_like(goal)
    dealt: dict[str, list[int]] = {part: [] for part in PARTS}
    for group in _in_turn(counts, np.random.default_rng(seed)):
        lacking = ((have == 0) & (counts[group] > 0)).sum(axis=1)
        part = int(np.argmax(lacking if lacking.any() else (goal - have) @ counts[group]))
        dealt[PARTS[part]].extend(members[group])
        have[part] += counts[group]
    if not have.all():
        part, label = np.argwhere(have == 0)[0]
        raise InvalidData(
            f"the groups cannot be dealt so that every part has every class: {PARTS[part]} has no "
            f"{images.classes[label]!r}; give a split of your own"
        )
    return {part: np.sort(np.array(indices, dtype=np.int64)) for part, indices in dealt.items()}


def _in_turn(counts: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return the groups in the order in which they are dealt, from their images of each class (group, class)."""
    several = (counts > 0).sum(axis=1) > 1
    kinds = [np.flatnonzero(several), *(np.flatnonzero(~several & (counts[:, c] > 0)) for c in range(counts.shape[1]))]
    return [int(group) for kind in kinds if kind.size for group in kind[rng.permutation(kind.size)]]


def _groups_with_copies(images: Images) -> np.ndarray:
    """Return each image's group; images with the same pixels are joined, and refused if they are of two classes."""
    first: dict[object, int] = {}
    pairs = []
    given = images.groups if images.groups is not None else images.ids
    for index, (group, pixels) in enumerate(zip(given, images.images, strict=True)):
        content = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()
        twin = first.setdefault(("content", content), index)
        if images.labels[twin] != images.labels[index]:
            raise InvalidData(
                f"{images.ids[twin]} and {images.ids[index]} have the same pixels, but are of two classes; "
                "`akpsim data verify FOLDER` lists all such images"
            )
        pairs += [(twin, index), (first.setdefault(("group", group), index), index)]
    return groups_of(len(images.images), pairs)


def _given_split(images: Images, split: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    unknown = sorted(set(split) - set(PARTS))
    if unknown:
        raise InvalidData(f"the split of an image must be one of {', '.join(PARTS)}, got {unknown[0]!r}")
    for group in np.unique(groups):
        parts = sorted(set(split[groups == group]))
        if len(parts) > 1:
            first = images.ids[np.flatnonzero(groups == group)[0]]
            raise InvalidData(
                f"the given split leaks: {first} or a copy of it is in both {parts[0]} and {parts[1]}; the option "
                "`own_split = true` of files and of torchvision's data deals the study's split instead"
            )
    found = {part: np.flatnonzero(split == part) for part in PARTS}
    for part, indices in found.items():
        if not indices.size:
            raise InvalidData(f"the given split has no image in {part}; all of {', '.join(PARTS)} are needed")
    return found
