"""How members are compared: groups, their order, blocks, relabelings, and what is asked of each of them."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from akpsim.checks import among, between, in_range, one_of
from akpsim.distances import Negative, group_label, groups_of
from akpsim.errors import InvalidData, unknown_name
from akpsim.karenina.centres import CENTERS, Center
from akpsim.karenina.effect import Estimate, Spread, blocked_contrast, contrast
from akpsim.karenina.permdisp import coded
from akpsim.karenina.verdict import EQUIVALENCE
from akpsim.permutations import Relabelings, Seed, relabelings

REFERENCES = ("happy", "none", "baseline")
"""Groups that others are compared with, if there is one of that name."""


class Options(NamedTuple):
    """How to disperse."""

    center: Center = "centroid"
    negative: Negative = "signed"
    confidence: float = 0.95
    equivalence: float = EQUIVALENCE


def options_of(center: Any, negative: Any, confidence: Any, equivalence: Any) -> Options:
    """Return options after a look at each; `negative` is looked at where it is used."""
    one_of(center, "center", CENTERS)
    in_range(confidence, "confidence", 0.5, 0.9999)
    between(equivalence, "equivalence", 1, 1000)
    return Options(center, negative, confidence, equivalence)


class Design(NamedTuple):
    """Groups, the one that others are compared with first; the code of each member's, and relabelings."""

    labels: np.ndarray
    groups: list[str]
    codes: np.ndarray
    drawn: Relabelings
    blocks: np.ndarray | None = None

    @property
    def others(self) -> str:
        """What the reference is compared with."""
        return self.groups[1] if len(self.groups) == 2 else "others"


def design_of(
    members: xr.DataArray, by: Any, reference: str | None, blocks: Any, permutations: int, seed: Seed
) -> Design:
    """Return the groups, the reference among them and the relabelings that all tests share."""
    labels = groups_of(members, by)
    if labels.dtype.kind == "f" and len(np.unique(labels)) > len(labels) / 2:
        raise InvalidData(
            f"`by` is a number a member ({group_label(by)}: {len(np.unique(labels))} values), which makes no groups: "
            "`akpsim.disperse_on` asks whether members differ more the larger it is"
        )
    groups, codes = coded(labels)
    if reference is None:
        reference = next((name for name in REFERENCES if name in groups), groups[0])
    if not among(reference, groups):
        raise unknown_name("group for `reference`", reference, groups)
    first = groups.index(reference)
    groups = [reference, *groups[:first], *groups[first + 1 :]]
    codes = np.where(codes == first, 0, codes + (codes < first))
    inside = None if blocks is None else groups_of(members, blocks, name="blocks")
    drawn = relabelings(codes, permutations=permutations, blocks=inside, seed=seed)
    return Design(labels.astype(str), groups, codes, drawn, inside)


def estimate(values: np.ndarray, own: list[Spread], weights: np.ndarray, design: Design, options: Options) -> Estimate:
    """Return a contrast; its interval leaves out blocks where there are enough, else members."""
    if design.blocks is not None:
        found = blocked_contrast(values, design.codes, weights, design.blocks, confidence=options.confidence)
        if found is not None:
            return found
    return contrast(own, weights, confidence=options.confidence)
