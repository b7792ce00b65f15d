"""The run folder: one netCDF4 file a member, written whole or refused, read lazily and with labels.

Layout: ``study.toml``, ``manifest.json``, ``members/FAMILY-SEED.nc`` with the groups ``/history`` (epoch),
``/audit`` (event), ``/activations/LAYER`` (epoch, sample, neuron), ``/populations`` (time, population) and ``/test``
(sample, class); ``weights/``, ``analysis/*.nc``, ``figures/``.  A member file carries ``complete = 1`` and a seal, set
last.
"""

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from akpsim.checks import among, as_path
from akpsim.errors import StoreError, unknown_name
from akpsim.seal import state_of
from akpsim.store.results import cannot_open
from akpsim.store.writer import CHUNK_CACHE, layer_group
from akpsim.study import Study, load_study

MEMBER_COORDINATES = (
    "family",
    "stress",
    "dose",
    "perturbation",
    "seed",
    "optimizer",
    "initializer",
    "accuracy",
    "majority_baseline",
)


class StoredActivations:
    """A layer's activations (member, sample, neuron) in files of a member each: sliced like an array, then read."""

    ndim = 3

    def __init__(self, paths: Sequence[Path], layer: str, epochs: Sequence[int], shape: tuple[int, int]) -> None:
        self.paths, self.layer, self.epochs = paths, layer, epochs
        self.shape = (len(paths), *shape)
        self.dtype = np.dtype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker gets, which may be in another folder."""
        return self.__dict__ | {"paths": [path.resolve() for path in self.paths]}

    def __getitem__(self, key: tuple[Any, Any, Any]) -> np.ndarray:
        member, *inside = key
        if isinstance(member, slice):
            return np.stack([self._read(index, inside) for index in range(*member.indices(len(self.paths)))])
        return self._read(member, inside)

    def _read(self, member: int, key: Sequence[Any]) -> np.ndarray:
        with open_member(self.paths[member]) as file:
            variable = file[f"activations/{layer_group(self.layer)}/activation"]
            variable.set_auto_maskandscale(False)  # no value is missing, and looking for them costs two passes
            return np.asarray(variable[(self.epochs[member], *key)])


ONE_THREAD = threading.RLock()
"""The netCDF library ends the process when two threads use it."""
AGAIN = "run `akpsim train-family` again to train what is missing"


@contextlib.contextmanager
def open_member(path: Path) -> Iterator[Any]:
    """Give a member's file, open, to one thread at a time; refuse one that is missing, damaged or not complete.

    Raises
    ------
    StoreError
        One sentence, before the netCDF library touches a damaged file.
    """
    try:
        state = state_of(path)
    except OSError as error:
        raise StoreError(f"{cannot_open(path, error)}; {AGAIN}") from None
    if state == "damaged":
        raise StoreError(f"{path} is damaged: it is not what was written; {AGAIN}")
    if state == "unsealed":
        raise StoreError(f"{path} is not complete, or an older version of akpsim wrote it; {AGAIN}")
    with ONE_THREAD:
        with small_chunk_cache():
            file = netCDF4.Dataset(path)
        with file:
            yield file


def stored(file: Any, name: str) -> Any:
    """Return an attribute or a variable (``GROUP/NAME``) of an open member's file; say if it was written without."""
    try:
        return file.getncattr(name) if name in file.ncattrs() else np.ma.getdata(file[name][:])
    except (IndexError, KeyError):
        raise StoreError(
            f"{file.filepath()} has no {name}: it is of another version of akpsim; "
            "train the run again with `akpsim train-family --fresh`"
        ) from None


@contextlib.contextmanager
def small_chunk_cache() -> Iterator[None]:
    """Read representations, each one chunk, past the library's cache, and so without a copy of each."""
    before = netCDF4.get_chunk_cache()
    netCDF4.set_chunk_cache(size=CHUNK_CACHE)
    try:
        yield
    finally:
        netCDF4.set_chunk_cache(*before)


def open_table(path: Path, group: str) -> xr.Dataset:
    """Return a group of a member's file, read whole."""
    with open_member(path) as file:
        if group.partition("/")[0] not in file.groups:
            stored(file, group)
        return xr.open_dataset(xr.backends.NetCDF4DataStore(file[group])).load()


