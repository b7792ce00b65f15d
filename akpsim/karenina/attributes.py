"""Attributes of members at each epoch, for the correlation graph."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from akpsim.checks import among, as_path
from akpsim.errors import InvalidData
from akpsim.store import Run

POINTS = 21
"""At most so many epochs, evenly spaced."""


def class_means(run: Run, layer: str | None = None) -> xr.DataArray:
    """Return the mean activity of a layer on the images of each class, at points of training that all members share.

    Parameters
    ----------
    run : Run
        A run whose study captures populations.
    layer : str, optional
        A hidden layer; by default the last.

    Returns
    -------
    DataArray (member, epoch, attribute)
        One attribute a class; attributes of different members are comparable, as those of single neurons are not.
    """
    if not isinstance(run, Run):
        raise InvalidData(f"class means are those of a run, as `akpsim.open_run` opens it; got {type(run).__name__}")
    hidden = [name for name in run.layers if name != "logits"]
    if not hidden or run.study.capture.populations == 0:
        raise InvalidData(f"{run.path} has no points of training; a study with capture.populations > 0 has them")
    layer = hidden[-1] if layer is None else layer
    if not among(layer, hidden):
        raise InvalidData(f"the points of training are those of hidden layers: {', '.join(hidden)}; got {layer!r}")
    table = run.table(f"populations/{layer}")
    axes = table["class_mean"].dims
    means = table["class_mean"].mean(str(axes[-1])).rename({axes[2]: "attribute"})
    shared = np.flatnonzero(np.isfinite(means.transpose("time", ...).values).all(axis=(1, 2)))
    chosen = shared[np.unique(np.linspace(0, len(shared) - 1, POINTS).round().astype(int))]
    epoch = table["epoch"].values
    points = epoch if epoch.ndim == 1 else epoch[0]
    names = [f"class_{index}" for index in range(means.sizes["attribute"])]
    found = means.isel(time=chosen).rename(time="epoch").drop_vars("epoch", errors="ignore")
    return found.assign_coords(epoch=points[chosen], attribute=names).transpose("member", "epoch", "attribute")


def read_attributes(path: Path | str, *, by: str | None = None) -> xr.DataArray:
    """Read a table with the columns ``member``, ``epoch``, `by` if given, and one an attribute.

    Parameters
    ----------
    path : Path
        A CSV file; one row a member and epoch.
    by : str, optional
        Column that groups the members.

    Returns
    -------
    DataArray (member, epoch, attribute)

    Raises
    ------
    InvalidData
        If a column is missing, a member and epoch are there twice, or an attribute is no number.
    """
    try:
        table = pd.read_csv(as_path(path))
    except (OSError, ValueError) as error:
        raise InvalidData(f"{path} cannot be read as a table: {error}") from None
    keys = ["member", "epoch", *([] if by is None else [by])]
    if not all(among(key, table.columns) for key in keys):
        raise InvalidData(
            f"{path} needs the columns {', '.join(map(str, keys))}; there are: {', '.join(map(str, table.columns))}"
        )
    if table.duplicated(["member", "epoch"]).any():
        twice = table[table.duplicated(["member", "epoch"])].iloc[0]
        raise InvalidData(f"{path} has member {twice['member']} at epoch {twice['epoch']} twice")
    names = [name for name in table if name not in keys]
    words = [name for name in names if not pd.api.types.is_numeric_dtype(table[name])]
    if words:
        raise InvalidData(f"attributes are numbers; column {words[0]!r} of {path} is not")
    found = table.set_index(["member", "epoch"])[names].to_xarray().to_dataarray("attribute")
    if by is not None:
        found = found.assign_coords(
            {by: ("member", table.groupby("member")[by].first().loc[found.member.values].values)}
        )
    ordered: xr.DataArray = found.transpose("member", "epoch", "attribute")
    return ordered
