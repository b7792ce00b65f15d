r"""Copies of one image: equal pixels, and nearly equal pictures.

Equal pixels are found by a hash of the decoded image.  Nearly equal pictures (saved again as JPEG, scaled, with
another contrast, moved by a pixel or two, turned or mirrored) are found by a perceptual fingerprint: the image
averaged onto :math:`32 \times 32` pixels, :math:`t_i`, centred and scaled to norm one.  Two images are near-duplicates
when :math:`\langle t_i, t_j \rangle \ge .985` and the same after the mean fingerprint :math:`m` of all images has been
taken away and the rest scaled again, with :math:`\ge .93`.  The second condition is for images that are all framed
alike, such as one organ in the middle of each, whose fingerprints agree by that alone.  A crop of 3 % or a picture
brightened until it saturates is not found.
"""

from collections.abc import Iterable, Sequence

import numpy as np

SIDE = 32
ALIKE, ALIKE_BEYOND_THE_MEAN = 0.985, 0.93
FEW_FOR_A_MEAN = 10
"""Below so many images the mean is mostly the images themselves, and the second condition is left out."""
TURNED_LIMIT, NEAR_LIMIT = 3_000, 10_000
"""Above so many images turned copies, and near-duplicates at all, are not looked for: the pairs are too many."""
BLOCK = 512


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """Return an image (height, width, 3) averaged onto 32 x 32 pixels, centred, with norm one; zeros if it is flat."""
    from PIL import Image

    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    return unit(np.asarray(small, dtype=np.float32).reshape(1, -1), centre=True).reshape(SIDE, SIDE, -1)


def unit(rows: np.ndarray, *, centre: bool = False) -> np.ndarray:
    """Return rows scaled to norm one; a row without contrast becomes zero."""
    rows = rows - rows.mean(axis=1, keepdims=True) if centre else rows
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 1e-6)
    return scaled


def near_pairs(fingerprints: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of near-duplicates.

    Parameters
    ----------
    fingerprints : array, shape (sample, 32, 32, 3)
        As `fingerprint` gives them.

    Returns
    -------
    list of (int, int)
        Rising; empty for more than `NEAR_LIMIT` images.
    """
    count = len(fingerprints)
    if count < 2 or count > NEAR_LIMIT:
        return []
    mean = fingerprints.mean(axis=0) if count >= FEW_FOR_A_MEAN else np.zeros_like(fingerprints[0])
    plain, beyond = fingerprints.reshape(count, -1), unit((fingerprints - mean).reshape(count, -1))
    found: set[tuple[int, int]] = set()
    for turned in turns(fingerprints) if count <= TURNED_LIMIT else [fingerprints]:
        other, other_beyond = turned.reshape(count, -1), unit((turned - mean).reshape(count, -1))
        for start in range(0, count, BLOCK):
            rows, later = slice(start, start + BLOCK), slice(start, None)
            alike = np.triu(plain[rows] @ other[later].T >= ALIKE, k=1)
            if alike.any():
                alike &= beyond[rows] @ other_beyond[later].T >= ALIKE_BEYOND_THE_MEAN
            found.update((start + int(i), start + int(j)) for i, j in np.argwhere(alike))
    return sorted(found)


def turns(images: np.ndarray) -> Iterable[np.ndarray]:
    """Give the eight ways in which squares can lie: four quarter turns, each also mirrored."""
    for mirrored in (images, images[:, :, ::-1]):
        for quarter in range(4):
            yield np.ascontiguousarray(np.rot90(mirrored, quarter, axes=(1, 2)))


def groups_of(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the number of each sample's group, where pairs are joined; numbered in the order of the first member."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    roots = [root(index) for index in range(count)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[key] for key in roots], dtype=np.int64)


def equal_pairs(hashes: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs (first, later) of equal hashes."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(key, index), index) for index, key in enumerate(hashes)]
    return [pair for pair in pairs if pair[0] != pair[1]]
