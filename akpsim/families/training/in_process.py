"""Members trained in this process, one after the other or several at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Hashable, Iterator
from pathlib import Path
from typing import Any

from akpsim.checks import at_least
from akpsim.errors import InvalidStudy, StoreError
from akpsim.families.devices import reproducible
from akpsim.families.training.member import epochs_of
from akpsim.families.training.prepared import Prepared
from akpsim.families.training.stack import run_stacked, shape_of
from akpsim.families.training.work import Work
from akpsim.progress import Progress
from akpsim.study import Member, Study


def check_stack(stack: int, *, frozen: bool, elsewhere: bool) -> None:
    """Refuse a stack of members that train a trunk, or that are trained by workers.

    Raises
    ------
    InvalidStudy
        What of it.
    """
    if at_least(stack, "stack", 1) == 1:
        return
    if not frozen:
        raise InvalidStudy(f"`stack` is for heads on a frozen trunk, and this study trains its trunk: got {stack}")
    if elsewhere:
        raise InvalidStudy(f"`stack` is for one process, not for `workers` or a `scheduler`: got {stack}")


def train_in_process(
    study: Study,
    missing: list[Member],
    prepared: Prepared,
    out: Path,
    failures: dict[str, str],
    *,
    stack: int,
    device: str,
    show: bool,
) -> None:
    """Train members, up to `stack` at once; add the reasons of those that fail to `failures`.

    If training several as one fails, each of them is trained anew, alone, so that the reason falls on the right one.
    """
    total = sum(member.family.epochs or study.training.epochs for member in missing)
    with reproducible(), Progress("epochs", total=total, show=show) as progress, heard_interrupts() as stop_if_asked:
        report = Report(progress, missing)
        alone: list[Member] = []
        for members, at_once in ((missing, stack), (alone, 1)):
            going = Going(failures)
            waiting = iter(members)
            try:
                while True:
                    for _, member in zip(range(at_once - len(going.courses)), waiting, strict=False):
                        course = epochs_of(study, member, prepared, out, device=device, stacked=at_once)
                        going.courses[member.name] = course
                    if not going.courses:
                        break
                    for name, epoch in going.advance():
                        report(name, epoch, at_once=len(going.courses))
                    stop_if_asked()
            finally:
                going.close()
            alone += [member for member in members if member.name in going.to_do_alone]


class Going:
    """Members in training, each as what `epochs_of` gives; `failures` gets the reasons of those that fail."""

    def __init__(self, failures: dict[str, str]) -> None:
        self.failures = failures
        self.courses: dict[str, Generator[tuple[Work, int]]] = {}
        self.to_do_alone: set[str] = set()

    def advance(self) -> list[tuple[str, int]]:
        """Train each member for its next epoch, as one where their shapes allow it; return which was done."""
        ready: dict[str, tuple[Work, int]] = {}
        for name, course in list(self.courses.items()):
            try:
                ready[name] = next(course)
            except StopIteration:
                del self.courses[name]
            except StoreError:
                raise
            except Exception as error:
                self.fail([name], error)
        alike: dict[Hashable, list[str]] = {}
        for name, (work, _) in ready.items():
            alike.setdefault(shape_of(work.training) or name, []).append(name)
        done = []
        for names in alike.values():
            try:
                run([ready[name] for name in names])
            except Exception as error:
                self.fail(names, error)
            else:
                done += [(name, ready[name][1]) for name in names]
        return done

    def fail(self, names: list[str], error: Exception) -> None:
        """Give up a member, or several of which it is not known which one it was: each has to be trained alone."""
        for name in names:
            self.courses.pop(name).close()
        if len(names) == 1:
            self.failures[names[0]] = f"{type(error).__name__}: {error}"
        else:
            self.to_do_alone |= set(names)

    def close(self) -> None:
        """Give up all that are not complete."""
        for course in self.courses.values():
            course.close()


def run(ready: list[tuple[Work, int]]) -> None:
    """Train members for an epoch each; several as one."""
    works, epochs = zip(*ready, strict=True)
    if len(works) == 1:
        works[0].run(epochs[0])
        return
    results = run_stacked([work.training for work in works], epochs)
    for work, result in zip(works, results, strict=True):
        work.trained = result


class Report:
    """Turn the epochs of members into progress; those that are trained anew count once."""

    def __init__(self, progress: Progress, members: list[Member]) -> None:
        self.progress = progress
        self.places = {member.name: place for place, member in enumerate(members, start=1)}
        self.done = dict.fromkeys(self.places, 0)

    def __call__(self, name: str, epoch: int, *, at_once: int) -> None:
        """Say that a member has done an epoch."""
        steps = max(0, epoch - self.done[name])
        resumed = f" from epoch {epoch - 1}" * (steps > 1)
        several = f", {at_once} at once" * (at_once > 1)
        self.progress.advance(steps, note=f"member {self.places[name]}/{len(self.places)} {name}{resumed}{several}")
        self.done[name] += steps


@contextlib.contextmanager
def heard_interrupts() -> Iterator[Callable[[], None]]:
    """Give a function that raises KeyboardInterrupt again if one was raised and lost.

    Libraries with a bare ``except``, netCDF4 among them, swallow a Ctrl-C that comes while they work.
    """
    asked = False

    def hear(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def stop_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    usual = threading.current_thread() is threading.main_thread()
    if not usual or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield stop_if_asked
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
