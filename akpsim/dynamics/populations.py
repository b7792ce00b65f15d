r"""Populations of neurons: which neurons are one population, and which number is followed over training.

=================== ============================================== ==========================================
definition          a population is                                its size is
=================== ============================================== ==========================================
clusters            neurons that respond alike at the end of       mean absolute activation over probe images
                    training, by :math:`|r|`
active_share        the same clusters                              share of activations above zero (at most one)
weight_mass         the same clusters                              sum of the norms of incoming weights
class_selective     neurons that prefer one class at the end       mean absolute activation over probe images
=================== ============================================== ==========================================

The reference is the last captured epoch, or the last point in time for class preference: fixed for the whole
trajectory, so that neurons do not change sides while they are counted.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from akpsim.checks import at_least, in_range, numbers_of, one_of
from akpsim.errors import InvalidData, StoreError, shortened
from akpsim.store import MEMBER_COORDINATES, Run, layer_group, open_member, open_run, open_table, provenance

UNITS = {
    "clusters": "mean |activation|",
    "active_share": "share of active neurons",
    "weight_mass": "sum of weight norms",
    "class_selective": "mean |activation|",
}
DEFINITIONS = tuple(UNITS)
SELECTIVE = 1 / 3
"""A neuron prefers a class when the mean response to it exceeds that to the others by this share of their sum."""


def populations(
    source: Run | Path | str | None = None,
    *,
    definition: str = "clusters",
    count: int = 2,
    layer: str | None = None,
    classes: tuple[int, ...] | None = None,
    method: str = "kmeans",
    seed: int = 0,
) -> xr.DataArray:
    """Return trajectories of neuron populations of every member of a run.

    Parameters
    ----------
    source : Run or path, optional
        By default the newest run under ``runs/``.
    definition : {"clusters", "active_share", "weight_mass", "class_selective"}
        What a population is, and what is followed (see the table above).
    count : int
        Number of clusters, or of classes if `classes` are not given.
    layer : str, optional
        A hidden layer; by default the last.
    classes : tuple of int, optional
        For class-selective neurons; by default the `count` classes that most neurons of all members prefer.
    method : {"kmeans", "spectral"}
        How clusters are found.
    seed : int
        For the clusters.

    Returns
    -------
    DataArray (member, time, population)
        Time in updates, with the coordinate ``epoch``; members that trained for less end in NaN.  The coordinate
        ``swaps`` (member) holds the times of swaps as JSON; ``neurons`` (member, population) the sizes of groups.
        ``attrs``: unit, definition, layer, bounded.

    Raises
    ------
    StoreError
        If the run has no populations.
    InvalidData
        If there are fewer living neurons than clusters.
    """
    one_of(definition, "definition", DEFINITIONS)
    one_of(method, "method", METHODS)
    count = at_least(in_range(count, "count", 1, 10_000), "count", 1)
    run = source if isinstance(source, Run) else open_run(source)
    tables = [_table(run, member, layer) for member in run.names]
    layer = str(tables[0].attrs["layer"])
    if definition == "class_selective":
        preferences = [preferred_class(table.class_mean.values[-1]) for table in tables]
        classes = classes or _largest(preferences, count)
        names = [f"class_{label}" for label in classes]
        groups = [np.select([preference == label for label in classes], range(len(classes)), -1)
                  for preference in preferences]  # fmt: skip
    else:
        names = [f"cluster_{index + 1}" for index in range(count)]
        groups = [
            cluster_neurons(_reference(run, member, layer), count=count, method=method, seed=seed)
            for member in run.names
        ]
    found = [_trajectory(table, group, definition, names) for table, group in zip(tables, groups, strict=True)]
    whole = xr.concat(found, dim="member", join="outer", coords="minimal", compat="override")
    longest = max(tables, key=lambda table: table.sizes["time"])
    sizes = [[int(np.sum(group == index)) for index in range(len(names))] for group in groups]
    whole = whole.assign_coords(
        epoch=("time", longest.epoch.values),
        swaps=("member", [json.dumps(swap_times(run, member, layer=layer)) for member in run.names]),
        neurons=(("member", "population"), sizes),
    ).assign_coords(run.members.set_coords([key for key in MEMBER_COORDINATES if key in run.members]).coords)
    attrs = {"result": "populations", "definition": definition, "unit": UNITS[definition], "layer": layer,
             "time_name": "update", "bounded": int(definition == "active_share")}  # fmt: skip
    return whole.rename("populations").assign_attrs(
        attrs | provenance(method=method, seed=seed, source=str(run.path), study=run.manifest.get("study"))
    )


def swap_times(source: Run | Path | str | None, member: str, *, layer: str | None = None) -> list[float]:
    """Return when a member's network, loss or data were changed, in updates: breakpoints of its trajectories.

    An action at epoch e happens before the batches of epoch e, that is after e - 1 whole epochs; what was in place
    from the first update on is no breakpoint.
    """
    run = source if isinstance(source, Run) else open_run(source)
    table = _table(run, member, layer)
    with open_member(run.file(member)) as file:
        if "audit" not in file.groups or "epoch" not in file["audit"].variables:
            return []
        epochs = np.unique(np.ma.getdata(file["audit/epoch"][:])).astype(float) - 1
    inside = epochs[(epochs > 0) & (epochs < table.epoch.values[-1])]
    return [float(value) for value in np.interp(inside, table.epoch.values, table.time.values)]


def cluster_neurons(
    activations: Float[np.ndarray, "sample neuron"], *, count: int = 2, method: str = "kmeans", seed: int = 0
) -> Int[np.ndarray, " neuron"]:
    """Group neurons by the absolute correlation of their responses.

    Parameters
    ----------
    activations : array, shape (sample, neuron)
        Responses on a reference checkpoint.
    count : int
        Number of clusters.
    method : {"kmeans", "spectral"}
        k-means on rows of the matrix of absolute correlations, or spectral clustering of that matrix.
    seed : int
        For the clusters.

    Returns
    -------
    array of int, shape (neuron,)
        0 for the largest cluster, then 1, ...; -1 for neurons that respond to all samples alike.
    """
    one_of(method, "method", METHODS)
    count = at_least(count, "count", 1)
    seed = at_least(in_range(seed, "seed", 0, 2**32 - 1), "seed", 0)
    activations = numbers_of(activations, "activations")
    if activations.ndim != 2:
        raise InvalidData(f"`activations` must be an array (sample, neuron), got shape {activations.shape}")
    spread = activations.std(axis=0)
    alive = np.flatnonzero(spread > 1e-9 * np.abs(activations).max(initial=0.0))
    if len(alive) < count:
        raise InvalidData(f"{count} clusters need as many neurons that respond: there are {len(alive)}")
    likeness = np.abs(np.atleast_2d(np.corrcoef(activations[:, alive].T.astype(float))))
    labels = METHODS[method](likeness, count, seed)
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    found = np.full(activations.shape[1], -1)
    found[alive] = np.argsort(order)[labels]
    return found


def _kmeans(likeness: np.ndarray, count: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=10, random_state=seed).fit_predict(likeness))


def _spectral(likeness: np.ndarray, count: int, seed: int) -> np.ndarray:
    from sklearn.cluster import SpectralClustering

    return np.asarray(SpectralClustering(count, affinity="precomputed", random_state=seed).fit_predict(likeness))


METHODS = {"kmeans": _kmeans, "spectral": _spectral}


def preferred_class(class_mean: Float[np.ndarray, "class neuron"]) -> Int[np.ndarray, " neuron"]:
    r"""Return the class that each neuron prefers, -1 for none.

    With :math:`m` the largest mean absolute response to a class and :math:`o` the mean over the others, a neuron
    prefers that class when :math:`(m - o) / (m + o) > 1/3`: twice the response.
    """
    size = np.abs(class_mean)
    best = size.argmax(axis=0)
    most = size.max(axis=0)
    others = (size.sum(axis=0) - most) / max(1, len(size) - 1)
    total = most + others
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((total > 0) & ((most - others) / total > SELECTIVE), best, -1)


def _largest(preferences: list[np.ndarray], count: int) -> tuple[int, ...]:
    everyone = np.concatenate(preferences)
    numbers = np.bincount(everyone[everyone >= 0], minlength=count)
    chosen = np.argsort(-numbers, kind="stable")[:count]
    return tuple(int(label) for label in np.sort(chosen))


def _table(run: Run, member: str, layer: str | None) -> xr.Dataset:
    """Return what a member stored about the neurons of a layer over training."""
    with open_member(run.file(member)) as file:
        layers = list(file["populations"].groups) if "populations" in file.groups else []
    if not layers:
        raise StoreError(f"{member} of {run.path} has no populations: set `capture.populations` and train again")
    name = layers[-1] if layer is None else layer
    if not isinstance(name, str) or layer_group(name) not in layers:
        known = ", ".join(layers)
        raise StoreError(f"{member} of {run.path} has no populations of {shortened(name)}; there are: {known}")
    return open_table(run.file(member), f"populations/{layer_group(name)}").assign_attrs(layer=name)


def _reference(run: Run, member: str, layer: str) -> np.ndarray:
    """Return the activations (sample, neuron) at the last captured epoch."""
    with open_member(run.file(member)) as file:
        path = f"activations/{layer_group(layer)}"
        if "activations" not in file.groups or layer_group(layer) not in file["activations"].groups:
            raise StoreError(f"{member} of {run.path} has no activations of {layer!r}: clusters need a reference")
        return np.ma.getdata(file[f"{path}/activation"][-1])


def _trajectory(table: xr.Dataset, group: np.ndarray, definition: str, names: list[str]) -> xr.DataArray:
    columns = [reduce_neurons(table, group == index, definition) for index in range(len(names))]
    return xr.DataArray(
        np.stack(columns, axis=1), dims=("time", "population"), coords={"time": table.time.values, "population": names}
    )


def reduce_neurons(table: xr.Dataset, chosen: np.ndarray, definition: str) -> Float[np.ndarray, " time"]:
    """Return the size of one population over time; NaN if no neuron belongs to it."""
    variable: dict[str, Any] = {"active_share": "active", "weight_mass": "weight_norm"}
    values = table[variable.get(definition, "mean_abs")].values[:, chosen].astype(float)
    if not chosen.any():
        return np.full(table.sizes["time"], np.nan)
    return np.asarray(values.sum(axis=1) if definition == "weight_mass" else values.mean(axis=1))
