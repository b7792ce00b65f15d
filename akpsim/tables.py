"""Tables of strings as text, CSV, Markdown or LaTeX."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LATEX_SPECIAL = {letter: rf"\{letter}" for letter in "_%&#${}"} | {
    "±": r"$\pm$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


@dataclass(frozen=True)
class Table:
    """A table to print.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequences of str
        Cells; an empty one continues the row above.
    caption : sequence of str
        Sentences that belong to it.
    left : int
        The first so many columns are words, set flush left; the others are numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: Sequence[str] = ()
    left: int = 1


def as_text(table: Table) -> str:
    """Return aligned columns, the caption below."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]

    def aligned(line: Sequence[str]) -> str:
        cells = zip(line, widths, range(len(line)), strict=True)
        return "  ".join(f"{cell:<{w}}" if i < table.left else f"{cell:>{w}}" for cell, w, i in cells).rstrip()

    return "\n".join([*map(aligned, lines), *table.caption])


def as_csv(table: Table) -> str:
    """Return comma-separated values, without the caption."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([table.header, *table.rows])
    return out.getvalue().rstrip("\n")


def records_as_csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return records of the same keys as comma-separated values; None is an empty cell."""
    rows = [["" if value is None else str(value) for value in record.values()] for record in records]
    return as_csv(Table(list(records[0]), rows))


def as_markdown(table: Table) -> str:
    """Return a table of pipes, the caption below."""
    rule = [":--" if column < table.left else "--:" for column in range(len(table.header))]
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in (table.header, *table.rows)]
    lines = [f"| {' | '.join(line)} |" for line in (escaped[0], rule, *escaped[1:])]
    return "\n".join([*lines, *(["", " ".join(table.caption)] if table.caption else [])])


def as_latex(table: Table) -> str:
    """Return a ``table`` for the package booktabs."""

    def escaped(cell: str) -> str:
        return "".join(LATEX_SPECIAL.get(letter, letter) for letter in cell)

    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (table.header, *table.rows)]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    caption = [rf"\caption{{{escaped(' '.join(table.caption))}}}"] if table.caption else []
    begin = [r"\begin{table}", r"\centering", *caption, rf"\begin{{tabular}}{{{columns}}}"]
    return "\n".join([*begin, *body, r"\end{tabular}", r"\end{table}"])


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}
SUFFIXES = {".txt": "text", ".csv": "csv", ".md": "markdown", ".tex": "latex"}


def brief(value: object) -> str:
    """Return a number as short as it can be said, an epoch as `21` or `2.5`; and anything else as it is."""
    return f"{value:g}" if isinstance(value, float) else str(value)