class Run:
    """A run folder.  Open one with `akpsim.open_run`.

    Parameters
    ----------
    path : Path
        The folder, with ``study.toml`` and ``manifest.json``.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = as_path(path)
        try:
            self.manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{self.path} is no run: it has no manifest.json") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path}/manifest.json cannot be read: {error}") from None
        if not isinstance(self.manifest, dict) or not {"study", "members"} <= self.manifest.keys():
            raise StoreError(f"{self.path}/manifest.json is no manifest of a run; {AGAIN}")

    def __repr__(self) -> str:
        """Return where it is and how much of it is there."""
        states = [member["state"] for member in self.manifest["members"].values()]
        return f"<Run {self.path}: {states.count('complete')} of {len(states)} members complete>"

    @cached_property
    def study(self) -> Study:
        """The study as it was run, defaults filled in."""
        return load_study(self.path / "study.toml")

    def file(self, member: str) -> Path:
        """Return the path of a member's file."""
        return self.path / "members" / f"{member}.nc"

    @cached_property
    def names(self) -> list[str]:
        """Names of the members that are complete, in the order of the design."""
        names = [member.name for member in self.study.design() if self.file(member.name).exists()]
        if not names:
            raise StoreError(f"{self.path} has no trained member yet")
        return names

    @cached_property
    def members(self) -> xr.Dataset:
        """One row a member: family, stress, dose, seed, optimizer, initializer, test accuracy."""
        rows = []
        for name in self.names:
            with open_member(self.file(name)) as file:
                rows.append({key: stored(file, key) for key in MEMBER_COORDINATES})
        columns = {key: ("member", [row[key] for row in rows]) for key in MEMBER_COORDINATES}
        return xr.Dataset(columns, coords={"member": self.names}, attrs={"source": str(self.path)})

    def table(self, group: str) -> xr.Dataset:
        """Return a group such as ``history`` of every member, stacked along ``member``; shorter members end in NaN."""
        tables = []
        for name in self.names:
            table = open_table(self.file(name), group)
            unnumbered = {dim: np.arange(size) for dim, size in table.sizes.items() if dim not in table.coords}
            tables.append(table.assign_coords(unnumbered))
        stacked = xr.concat(tables, dim="member", join="outer", coords="minimal", compat="override")
        return stacked.assign_coords(self.members.set_coords(MEMBER_COORDINATES).coords)

    @property
    def history(self) -> xr.Dataset:
        """Loss and accuracy (member, epoch); epoch 0 is the untrained network."""
        return self.table("history").assign_attrs(result="history", source=str(self.path))

    @property
    def audit(self) -> xr.Dataset:
        """What each event changed (member, event): loss, accuracy, gradient and CKA; NaN past the last."""
        return self.table("audit").assign_attrs(result="audit", source=str(self.path))

    @cached_property
    def layers(self) -> list[str]:
        """Captured layers, in the order of the network."""
        with open_member(self.file(self.names[0])) as file:
            return [group.layer for group in file["activations"].groups.values()]

    def epochs(self, layer: str | None = None) -> np.ndarray:
        """Return the captured epochs of a layer, from the first member."""
        with open_member(self.file(self.names[0])) as file:
            return np.asarray(file[f"activations/{layer_group(self._layer(layer))}/epoch"][:])

    def _layer(self, layer: str | None) -> str:
        """Return a captured layer's name; by default the last hidden one."""
        if layer is None:
            hidden = [name for name in self.layers if re.fullmatch(r"dense_\d+", name)]
            return (hidden or self.layers)[-1]
        if not among(layer, self.layers):
            raise unknown_name(f"layer of {self.path}", layer, self.layers)
        return layer

    def representations(self, layer: str | None = None, epoch: float = -1) -> xr.DataArray:
        """Return one layer of every member at one epoch, read when computed.

        Parameters
        ----------
        layer : str, optional
            By default the last hidden layer.
        epoch : float
            An epoch that was captured, counted from 1 (0 is the untrained network; 2.5 is after the swaps of epoch 3,
            before its batches); negative counts from the last captured one of each member.

        Returns
        -------
        DataArray (member, sample, neuron)
            A dask array of one block a member, with the coordinates of `members`, sample ids, layer and epoch.

        Raises
        ------
        StoreError
            If a file is damaged or incomplete, or the epoch was not captured.
        """
        import dask.array as da
        from xarray.backends.locks import HDF5_LOCK, NETCDFC_LOCK, combine_locks

        one_reader = combine_locks([NETCDFC_LOCK, HDF5_LOCK])  # xarray's own: the library is not thread-safe

        layer = self._layer(layer)
        indices: list[int] = []
        found_epochs: list[float] = []
        for name in self.names:
            with open_member(self.file(name)) as file:
                group = file[f"activations/{layer_group(layer)}"]
                epochs = np.asarray(group["epoch"][:])
                shape = group["activation"].shape[1:]
                samples = group["sample"][:]
            indices.append(self._epoch_index(epochs, epoch, name))
            found_epochs.append(epochs[indices[-1]].item())
        stored = StoredActivations([self.file(name) for name in self.names], layer, indices, shape)
        found = xr.DataArray(
            da.from_array(stored, chunks=(1, -1, -1), lock=one_reader, asarray=False, name=False),
            dims=("member", "sample", "neuron"),
            coords={"sample": samples.astype(str), "layer": layer, "epoch": one_or_all(found_epochs)},
            name="activation",
            attrs={"source": str(self.path), "study": self.manifest["study"]},
        )
        return found.assign_coords(self.members.set_coords(MEMBER_COORDINATES).coords)

    def _epoch_index(self, epochs: np.ndarray, epoch: float, member: str) -> int:
        if epoch < 0 and -epoch <= len(epochs) and epoch == int(epoch):
            return len(epochs) + int(epoch)
        found = np.flatnonzero(epochs == epoch)
        if not found.size:
            captured = ", ".join(f"{captured:g}" for captured in epochs)
            raise StoreError(f"epoch {epoch:g} of {member} was not captured; there are: {captured}")
        return int(found[0])


def one_or_all(epochs: list[float]) -> Any:
    """Return the epoch that all members share, or one a member where they differ."""
    return epochs[0] if len(set(epochs)) == 1 else ("member", epochs)


def open_run(path: Path | str | None = None) -> Run:
    """Open a run folder; by default the newest under ``runs/``.

    Raises
    ------
    StoreError
        If the folder is no run.
    """
    if path is None:
        path = max(_runs(Path("runs")), key=lambda run: (run / "manifest.json").stat().st_mtime, default=None)
        if path is None:
            raise StoreError("there is no run under ./runs; `akpsim train-family` makes one, or name a run folder")
    return Run(path)


def _runs(folder: Path) -> Iterator[Path]:
    return (manifest.parent for manifest in folder.glob("*/manifest.json"))
