"""Results of analyses: netCDF files that are complete and say what made them."""

import json
from pathlib import Path
from typing import Any

import xarray as xr

import akpsim
from akpsim.errors import StoreError
from akpsim.files import atomic


def provenance(**made_by: Any) -> dict[str, Any]:
    """Return attributes that say what made a result: this version and the arguments, in forms netCDF can hold."""
    plain = {key: value for key, value in made_by.items() if value is not None}
    return {"akpsim_version": akpsim.__version__} | {
        key: value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)
        for key, value in plain.items()
    }


def save(result: xr.Dataset | xr.DataArray, path: Path | str) -> Path:
    """Save a result as netCDF4, whole or not at all, and return its path."""
    dataset = result.to_dataset(name=result.name or "value") if isinstance(result, xr.DataArray) else result
    with atomic(path) as temporary:
        dataset.assign_attrs({**result.attrs, "complete": 1}).to_netcdf(temporary, engine="netcdf4")
    return Path(path)


def open_result(path: Path | str) -> xr.Dataset:
    """Read a result that `save` wrote; refuse one that is damaged or not akpsim's."""
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            found = dataset.load()
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise StoreError(f"{path} is damaged or no netCDF file: {error}") from None
    if found.attrs.get("complete") != 1:
        raise StoreError(f"{path} is not a complete akpsim result")
    return found
