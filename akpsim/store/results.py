"""Results of analyses: netCDF files that are complete and say what made them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import __version__ as scipy_version

import akpsim
from akpsim.checks import as_path, instance
from akpsim.errors import StoreError
from akpsim.files import atomic
from akpsim.seal import seal, state_of


def provenance(**made_by: Any) -> dict[str, Any]:
    """Return attributes that say what made a result: versions and arguments, in forms netCDF can hold."""
    plain = {key: value for key, value in made_by.items() if value is not None}
    versions = {"akpsim_version": akpsim.__version__, "numpy_version": np.__version__, "scipy_version": scipy_version}
    return versions | {
        key: value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)
        for key, value in plain.items()
    }


def save(result: xr.Dataset | xr.DataArray, path: Path | str) -> Path:
    """Save a result as netCDF4, whole or not at all, and return its path."""
    if not isinstance(result, xr.DataArray):
        instance(result, "result", xr.Dataset, "a DataArray or a Dataset")
    path = as_path(path)
    dataset = result.to_dataset(name=result.name or "value") if isinstance(result, xr.DataArray) else result
    with atomic(path) as temporary:
        dataset.assign_attrs({**result.attrs, "complete": 1}).to_netcdf(temporary, engine="netcdf4")
        seal(temporary)
    return path


def open_result(path: Path | str) -> xr.Dataset:
    """Read a result that `save` wrote; refuse one that is damaged or not akpsim's."""
    path = as_path(path)
    try:
        state = state_of(path)
    except OSError as error:
        raise StoreError(cannot_open(path, error)) from None
    if state == "damaged":
        raise StoreError(f"{path} is damaged: it is not what was saved")
    if state == "unsealed":
        raise StoreError(f"{path} is no akpsim result, or was cut short or changed since")
    with xr.open_dataset(path, engine="netcdf4") as dataset:
        return dataset.load()


def cannot_open(path: Path | str, error: OSError) -> str:
    """Say why a file cannot be opened."""
    return f"{path} does not exist" if isinstance(error, FileNotFoundError) else f"cannot read {path}: {error.strerror}"
