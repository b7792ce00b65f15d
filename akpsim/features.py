"""Read anybody's features: files of numbers become labelled representations.

============  ==============================================================================================
ends in       holds
============  ==============================================================================================
.npy          one array (sample, neuron), or several as (member, sample, neuron)
.npz          one array (sample, neuron) a name
.safetensors  one array (sample, neuron) a name
.csv          one row a sample; a first line of names and a first column of sample ids are recognised
.nc           variables with the dimensions sample and neuron, and ``member`` if there are several
============  ==============================================================================================

Pickled content is refused.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from akpsim.checks import as_path, instance
from akpsim.errors import InvalidData, StoreError
from akpsim.feature_table import read_csv
from akpsim.seal import state_of

FEATURE_SUFFIXES = (".npy", ".npz", ".nc", ".safetensors", ".csv")


def read_features(paths: Iterable[Path | str]) -> xr.DataArray | dict[str, xr.DataArray]:
    """Return the representations in some files, by name.

    Parameters
    ----------
    paths : iterable of paths
        See the table above.

    Returns
    -------
    DataArray (member, sample, neuron) or dict
        The DataArray of a single netCDF file as it is; else name -> DataArray (sample, neuron).  A file with one array
        gives it the file's name, a file with several the names within (preceded by the file's if there are several
        files).

    Raises
    ------
    InvalidData
        If a file is cut short, is of no known kind, or holds no such arrays.
    StoreError
        If a file does not exist.
    """
    if isinstance(paths, str | os.PathLike):
        raise InvalidData(f"`paths` must be a list of files, got {paths!r}; put it into brackets")
    files = [as_path(path, "paths") for path in instance(paths, "paths", Iterable, "a list of files")]
    if not files:
        raise InvalidData("no file of features is named")
    found: dict[str, xr.DataArray] = {}
    for path in files:
        arrays = read_file(path)
        for name, array in arrays.items():
            label = path.stem if len(arrays) == 1 else f"{path.stem}/{name}" if len(files) > 1 else name
            found[label if label not in found else str(path if len(arrays) == 1 else f"{path}/{name}")] = array
    if len(found) == 1:
        (only,) = found.values()
        if only.ndim == 3:
            return only
    return _split(found)


def read_file(path: Path) -> dict[str, xr.DataArray]:
    """Return the arrays of one file by name."""
    readers = {".npy": _npy, ".npz": _npz, ".nc": _netcdf, ".safetensors": _safetensors, ".csv": _csv}
    if path.suffix not in readers:
        raise InvalidData(f"features are read from {', '.join(FEATURE_SUFFIXES)} files, got {path}")
    if not path.is_file():
        raise StoreError(f"{path} does not exist")
    try:
        arrays = readers[path.suffix](path)
    except InvalidData:
        raise
    except PermissionError:
        raise StoreError(f"cannot read {path}: permission denied") from None
    except Exception as error:  # readers of five formats raise what they like on a damaged file
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise InvalidData(f"{path} holds no plain numbers: pickled Python objects are never loaded") from None
        raise InvalidData(f"{path} is damaged, cut short or no {path.suffix} file") from None
    if not arrays:
        raise InvalidData(f"{path} holds no array (sample, neuron)")
    for name, array in arrays.items():
        for dim in ("sample", "neuron"):
            if not array.sizes[dim]:
                raise InvalidData(f"{path}: {name!r} has no {dim}")
    return arrays


def _plain(array: np.ndarray, path: Path, name: str = "") -> xr.DataArray:
    """Return an array of numbers with named dimensions: (sample, neuron) or (member, sample, neuron)."""
    where = f"{name!r} in {path}" if name else str(path)
    if array.dtype.kind not in "fiub":
        raise InvalidData(f"features must be numbers, got {array.dtype} as {where}")
    if array.ndim not in (2, 3):
        raise InvalidData(f"features must be an array (sample, neuron), got shape {array.shape} as {where}")
    return xr.DataArray(array, dims=("member", "sample", "neuron")[3 - array.ndim :])


def _npy(path: Path) -> dict[str, xr.DataArray]:
    return {path.stem: _plain(np.load(path, allow_pickle=False), path)}


def _npz(path: Path) -> dict[str, xr.DataArray]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: _plain(file[name], path, name) for name in file.files}


def _safetensors(path: Path) -> dict[str, xr.DataArray]:
    from safetensors.numpy import load_file

    return {name: _plain(array, path, name) for name, array in sorted(load_file(path).items())}


def _netcdf(path: Path) -> dict[str, xr.DataArray]:
    if state_of(path) == "damaged":
        raise InvalidData(f"{path} is damaged: it is not what was saved")
    with xr.open_dataset(path, engine="netcdf4") as file:
        file = file.load()
    arrays = {str(name): variable for name, variable in file.items() if {"sample", "neuron"} <= set(variable.dims)}
    for name, variable in file.items():
        other = "sample" in variable.dims and variable.ndim > 1 and name not in arrays
        if arrays and (other or (name in arrays and variable.ndim > 3)):
            raise InvalidData(
                f"{path}: {name!r} has the dimensions ({', '.join(map(str, variable.dims))}); representations have "
                "sample, neuron and at most one more: keep others in files of their own"
            )
    return {name: variable.assign_attrs({**file.attrs, "source": str(path)}) for name, variable in arrays.items()}


def _csv(path: Path) -> dict[str, xr.DataArray]:
    return {path.stem: read_csv(path)}


def _split(found: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Return single representations (sample, neuron): those with several members one by one."""
    single: dict[str, xr.DataArray] = {}
    for name, array in found.items():
        if array.ndim == 2:
            single[name] = array.transpose("sample", "neuron")
            continue
        axis = next(dim for dim in array.dims if dim not in ("sample", "neuron"))
        for index, label in enumerate(array[axis].to_numpy().tolist()):
            single[f"{name}/{label}"] = array.isel({axis: index}).transpose("sample", "neuron")
    return single
