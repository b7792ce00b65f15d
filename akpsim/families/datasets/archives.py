"""Unpack archives of others: whole or not at all, inside a folder of their own, within limits."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from akpsim.errors import InvalidData
from akpsim.families.datasets.pictures import first_line
from akpsim.files import atomic_folder

GIGA = 10**9
CHUNK = 2**20
MOST_MEMBERS = 200_000
"""Files in one archive."""


def archive_kind(path: Path) -> str:
    """Return "zip" or "tar" if a file is one, else nothing."""
    if path.name.lower().endswith(".zip"):
        return "zip"
    return "tar" if path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")) else ""


def folder_of(archive: Path) -> Path:
    """Return the folder that an archive is unpacked into: its name without the endings."""
    name = archive.name
    for ending in (".gz", ".xz", ".bz2", ".tgz", ".tar", ".zip"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return archive.with_name(name)


@dataclass(frozen=True)
class Packed:
    """A file in an archive: its name there, its size, and how to read it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, target: Path, *, limit: float = 50) -> Path:
    """Unpack an archive into a folder of its own, unless it is there already.

    Parameters
    ----------
    archive : Path
        A .zip or a .tar, also compressed.
    target : Path
        The folder; written whole or not at all.
    limit : float
        Gigabytes that all files together may have.

    Raises
    ------
    InvalidData
        If a file would land outside the folder, is a link or a device, there is too much, or the archive is damaged.
    """
    if target.is_dir() and any(target.iterdir()):
        return target
    left = int(limit * GIGA)
    try:
        with atomic_folder(target) as folder:
            for count, packed in enumerate(members_of(archive), start=1):
                place = folder / safe_name(packed.name, archive)
                left -= packed.size
                if left < 0 or count > MOST_MEMBERS:
                    raise InvalidData(f"{archive.name} unpacks to more than {limit:g} GB or {MOST_MEMBERS} files")
                place.parent.mkdir(parents=True, exist_ok=True)
                with packed.open() as source, place.open("xb") as sink:
                    copy_exactly(source, sink, packed, archive)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        raise InvalidData(f"{archive} is damaged or cannot be unpacked: {first_line(error)}") from None
    return target


def members_of(archive: Path) -> Iterator[Packed]:
    """Give the files of an archive; folders are made as they are needed, anything else is refused."""
    if archive_kind(archive) == "zip":
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                if (info.external_attr >> 16) & 0o170000 == 0o120000:
                    raise InvalidData(f"{archive.name} holds a link, {info.filename!r}; it was not unpacked")
                if not info.is_dir():
                    yield Packed(info.filename, info.file_size, partial(file.open, info))
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile():
                yield Packed(member.name, member.size, partial(extracted, tar, member))
            elif not member.isdir():
                raise InvalidData(f"{archive.name} holds a link or device, {member.name!r}; it was not unpacked")


def extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Return the reader of a plain file in a tar."""
    reader = tar.extractfile(member)
    if reader is None:
        raise tarfile.TarError(f"{member.name} is no plain file")
    return reader


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Return a name that stays below the folder it is joined to, on every system."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name or not path.parts:
        raise InvalidData(f"{archive.name} holds {name!r}, which leaves the folder; it was not unpacked")
    return path


def copy_exactly(source: IO[bytes], sink: IO[bytes], packed: Packed, archive: Path) -> None:
    """Copy as many bytes as were promised; more or fewer are an error."""
    left = packed.size
    while chunk := source.read(min(CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            break
        sink.write(chunk)
    if left:
        raise InvalidData(f"{archive.name}: {packed.name!r} does not have the {packed.size} bytes that it says")
