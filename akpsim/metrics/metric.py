"""What a metric is: how to turn a representation into a point, how to score two points, and declared properties."""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from array_api_compat import array_namespace, is_numpy_namespace, to_device

from akpsim.errors import AkpsimWarning, MisalignedSamples, UndefinedMetric, unknown_name
from akpsim.metrics.caution import cautions
from akpsim.metrics.parameter import Parameter as Parameter

Array = Any
"""A numpy array, or any other that follows the array API standard, such as a torch tensor on any device."""

Point = Any
"""What `embed` makes of a representation: an array, or a tuple of arrays."""

Kind = Literal["similarity", "dissimilarity", "metric"]
Invariance = Literal["translation", "rotation", "permutation", "scaling", "linear"]
Invariances = frozenset[Invariance]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A way to compare two representations (sample, neuron) of the same samples.

    Parameters
    ----------
    name, summary, formula, source, beware : str
        The word a user types; one line; the formula in LaTeX; where it is from, with the section; what it is not to be
        confused with.
    embed : callable
        ``embed(x, **parameters)`` sends one representation to a point.
    score : callable
        ``score(points, others, **parameters)`` compares every point of one list with every point of another and
        returns an array (len(points), len(others)).
    kind : str
        ``"similarity"`` (1 or more is alike), ``"dissimilarity"`` (0 is alike) or ``"metric"`` (a dissimilarity that
        obeys the triangle inequality).
    invariant_to : frozenset of str
        Exactly those of translation, rotation, permutation, scaling and linear that leave it unchanged.
    range : tuple of float
        Smallest and largest value.
    smallest : int
        The fewest samples with which it is defined.
    symmetric : bool
        Whether exchanging the two representations leaves it unchanged.
    widths : str
        ``"any"``, or ``"equal"`` if both must have as many neurons.
    cosine : bool
        Whether it is the cosine of an angle between points, so that ``sqrt(2 - 2 s)`` is a Euclidean distance.
    products : str, optional
        ``"biased"`` or ``"debiased"`` if it is the alignment of linear Gram matrices, which has an engine of its own.
    data : str
        ``"activations"`` or ``"outputs"``, whose columns are classes.
    dimension : callable, optional
        ``dimension(point)`` is the number of dimensions of the space that a point stands for, for metrics that compare
        spaces; what chance alone gives them depends on it.
    parameters : mapping
        Keyword arguments of `embed` and `score`.
    varies : callable, optional
        ``varies(arguments)`` gives the declarations that are others under these arguments than at the defaults.
    """

    name: str
    summary: str
    embed: Callable[..., Point]
    score: Callable[..., Array]
    kind: Kind
    invariant_to: Invariances
    range: tuple[float, float]
    formula: str
    source: str
    beware: str
    smallest: int = 3
    symmetric: bool = True
    widths: Literal["any", "equal"] = "any"
    cosine: bool = False
    products: Literal["biased", "debiased"] | None = None
    data: Literal["activations", "outputs"] = "activations"
    dimension: Callable[[Point], int] | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    varies: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None

    def __call__(self, x: Array, y: Array, **parameters: Any) -> float:
        """Return the value for two representations of the same samples.

        Parameters
        ----------
        x, y : array, shape (sample, neuron)
            Row ``i`` of both answers to the same sample; numbers of neurons may differ unless `widths` says not.
        **parameters
            Arguments of the metric.

        Raises
        ------
        UndefinedMetric or MisalignedSamples
            If it has no value for these, with the reason, or numbers of samples or libraries differ.

        Warns
        -----
        AkpsimWarning
            If counts of samples and dimensions alone make the value large.
        """
        arguments = self.arguments(parameters)
        own = self.under(arguments)
        x, y = own.checked(x), own.checked(y)
        if x.shape[0] != y.shape[0]:
            raise MisalignedSamples(
                f"both representations must have the same samples, got {x.shape[0]} and {y.shape[0]}"
            )
        if array_namespace(x) is not array_namespace(y):
            kinds = " and a ".join(type(side).__name__ for side in (x, y))
            raise MisalignedSamples(f"both representations must be of one library, got a {kinds}")
        self.check_widths(x.shape[1], y.shape[1])
        points = [self.point(x, arguments)], [self.point(y, arguments)]
        if x.dtype != y.dtype:
            points = doubled(points[0]), doubled(points[1])
        value = float(self.scores(*points, arguments)[0, 0])
        spans = zip(("the first", "the second"), points, strict=True)
        dimensions = {} if self.dimension is None else {name: self.dimension(point) for name, (point,) in spans}
        for sentence in cautions(self, x.shape[0], arguments, dimensions):
            warnings.warn(sentence, AkpsimWarning, stacklevel=2)
        return value

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, those given checked and the others at their defaults."""
        for name in given:
            if name not in self.parameters:
                raise unknown_name(f"parameter of {self.name}", name, self.parameters or ["none"])
        return {
            name: parameter.check(name, given[name]) if name in given else parameter.default
            for name, parameter in self.parameters.items()
        }

    def under(self, arguments: Mapping[str, Any]) -> "Metric":
        """Return the metric as it declares itself under these arguments."""
        return self if self.varies is None else replace(self, **self.varies(arguments))

    def point(self, x: Array, arguments: Mapping[str, Any]) -> Point:
        """Return the point of a checked representation."""
        return self.embed(x, **{name: arguments[name] for name in self._embed_takes})

    def scores(self, points: Sequence[Point], others: Sequence[Point], arguments: Mapping[str, Any]) -> Array:
        """Return the scores of all pairs of two lists of points."""
        return self.score(points, others, **{name: arguments[name] for name in self._score_takes})

    def checked(self, x: Array) -> Array:
        """Return a representation in floating point, or say what keeps the metric from having a value for it."""
        x = floating(x)
        check_table(x.shape, self.name)
        if x.shape[0] < self.smallest:
            raise UndefinedMetric(f"{self.name} is undefined below {self.smallest} samples, got {x.shape[0]}")
        check_finite(x, self.name)
        return in_bounds(x) if "scaling" in self.invariant_to else x

    def check_widths(self, first: int, second: int) -> None:
        """Raise if this metric needs equally many neurons and they are not."""
        if self.widths == "equal" and first != second:
            raise UndefinedMetric(f"{self.name} needs equal numbers of neurons, got {first} and {second}")

    @cached_property
    def _embed_takes(self) -> tuple[str, ...]:
        return tuple(name for name in inspect.signature(self.embed).parameters if name in self.parameters)

    @cached_property
    def _score_takes(self) -> tuple[str, ...]:
        return tuple(name for name in inspect.signature(self.score).parameters if name in self.parameters)


