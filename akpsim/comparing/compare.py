"""Every pair of representations, as one labelled matrix."""

import json
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.comparing.align import Aligned, align
from akpsim.errors import AkpsimError, UndefinedMetric
from akpsim.metrics import METRICS, Metric
from akpsim.progress import Progress
from akpsim.store import provenance


def compare(
    representations: Any,
    *,
    metric: str | Metric = "cka",
    undefined: Literal["nan", "raise"] = "nan",
    progress: bool = False,
    **parameters: Any,
) -> xr.DataArray:
    """Compare every pair of representations of the same samples.

    Parameters
    ----------
    representations : DataArray (member, sample, neuron), mapping or sequence
        The third dimension of a DataArray may have any name, such as ``layer`` or ``epoch``.  A mapping or sequence
        holds arrays (sample, neuron) whose numbers of neurons may differ; sample ids are matched where there are any.
    metric : str or Metric
        A name of `akpsim.METRICS`.
    undefined : str
        What to do where the metric has no value, for instance for a constant representation: ``"nan"`` leaves NaN in
        the matrix and the reason in ``attrs["undefined"]``; ``"raise"`` raises it.
    progress : bool
        Show on standard error how far the work is.
    **parameters
        Arguments of the metric.

    Returns
    -------
    DataArray (member, other)
        With the coordinates of both sides (``family`` and ``other_family``, ...), and in its attributes the metric, its
        kind, its arguments and the number of samples.

    Raises
    ------
    MisalignedSamples
        If numbers of samples differ, an id is there twice, or ids differ.
    UndefinedMetric
        If no pair has a value.
    """
    found = METRICS[metric] if isinstance(metric, str) else metric
    arguments = found.arguments(parameters)
    aligned = align(representations)
    if len(aligned) < 2:
        raise AkpsimError(f"a comparison needs at least two representations, got {len(aligned)}")
    points, reasons = _points(found, aligned, arguments, strict=undefined == "raise", progress=progress)
    if len(points) < 2:
        name, reason = next(iter(reasons.items()))
        raise UndefinedMetric(f"{name}: {reason}")
    values = np.full((len(aligned), len(aligned)), np.nan)
    kept = list(points)
    block = found.scores(list(points.values()), list(points.values()), arguments)
    values[np.ix_(kept, kept)] = np.asarray(block, dtype=np.float64)
    return labelled(values, aligned, found, arguments, reasons)


def _points(
    metric: Metric, aligned: Aligned, arguments: dict[str, Any], *, strict: bool, progress: bool
) -> tuple[dict[int, Any], dict[str, str]]:
    """Return the point of each representation by its place, and the reasons for those that have none."""
    points, reasons = {}, {}
    with Progress("representations", total=len(aligned), show=progress) as bar:
        for index, name in enumerate(aligned.names):
            try:
                points[index] = metric.point(metric.checked(aligned.load(index)), arguments)
            except UndefinedMetric as error:
                if strict:
                    raise UndefinedMetric(f"{name}: {error}") from None
                reasons[str(name)] = str(error)
            bar.advance(note=str(name))
    return points, reasons


def labelled(
    values: np.ndarray, aligned: Aligned, metric: Metric, arguments: dict[str, Any], reasons: dict[str, str]
) -> xr.DataArray:
    """Return a matrix with the coordinates of both sides and the metric's declaration."""
    axis = aligned.axis
    coordinates: dict[str, Any] = {axis: list(aligned.names), "other": list(aligned.names)}
    for name, variable in aligned.coordinates.items():
        coordinates[name] = variable
        if variable.dims:
            coordinates[f"other_{name}"] = ("other", variable.values)
    attrs = provenance(
        result="similarity",
        metric=metric.name,
        kind=metric.kind,
        symmetric=int(metric.symmetric),
        cosine=int(metric.cosine),
        invariant_to=sorted(metric.invariant_to),
        range=list(metric.range),
        source=metric.source,
        n=aligned.n,
        parameters=json.dumps(arguments) if arguments else None,
        undefined=json.dumps(reasons) if reasons else None,
        made_from=aligned.attrs.get("source"),
        study=aligned.attrs.get("study"),
    )
    return xr.DataArray(values, dims=(axis, "other"), coords=coordinates, name="similarity", attrs=attrs)
