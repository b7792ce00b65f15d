r"""The effect of happiness, and how much of it is true by definition.

The effect between happy and unhappy members is measured twice: on whole representations, and without what their logits
say (`akpsim.without_readout`).  The difference of the two log ratios is the tautological part.  Both come from the
same members, so that its interval takes differences of pseudo-values member by member.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.distances import distance_matrix
from akpsim.errors import InvalidData
from akpsim.karenina.design import design_of
from akpsim.karenina.disperse import disperse
from akpsim.karenina.effect import Spread, against_reference, contrast, spreads

OF_RAW = ("log_ratio", "log_ratio_lower", "log_ratio_upper", "p", "mean_distance", "distance")


def disperse_without_readout(raw: Any, projected: Any, by: str | Sequence[Any], **options: Any) -> xr.Dataset:
    """Say whether unhappy members differ more from each other, beyond what their outputs say.

    Parameters
    ----------
    raw, projected : DataArray or array, shape (member, other)
        Distances between whole representations, and between representations without their readout.
    by : str or sequence
        Happy or unhappy.
    **options
        As for `akpsim.disperse`.

    Returns
    -------
    Dataset
        What `akpsim.disperse` says of `projected`, whose verdict counts; the same of `raw` as ``raw_log_ratio`` ...;
        ``tautological_part`` with its interval: raw minus projected log ratio.  attrs ``raw_verdict``.
    """
    whole, rest = distance_matrix(raw), distance_matrix(projected)
    if whole["member"].values.tolist() != rest["member"].values.tolist():
        raise InvalidData("whole and projected representations have different members or another order of them")
    of_raw, of_rest = disperse(whole, by, **options), disperse(rest, by, **options)
    design = design_of(whole, by, options.get("reference"), None, 1, 0)
    pairs = zip(
        spreads(whole.values, design.codes, design.groups),
        spreads(rest.values, design.codes, design.groups),
        strict=True,
    )
    difference = [Spread(one.log_mean - two.log_mean, one.pseudo - two.pseudo) for one, two in pairs]
    weights = against_reference(len(design.groups))
    part = contrast(difference, weights, confidence=options.get("confidence", 0.95))
    percent = f"{options.get('confidence', 0.95):.0%}"
    said = (
        f"without the readout, {of_rest.attrs['sentence']}. With it the ratio is {np.exp(float(of_raw.log_ratio)):.2f} "
        f"({percent} interval {np.exp(float(of_raw.log_ratio_lower)):.2f} to "
        f"{np.exp(float(of_raw.log_ratio_upper)):.2f}), a factor {np.exp(part.value):.2f} "
        f"({np.exp(part.lower):.2f} to {np.exp(part.upper):.2f}) of which is tautological"
    )
    return of_rest.assign(
        {f"raw_{name}": of_raw[name] for name in OF_RAW}
        | {
            "tautological_part": part.value,
            "tautological_part_lower": part.lower,
            "tautological_part_upper": part.upper,
        }
    ).assign_attrs(raw_verdict=of_raw.attrs["verdict"], sentence=said)
