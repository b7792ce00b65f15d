"""The reference page of study files, made from the models that read them."""

import json
from typing import Any

from akpsim.study.schedule import PerturbationSpec, Schedule
from akpsim.study.section import Section
from akpsim.study.sections import Capture, Data, Family, Happiness, Network, Split, Study, Training

HEAD = """# The study file

Made from the models that read it by `akpsim.study.page.study_page`; a test checks that it is current. Every key has a
default, but the names of families and perturbations. `akpsim train-family FILE.toml` trains it, and `RUN/study.toml`
is the study as it was run, with all defaults written out.

Epochs are whole numbers, counted from 1; 0 is the untrained network. An event happens at the start of its epoch, and
the half epoch before it, 2.5 for epoch 3, is the moment after the event and before the epoch's batches.
"""

TABLES: dict[str, tuple[type[Section], ...]] = {
    "Above all tables": (Study,),
    "[data]": (Data,),
    "[data.split]": (Split,),
    "[network]": (Network,),
    "[training]": (Training,),
    "[capture]": (Capture,),
    "[happiness]": (Happiness,),
    "[[families]]": (Family,),
    "[[families.perturbations]]": (PerturbationSpec, Schedule),
}

WORDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}


def study_page() -> str:
    """Return the page in Markdown, a table of keys for each table of a study file."""
    return HEAD + "".join(f"\n## {title}\n\n{table(models)}" for title, models in TABLES.items())


def table(models: tuple[type[Section], ...]) -> str:
    """Return what a study file's table may hold."""
    rows = ["| key | allowed | default | what |", "|---|---|---|---|"]
    for model in models:
        schema = model.model_json_schema()
        for key, entry in schema["properties"].items():
            nested = entry.get("$ref") or entry.get("items", {}).get("$ref")
            default = "needed" if key in schema.get("required", ()) else "-" if nested else said(entry.get("default"))
            kind = allowed(entry).replace("|", r"\|")
            rows.append(f"| `{key}` | {kind} | {default} | {entry['description']} |")
    return "\n".join(rows) + "\n"


def said(default: Any) -> str:
    """Return a default as a study file would write it."""
    return "-" if default is None else f"`{json.dumps(default)}`"


def allowed(entry: dict[str, Any]) -> str:
    """Return in words which values a JSON schema allows."""
    if "enum" in entry:
        return ", ".join(f'`"{value}"`' for value in entry["enum"])
    if options := entry.get("anyOf") or entry.get("oneOf"):
        return " or ".join(allowed(option) for option in options if option.get("type") != "null")
    if "$ref" in entry or entry.get("type") == "object":
        return "a table"
    if entry.get("type") == "array":
        if "prefixItems" in entry:
            return f"({', '.join(map(allowed, entry['prefixItems']))})"
        return f"a list of {allowed(entry['items'])}" + ", one at least" * int(entry.get("minItems", 0) > 0)
    words = WORDS[entry["type"]]
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "maximum": "<="}
    limits = " and ".join(f"{sign} {entry[key]:,}" for key, sign in signs.items() if key in entry)
    if "pattern" in entry:
        marks = "`_`, `.`, `-`" if "-]" in entry["pattern"] else "`_`, `.`"
        limits = f"of letters, digits, {marks}, up to {entry['maxLength']}"
    return f"{words} {limits}".strip()
