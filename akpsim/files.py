"""Files that are complete or absent: written under a temporary name, synced, then moved into place."""

import contextlib
import errno
import functools
import glob
import json
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from akpsim.errors import StoreError

TEMPORARY = ".partial"
ABANDONED = 24 * 3600
"""Seconds after which a temporary file of another machine, whose processes cannot be seen from here, is a leftover."""
FULL = 2**16
"""Free bytes below which a disk is full."""


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that says which machine and process it belongs to, and that no other writer has.

    It keeps the suffix, so that writers which choose a format by suffix choose the same one.
    """
    return path.with_name(f".{path.stem}.{machine()}-{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}{path.suffix}")


def remove_leftovers(folder: Path, stem: str = "*") -> int:
    """Remove temporary files whose writers are gone, killed before they could do it; return how many."""
    removed = 0
    for path in folder.glob(f".{stem if stem == '*' else glob.escape(stem)}.*{TEMPORARY}*"):
        owner = re.search(rf"\.([0-9a-f]{{8}})-(\d+)-[0-9a-f]{{8}}{re.escape(TEMPORARY)}", path.name)
        if owner is None or not _is_leftover(path, owner[1], int(owner[2])):
            continue
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            removed += 1
    return removed


def _is_leftover(path: Path, owner: str, process: int) -> bool:
    if owner == machine() and is_running(process) is not None:
        return not is_running(process)
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > ABANDONED
    return False


def is_running(process: int) -> bool | None:
    """Say whether a process of this machine is alive; None where that cannot be asked without harm."""
    if os.name != "posix":
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


@functools.cache
def machine() -> str:
    """Return eight digits for this machine, or this container: where the same number is the same process."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{zlib.crc32((socket.gethostname() + space).encode()):08x}"


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success sync it and move it to `path`, on failure remove it.

    Parameters
    ----------
    path : Path
        The final name.  Its folder is made if needed, and what a killed writer of the same file left is removed.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    StoreError
        If the folder cannot be written or the disk is full; an earlier file at `path` is left as it was.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.stem)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "NetCDF" not in str(error):
            raise
        raise StoreError(f"cannot write {path}: {_why(error, path.parent)}") from error
    finally:
        _discard(temporary)


def _why(error: OSError | RuntimeError, folder: Path) -> str:
    """Say why a file could not be written; libraries of file formats call a full disk by other names."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    with contextlib.suppress(OSError):
        space = shutil.disk_usage(folder)
        if space.total and space.free < FULL:  # what has no space at all, such as /proc, is no disk
            return "the disk is full"
    if "NetCDF" in str(error):
        return "the netCDF library could not write all of it"
    return str(getattr(error, "strerror", None) or error)


def _discard(temporary: Path) -> None:
    """Remove a temporary file, and free its space even where a library keeps it open after an error."""
    with contextlib.suppress(OSError):
        os.truncate(temporary, 0)
        temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success move it to `path`, on failure remove it.

    Parameters
    ----------
    path : Path
        The final name; a folder with something in it is never replaced.

    Yields
    ------
    Path
        An empty folder to fill.

    Raises
    ------
    StoreError
        If there is something at `path`, the place cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = temporary_name(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise StoreError(f"{path} exists already; choose another name or remove it first")
    try:
        temporary.mkdir(parents=True)
        remove_leftovers(path.parent, path.stem)
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {_why(error, path.parent)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can sync folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path | str, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")
