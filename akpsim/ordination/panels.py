"""Several maps beside each other, each with the tested effect that it must not be read for."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from akpsim.checks import instance, made_by
from akpsim.distances import made_of
from akpsim.errors import InvalidData
from akpsim.store import provenance

SAID = ("sentence", "tests", "verdict")
KEPT = ("position", "label", "explained", "centroid", "outline", "full_space_distance", "map_distance")


def with_effect(ordination: xr.Dataset, dispersion: xr.Dataset) -> xr.Dataset:
    """Return an ordination that carries what the test of its members' dispersion said.

    Parameters
    ----------
    ordination : Dataset
        As `akpsim.ordinate` returns it.
    dispersion : Dataset
        As `akpsim.disperse` returns it, of the same members.
    """
    made_by(ordination, "ordination", "ordinate", "member", "position")
    made_by(dispersion, "dispersion", "disperse", "member", "log_ratio")
    if ordination["member"].values.tolist() != dispersion["member"].values.tolist():
        raise InvalidData("the ordination and the test of dispersion have different members or another order of them")
    return ordination.assign_attrs({name: dispersion.attrs[name] for name in SAID})


def panels(ordinations: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Join ordinations of different members into one result of several panels.

    Parameters
    ----------
    ordinations : mapping of str to Dataset
        Title -> ordination with groups, in the order of the panels.

    Returns
    -------
    Dataset
        First two axes of ``position`` (panel, member, axis), NaN and an empty ``label`` where a member is not in a
        panel; ``sentence`` and ``tests`` (panel): what the test said, if `with_effect` told.
    """
    instance(ordinations, "ordinations", Mapping, "a map a name")
    if not ordinations:
        raise InvalidData("one panel at least is needed, got none")
    for name, each in ordinations.items():
        made_by(each, f"ordinations[{name!r}]", "ordinate", "member", "position")
    members = list(dict.fromkeys(name for each in ordinations.values() for name in each["member"].values.tolist()))
    groups = list(dict.fromkeys(name for each in ordinations.values() for name in each["group"].values.tolist()))
    parts = []
    for each in ordinations.values():
        chosen = each[[name for name in KEPT if name in each]].isel(axis=slice(2))
        chosen = chosen.drop_vars([name for name, c in chosen.coords.items() if c.dims and name not in chosen.dims])
        parts.append(chosen.reindex(member=members, group=groups, axis=[1, 2], fill_value={"label": ""}))
    joined = xr.concat(parts, dim="panel", join="outer").assign_coords(panel=list(ordinations))
    first = next(iter(ordinations.values()))
    said = {name: [each.attrs.get(name, "") for each in ordinations.values()] for name in ("sentence", "tests")}
    return joined.assign({name: ("panel", np.array(words)) for name, words in said.items()}).assign_attrs(
        provenance(method=first.attrs.get("method"), by=first.attrs.get("by"))
        | made_of(first)
        | {"result": "ordination_panels"}
    )
