"""Options that a data set has of its own: the table ``[data.options]`` of a study."""

from typing import Any

from akpsim.errors import InvalidStudy, unknown_name
from akpsim.study import Data


def options_of(data: Data, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults with the study's values in their place.

    Parameters
    ----------
    data : Data
    defaults : dict
        Allowed keys with their values; a value that is not None says the type.

    Raises
    ------
    AkpsimError
        If a key is unknown or a value of another type.
    """
    chosen = dict(defaults)
    for key, value in data.options.items():
        if key not in defaults:
            raise unknown_name(f"option of the data set {data.name!r}:", key, defaults or ["(it has none)"])
        wanted = type(defaults[key])
        value = float(value) if wanted is float and type(value) is int else value
        if defaults[key] is not None and type(value) is not wanted:
            raise InvalidStudy(f"`data.options.{key}` must be of type {wanted.__name__}, got {value!r}")
        chosen[key] = value
    return chosen
