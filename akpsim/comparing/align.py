"""Bring representations into one form: named, with the same samples in the same order, read only when sliced."""

import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import one_of
from akpsim.errors import MisalignedSamples
from akpsim.metrics.metric import Array, floating


@dataclass(frozen=True)
class Aligned:
    """Representations with the same samples in the same order.

    Parameters
    ----------
    axis : str
        What they differ in: ``"member"``, ``"layer"`` or ``"epoch"``.
    names : tuple
        One label each.
    sources : tuple
        One array (sample, neuron) each, in memory or lazy.
    mixed : bool
        Whether some are in single precision and some are not: then points are compared in double precision.
    coordinates : dict
        Coordinates along `axis`, and scalars.
    attrs : dict
        What made them.
    """

    axis: str
    names: tuple[Any, ...]
    sources: tuple[Any, ...]
    samples: tuple[Any, ...] | None = None
    mixed: bool = False
    coordinates: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.sources[0].shape[0])

    def take(self, rows: np.ndarray) -> "Aligned":
        """Return the same representations of some of the samples."""
        samples = None if self.samples is None else tuple(self.samples[row] for row in rows.tolist())
        return replace(self, sources=tuple(Taken(source, rows) for source in self.sources), samples=samples)

    def in_memory(self, most: int) -> "Aligned":
        """Return the representations read once, if they are not in memory yet and take at most so many bytes."""
        lazy = any(hasattr(source, "compute") or isinstance(source, Taken) for source in self.sources)
        if not lazy or self.size > most:
            return self
        return replace(self, sources=tuple(self.load(index) for index in range(len(self))))

    @property
    def size(self) -> int:
        """Bytes of all representations in double precision, which is the most that they take."""
        return sum(8 * math.prod(source.shape) for source in self.sources)

    def load(self, index: int, rows: slice = slice(None)) -> Array:
        """Return some samples of one representation as an array in memory, in floating point."""
        source = self.sources[index]
        block = source if rows == slice(None) and not isinstance(source, Taken) else source[rows]
        block = block.compute() if hasattr(block, "compute") else block
        # What another process sent need not begin at a word, and products of such differ in their last bits.
        return floating(np.require(block, requirements="A") if isinstance(block, np.ndarray) else block)


class Taken:
    """Some rows of an array, taken when they are read."""

    ndim = 2

    def __init__(self, source: Any, rows: np.ndarray) -> None:
        self.source, self.rows = source, rows
        self.shape = (len(rows), *source.shape[1:])
        self.dtype = source.dtype

    def __getitem__(self, key: Any) -> Any:
        """Return the rows that `key` names among those taken."""
        return self.source[self.rows[key]]


def align(representations: Any, *, axis: str = "member") -> Aligned:
    """Bring representations of any accepted form into one.

    Parameters
    ----------
    representations : DataArray, Dataset-like mapping or sequence
        A DataArray with the dimensions sample and neuron and one more, along which representations differ; or a
        mapping from names to arrays (sample, neuron); or a sequence of such arrays.  Arrays may be DataArrays with
        sample ids, which are then matched, numpy arrays or torch tensors.

    axis : str
        What the entries of a mapping or a sequence are.

    Raises
    ------
    MisalignedSamples
        If numbers of samples differ, an id is there twice, ids differ, or only some have ids.
    """
    one_of(axis, "axis", ("member", "layer", "epoch"))
    if isinstance(representations, xr.DataArray):
        return _of_array(representations)
    if isinstance(representations, Mapping):
        _refuse_twice([str(name) for name in representations], axis)
        return _of_mapping({str(name): array for name, array in representations.items()}, axis)
    whole = isinstance(representations, Sequence) and not isinstance(representations, str | bytes)
    if whole or (hasattr(representations, "ndim") and representations.ndim == 3):
        named = {str(getattr(array, "name", None) or index): array for index, array in enumerate(representations)}
        if len(named) < len(representations):
            named = {str(index): array for index, array in enumerate(representations)}
        return _of_mapping(named, axis)
    raise MisalignedSamples(
        "representations must be a DataArray (member, sample, neuron), a mapping or a list of arrays (sample, neuron), "
        f"got {type(representations).__name__}"
    )


def _of_array(array: xr.DataArray) -> Aligned:
    missing = {"sample", "neuron"} - set(array.dims)
    if missing or array.ndim not in (2, 3):
        dims = ", ".join(map(str, array.dims))
        raise MisalignedSamples(
            f"a DataArray of representations has the dimensions (member, sample, neuron), got ({dims})"
        )
    if array.ndim == 2:
        array = array.expand_dims("member")
    axis = next(str(dim) for dim in array.dims if dim not in ("sample", "neuron"))
    array = array.transpose(axis, "sample", "neuron")
    names = tuple(array[axis].to_numpy().tolist())
    _refuse_twice(names, axis)
    samples = _ids(array, axis)
    data = array.data
    coordinates = {
        str(name): values.variable
        for name, values in array.coords.items()
        if set(values.dims) <= {axis} and name != axis
    }
    sources = _one_by_one(data, len(names))
    return Aligned(axis, names, sources, samples, coordinates=coordinates, attrs=dict(array.attrs))


