"""Every pair of representations, as one labelled matrix."""

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from akpsim.checks import as_path, at_least, one_of
from akpsim.cluster import perhaps_connected
from akpsim.comparing.align import Aligned, align
from akpsim.comparing.cache import cached_products
from akpsim.comparing.engine import Products, linear_products
from akpsim.comparing.maps import Rule, from_maps
from akpsim.comparing.points import Scores, by_points
from akpsim.errors import AkpsimError, AkpsimWarning, UndefinedMetric, shortened
from akpsim.metrics import METRICS, Metric
from akpsim.metrics.caution import cautions, chance
from akpsim.metrics.cka import EVEN, SAME
from akpsim.store import provenance

DOUBLE = float(np.finfo(np.float64).eps)
CANCELS = 4.0
"""By how much terms may be larger than what they leave in single precision; beyond, double precision is taken."""


def compare(
    representations: Any,
    *,
    metric: str | Metric = "cka",
    undefined: Literal["nan", "raise"] = "nan",
    memory: int | str | None = None,
    axis: str = "member",
    maps: Rule | None = None,
    positions: int | None = None,
    maps_seed: int = 0,
    cache: Path | str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
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
        read as they are needed, and points of other metrics than cka and cka_debiased made more than once if they have
        to be.
    axis : str
        What the entries of a mapping or sequence are: ``"member"``, ``"layer"`` or ``"epoch"``.
    maps, positions, maps_seed : str, int and int, optional
        What is done to arrays of convolutional maps, and the seed of the positions: see `akpsim.from_maps`.
    cache : Path, optional
        A folder where Gram matrices are kept by content; worth it for many neurons, and for members added one by one.
        Used by cka and cka_debiased in this process.
    workers : int, optional
        Processes on this machine that do it, one thread each; by default it is done in this one.  Values are the same
        to the last bit for any number of workers, and agree with those of this process to rounding.
    scheduler : str, optional
        Address of a running dask scheduler whose workers do it, such as ``tcp://node7:8786``.
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

    Warns
    -----
    AkpsimWarning
        If counts of samples and dimensions alone make values large; also in ``attrs["cautions"]``.
    """
    found = metric if isinstance(metric, Metric) else METRICS[metric]
    arguments = found.arguments(parameters)
    found = found.under(arguments)
    one_of(undefined, "undefined", ("nan", "raise"))
    most = in_bytes(memory)
    aligned = mapped(align(representations, axis=axis), maps, positions, maps_seed)
    check_enough(aligned, found)
    with perhaps_connected(workers, scheduler) as client:
        options: dict[str, Any] = {"memory": most, "cache": cache, "progress": progress, "client": client}
        scores, _ = all_pairs(found, aligned, arguments, **options)
    raise_if_useless(scores, strict=undefined == "raise")
    return labelled(scores, aligned, found, arguments)


def check_enough(aligned: Aligned, metric: Metric) -> None:
    """Raise if there are too few representations or samples for a comparison."""
    if len(aligned) < 2:
        raise AkpsimError(f"a comparison needs at least two representations, got {len(aligned)}")
    if aligned.n < metric.smallest:
        raise UndefinedMetric(f"{metric.name} is undefined below {metric.smallest} samples, got {aligned.n}")
    if "study" in aligned.attrs and "layer" in aligned.coordinates:
        check_outputs(metric, aligned.coordinates["layer"].item())


def check_outputs(metric: Metric, layer: str) -> None:
    """Raise if a metric of outputs is asked for a hidden layer of a run."""
    if metric.data == "outputs" and layer != "logits":
        raise UndefinedMetric(f"{metric.name} compares outputs (sample, class): take layer 'logits', got {layer!r}")


def all_pairs(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    *,
    memory: int | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
    client: Any = None,
) -> tuple[Scores, Products | None]:
    """Return the scores of all pairs, and the inner products of Gram matrices they are made of, if they are."""
    if not metric.products:
        return by_points(metric, aligned, arguments, memory=memory, progress=progress, client=client), None
    options: dict[str, Any] = {"name": metric.name, "memory": memory, "progress": progress}
    if cache is not None and client is None:
        as_path(cache, "cache")
        products, absent = cached_products(aligned, cache, **options)
    else:
        products, absent = linear_products(aligned, client=client, **options)
    if products.eps > DOUBLE and products.cancels(metric.products) > CANCELS:
        products, absent = linear_products(aligned, double=True, client=client, **options)
    return valued(metric, aligned, products, absent), products


def raise_if_useless(scores: Scores, *, strict: bool) -> None:
    """Raise the first reason if no pair of two has a value, or, if `strict`, if any has none."""
    values = scores.values
    apart = values[~np.eye(len(values), dtype=bool)] if values.shape[0] == values.shape[1] else values
    if scores.reasons and (strict or np.isnan(apart).all()):
        name, reason = next(iter(scores.reasons.items()))
        raise UndefinedMetric(f"{name}: {reason}")


def valued(metric: Metric, aligned: Aligned, products: Products, absent: dict[int, str]) -> Scores:
    """Return alignments, and the reasons by name for those that have no value."""
    values, flat = alignments(products, metric, set(absent))
    return Scores(values, {str(aligned.names[index]): reason for index, reason in sorted({**flat, **absent}.items())})


def mapped(aligned: Aligned, rule: Rule | None, positions: int | None, seed: int) -> Aligned:
    """Return representations made of convolutional maps by one rule, which their attributes tell; without, as is."""
    at_least(seed, "maps_seed", 0)
    if positions is not None:
        at_least(positions, "positions", 1)
    if rule is None:
        return aligned
    sources = tuple(from_maps(source, rule, positions=positions, seed=seed) for source in aligned.sources)
    made = {"maps": rule} | ({} if positions is None else {"positions": positions, "maps_seed": seed})
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


def in_bytes(memory: int | str | None) -> int | None:
    """Return a size such as ``"2GiB"``, ``"500MB"`` or a number of bytes as a number."""
    if memory is None:
        return None
    found = re.fullmatch(r"\s*(\d{1,30}(?:\.\d*)?)\s*([KMGT]?)(i?)B?\s*", str(memory), flags=re.IGNORECASE)
    if not found:
        raise AkpsimError(f"`memory` is a size such as 2GiB or 500MB, got {shortened(memory)}")
    number, letter, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(letter.upper() or " "))


def labelled(scores: Scores, aligned: Aligned, metric: Metric, arguments: dict[str, Any]) -> xr.DataArray:
    """Return a matrix with the coordinates of both sides and the metric's declaration; warn of what counts say."""
    axis = aligned.axis
    doubts = cautions(metric, aligned.n, arguments, scores.dimensions)
    for sentence in doubts:
        warnings.warn(sentence, AkpsimWarning, stacklevel=3)
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
        undefined=json.dumps(scores.reasons) if scores.reasons else None,
        cautions=doubts or None,
        chance=chance(metric, aligned.n, scores.dimensions),
        made_from=aligned.attrs.get("source"),
        study=aligned.attrs.get("study"),
        maps=aligned.attrs.get("maps"),
        positions=aligned.attrs.get("positions"),
        maps_seed=aligned.attrs.get("maps_seed"),
    )
    return xr.DataArray(scores.values, dims=(axis, "other"), coords=coordinates, name="similarity", attrs=attrs)
