"""One process a run folder: a lock file that says who holds it, and that is recognised when its holder is gone."""

import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from akpsim.errors import StoreError
from akpsim.files import is_running, machine, temporary_name

LOCK = ".lock"
BEAT = 20.0
"""Seconds between two signs of life."""
SILENT = 300.0
"""Seconds without one after which a holder on another machine counts as gone."""


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock of a run folder while the body runs.

    A lock whose process is dead is taken over; so is one of another machine that gave no sign of life for five minutes.

    Raises
    ------
    StoreError
        If another process holds it, or the folder cannot be written.
    """
    path = out / LOCK
    mine = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "machine": machine(),
        "started": started(os.getpid()),
        "token": secrets.token_hex(8),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        acquire(path, mine)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()
        if (_holder(path) or {}).get("token") == mine["token"]:
            path.unlink(missing_ok=True)


def acquire(path: Path, mine: dict[str, Any]) -> None:
    """Make the lock file, or take the place of a holder that is gone."""
    for _ in range(10):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            _take_away(path)
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(mine))
        return
    raise StoreError(f"{path} keeps coming back: several processes want {path.parent} at the same time")


def _take_away(path: Path) -> None:
    """Remove a lock whose holder is gone, or say who holds it."""
    holder = _holder(path)
    if not _is_gone(holder, path):
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        raise StoreError(f"{path.parent} is being trained by {who}; wait for it, or remove {path} if that is gone")
    aside = temporary_name(path)
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        if _holder(aside) != holder:  # somebody else took it over in between: theirs goes back
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _holder(path: Path) -> dict[str, Any] | None:
    """Return what a lock file says, or None if it says nothing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"pid", "host", "machine"} <= found.keys() else None


def _is_gone(holder: dict[str, Any] | None, path: Path) -> bool:
    if holder is not None and holder["machine"] == machine():
        alive = is_running(int(holder["pid"]))
        if alive is not None:
            return not alive or holder.get("started") != started(int(holder["pid"]))
    return _age(path) > (SILENT if holder is not None else BEAT)


def _age(path: Path) -> float:
    """Return the seconds since the last sign of life by the clock of the file server, which may not be ours."""
    clock = temporary_name(path)
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    finally:
        clock.unlink(missing_ok=True)


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)


def started(process: int) -> str | None:
    """Return when a process began, where the system says so: numbers of processes are used again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
