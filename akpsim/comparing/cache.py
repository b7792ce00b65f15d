"""Gram matrices kept by content, so that one more member costs one Gram matrix and one row of products.

The folder holds ``HASH.npy``, the entries below the diagonal of a representation's centred Gram matrix of unit trace,
and ``products.npz``, the products already computed.  A hash is of the numbers, their precision and their shape, so that
a member that is trained again never meets its old matrix.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.comparing.align import Aligned
from akpsim.comparing.engine import Products
from akpsim.errors import UndefinedMetric
from akpsim.files import atomic
from akpsim.metrics.cka import gram
from akpsim.metrics.metric import as_numpy, check_finite
from akpsim.progress import Progress


def cached_products(
    aligned: Aligned, folder: Path | str, *, name: str = "cka", progress: bool = False
) -> tuple[Products, dict[int, str]]:
    """Return what `linear_products` returns, computing only what the folder does not have.

    Parameters
    ----------
    aligned : Aligned
        The representations.
    folder : Path
        The cache; made if needed.  A damaged file in it is computed again.
    name : str
        The metric, for messages.
    progress : bool
        Show how far the work is.
    """
    folder = Path(folder)
    known, off, diagonal = _read_products(folder, aligned.n)
    keys: list[str] = []
    reasons: dict[int, str] = {}
    place = {key: index for index, key in enumerate(known)}
    grown = len(known)
    with Progress("Gram matrices", total=len(aligned), show=progress) as bar:
        for index in range(len(aligned)):
            x = aligned.load(index)
            key = content_hash(x)
            keys.append(key)
            if key not in place:
                try:
                    below, trace = _gram(x, name)
                except UndefinedMetric as error:
                    reasons[index] = str(error)
                    continue
                place[key] = len(place)
                _write(folder / f"{key}.npy", below)
                off, diagonal = _grow(off, diagonal, _row(folder, below, list(place)), trace)
            bar.advance()
    if len(place) > grown:
        with atomic(folder / "products.npz") as path:
            np.savez(path, keys=np.array(list(place)), off=off, diagonal=diagonal)
    return _chosen(off, diagonal, [place.get(key) for key in keys], aligned.n), reasons


def content_hash(x: Any) -> str:
    """Return thirty-two hexadecimal digits that differ between arrays that differ in anything."""
    values = np.ascontiguousarray(x if isinstance(x, np.ndarray) else as_numpy(x))
    digest = hashlib.blake2b(f"{values.dtype.str}{values.shape}".encode(), digest_size=16)
    digest.update(values.data)
    return digest.hexdigest()


def _gram(x: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries below the diagonal of the centred Gram matrix of unit trace, and the diagonal."""
    check_finite(x, name)
    k = as_numpy(gram(x, name))
    k = k / np.trace(k)
    return k[np.tril_indices(len(k), -1)], np.diagonal(k).copy()


def _row(folder: Path, below: np.ndarray, keys: list[str]) -> np.ndarray:
    """Return the products of a Gram matrix with those of all keys, itself the last."""
    return np.array(
        [2 * float(np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False) @ below) for key in keys]
    )


def _grow(off: np.ndarray, diagonal: np.ndarray, row: np.ndarray, trace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = len(off)
    grown = np.empty((size + 1, size + 1))
    grown[:size, :size] = off
    grown[size, :] = grown[:, size] = row
    return grown, np.vstack([diagonal, trace])


def _read_products(folder: Path, n: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the keys whose Gram matrices are there, and their products; nothing if the file is damaged."""
    try:
        with (folder / "products.npz").open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            keys, off, diagonal = file["keys"].tolist(), file["off"], file["diagonal"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return [], np.zeros((0, 0)), np.zeros((0, n))
    size = (np.dtype(np.float64).itemsize * n * (n - 1)) // 2
    whole = [i for i, key in enumerate(keys) if _size(folder / f"{key}.npy") > size] if diagonal.shape[1] == n else []
    return [keys[i] for i in whole], off[np.ix_(whole, whole)], diagonal[whole, :].reshape(-1, n)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _write(path: Path, values: np.ndarray) -> None:
    with atomic(path) as temporary:
        np.save(temporary, values)


def _chosen(off: np.ndarray, diagonal: np.ndarray, places: list[int | None], n: int) -> Products:
    """Return the products of the representations asked for; zeros for those that have none."""
    there = [index for index, place in enumerate(places) if place is not None]
    rows = [place for place in places if place is not None]
    chosen = Products(np.zeros((len(places),) * 2), np.zeros((len(places), n)))
    chosen.off[np.ix_(there, there)] = off[np.ix_(rows, rows)]
    chosen.diagonal[there] = diagonal[rows]
    return chosen
