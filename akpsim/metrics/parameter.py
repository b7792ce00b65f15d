"""An argument of a metric, checked and documented."""

from dataclasses import dataclass
from typing import Any

from akpsim.errors import AkpsimError, unknown_name


@dataclass(frozen=True)
class Parameter:
    """An argument of a metric: its default, what it is, and the values it may have.

    These are the words `allowed`, numbers from `low` to `high` (whole ones if `whole` or the default is), true and
    false if the default is one of them, and none if it is the default.
    """

    default: Any
    about: str
    allowed: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Return `value`, turned from text if it is text, or raise naming what is allowed."""
        value = _plain(value, self.default) if isinstance(value, str) else value
        if isinstance(value, str) and self.allowed is not None:
            if value in self.allowed:
                return value
            raise unknown_name(f"`{name}`", value, self.allowed)
        if isinstance(self.default, bool) and isinstance(value, bool):
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = self.whole or (isinstance(self.default, int) and not isinstance(self.default, bool))
        if number and self.low is not None and (not whole or float(value).is_integer()):
            if self.low <= value and (self.high is None or value <= self.high):
                return int(value) if whole else value
        elif value is None and self.default is None:
            return value
        raise AkpsimError(f"`{name}` must be {self.says}, got {value!r}")

    @property
    def says(self) -> str:
        """The values allowed, in words."""
        parts = []
        if self.low is not None:
            whole = "a whole number" if self.whole or isinstance(self.default, int) else "a number"
            parts.append(f"{whole} from {self.low:g}" + ("" if self.high is None else f" to {self.high:g}"))
        if isinstance(self.default, bool):
            parts.append("true or false")
        if self.default is None:
            parts.append("none")
        return " or ".join([*parts, *map(repr, self.allowed or ())])


def _plain(text: str, default: Any) -> Any:
    """Return a word of the command line as the number or truth value it stands for."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words and not (text.lower() == "none" and isinstance(default, str)):
        return words[text.lower()]
    for turn in (int, float):
        try:
            return turn(text)
        except ValueError:
            continue
    return text
