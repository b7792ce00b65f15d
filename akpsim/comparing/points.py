"""Scores of all pairs of points: embed once, or, within a memory cap, block of representations by block."""

import math
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from akpsim.cluster import results, sent, submit
from akpsim.comparing.align import Aligned
from akpsim.errors import AkpsimError, UndefinedMetric
from akpsim.metrics import Metric
from akpsim.metrics.metric import as_numpy, doubled
from akpsim.progress import Progress

PARTS = 8
"""Parts of the members whose pairs are one task of a cluster, however many workers it has."""

Embedded = tuple[Any, str | None]
"""A point and None, or None and the reason why there is no point."""


@dataclass(frozen=True)
class Scores:
    """Scores of all pairs, reasons for those without by name, and the dimensions of each point's space by name."""

    values: np.ndarray
    reasons: dict[str, str] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)


def by_points(
    metric: Metric,
    aligned: Aligned,
    arguments: dict[str, Any],
    *,
    memory: int | None = None,
    progress: bool = False,
    client: Any = None,
) -> Scores:
    """Return the scores of all pairs of points.

    Parameters
    ----------
    metric, aligned, arguments
        Which metric, of what, with which arguments.
    memory : int, optional
        Most bytes over the representations themselves: then some points are made several times.
    progress : bool
        Show how far the work is.
    client : Client, optional
        Of a cluster whose workers make the points and hold them all.

    Raises
    ------
    AkpsimError
        If the points of two representations do not fit in memory.
    """
    count = len(aligned)
    if client is not None and memory is not None:
        raise AkpsimError(f"`memory` is of one process; with workers, these hold all points of {metric.name}")
    parts = PARTS if client is not None else 1 if memory is None else blocks_within(memory, metric, aligned, arguments)
    blocks = [part.tolist() for part in np.array_split(np.arange(count), min(parts, count))]
    found = Scores(np.full((count, count), np.nan))
    made = (
        _here(blocks, metric, aligned, arguments, progress)
        if client is None
        else _there(blocks, metric, aligned, arguments, progress, client)
    )
    with np.errstate(under="ignore"):
        for rows, columns, first, values, failures in made:
            found.values[np.ix_(rows, columns)] = values
            if rows != columns and metric.symmetric:
                found.values[np.ix_(columns, rows)] = values.T
            for index, (dimension, reason) in first.items():
                if reason is not None:
                    found.reasons[str(aligned.names[index])] = reason
                elif dimension is not None:
                    found.dimensions[str(aligned.names[index])] = dimension
            for (one, two), reason in failures.items():
                found.reasons[f"{aligned.names[rows[one]]} and {aligned.names[columns[two]]}"] = reason
    return found


Part = tuple[list[int], list[int], dict[int, tuple[int | None, str | None]], np.ndarray, dict[tuple[int, int], str]]


def _here(
    blocks: list[list[int]], metric: Metric, aligned: Aligned, arguments: dict[str, Any], progress: bool
) -> Iterator[Part]:
    """Yield the scores of pairs of blocks, points of two blocks being in memory at a time."""
    total = sum(len(block) * (len(blocks) - place) for place, block in enumerate(blocks[::-1]))
    if getattr(metric.score, "pairwise", False):  # rows of pairs take time, too
        both = [(one, two) for one in range(len(blocks)) for two in range(len(blocks))]
        total += sum(len(blocks[one]) for one, two in both if one <= two or not metric.symmetric)
    with Progress("representations and their pairs", total=total, show=progress) as bar:
        for place, rows in enumerate(blocks):
            first = _points(rows, metric, aligned, arguments, bar)
            told = {index: told_of(metric, point) for index, point in zip(rows, first, strict=True)}
            yield rows, rows, told, *scores_of(first, first, metric, arguments, metric.symmetric, bar.advance)
            for columns in blocks[place + 1 :]:
                second = _points(columns, metric, aligned, arguments, bar)
                yield rows, columns, {}, *scores_of(first, second, metric, arguments, done=bar.advance)
                if not metric.symmetric:
                    yield columns, rows, {}, *scores_of(second, first, metric, arguments, done=bar.advance)


def _points(
    indices: list[int], metric: Metric, aligned: Aligned, arguments: dict[str, Any], bar: Progress
) -> list[Embedded]:
    points = []
    for index in indices:
        points.append(embedded(index, metric, aligned, arguments))
        bar.advance(note=str(aligned.names[index]))
    return points


def _there(
    blocks: list[list[int]], metric: Metric, aligned: Aligned, arguments: dict[str, Any], progress: bool, client: Any
) -> Iterator[Part]:
    """Yield the scores of pairs of blocks, made by workers, which send points to each other."""
    everywhere = sent(client, aligned)
    points = [submit(client, embedded, index, metric, everywhere, arguments) for index in range(len(aligned))]
    told = list(results(client, [submit(client, told_of, metric, point) for point in points]))
    pairs = [
        (rows, columns)
        for one, rows in enumerate(blocks)
        for two, columns in enumerate(blocks)
        if one <= two or not metric.symmetric
    ]
    tasks = [
        submit(
            client,
            scores_of,
            [points[i] for i in a],
            [points[i] for i in b],
            metric,
            arguments,
            metric.symmetric and a is b,
        )
        for a, b in pairs
    ]
    with Progress("pairs of blocks", total=len(pairs), show=progress) as bar:
        for (rows, columns), (values, failures) in zip(pairs, results(client, tasks), strict=True):
            yield rows, columns, {index: told[index] for index in rows if rows is columns}, values, failures
            bar.advance()
    client.cancel(points)