def _one_by_one(data: Any, count: int) -> tuple[Any, ...]:
    """Return the parts of an array along its first axis; those of dask know of their own tasks alone.

    Otherwise dask would go through the tasks of all whenever one of them is read.
    """
    parts = [data[index] for index in range(count)]
    if not hasattr(data, "__dask_graph__"):
        return tuple(parts)
    import dask.array as da
    from dask.optimization import cull

    tasks = dict(data.__dask_graph__())
    own = [cull(ChainMap(dict(part.dask.layers[part.name]), tasks), part.__dask_keys__())[0] for part in parts]
    return tuple(da.Array(graph, part.name, part.chunks, meta=part) for graph, part in zip(own, parts, strict=True))


def _of_mapping(named: dict[str, Any], axis: str) -> Aligned:
    if not named:
        raise MisalignedSamples("there is nothing to compare: no representation was given")
    first, known, expected = next(iter(named)), None, -1
    sources: list[Any] = []
    for name, array in named.items():
        _refuse_others(array, name)
        ids = _ids(array, name) if isinstance(array, xr.DataArray) else None
        source = array.transpose("sample", ...).data if isinstance(array, xr.DataArray) else array
        source = source if hasattr(source, "shape") else np.asarray(source)
        count = int(source.shape[0]) if len(source.shape) else 0
        expected = count if name == first else expected
        if count != expected:
            raise MisalignedSamples(
                f"all representations must have the same samples: {first!r} has {expected}, {name!r} has {count}"
            )
        if (ids is None) != (known is None) and sources:
            labelled, bare = (first, name) if ids is None else (name, first)
            raise MisalignedSamples(
                f"{labelled!r} has sample ids and {bare!r} has none, so that their rows cannot be matched; "
                "give ids to all, or to none"
            )
        if known is None and ids is not None:
            first, known = name, ids
        elif known is not None and ids is not None and ids != known:
            source = source[_order(known, ids, first, name)]
        sources.append(source)
    of_torch = ["torch" in type(source).__module__ for source in sources]
    if any(of_torch) and not all(of_torch):
        others = [name for name, torch in zip(named, of_torch, strict=True) if torch != of_torch[0]]
        kinds = [type(named[name]).__name__ for name in (next(iter(named)), others[0])]
        raise MisalignedSamples(
            f"representations must be all torch tensors or none, got {next(iter(named))!r}, a {kinds[0]}, and "
            f"{others[0]!r}, a {kinds[1]}"
        )
    single = ["float32" in str(getattr(source, "dtype", "")) for source in sources]
    return Aligned(axis, tuple(named), tuple(sources), known, mixed=any(single) and not all(single))


def _refuse_twice(names: Sequence[Any], axis: str) -> None:
    """Raise if two representations have one name."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise MisalignedSamples(f"{axis}s need names of their own, got {twice!r} twice")


def _refuse_others(array: Any, name: str) -> None:
    """Raise for tables whose columns have names, and for arrays with other dimensions."""
    if isinstance(array, xr.DataArray):
        if "sample" not in array.dims or array.ndim < 2:
            dims = ", ".join(map(str, array.dims))
            raise MisalignedSamples(f"{name!r} must have the dimensions (sample, neuron), got ({dims})")
    elif isinstance(array, xr.Dataset) or hasattr(array, "columns"):
        raise MisalignedSamples(
            f"{name!r} must be an array (sample, neuron), got a {type(array).__name__}; give its numbers, such as "
            "`frame.to_numpy()`"
        )


def _ids(array: xr.DataArray, name: str) -> tuple[Any, ...] | None:
    """Return the sample ids of a DataArray, refusing one that is there twice."""
    if "sample" not in array.coords:
        return None
    ids = tuple(array["sample"].to_numpy().tolist())
    if len(set(ids)) < len(ids):
        twice = next(sample for sample in ids if ids.count(sample) > 1)
        raise MisalignedSamples(f"sample {twice!r} is there twice in {name!r}")
    return ids


def _order(known: tuple[Any, ...], ids: tuple[Any, ...], first: str, name: str) -> np.ndarray:
    """Return the positions in `ids` of the samples in `known`."""
    place = {sample: index for index, sample in enumerate(ids)}
    absent = [sample for sample in known if sample not in place]
    if absent:
        raise MisalignedSamples(
            f"all representations must have the same samples: {absent[0]!r} of {first!r} is not in {name!r}"
            + (f", nor are {len(absent) - 1} others" if len(absent) > 1 else "")
        )
    return np.array([place[sample] for sample in known])
