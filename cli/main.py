"""`akpsim`: joins the commands and turns an `AkpsimError` into one line and exit code 1."""

import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from akpsim.errors import AkpsimError, AkpsimWarning

from .arguments import KeepsInputs, SavesResult
from .calibrate import calibrate
from .compare import compare
from .crisis import crisis
from .data import data
from .disperse import disperse
from .fit_lv import fit_lv
from .list import list_entries
from .ordinate import ordinate
from .plot import plot
from .table import table
from .train_family import train_family


class OneLineErrors(TyperGroup):
    """A group of commands in which a user's error is a sentence, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; print an `AkpsimError` as one line on standard error and exit with 1; warnings as one line."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _in_one_line
                return super().invoke(ctx)
        except AkpsimError as error:
            sys.stderr.write(f"akpsim: {error}\n")
            raise typer.Exit(1) from None


def _in_one_line(message: Warning | str, category: type[Warning], *where: Any, **_: Any) -> None:
    """Print a warning without the place in our code that gave it, unless it is not ours."""
    sys.stderr.write(f"akpsim: {message}\n" if category is AkpsimWarning else f"{where[0]}: {message}\n")


app = typer.Typer(
    cls=OneLineErrors,
    help="Train families of perturbed networks, compare their representations, test the Anna Karenina principle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("compare", cls=SavesResult)(compare)
app.command("calibrate", cls=SavesResult)(calibrate)
app.command("crisis", cls=SavesResult)(crisis)
app.command("disperse", cls=SavesResult)(disperse)
app.command("ordinate", cls=SavesResult)(ordinate)

app.command("fit-lv", cls=SavesResult)(fit_lv)
app.command("train-family")(train_family)
app.command("plot", cls=KeepsInputs)(plot)
app.command("table", cls=KeepsInputs)(table)
app.command("list")(list_entries)
app.add_typer(data, name="data")
