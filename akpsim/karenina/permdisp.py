r"""Permutation test of dispersion: whether groups differ in the distances of members to their centre.

Distances are scaled by :math:`\sqrt{n_g / (n_g - 1)}`.  The statistic is the range of the log of the groups' mean
distances; of two groups, :math:`|\log (\bar d_2 / \bar d_1)|`.  Labels cannot simply be permuted: when groups differ in
location, relabelled groups would be spread by that difference.  So groups are centred and rescaled first, and
relabelled then, with new centres for each relabeling.

``scheme="vegan"`` is R's betadisper followed by permutest instead: the F ratio of an analysis of variance of the
distances, whose residuals are permuted (Anderson 2006).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.checks import instance, one_of
from akpsim.distances import Negative, at_least_two, group_label, groups_of, member_coordinates, varied
from akpsim.errors import InvalidData
from akpsim.karenina.centres import (
    CENTERS,
    Center,
    Space,
    centre_distances,
    centred_space,
    chunks,
    small_sample,
    space_of,
)
from akpsim.parallel import one_blas_thread
from akpsim.permutations import Relabelings, Seed, p_value, rearrangements, relabelings
from akpsim.store import provenance

Scheme = Literal["centred", "vegan"]


def permdisp(
    dist: Any,
    by: str | Sequence[Any],
    *,
    center: Center = "centroid",
    scheme: Scheme = "centred",
    bias_adjust: bool | None = None,
    negative: Negative = "signed",
    blocks: str | Sequence[Any] | None = None,
    permutations: int = 999,
    seed: Seed = None,
) -> xr.Dataset:
    """Test whether groups differ in dispersion.

    Parameters
    ----------
    dist : DataArray or array, shape (member, other)
        Distances.
    by : str or sequence
        Groups: a coordinate of members, or one label a member.
    center : {"centroid", "median"}
        The mean of a group, or its spatial median.
    scheme : {"centred", "vegan"}
        What is permuted; see above.
    bias_adjust : bool, optional
        Scale distances by sqrt(n / (n - 1)); by default with "centred" only, as vegan does not.
    negative : {"signed", "lingoes", "cailliez", "raise"}
        What becomes of negative eigenvalues.
    blocks : str or sequence, optional
        Labels are permuted only inside a block (a seed, an optimizer).
    permutations : int
        How many relabelings, unless at most 20,000 exist: then all.
    seed : int or Generator, optional
        Source of randomness.

    Returns
    -------
    Dataset
        ``statistic``, ``F`` and ``p``; ``distance`` (member) to the centre; ``mean_distance`` and ``size`` (group).

    Raises
    ------
    InvalidData
        If a group has one member, or all members of all groups sit on their centre.

    Notes
    -----
    Do not read it as a test of location, nor as a size: `akpsim.disperse` gives the effect with its interval.

    References
    ----------
    Anderson (2006), "Distance-based tests for homogeneity of multivariate dispersions", Biometrics 62; Stier et al.
    (2013) for the bias.
    """
    one_of(center, "center", CENTERS)
    one_of(scheme, "scheme", ("centred", "vegan"))
    instance(bias_adjust, "bias_adjust", bool | None, "True, False or None")
    checked = varied(dist)
    labels = groups_of(checked, by)
    groups, codes = coded(labels)
    space = space_of(checked.values, negative=negative)
    inside = None if blocks is None else groups_of(checked, blocks, name="blocks")
    adjust = scheme == "centred" if bias_adjust is None else bias_adjust
    distance = centre_distances(space, codes[None], center=center)[0] * (small_sample(codes) if adjust else 1)
    means = group_means(distance[None], codes[None])[0]
    if not means.any():
        raise InvalidData("all members sit on the centre of their group: there is no dispersion to compare")
    f = float(f_ratio(distance[None], codes)[0])
    if scheme == "vegan":
        drawn = rearrangements(len(codes), permutations=permutations, blocks=inside, seed=seed)
        residual = distance - means[codes]
        statistic, p = f, float(p_value(f_ratio(residual[drawn.codes], codes), f)) if residual.any() else np.nan
    else:
        drawn = relabelings(codes, permutations=permutations, blocks=inside, seed=seed)
        statistic = float(log_range(means[None])[0])
        p = float(p_value(log_range(relabelled_means(space, codes, drawn, center=center, adjust=adjust)), statistic))
    return xr.Dataset(
        {
            "statistic": statistic,
            "F": f,
            "p": p,
            "distance": ("member", distance),
            "label": ("member", labels.astype(str)),
            "mean_distance": ("group", means),
            "size": ("group", np.bincount(codes)),
        },
        coords={**member_coordinates(checked), "group": groups},
        attrs=provenance(center=center, scheme=scheme, negative=negative, negative_share=space.negative_share)
        | {"result": "permdisp", "by": group_label(by), "bias_adjust": int(adjust)}
        | drawn.attrs,
    )


def coded(labels: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the names of groups and the code of each member's; refuse groups of one member."""
    names = at_least_two(labels)
    codes = codes_of(labels, names)
    sizes = np.bincount(codes)
    if sizes.min() < 2:
        alone = names[int(sizes.argmin())]
        raise InvalidData(f"group {alone!s} has one member: what differs from nothing has no dispersion (2 are needed)")
    return [str(name) for name in names], codes


def codes_of(labels: np.ndarray, groups: list[Any]) -> np.ndarray:
    """Return the position among `groups` of each member's label."""
    position = {group: code for code, group in enumerate(groups)}
    return np.array([position[label] for label in labels])


def group_means(distance: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the mean of the members of each group (relabeling, group)."""
    sizes = np.bincount(codes[0])
    totals = [np.einsum("pi,pi->p", distance, (codes == code).astype(np.float64)) for code in range(len(sizes))]
    return np.stack(totals, axis=1) / sizes


def logs_of(means: np.ndarray) -> np.ndarray:
    """Return logs of mean distances; a group on one point counts as extremely tight."""
    logs: np.ndarray = np.log(np.maximum(means, np.finfo(float).tiny))
    return logs


def log_range(means: np.ndarray) -> np.ndarray:
    """Return the log of the largest mean over the smallest (relabeling,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.log(means.max(axis=1) / means.min(axis=1))
    return found


def relabelled_means(
    space: Space, codes: np.ndarray, drawn: Relabelings, *, center: Center, adjust: bool = True
) -> np.ndarray:
    """Return the groups' mean distances to their centres (relabeling, group) after centring and relabelling."""
    centred = centred_space(space, codes, center=center)
    sizes = np.bincount(codes)
    factor = np.sqrt(sizes / (sizes - 1)) if adjust else 1.0
    found = np.empty((len(drawn.codes), len(sizes)))
    with one_blas_thread():
        for rows in chunks(drawn.codes):
            relabelled = drawn.codes[rows]
            found[rows] = group_means(centre_distances(centred, relabelled, center=center), relabelled) * factor
    return found


def f_ratio(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the one-way F of each row; infinite if groups differ and nothing varies inside them."""
    inside = (codes == np.unique(codes)[:, None]).astype(np.float64)
    sizes = inside.sum(axis=1)
    means = values @ inside.T / sizes
    between = (sizes * (means - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (len(sizes) - 1)
    within = ((values - means[:, codes]) ** 2).sum(axis=1) / (len(codes) - len(sizes))
    within[within <= 1e-24 * (values**2).mean(axis=1)] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(between / within)
