"""Tiny validators: give the value back, or raise naming the argument, what is allowed and what came."""

import math
import os
from collections.abc import Container, Hashable, Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import AkpsimError, shortened, unknown_name


def is_number(value: Any) -> bool:
    """Say whether a value is a number, of Python's or numpy's."""
    return isinstance(value, Real) and not isinstance(value, bool)


def in_range(value: Any, name: str, low: float, high: float) -> Any:
    """Return `value` if it lies in [low, high]."""
    if not is_number(value) or not low <= value <= high:
        came = f"{value:g}" if is_number(value) else shortened(value)
        raise AkpsimError(f"`{name}` must lie in [{low:g}, {high:g}], got {came}")
    return value


def at_least(value: Any, name: str, least: int) -> int:
    """Return `value` as a whole number, if it is one and no smaller than `least`."""
    if not is_number(value) or not least <= value < math.inf or value != int(value):
        raise AkpsimError(f"`{name}` must be a whole number of at least {least}, got {shortened(value)}")
    return int(value)


def among(value: Any, known: Container[Any]) -> bool:
    """Say whether a value is among those known, whatever it is; an array is not."""
    return isinstance(value, Hashable) and value in known


def one_of(value: Any, name: str, allowed: Iterable[str]) -> Any:
    """Return `value` if it is among those allowed."""
    allowed = list(allowed)
    if not among(value, allowed):
        raise unknown_name(f"`{name}`", value, allowed)
    return value


def listed(value: Any, name: str, words: str) -> list[Any]:
    """Return `value` as a list if it is a sequence of something, which `words` describe, and not one word."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise AkpsimError(f"`{name}` must be a list of {words}, got {shortened(value)}")
    return list(value)


def as_path(value: Any, name: str = "path") -> Path:
    """Return `value` as a path; a number is none, though Python would take it for an open file."""
    if not isinstance(value, str | os.PathLike) or "\0" in os.fspath(value):
        raise AkpsimError(f"`{name}` must be the path of a file or folder, got {shortened(value)}")
    return Path(value)


def instance(value: Any, name: str, kind: Any, words: str) -> Any:
    """Return `value` if it is of a kind, which `words` describe."""
    if not isinstance(value, kind):
        raise AkpsimError(f"`{name}` must be {words}, got {shortened(value)}")
    return value


def made_by(value: Any, name: str, maker: str, *parts: str) -> Any:
    """Return `value` if it has the variables, coordinates or attributes of what a function of akpsim returns."""
    if not all(hasattr(value, part) for part in parts):
        raise AkpsimError(f"`{name}` must be what `akpsim.{maker}` returns, got {shortened(value)}")
    return value


def numbers_of(value: Any, name: str) -> np.ndarray:
    """Return `value` as an array of floats."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise AkpsimError(f"`{name}` must be numbers, got {shortened(value)}") from None


def between(value: Any, name: str, low: float, high: float) -> Any:
    """Return `value` if it lies between two numbers and is neither."""
    if not is_number(value) or not low < value < high:
        raise AkpsimError(f"`{name}` must lie between {low:g} and {high:g}, got {shortened(value)}")
    return value


def generator(seed: Any) -> np.random.Generator:
    """Return the generator that a seed stands for; a generator is its own."""
    if seed is not None and not isinstance(seed, np.random.Generator):
        seed = at_least(seed, "seed", 0)
    return np.random.default_rng(seed)


def positive(value: Any, name: str) -> float:
    """Return a number that is positive and finite."""
    if not is_number(value) or not 0 < value < math.inf:
        raise AkpsimError(f"`{name}` must be positive and finite, got {shortened(value)}")
    return float(value)