def floating(x: Array) -> Array:
    """Return `x` as it is if it is of float32 or float64, else as float64."""
    import numpy as np

    if isinstance(x, list | tuple):
        x = np.asarray(x)
    x = x.detach() if getattr(x, "requires_grad", False) else x
    xp = array_namespace(x)
    if xp.isdtype(x.dtype, "complex floating"):
        raise UndefinedMetric("representations must be real, got complex numbers")
    if isinstance(x, np.ma.MaskedArray):
        raise UndefinedMetric(
            "representations must be whole, got a masked array: fill in, or leave out, what is masked"
        )
    if is_numpy_namespace(xp) and x.dtype.kind not in "fiub":
        raise UndefinedMetric(f"representations must be numbers, got {x.dtype}")
    return x if x.dtype in (xp.float32, xp.float64) else xp.astype(x, xp.float64)


def check_table(shape: Sequence[int], name: str) -> None:
    """Raise unless a shape is that of a table (sample, neuron) with at least one neuron."""
    if len(shape) != 2:
        raise UndefinedMetric(f"{name} compares arrays (sample, neuron), got one of shape {tuple(shape)}")
    if shape[1] == 0:
        raise UndefinedMetric(f"{name} is undefined: the representation has no neuron")


def check_finite(x: Array, name: str, *, first: int = 0) -> None:
    """Raise naming the first sample and neuron that is NaN or infinite; `first` is the number of the first row."""
    import numpy as np

    xp = array_namespace(x)
    with np.errstate(over="ignore", invalid="ignore"):
        total = xp.sum(x)
    if bool(xp.isfinite(total)):
        return
    finite = xp.isfinite(x)
    if bool(xp.all(finite)):  # only the sum overflowed
        return
    place = int(xp.argmax(xp.astype(xp.reshape(~finite, (-1,)), xp.int8)))
    sample, neuron = divmod(place, x.shape[1])
    what = "NaN" if bool(xp.isnan(x[sample, neuron])) else "infinite"
    raise UndefinedMetric(f"{name} is undefined: neuron {neuron} is {what} at sample {first + sample}")


