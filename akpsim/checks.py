"""Tiny validators: give the value back, or raise naming the argument, what is allowed and what came."""

import math
from collections.abc import Iterable
from typing import Any

from akpsim.errors import AkpsimError, unknown_name


def in_range(value: float, name: str, low: float, high: float) -> float:
    """Return `value` if it lies in [low, high]."""
    if not low <= value <= high:
        raise AkpsimError(f"`{name}` must lie in [{low:g}, {high:g}], got {value:g}")
    return value


def at_least(value: int, name: str, least: int) -> int:
    """Return `value` if it is a whole number no smaller than `least`."""
    if isinstance(value, bool) or value != int(value) or value < least:
        raise AkpsimError(f"`{name}` must be a whole number of at least {least}, got {value!r}")
    return int(value)


def one_of(value: str, name: str, allowed: Iterable[str]) -> str:
    """Return `value` if it is among those allowed."""
    allowed = list(allowed)
    if value not in allowed:
        raise unknown_name(f"`{name}`", value, allowed)
    return value


def positive(value: Any, name: str) -> float:
    """Return a number that is positive and finite."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise AkpsimError(f"`{name}` must be positive and finite, got {value!r}")
    return float(value)
