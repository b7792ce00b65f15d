"""Every pair of representations, as one labelled matrix."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.comparing.align import Aligned, align
from akpsim.comparing.cache import cached_products
from akpsim.comparing.engine import Products, linear_products
from akpsim.comparing.maps import Rule, from_maps
from akpsim.errors import AkpsimError, UndefinedMetric
from akpsim.metrics import METRICS, Metric
from akpsim.metrics.cka import EVEN, SAME
from akpsim.metrics.metric import as_numpy
from akpsim.progress import Progress
from akpsim.store import provenance


def compare(
    representations: Any,
    *,
    metric: str | Metric = "cka",
    undefined: Literal["nan", "raise"] = "nan",
    memory: int | str | None = None,
    axis: str = "member",
    maps: Rule | None = None,
    positions: int | None = None,
    cache: Path | str | None = None,
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
    memory : int or str, optional
        Most bytes to use over the representations themselves, such as ``"2GiB"``; representations of a run are then
        read as they are needed.  Kept by metrics that are alignments of linear Gram matrices.
    axis : str
        What the entries of a mapping or sequence are: ``"member"``, ``"layer"`` or ``"epoch"``.
    maps, positions : str and int, optional
        What is done to arrays of convolutional maps: see `akpsim.from_maps`.
    cache : Path, optional
        A folder where Gram matrices are kept by content; worth it for many neurons, and for members added one by one.
        Used by metrics that are alignments of linear Gram matrices; `memory` does not apply.
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
    aligned = align(representations, axis=axis)
    if maps is not None:
        aligned = mapped(aligned, maps, positions)
    if len(aligned) < 2:
        raise AkpsimError(f"a comparison needs at least two representations, got {len(aligned)}")
    if aligned.n < found.smallest:
        raise UndefinedMetric(f"{found.name} is undefined below {found.smallest} samples, got {aligned.n}")
    if found.products and cache is not None:
        products, absent = cached_products(aligned, cache, name=found.name, progress=progress)
        values, reasons = valued(found, aligned, products, absent)
    else:
        every = by_products if found.products else by_points
        values, reasons = every(found, aligned, arguments, in_bytes(memory), progress)
    raise_if_useless(values, reasons, strict=undefined == "raise")
    return labelled(values, aligned, found, arguments, reasons)


def raise_if_useless(values: np.ndarray, reasons: dict[str, str], *, strict: bool) -> None:
    """Raise the first reason if no pair of two has a value, or, if `strict`, if any has none."""
    apart = values[~np.eye(len(values), dtype=bool)] if values.shape[0] == values.shape[1] else values
    if reasons and (strict or np.isnan(apart).all()):
        name, reason = next(iter(reasons.items()))
        raise UndefinedMetric(f"{name}: {reason}")


def by_products(
    metric: Metric, aligned: Aligned, arguments: dict[str, Any], memory: int | None, progress: bool
) -> tuple[np.ndarray, dict[str, str]]:
    """Return all alignments of linear Gram matrices, and the reasons for those that have no value."""
    products, absent = linear_products(aligned, name=metric.name, memory=memory, progress=progress)
    return valued(metric, aligned, products, absent)


def valued(
    metric: Metric, aligned: Aligned, products: Products, absent: dict[int, str]
) -> tuple[np.ndarray, dict[str, str]]:
    """Return alignments, and the reasons by name for those that have no value."""
    values, flat = alignments(products, metric, set(absent))
    return values, {str(aligned.names[index]): reason for index, reason in sorted({**flat, **absent}.items())}


def mapped(aligned: Aligned, rule: Rule, positions: int | None) -> Aligned:
    """Return representations made of convolutional maps by one rule, which their attributes tell."""
    sources = tuple(from_maps(source, rule, positions=positions) for source in aligned.sources)
    made = {"maps": rule} | ({} if positions is None else {"positions": positions})
    return replace(aligned, sources=sources, attrs={**aligned.attrs, **made})


def alignments(products: Products, metric: Metric, without: set[int]) -> tuple[np.ndarray, dict[int, str]]:
    """Return the cosines of all pairs of Gram matrices; NaN, with the reason, where one is zero to rounding.

    Places in `without` have no value either.
    """
    estimator = metric.products or "biased"
    inner = products.inner(estimator)
    n = products.diagonal.shape[1]
    squares = np.diagonal(inner).copy()
    whole = np.diagonal(products.inner("biased"))
    flat = ~(squares > whole * (4 * n * products.eps) ** 2)
    squares[flat] = np.nan
    squares[list(without)] = np.nan
    reason = f"{metric.name} is undefined: {EVEN if estimator == 'debiased' else SAME}"
    return inner / np.sqrt(np.outer(squares, squares)), dict.fromkeys(np.flatnonzero(flat).tolist(), reason)


def by_points(
    metric: Metric, aligned: Aligned, arguments: dict[str, Any], memory: int | None, progress: bool
) -> tuple[np.ndarray, dict[str, str]]:
    """Return the scores of all pairs of points, and the reasons for those that have none."""
    points, reasons = _points(metric, aligned, arguments, progress=progress)
    values = np.full((len(aligned), len(aligned)), np.nan)
    with Progress("rows", total=len(points), show=progress) as bar:
        for row, point in points.items():
            columns = [column for column in points if column >= row or not metric.symmetric]
            values[row, columns] = _row(metric, point, row, points, columns, arguments, aligned, reasons)
            if metric.symmetric:
                values[columns, row] = values[row, columns]
            bar.advance()
    return values, reasons


def _row(
    metric: Metric,
    point: Any,
    row: int,
    points: dict[int, Any],
    columns: list[int],
    arguments: dict[str, Any],
    aligned: Aligned,
    reasons: dict[str, str],
) -> Any:
    """Return the scores of one point with others; NaN, with the reason, where a pair has none."""
    try:
        return as_numpy(metric.scores([point], [points[column] for column in columns], arguments))[0]
    except UndefinedMetric:
        found = []
        for column in columns:
            try:
                found.append(float(metric.scores([point], [points[column]], arguments)[0, 0]))
            except UndefinedMetric as error:
                reasons[f"{aligned.names[row]} and {aligned.names[column]}"] = str(error)
                found.append(np.nan)
        return found


def in_bytes(memory: int | str | None) -> int | None:
    """Return a size such as ``"2GiB"``, ``"500MB"`` or a number of bytes as a number."""
    if memory is None or isinstance(memory, int):
        return memory
    found = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)(i?)B?\s*", memory, flags=re.IGNORECASE)
    if not found:
        raise AkpsimError(f"`memory` is a size such as 2GiB or 500MB, got {memory!r}")
    number, letter, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(letter.upper() or " "))


def _points(
    metric: Metric, aligned: Aligned, arguments: dict[str, Any], *, progress: bool
) -> tuple[dict[int, Any], dict[str, str]]:
    """Return the point of each representation by its place, and the reasons for those that have none."""
    points, reasons = {}, {}
    with Progress("representations", total=len(aligned), show=progress) as bar:
        for index, name in enumerate(aligned.names):
            try:
                points[index] = metric.point(metric.checked(aligned.load(index)), arguments)
            except UndefinedMetric as error:
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
        maps=aligned.attrs.get("maps"),
        positions=aligned.attrs.get("positions"),
    )
    return xr.DataArray(values, dims=(axis, "other"), coords=coordinates, name="similarity", attrs=attrs)