def in_bounds(x: Array) -> Array:
    """Return `x` over a power of two that brings its squares into the range of its precision; mostly `x` itself."""
    xp = array_namespace(x)
    largest = float(xp.max(xp.abs(x)))
    bound = float(xp.finfo(x.dtype).max) ** 0.25
    if largest == 0 or 1 / bound < largest < bound:
        return x
    half = math.frexp(largest)[1] // 2  # two steps, as one factor might itself be out of range
    return x * 2.0**-half * 2.0 ** (half - math.frexp(largest)[1])


def centred(x: Array) -> Array:
    """Return `x` minus its column means, exact for constant columns and for means far from zero.

    The first row is taken off first, so that what is rounded is of the size of the spread and not of the mean.
    """
    xp = array_namespace(x)
    shifted = x - x[0, :]
    return shifted - xp.mean(shifted, axis=0)


def precise(x: Array) -> Array:
    """Return `x` in float64: for steps that square, subtract or invert, which float32 does not bear."""
    xp = array_namespace(x)
    return xp.astype(x, xp.float64, copy=False)


def doubled(point: Point) -> Any:
    """Return a point, or several, in double precision."""
    if isinstance(point, tuple | list):
        return type(point)(map(doubled, point))
    return precise(point) if "float" in str(getattr(point, "dtype", "")) else point


def as_numpy(x: Array) -> Any:
    """Return `x` as float64 numpy, from whatever device it is on."""
    import numpy as np

    return np.asarray(to_device(x, "cpu"), dtype=np.float64)


def scaled(x: Array) -> Array:
    """Return `x` over its largest absolute value, so that no square over- or underflows; zeros stay."""
    xp = array_namespace(x)
    return x / largest if float(largest := xp.max(xp.abs(x))) > 0 else x


def unit(x: Array, undefined: str) -> Array:
    """Return `x` scaled to unit Euclidean (Frobenius) norm; raise `UndefinedMetric` with `undefined` if it is zero."""
    xp = array_namespace(x)
    x = scaled(x)
    norm = float(xp.linalg.vector_norm(x))
    if norm == 0:
        raise UndefinedMetric(undefined)
    return x / norm


def inner_products(points: Sequence[Array], others: Sequence[Array]) -> Array:
    """Return the inner products of all pairs of unit vectors: one matrix product."""
    stack = array_namespace(points[0]).stack
    return stack(list(points)) @ stack(list(others)).T


def each_pair(function: Callable[..., float]) -> Callable[..., Array]:
    """Return a `score` that calls `function` for every pair of points; its attribute `pairwise` says so."""
    import numpy as np

    def score(points: Sequence[Point], others: Sequence[Point], **arguments: Any) -> Array:
        return np.asarray([[float(function(p, q, **arguments)) for q in others] for p in points], dtype=np.float64)

    score.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    score.pairwise = True  # type: ignore[attr-defined]
    return score


def differences(points: Sequence[float], others: Sequence[float]) -> Array:
    """Return absolute differences of all pairs of numbers."""
    import numpy as np

    return np.abs(np.asarray(points, dtype=np.float64)[:, None] - np.asarray(others, dtype=np.float64)[None, :])
