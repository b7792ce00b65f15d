"""Read a study from a TOML file, a preset or a dictionary, and say in one sentence what is wrong with it."""

import json
import re
import tomllib
from importlib.resources import files
from os.path import isdir
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from akpsim.checks import as_path
from akpsim.errors import InvalidStudy, StoreError, unknown_name
from akpsim.study.sections import Family, Study


def presets() -> dict[str, str]:
    """Return the studies that ship with the package: name -> TOML text, the default first."""
    found = {path.name.removesuffix(".toml"): path for path in files("akpsim.presets").iterdir()}
    names = sorted(
        (name for name in found if found[name].name.endswith(".toml")), key=lambda name: (name != "digits", name)
    )
    return {name: found[name].read_text(encoding="utf-8") for name in names}


WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "missing": "is missing",
}
"""What pydantic says in words of Python or of JSON, in those of a study file."""

MODEL = ("schedule", "number", "points")
"""Words of the model that are none of the file."""


def load_study(source: Path | str | dict[str, Any] = "digits", **overrides: Any) -> Study:
    """Read a study from a TOML file, a preset's name or a dictionary.

    Parameters
    ----------
    source : path, str or dict
        A file that ends in ``.toml``, a name of `akpsim list presets`, or the same content as a dictionary.
    **overrides
        Values that replace those of the study; ``section__key`` reaches into a section, ``None`` is ignored:
        ``load_study("digits", members=2, training__epochs=3)``.  What a family says of its own gives way too.

    Returns
    -------
    Study
        Frozen, complete.

    Raises
    ------
    InvalidStudy
        If it is no TOML, a key is unknown or a value is not allowed; the first fault is named.
    """
    label, content = _content_of(source)
    for key, value in overrides.items():
        if value is not None:
            *sections, last = key.split("__")
            table = content
            for section in sections:
                table = table.setdefault(section, {})
            table[last] = value.item() if hasattr(value, "item") else value  # a number of numpy's as one of Python's
            if last in Family.model_fields and last != "name" and sections in ([], ["training"]):
                for family in content.get("families", []):
                    family.pop(last, None)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise InvalidStudy(f"{label}: {_first_fault(error, content)}") from None


def _content_of(source: Path | str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(source, dict):
        try:
            return "study", json.loads(json.dumps(source))
        except (TypeError, ValueError) as error:
            raise InvalidStudy(f"a study holds text, numbers, lists and tables: {error}") from None
    if str(source) in (known := presets()):
        return str(source), tomllib.loads(known[str(source)])
    path = as_path(source, "source")
    if str(source) and isdir(path):  # of os.path, which says no where a name is none that a file could have
        raise InvalidStudy(f"{path} is a folder: a study is a .toml file or a preset, images are given by `--data`")
    if path.suffix != ".toml":
        raise unknown_name("preset", str(source), known)
    try:
        text = path.read_text(encoding="utf-8")
        return str(path), {"name": path.stem} | tomllib.loads(text)
    except ValueError as error:  # of TOML, of its encoding, or of a name that no file can have
        raise InvalidStudy(f"{path} is no TOML: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None


def _first_fault(error: ValidationError, content: dict[str, Any]) -> str:
    """Say the first fault in one sentence: where, what is allowed, what came."""
    faults = error.errors()
    # Of a value that may be one thing or another, the fault deepest inside: the table was meant, not the word.
    fault = max(faults, key=lambda f: len(f["loc"])) if "literal[" in str(faults[0]["loc"]) else faults[0]
    where = _place(fault["loc"], content)
    if fault["type"] == "extra_forbidden":
        table: Any = Study
        for part in fault["loc"][:-1]:
            if isinstance(part, str):
                table = _section(table, part)
        section = where.rpartition(".")[0]
        kind = f"key in `{section}`" if section else "key"
        return str(unknown_name(kind, str(fault["loc"][-1]), table.model_fields))
    came = f", got {fault['input']!r}" if fault["type"] not in ("missing", "value_error") else ""
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in WORDS:
        message = WORDS[fault["type"]].format(**fault.get("ctx", {}))
    elif fault["type"] == "string_pattern_mismatch":
        marks = "`_`, `.` and `-`" if ".-]" in fault["ctx"]["pattern"] else "`_` and `.`"
        message = f"must be letters, digits, {marks}, beginning with a letter or a digit"
    return f"`{where}`: {message}{came}" if where else message


def _place(loc: tuple[int | str, ...], content: dict[str, Any]) -> str:
    """Return the key that is at fault as it stands in the file, entries of lists by their names."""
    parts: list[str] = []
    value: Any = content
    for part in loc:
        inside = value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None
        name = inside.get("name") if isinstance(inside, dict) else None
        if isinstance(name, str) and re.fullmatch(r"[\w-]+", name):
            parts.append(name)
        elif part not in MODEL and not str(part).startswith(("literal[", "dict[")):
            parts.append(str(part))
        found = isinstance(value, dict) and part in value
        value = value[part] if found else value if inside is None else inside
    return ".".join(parts)


def _section(table: type[BaseModel], key: str) -> type[BaseModel]:
    """Return the model of a key's values, through a tuple if it is one."""
    annotation: Any = table.model_fields[key].annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next(a for a in candidates if isinstance(a, type) and issubclass(a, BaseModel))
