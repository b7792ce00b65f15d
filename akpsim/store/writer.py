"""Write one member's file."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from akpsim.seal import seal

CHUNK_CACHE = 2**20
"""Bytes a variable; the library's default of 64 MiB costs hundreds of megabytes for a member with many layers."""

LOSSLESS = {"zlib": True, "complevel": 1, "shuffle": True}
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "lossless": LOSSLESS,
    "none": {},
    "zstd": {"compression": "zstd", "complevel": 3, "shuffle": True},
    "rounded": {**LOSSLESS, "significant_digits": 10, "quantize_mode": "BitRound"},
}


class MemberWriter:
    """Write one member's file piece by piece; it gets its name only when all of it is on disk.

    Parameters
    ----------
    path : Path
        A temporary path, as `akpsim.files.atomic` gives it.
    attrs : dict
        What made the member; scalars only.
    compression : str
        Of representations, a name of `COMPRESSIONS`; tables are always lossless.
    """

    def __init__(self, path: Path, attrs: dict[str, Any], *, compression: str = "lossless") -> None:
        self.path = path
        self.file = netCDF4.Dataset(path, "w", format="NETCDF4")
        self.layers: dict[str, Any] = {}
        self.compression = COMPRESSIONS[compression]
        self.file.setncatts(attrs)

    def table(self, group: str, dimension: str, columns: dict[str, Any]) -> None:
        """Write a table, one variable a column; a column may have further axes, given as ``(values, axis, ...)``."""
        place = self.file.createGroup(group)
        for name, column in columns.items():
            values, *axes = column if isinstance(column, tuple) else (column,)
            array = np.asarray(values)
            for axis, size in zip((dimension, *axes), array.shape, strict=True):
                if axis not in place.dimensions:
                    place.createDimension(axis, size)
            create(place, name, array.dtype, (dimension, *axes))[:] = array

    def activation(
        self, layer: str, index: int, values: np.ndarray, *, epochs: Sequence[float], samples: np.ndarray
    ) -> None:
        """Write one layer (sample, neuron) at the epoch ``epochs[index]``."""
        group = f"activations/{layer_group(layer)}"
        if group not in self.layers:
            place = self.layers[group] = self.file.createGroup(group)
            place.layer = layer
            for axis, size in (("epoch", len(epochs)), ("sample", len(samples)), ("neuron", values.shape[1])):
                place.createDimension(axis, size)
            moments = np.asarray(epochs)
            create(place, "epoch", moments.dtype, ("epoch",))[:] = moments
            create(place, "sample", str, ("sample",))[:] = samples.astype(object)
            axes, chunk = ("epoch", "sample", "neuron"), (1, *values.shape)
            create(place, "activation", np.float32, axes, self.compression, chunksizes=chunk, fill_value=False)
        self.layers[group]["activation"][index] = values

    def read(self, index: int, *, without: Container[str] = ()) -> dict[str, np.ndarray]:
        """Return what was written at the epoch ``epochs[index]``, by layer, without some layers."""
        places = [place for place in self.layers.values() if place.layer not in without]
        return {place.layer: np.ma.getdata(place["activation"][index]) for place in places}

    def finish(self, attrs: dict[str, Any]) -> None:
        """Add what is known only at the end, mark the file complete, close and seal it."""
        self.file.setncatts(attrs)
        self.file.complete = np.int8(1)
        self.close()
        seal(self.path)

    def close(self) -> None:
        """Close the file; without `finish` it will be refused."""
        if self.file.isopen():
            self.file.close()


def layer_group(layer: str) -> str:
    """Return the group's name for a layer: netCDF forbids slashes."""
    return layer.replace("/", "%2F")


def create(
    place: Any,
    name: str,
    dtype: Any,
    dimensions: tuple[str, ...],
    compression: dict[str, Any] = LOSSLESS,
    **kwargs: Any,
) -> Any:
    """Create a variable with a small chunk cache."""
    if dtype is str or np.dtype(dtype).kind in "UO":
        return place.createVariable(name, str, dimensions, **kwargs)
    variable = place.createVariable(name, dtype, dimensions, **compression, **kwargs)
    variable.set_var_chunk_cache(size=CHUNK_CACHE)
    return variable
