r"""The same question at several layers, and at all of them at once.

Every layer is judged under the same relabelings, so that the layers' statistics stay as correlated as they are.  The
p-values are adjusted by step-down maxT on statistics divided by their standard deviation over relabelings.  The
omnibus asks about the sum over layers of the Gram matrices, each scaled to a total variance of one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from akpsim.checks import instance, made_by, one_of
from akpsim.distances import Negative, gram, group_label, made_of, varied
from akpsim.errors import InvalidData
from akpsim.karenina.centres import Center
from akpsim.karenina.design import Options, design_of, options_of
from akpsim.karenina.disperse import Dispersed, disperse_one
from akpsim.karenina.verdict import EQUIVALENCE, verdict
from akpsim.parallel import side_by_side
from akpsim.permutations import Seed, false_discovery, p_value, step_down
from akpsim.progress import Progress
from akpsim.store import provenance

SUMMARY = ("log_ratio", "log_ratio_lower", "log_ratio_upper", "p", "p_location", "statistic")


def disperse_layers(
    distances: Mapping[str, Any] | xr.DataArray,
    by: str | Sequence[Any],
    *,
    reference: str | None = None,
    blocks: str | Sequence[Any] | None = None,
    center: Center = "centroid",
    negative: Negative = "signed",
    confidence: float = 0.95,
    equivalence: float = EQUIVALENCE,
    adjust: str = "maxt",
    permutations: int = 999,
    seed: Seed = None,
    progress: bool = False,
) -> xr.Dataset:
    """Say at which layers members of some groups differ more from each other than those of the reference.

    Parameters
    ----------
    distances : mapping of str to DataArray, or DataArray (layer, member, other)
        Distances between the same members in the same order at each layer.
    by, reference, blocks, center, negative, confidence, equivalence, permutations, seed
        As for `akpsim.disperse`.
    adjust : {"maxt", "fdr"}
        ``p_adjusted`` by step-down maxT, or by Benjamini and Hochberg's false discovery rate.
    progress : bool
        Show on standard error how far the work is.

    Returns
    -------
    Dataset
        Along ``layer``: ``log_ratio`` with its interval, ``p``, ``p_adjusted``, ``p_location`` and ``verdict``; and
        ``omnibus_log_ratio`` with its interval, ``omnibus_p`` and ``omnibus_verdict`` for all layers at once.
    """
    one_of(adjust, "adjust", ("maxt", "fdr"))
    matrices = _matrices(distances)
    first = next(iter(matrices.values()))
    design = design_of(first, by, reference, blocks, permutations, seed)
    options = options_of(center, negative, confidence, equivalence)
    rows: list[dict[str, Any]] = []
    nulls = []
    values = {**{name: matrix.values for name, matrix in matrices.items()}, "all layers": summed(matrices)}
    every = side_by_side(lambda distances: disperse_one(distances, design, options), values.values())
    with Progress("layers", total=len(values), show=progress) as bar:
        for name, found in zip(values, every, strict=True):
            rows.append(_row(found, options, design.drawn.smallest_p))
            nulls.append(found.null)
            bar.advance(note=name)
    table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    null = np.stack(nulls[:-1], axis=1)
    scale = np.where(null.std(axis=0) > 0, null.std(axis=0), 1)
    p = table["p"][:-1]
    adjusted = step_down(null / scale, table["statistic"][:-1] / scale) if adjust == "maxt" else false_discovery(p)
    variables: dict[str, Any] = {key: ("layer", values[:-1]) for key, values in table.items()}
    variables |= {f"omnibus_{key}": values[-1] for key, values in table.items()}
    return xr.Dataset(
        variables | {"p_adjusted": ("layer", adjusted)},
        coords={"layer": list(matrices)},
        attrs=provenance(
            **options._asdict(),
            adjust=adjust,
            reference=design.groups[0],
            blocks=None if blocks is None else group_label(blocks),
            seed=seed if isinstance(seed, int) else None,
        )
        | made_of(first)
        | {"result": "dispersion_layers", "by": group_label(by), "others": design.others, "tests": design.drawn.words}
        | design.drawn.attrs,
    )


def _matrices(distances: Mapping[str, Any] | xr.DataArray) -> dict[str, xr.DataArray]:
    """Return a checked matrix for each layer; refuse members that differ between layers."""
    if isinstance(distances, xr.DataArray):
        made_by(distances, "distances", "as_distance of `akpsim.compare_over`", "layer")
        distances = {str(layer): distances.sel(layer=layer) for layer in distances["layer"].values}
    instance(distances, "distances", Mapping, "a matrix of distances a layer, by its name")
    found = {str(layer): varied(matrix) for layer, matrix in distances.items()}
    if not found:
        raise InvalidData("one layer at least is needed, got none")
    name, first = next(iter(found.items()))
    for layer, matrix in found.items():
        if matrix["member"].values.tolist() != first["member"].values.tolist():
            raise InvalidData(f"layers {name} and {layer} have different members or another order of them")
    return found


def summed(matrices: Mapping[str, xr.DataArray]) -> np.ndarray:
    """Return the distances in the sum of all layers, each scaled to a total variance of one."""
    squared = sum(matrix.values**2 / np.trace(gram(matrix.values)) for matrix in matrices.values())
    return np.asarray(np.sqrt(squared))


def _row(found: Dispersed, options: Options, smallest_p: float) -> dict[str, Any]:
    """Return what one layer says."""
    p_location = float(p_value(found.wd_null, found.wd))
    values = (*found.effect[:3], float(p_value(found.null, found.statistic)), p_location, found.statistic)
    said = verdict(
        found.effect,
        p_location,
        smallest_p=smallest_p,
        alpha=1 - options.confidence,
        equivalence=options.equivalence,
    )
    return dict(zip(SUMMARY, values, strict=True)) | {"verdict": said}
