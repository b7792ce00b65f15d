"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing unless asked."""

import sys
import time
from types import TracebackType
from typing import Any, Self

LINE_EVERY = 5.0
"""Seconds between two plain lines where there is no terminal."""


class Progress:
    """Show how far a piece of long work is, on standard error.

    Parameters
    ----------
    label : str
        What is being done, for example ``"members"``.
    total : int
        Number of steps.
    show : bool
        False shows nothing; the library's default, so that it never writes unasked.

    Examples
    --------
    >>> with Progress("members", total=3) as progress:
    ...     for _ in range(3):
    ...         progress.advance()
    """

    def __init__(self, label: str, *, total: int, show: bool = False) -> None:
        self.label, self.total, self.show = label, total, show
        self.done = 0
        self.bar: Any = None
        self.started = self.said = time.monotonic()

    def __enter__(self) -> Self:
        if self.show and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self.bar = Bars(*columns, console=Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task(self.label, total=self.total, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, steps: int = 1, *, note: str = "") -> None:
        """Count `steps` more as done; `note` is shown behind the count."""
        self.done += steps
        if self.bar is not None:
            self.bar.update(self.task, advance=steps, note=note)
        elif self.show:
            now = time.monotonic()
            if now - self.said >= LINE_EVERY or (self.done == self.total and self.said > self.started):
                self.said = now
                sys.stderr.write(f"{self.label}: {self.done}/{self.total} {note} ({now - self.started:.0f} s)\n")
                sys.stderr.flush()
