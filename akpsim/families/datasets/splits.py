"""Stratified split into train, validation, probe and test; no image, and no copy of an image, is in two parts."""

import hashlib
from collections import defaultdict

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.images import Images
from akpsim.study import Split

PARTS = ("train", "validation", "probe", "test")


def split_images(images: Images, shares: Split, *, seed: int) -> dict[str, np.ndarray]:
    """Deal the images of each class to the four parts.

    Images of one group, and images whose pixels are the same, stay together.  Within a class the groups are shuffled,
    each part gets one, and the rest go one by one to the part that is furthest behind its share.

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
        If a class has fewer than four groups, a group has images of two classes, or a given split puts a group into
        two parts.
    """
    groups = _groups_with_copies(images)
    if images.split is not None:
        return _given_split(images, images.split, groups)
    rng = np.random.default_rng(seed)
    wanted = np.array([getattr(shares, part) for part in PARTS])
    dealt: dict[str, list[int]] = {part: [] for part in PARTS}
    for label, name in enumerate(images.classes):
        members = _groups_of_class(images, groups, label)
        if len(members) < len(PARTS):
            raise InvalidData(
                f"class {name!r} has {len(members)} distinct image{'s' * (len(members) != 1)} or groups of images; "
                f"at least {len(PARTS)} are needed, one each for {', '.join(PARTS)}"
            )
        goal = wanted * sum(map(len, members))
        have = np.zeros(len(PARTS))
        for place, chosen in enumerate(rng.permutation(len(members))):
            part = place if place < len(PARTS) else int(np.argmax(goal - have))
            dealt[PARTS[part]].extend(members[chosen])
            have[part] += len(members[chosen])
    return {part: np.sort(np.array(indices, dtype=np.int64)) for part, indices in dealt.items()}


def _groups_with_copies(images: Images) -> np.ndarray:
    """Give every image the number of its group, where images with the same pixels are joined (union by content)."""
    given = images.groups if images.groups is not None else images.ids
    parent: dict[object, object] = {}

    def root(key: object) -> object:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for group, pixels in zip(given, images.images, strict=True):
        content = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()
        parent[root(("group", group))] = root(("content", content))
    roots = [root(("group", group)) for group in given]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[key] for key in roots])


def _groups_of_class(images: Images, groups: np.ndarray, label: int) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(images.labels == label):
        members[int(groups[index])].append(int(index))
    for group, indices in members.items():
        others = np.flatnonzero((groups == group) & (images.labels != label))
        if others.size:
            raise InvalidData(
                f"{images.ids[indices[0]]} and {images.ids[others[0]]} are of one group or have the same pixels, "
                "but are of two classes; `akpsim data verify FOLDER` lists all such images"
            )
    return list(members.values())


def _given_split(images: Images, split: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    unknown = sorted(set(split) - set(PARTS))
    if unknown:
        raise InvalidData(f"the split of an image must be one of {', '.join(PARTS)}, got {unknown[0]!r}")
    for group in np.unique(groups):
        parts = sorted(set(split[groups == group]))
        if len(parts) > 1:
            first = images.ids[np.flatnonzero(groups == group)[0]]
            raise InvalidData(f"the given split leaks: {first} or a copy of it is in both {parts[0]} and {parts[1]}")
    found = {part: np.flatnonzero(split == part) for part in PARTS}
    for part, indices in found.items():
        if not indices.size:
            raise InvalidData(f"the given split has no image in {part}; all of {', '.join(PARTS)} are needed")
    return found
