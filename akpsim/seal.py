"""A seal at the end of a file, by which damage is noticed before a library of a file format stumbles over it.

The last bytes of a sealed file are a hash of all bytes before them, so a file that was cut short, or of which one bit
flipped, is known without parsing it.  The netCDF library reads as far as the file's own header says and ignores what
follows: sealed files open in any other program too.
"""

import os
from pathlib import Path
from typing import Any, Literal

import xxhash

PREFIX = b"\nakpsim-xxh3-128="
LENGTH = len(PREFIX) + 32
PIECE = 2**20
"""Bytes read at a time."""

_whole: set[tuple[int, int, int, int]] = set()
"""Files found whole by this process: device, inode, size and time of the last change."""


def seal(path: Path | str) -> None:
    """Append to a file the hash of its content."""
    with open(path, "rb+", buffering=0) as file:
        digest = _digest(file, os.fstat(file.fileno()).st_size)
        file.seek(0, os.SEEK_END)
        file.write(PREFIX + digest)
        _whole.add(_identity(os.fstat(file.fileno())))


def state_of(path: Path | str) -> Literal["whole", "damaged", "unsealed"]:
    """Say whether a file is as it was sealed; it is read through once a process, and again if it changes.

    Raises
    ------
    OSError
        If the file is absent or cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if _identity(status) in _whole:
            return "whole"
        length = status.st_size - LENGTH
        if length < 0:
            return "unsealed"
        file.seek(length)
        found = file.read(LENGTH)
        if not found.startswith(PREFIX):
            return "unsealed"
        file.seek(0)
        if found != PREFIX + _digest(file, length):
            return "damaged"
    _whole.add(_identity(status))
    return "whole"


def _digest(file: Any, length: int) -> bytes:
    """Return the hash of the next bytes of an open file, in hexadecimal digits."""
    digest, buffer = xxhash.xxh3_128(), memoryview(bytearray(PIECE))
    while length > 0 and (count := file.readinto(buffer[: min(PIECE, length)])):
        digest.update(buffer[:count])
        length -= count
    return digest.hexdigest().encode()


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
