"""What an ordination is: a record, and the labelled result that every method returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.distances import group_label, groups_of, made_of, mean_pairwise, member_coordinates
from akpsim.store import provenance

OUTLINE = np.linspace(0, 2 * np.pi, 61)
ELLIPSE_RADIUS = 2.4477
"""Root of the .95 quantile of chi-square with two degrees of freedom."""


@dataclass(frozen=True)
class Ordination:
    """A way to put members on few axes.

    Attributes
    ----------
    name : str
        The word a user types.
    fit : callable
        Takes distances (member, other) or a table (member, attribute) and options; returns a Dataset.
    takes : {"distances", "table"}
        What `fit` starts from.
    linear : bool
        Whether axes are linear, so that they explain shares of the total and new members can be placed on them.
    random : bool
        Whether the result depends on a seed.
    source : str
        Where the method is described.
    summary : str
        What it is, in one line.
    """

    name: str
    fit: Callable[..., xr.Dataset]
    takes: Literal["distances", "table"]
    linear: bool
    random: bool
    source: str
    summary: str


def ordination_result(
    position: np.ndarray,
    members: xr.DataArray,
    *,
    distances: np.ndarray,
    by: str | Sequence[Any] | None,
    attrs: dict[str, Any],
    **variables: Any,
) -> xr.Dataset:
    """Return positions with labels, and the spread of each group in the full space beside that in the map.

    Parameters
    ----------
    position : array, shape (member, axis)
        Coordinates of members.
    members : DataArray
        Anything with the coordinates of members.
    distances : array, shape (member, member)
        Distances in the full space.
    by : str or sequence, optional
        Groups; by default the coordinate ``stress`` or else ``family``, if there is more than one value of it.
    attrs : dict
        What made the result.
    **variables
        More variables of the result.

    Returns
    -------
    Dataset
        ``position`` (member, axis) and, if there are groups: ``label`` (member), ``full_space_distance`` and
        ``map_distance`` (mean distance between two members of a group, in the full space and on the first two axes),
        ``centroid`` (group, axis) and ``outline`` (group, point, plane), the ellipse that holds 95 % of a normal group.
    """
    result = xr.Dataset(
        {"position": (("member", "axis"), position)},
        coords={**member_coordinates(members), "axis": np.arange(1, position.shape[1] + 1)},
        attrs=provenance(**attrs) | made_of(members) | {"result": "ordination"},
    ).assign(variables)
    by = default_groups(members) if by is None else by
    if by is None:
        return result
    labels = groups_of(members, by).astype(str)
    full, shown = mean_pairwise(distances, labels), mean_pairwise(plane_distances(position), labels)
    groups = list(full)
    inside = [position[labels == group] for group in groups]
    return (
        result.assign(
            label=("member", labels),
            full_space_distance=("group", list(full.values())),
            map_distance=("group", list(shown.values())),
            centroid=(("group", "axis"), np.array([points.mean(axis=0) for points in inside])),
            outline=(("group", "point", "plane"), np.array([outline(points[:, :2]) for points in inside])),
        )
        .assign_coords(group=groups, plane=["x", "y"])
        .assign_attrs(by=group_label(by))
    )


def default_groups(members: xr.DataArray) -> str | None:
    """Return ``stress`` or else ``family``, if members have it and differ in it."""
    for name in ("stress", "family"):
        if name in members.coords and members.coords[name].dims == ("member",) and len(np.unique(members[name])) > 1:
            return name
    return None


def plane_distances(position: np.ndarray) -> np.ndarray:
    """Return the distances between members on the first two axes."""
    found: np.ndarray = np.linalg.norm(position[:, None, :2] - position[None, :, :2], axis=-1)
    return found


def outline(points: np.ndarray) -> np.ndarray:
    """Return the ellipse that holds 95 % of a normal group; NaN for fewer than three points or axes."""
    if len(points) < 3 or points.shape[1] < 2:
        return np.full((len(OUTLINE), 2), np.nan)
    eigenvalue, vector = np.linalg.eigh(np.cov(points.T))
    circle = np.stack([np.cos(OUTLINE), np.sin(OUTLINE)], axis=1) * ELLIPSE_RADIUS
    ellipse: np.ndarray = points.mean(axis=0) + circle * np.sqrt(np.maximum(eigenvalue, 0)) @ vector.T
    return ellipse
