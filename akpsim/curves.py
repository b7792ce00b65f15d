"""Accuracy over epochs of each group of families, ready to be drawn: the paper's Figures 3, 4 and 5."""

import numpy as np
import xarray as xr

from akpsim.checks import instance
from akpsim.store import Run, open_member, provenance, stored

PAPER_FIGURES = {"a": "Fig. 3", "b": "Fig. 4", "c": "Fig. 5"}


def training_curves(run: Run) -> dict[str, xr.Dataset]:
    """Return the accuracy curves of every group of families of a run.

    Parameters
    ----------
    run : Run
        As `akpsim.open_run` gives it.  Families without a `group` are left out.

    Returns
    -------
    dict of Dataset
        Group -> ``train_accuracy``, ``validation_accuracy`` and ``swapped`` (member, epoch), the latter True where an
        event of a perturbation came before that epoch, with the coordinates of the run's members.
    """
    instance(run, "run", Run, "a run, as `akpsim.open_run` gives it")
    groups = {family.name: family.group for family in run.study.families}
    wanted = [name for name in dict.fromkeys(groups.values()) if name is not None]
    if not wanted:
        return {}
    history = run.history[["train_accuracy", "validation_accuracy"]]
    families = [str(name) for name in history.family.values]
    swapped = np.array([np.isin(history.epoch.values, events_of(run, name)) for name in run.names])
    history = history.assign(swapped=(("member", "epoch"), swapped))
    attrs = provenance(result="training_curves", source=str(run.path), study=run.manifest["study"])
    found = {}
    for group in wanted:
        own = history.isel(member=[groups[name] == group for name in families])
        if not own.sizes["member"]:
            continue
        found[group] = own.dropna("epoch", how="all", subset=["train_accuracy"]).assign_attrs(attrs, group=group)
        if run.study.name.startswith("paper") and group in PAPER_FIGURES:
            found[group].attrs["figure"] = f"as {PAPER_FIGURES[group]} of the paper: group {group.upper()}"
    return found


def events_of(run: Run, member: str) -> np.ndarray:
    """Return the epochs before which an event of a perturbation happened to a member."""
    with open_member(run.file(member)) as file:
        written = "audit" not in file.groups or "epoch" in file["audit"].variables  # no event, no column
        return np.asarray(stored(file, "audit/epoch") if written else [])
