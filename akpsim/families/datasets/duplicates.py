r"""Copies of one image: equal pixels, and nearly equal pictures.

Equal pixels are found by a hash of the decoded image.  Nearly equal pictures (saved again as JPEG, scaled, with
another contrast, moved by a pixel or two, turned or mirrored) are found by a perceptual fingerprint: the image
averaged onto :math:`32 \times 32` pixels, :math:`t_i`, centred and scaled to norm one.  Two images are near-duplicates
when :math:`\langle t_i, t_j \rangle \ge .985` and the same after the mean fingerprint :math:`m` of all images has been
taken away and the rest scaled again, with :math:`\ge .93`.  The second condition is for images that are all framed
alike, such as one organ in the middle of each, whose fingerprints agree by that alone.  A crop of 3 % or a picture
brightened until it saturates is not found.

Few pairs are multiplied in full.  With :math:`P` the projection onto :math:`k = 64` directions that hold most of the
images, :math:`\langle t_i, t_j \rangle \le \langle P t_i, P t_j \rangle + |t_i - P t_i| \, |t_j - P t_j|`: a product of
65 numbers instead of 3,072, and what it leaves out is no pair.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from akpsim.errors import AkpsimWarning

SIDE = 32
ALIKE, ALIKE_BEYOND_THE_MEAN = 0.985, 0.93
FEW_FOR_A_MEAN = 10
"""Below so many images the mean is mostly the images themselves, and the second condition is left out."""
TURNED_LIMIT, NEAR_LIMIT = 20_000, 100_000
"""Above so many images turned copies, and near-duplicates at all, are not looked for, which a warning says."""
WAYS = 8
"""How squares can lie: four quarter turns, each also mirrored."""
DIRECTIONS, DIRECTIONS_FROM = 64, 500
ROUNDING = 1e-4
ROWS, COLUMNS = 1024, 4096


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """Return an image averaged onto 32 x 32 pixels, centred, with norm one; zeros if it is flat.

    It has the axes height, width and channel (1 or 3), and is uint8, or real in [0, 1].
    """
    from PIL import Image

    pixels = pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)
    pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
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
    fingerprints : array, shape (sample, 32, 32, channel)
        As `fingerprint` gives them.

    Returns
    -------
    list of (int, int)
        Rising; empty for more than `NEAR_LIMIT` images.

    Warns
    -----
    AkpsimWarning
        If there are too many images to look for near-duplicates, or for turned ones.
    """
    count = len(fingerprints)
    _warn_of_limits(count)
    if count < 2 or count > NEAR_LIMIT:
        return []
    mean = fingerprints.mean(axis=0) if count >= FEW_FOR_A_MEAN else np.zeros_like(fingerprints[0])
    sample = fingerprints[np.linspace(0, count - 1, min(count, DIRECTIONS_FROM)).astype(int)].reshape(-1, mean.size)
    basis = np.linalg.svd(sample, full_matrices=False)[2][:DIRECTIONS].T
    found: set[tuple[int, int]] = set()
    upright = _shadows(fingerprints, mean, basis, way=0)
    for way in range(WAYS if count <= TURNED_LIMIT else 1):
        for rows, columns in _candidates(upright, _shadows(fingerprints, mean, basis, way=way)):
            plain, beyond = _products(fingerprints[rows], turned(fingerprints[columns], way), mean)
            alike = (plain >= ALIKE) & (beyond >= ALIKE_BEYOND_THE_MEAN) & (rows[:, None] < columns)
            found.update((int(rows[i]), int(columns[j])) for i, j in np.argwhere(alike))
    return sorted(found)


def _warn_of_limits(count: int) -> None:
    what = "near-duplicates" if count > NEAR_LIMIT else "turned and mirrored copies" if count > TURNED_LIMIT else ""
    if what:
        limit = NEAR_LIMIT if count > NEAR_LIMIT else TURNED_LIMIT
        sentence = f"{what} were not looked for among {count:,} images (at most {limit:,}): the split may separate them"
        warnings.warn(sentence, AkpsimWarning, stacklevel=3)


def turned(images: np.ndarray, way: int) -> np.ndarray:
    """Return squares (sample, height, width, channel) lying in one of eight ways; 0 leaves them as they are."""
    mirrored, quarters = divmod(way, 4)
    return np.rot90(images[:, :, ::-1] if mirrored else images, quarters, axes=(1, 2))


def _vectors(fingerprints: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return fingerprints as rows, and beyond the mean."""
    count = len(fingerprints)
    return fingerprints.reshape(count, -1), unit((fingerprints - mean).reshape(count, -1))


def _products(one: np.ndarray, other: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner products of two sets of fingerprints, and those beyond the mean."""
    (plain, beyond), (other_plain, other_beyond) = _vectors(one, mean), _vectors(other, mean)
    return plain @ other_plain.T, beyond @ other_beyond.T


def _shadows(
    fingerprints: np.ndarray, mean: np.ndarray, basis: np.ndarray, *, way: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose products are no smaller than those of the fingerprints, and of what is beyond the mean."""
    parts = []
    for start in range(0, len(fingerprints), ROWS):
        vectors = _vectors(turned(fingerprints[start : start + ROWS], way), mean)
        parts.append([_shadow(rows, basis) for rows in vectors])
    plain, beyond = (np.concatenate(part) for part in zip(*parts, strict=True))
    return plain, beyond


def _shadow(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    inside = rows @ basis
    outside = (rows**2).sum(axis=1) - (inside**2).sum(axis=1)
    return np.column_stack([inside, np.sqrt(np.maximum(outside, 0) + ROUNDING / 10)])


def _candidates(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the rows and columns among which pairs may be, tile by tile."""
    count = len(one[0])
    for top in range(0, count, ROWS):
        for left in range(top - top % COLUMNS, count, COLUMNS):
            rows, columns = slice(top, top + ROWS), slice(left, left + COLUMNS)
            alike = one[0][rows] @ other[0][columns].T >= ALIKE - ROUNDING
            alike &= np.arange(top, min(top + ROWS, count))[:, None] < np.arange(left, min(left + COLUMNS, count))
            if alike.any():
                alike &= one[1][rows] @ other[1][columns].T >= ALIKE_BEYOND_THE_MEAN - ROUNDING
            if alike.any():
                yield top + np.flatnonzero(alike.any(axis=1)), left + np.flatnonzero(alike.any(axis=0))


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
