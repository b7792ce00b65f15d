"""Tiny validators: give the value back, or raise naming the argument, what is allowed and what came."""

import math
import os
from collections.abc import Hashable, Iterable
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
    """Return `value` if it is a whole number no smaller than `least`."""
    if not is_number(value) or not least <= value < math.inf or value != int(value):
        raise AkpsimError(f"`{name}` must be a whole number of at least {least}, got {shortened(value)}")
    return int(value)


def one_of(value: Any, name: str, allowed: Iterable[str]) -> Any:
    """Return `value` if it is among those allowed."""
    allowed = list(allowed)
    if not isinstance(value, Hashable) or value not in allowed:
        raise unknown_name(f"`{name}`", value, allowed)
    return value


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


def positive(value: Any, name: str) -> float:
    """Return a number that is positive and finite."""
    if not is_number(value) or not 0 < value < math.inf:
        raise AkpsimError(f"`{name}` must be positive and finite, got {value!r}")
    return float(value)