def embedded(index: int, metric: Metric, aligned: Aligned, arguments: dict[str, Any]) -> Embedded:
    """Return the point of a representation, or the reason why there is none."""
    try:
        point = compact(metric.point(metric.checked(aligned.load(index)), arguments))
        return doubled(point) if aligned.mixed else point, None
    except UndefinedMetric as error:
        return None, str(error)


def compact(point: Any) -> Any:
    """Return a point whose arrays lie in one piece, as products of others differ in their last bits.

    A view would hold all that it is a part of; what another process sent need not begin at a word.
    """
    if isinstance(point, tuple):
        return tuple(map(compact, point))
    return np.require(point, requirements=["C", "A"]) if isinstance(point, np.ndarray) else point


def told_of(metric: Metric, point: Embedded) -> tuple[int | None, str | None]:
    """Return the dimensions of the space that a point stands for, and the reason why there is no point."""
    counted = point[1] is None and metric.dimension is not None
    return metric.dimension(point[0]) if counted and metric.dimension else None, point[1]


def scores_of(
    first: Sequence[Embedded],
    second: Sequence[Embedded],
    metric: Metric,
    arguments: dict[str, Any],
    half: bool = False,
    done: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Return the scores of all pairs, NaN where there is none, and the reasons.

    `half` mirrors the upper triangle; `done` is told of rows that are finished, if it is row by row.
    """
    values = np.full((len(first), len(second)), np.nan)
    failures: dict[tuple[int, int], str] = {}
    rows, columns = ([place for place, point in enumerate(side) if point[1] is None] for side in (first, second))
    whole = not getattr(metric.score, "pairwise", False)
    # One copy each, so that a product of a thing with itself is known as such.
    made = {id(point): compact(point[0]) for point in (*first, *second)}
    for some in [rows] if whole else _finished(rows, len(first), done):
        others = [column for column in columns if whole or not half or column >= some[0]]
        if not some or not others:
            continue
        points, against = [made[id(first[row])] for row in some], [made[id(second[column])] for column in others]
        try:
            values[np.ix_(some, others)] = as_numpy(metric.scores(points, against, arguments))
        except UndefinedMetric:
            for row in some:
                for column in others:
                    try:
                        one = metric.scores([made[id(first[row])]], [made[id(second[column])]], arguments)
                        values[row, column] = float(one[0, 0])
                    except UndefinedMetric as error:
                        failures[row, column] = str(error)
        if half and not whole:
            values[others, some[0]] = values[some[0], others]
    return values, failures


def _finished(rows: Sequence[int], count: int, done: Callable[[int], None] | None) -> Iterator[list[int]]:
    """Give rows one by one, and tell of each that is finished; those without a point are, with the last."""
    for place, row in enumerate(rows, start=1):
        yield [row]
        if done is not None:
            done(1 if place < len(rows) else 1 + count - len(rows))


def blocks_within(memory: int, metric: Metric, aligned: Aligned, arguments: dict[str, Any]) -> int:
    """Return in how many blocks the members are to be compared so that a memory cap holds.

    What a point takes, and what making and scoring it takes meanwhile, is measured on the widest representation.

    Raises
    ------
    AkpsimError
        If two points do not fit; it says how much is needed.
    """
    widths = [int(source.shape[1]) for source in aligned.sources]
    size, meanwhile = _measured(int(np.argmax(widths)), metric, aligned, arguments)
    room = memory - meanwhile - 32 * len(aligned) ** 2
    if len(aligned) * 2 * size <= room:
        return 1
    # Points of two blocks, and one of the blocks side by side.
    most = room // (3 * max(size, 1))
    if most < 1:
        raise AkpsimError(
            f"`memory` must be at least {memory - room + 3 * size} bytes for {metric.name} of these representations, "
            f"got {memory}"
        )
    return math.ceil(len(aligned) / most)


def _measured(index: int, metric: Metric, aligned: Aligned, arguments: dict[str, Any]) -> tuple[int, int]:
    """Return the bytes of a point, and the most that making and scoring it take besides."""
    point = embedded(index, metric, aligned, arguments)
    scores_of([point], [point], metric, arguments)  # what is imported on the way is not counted
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        point = embedded(index, metric, aligned, arguments)
        size = sum(int(getattr(part, "nbytes", 8)) for part in (point[0] if isinstance(point[0], tuple) else point[:1]))
        scores_of([point], [point], metric, arguments)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()
    return size, max(peak, 3 * size) - size
