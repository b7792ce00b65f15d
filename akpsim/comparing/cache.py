"""Gram matrices kept by content, so that one more member costs one Gram matrix and one row of products.

The folder holds ``HASH.npz``, the tiles of a representation's centred Gram matrix as the engine lays them side by side,
and ``products.npz``, the products already computed.  A hash is of the numbers, their precision and their shape, so that
a member that is trained again never meets its old matrix.  Both kinds of file carry checksums: what is damaged is
computed again.
"""

import contextlib
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from akpsim.comparing.align import Aligned
from akpsim.comparing.engine import ONCE, SAFE, Products, fill, linear_products, tile_products
from akpsim.comparing.tiles import WORKSPACE, Plan, entries, whole_plan
from akpsim.comparing.work import Work, work_on
from akpsim.errors import StoreError, UndefinedMetric
from akpsim.files import atomic
from akpsim.metrics.cka import SAME
from akpsim.progress import Progress

MOST = 4 * 2**30
"""Bytes that the Gram matrices of one folder may take; more are not kept."""


class Damaged(Exception):
    """A file that does not hold what its name says."""


def cached_products(
    aligned: Aligned, folder: Path | str, *, name: str = "cka", memory: int | None = None, progress: bool = False
) -> tuple[Products, dict[int, str]]:
    """Return what `linear_products` returns, computing only what the folder does not have.

    Parameters
    ----------
    aligned : Aligned
        The representations.
    folder : Path
        The cache; made if needed.  Where it cannot be written, where its files would be too large and where `memory`
        has no room for them, nothing is kept.
    name : str
        The metric, for messages.
    memory : int, optional
        Bytes that may be used over the representations themselves.
    progress : bool
        Show how far the work is.
    """
    plan = whole_plan(aligned.n)
    held = aligned.in_memory(ONCE if memory is None else memory // 2)
    free = memory if memory is None or held is aligned else memory - aligned.size
    work = work_on(held, free)
    row = entries(plan.groups[0]) * work.itemsize
    room = max(WORKSPACE, aligned.n * sum(work.widths) * work.itemsize // 8) if free is None else free // 2
    rows = (room - 3 * work.itemsize * aligned.n * max(work.widths)) // row if free is not None else room // row
    usable = is_numpy_namespace(array_namespace(held.load(0, slice(0, 1)))) and row * len(aligned) <= MOST and rows > 0
    if usable:
        with contextlib.suppress(StoreError):
            return Cache(Path(folder), work, plan, name, int(rows)).products(progress)
    return linear_products(aligned, name=name, memory=memory, progress=progress)


class Cache:
    """A folder of Gram matrices, and the work that asks for some of them."""

    def __init__(self, folder: Path, work: Work, plan: Plan, name: str, rows: int) -> None:
        self.folder, self.work, self.plan, self.name, self.rows = folder, work, plan, name, rows
        self.tiles = plan.groups[0]
        self.keys: list[str] = []
        self.off, self.diagonal = np.zeros((0, 0)), np.zeros((0, work.n))

    def products(self, progress: bool) -> tuple[Products, dict[int, str]]:
        """Return the products asked for; compute and keep those that are missing."""
        asked = [content_hash(c.load(slice(None))) for c in self.work.centrings]
        self._read(asked)
        missing = [index for index, key in enumerate(asked) if key not in self.keys and key not in asked[:index]]
        reasons: dict[str, str] = {}
        with Progress("Gram matrices", total=len(missing), show=progress) as bar:
            while missing:
                batch, later = missing[: self.rows], missing[self.rows :]
                try:
                    self._add([(index, asked[index]) for index in batch], reasons)
                except Damaged as found:
                    self._forget([str(found)])
                    missing += [index for index, key in enumerate(asked) if key == str(found)][:1]
                    continue
                missing = later
                bar.advance(len(batch))
        place = {key: index for index, key in enumerate(self.keys)}
        rows = [place.get(key) for key in asked]
        absent = {index: reasons[key] for index, key in enumerate(asked) if key in reasons}
        return _chosen(self.off, self.diagonal, rows, self.work), absent

    def _add(self, batch: Sequence[tuple[int, str]], reasons: dict[str, str]) -> None:
        """Compute some Gram matrices and their products with all others; keep both."""
        buffer, room = self.work.zeros(len(batch), entries(self.tiles)), self.work.room()
        diagonal = np.zeros((len(batch), self.work.n))
        for row, (index, key) in enumerate(batch):
            try:
                self._gram(buffer[row, :], diagonal[row], index, room)
            except UndefinedMetric as error:
                reasons[key] = str(error)
        good = [row for row, (_, key) in enumerate(batch) if key not in reasons]
        buffer, diagonal = buffer[good, :] if len(good) < len(batch) else buffer, diagonal[good]
        own = tile_products(buffer, buffer, self.tiles)
        across = [self._across(buffer, self.keys[at : at + self.rows]) for at in range(0, len(self.keys), self.rows)]
        with_known = np.concatenate([np.zeros((len(good), 0)), *across], axis=1)
        for row, place in enumerate(good):
            key = batch[place][1]
            _write(self.folder / f"{key}.npz", key=np.array(key), tiles=buffer[row])
        self.keys += [batch[row][1] for row in good]
        self.off = np.block([[self.off, with_known.T], [with_known, own]])
        self.diagonal = np.vstack([self.diagonal, diagonal])
        _write(self.folder / "products.npz", keys=np.array(self.keys), off=self.off, diagonal=self.diagonal)

    @np.errstate(over="ignore", invalid="ignore", under="ignore")
    def _gram(self, buffer: np.ndarray, diagonal: np.ndarray, index: int, room: Any) -> None:
        """Write the tiles of a Gram matrix, in a scale that no product leaves the safe range of."""
        centring = self.work.centrings[index]
        fill(buffer, diagonal, centring, self.tiles, self.plan, room)
        trace = float(diagonal.sum())
        if centring.doubtful(trace, self.work.n, SAFE[self.work.itemsize], centring.offset):
            if not centring.rescale(self.work.blocks(), self.name):
                raise UndefinedMetric(f"{self.name} is undefined: {SAME}")
            fill(buffer, diagonal, centring, self.tiles, self.plan, room)

    def _across(self, buffer: np.ndarray, keys: Sequence[str]) -> np.ndarray:
        """Return the products of new Gram matrices with some that are kept."""
        kept = np.empty((len(keys), buffer.shape[1]), buffer.dtype)
        for row, key in enumerate(keys):
            file = _read(self.folder / f"{key}.npz")
            if file.get("key") != key or file["tiles"].shape != kept[row].shape or file["tiles"].dtype != kept.dtype:
                raise Damaged(key)
            kept[row] = file["tiles"]
        return tile_products(buffer, kept, self.tiles)

    def _read(self, asked: Sequence[str]) -> None:
        """Take over the products that are kept, those not asked for only while there is room."""
        file = _read(self.folder / "products.npz")
        keys, off, diagonal = (file.get(name, np.zeros(0)) for name in ("keys", "off", "diagonal"))
        if off.shape != (len(keys),) * 2 or diagonal.shape != (len(keys), self.work.n):
            return
        self.keys, self.off, self.diagonal = keys.tolist(), off, diagonal
        size = entries(self.tiles) * self.work.itemsize
        if len({*self.keys, *asked}) * size > MOST:
            self._forget([key for key in self.keys if key not in asked])

    def _forget(self, keys: Sequence[str]) -> None:
        """Drop some Gram matrices and their products."""
        left = [place for place, key in enumerate(self.keys) if key not in keys]
        self.keys = [self.keys[place] for place in left]
        self.off, self.diagonal = self.off[np.ix_(left, left)], self.diagonal[left]
        for key in keys:
            with contextlib.suppress(OSError):
                (self.folder / f"{key}.npz").unlink()


def content_hash(x: Any) -> str:
    """Return thirty-two hexadecimal digits that differ between arrays that differ in anything."""
    values = np.ascontiguousarray(x)
    digest = hashlib.blake2b(f"{values.dtype.str}{values.shape}".encode(), digest_size=16)
    digest.update(values.data)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """Return the arrays of a file whose checksums hold; nothing of any other."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return {}


def _write(path: Path, **arrays: Any) -> None:
    with atomic(path) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **arrays)


def _chosen(off: np.ndarray, diagonal: np.ndarray, places: list[int | None], work: Work) -> Products:
    """Return the products of the representations asked for; zeros for those that have none."""
    there = [index for index, place in enumerate(places) if place is not None]
    rows = [place for place in places if place is not None]
    count = len(places)
    chosen = Products(np.zeros((count, count)), np.zeros((count, work.n)), np.zeros(count), work.eps)
    chosen.off[np.ix_(there, there)] = off[np.ix_(rows, rows)]
    chosen.diagonal[there] = diagonal[rows]
    return chosen
