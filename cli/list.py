"""`akpsim list`."""

import json
from collections.abc import Callable
from typing import Annotated

import typer

import akpsim
from akpsim.errors import unknown_name


def metrics() -> dict[str, str]:
    """Return the metrics and their summaries."""
    return {entry.name: entry.summary for entry in akpsim.METRICS.values()}


def ordinations() -> dict[str, str]:
    """Return the ordinations and their summaries."""
    return {entry.name: entry.summary for entry in akpsim.ORDINATIONS.values()}


def perturbations() -> dict[str, str]:
    """Return the perturbations, their summaries and options."""
    from akpsim.families import PERTURBATIONS

    return {
        p.name: f"{p.summary} [{', '.join(f'{key} = {value!r}' for key, value in p.options.items())}]".replace(
            " []", ""
        )
        for p in PERTURBATIONS.values()
    }


def datasets() -> dict[str, str]:
    """Return the sources of images."""
    from akpsim.families import DATASETS

    return {entry.name: entry.summary for entry in DATASETS.values()}


def presets() -> dict[str, str]:
    """Return the studies that ship with the package; the first comment line of each says what it is."""
    from akpsim.study import presets as texts

    return {name: text.splitlines()[0].lstrip("# ") for name, text in texts().items()}


def models() -> dict[str, str]:
    """Return the models of dynamics: forms that `fit-lv --model` fits, and one-step nulls they are judged against."""
    forms = {entry.name: f"form: {entry.summary}" for entry in akpsim.FORMS.values()}
    return forms | {entry.name: f"null: {entry.summary}" for entry in akpsim.NULLS.values()}


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    function.__name__: function for function in (metrics, perturbations, datasets, ordinations, models, presets)
}


def list_entries(
    what: Annotated[str, typer.Argument(help=" | ".join(LISTS))],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Metrics: formula, source, arguments and more.")] = False,
) -> None:
    """List what there is, with a line about each: metrics, perturbations, datasets, ordinations, models, presets.

    Examples:

        akpsim list metrics

        akpsim list presets --json
    """
    if what not in LISTS:
        raise unknown_name("list", what, LISTS)
    if verbose and what == "metrics":
        from akpsim.metrics.page import section

        typer.echo("\n".join(section(metric) for metric in akpsim.METRICS.values()))
        return
    entries = LISTS[what]()
    if as_json:
        typer.echo(json.dumps(entries))
        return
    width = max(map(len, entries))
    for name, summary in entries.items():
        typer.echo(f"{name:{width}}  {summary}")
