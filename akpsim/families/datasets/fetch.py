"""Fetch a published record by its DOI: checked, resumable file by file, unpacked safely.

Names, sizes and checksums of the files come from the record itself.  What is complete and has the right checksum is
not fetched again; an archive is unpacked into a folder of its own, which gets its name when it is whole.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from akpsim.errors import InvalidData, StoreError, unknown_name
from akpsim.families.datasets.archives import archive_kind, folder_of, unpack
from akpsim.families.datasets.pictures import first_line
from akpsim.files import write_json
from akpsim.progress import Progress

RECORDS = {"wings": "10.5281/zenodo.7648739"}
"""Name of a data set -> its DOI."""

RECORD_FILE = "record.json"
TIMEOUT = 30
CHUNK = 2**20
GIGA = 10**9


@dataclass(frozen=True)
class RemoteFile:
    """A file of a record."""

    name: str
    size: int
    checksum: str
    url: str


def fetch_record(name: str, target: Path | str, *, limit: float = 50, show: bool = False) -> dict[str, Any]:
    """Fetch all files of a record and unpack its archives.

    Parameters
    ----------
    name : str
        A name in `RECORDS`.
    target : Path
        The folder; made if there is none, and completed if there is one.
    limit : float
        Gigabytes that may be downloaded, and that each archive may unpack to.
    show : bool
        Show progress.

    Returns
    -------
    dict
        ``doi``, ``files`` (their paths) and ``folders`` (what archives were unpacked into).

    Raises
    ------
    InvalidData
        If the record cannot be reached, is larger than `limit`, changed since it was fetched, a file does not have
        its checksum, or an archive would write outside its folder.
    """
    if name not in RECORDS:
        raise unknown_name("record", name, RECORDS)
    target = Path(target)
    doi = RECORDS[name]
    files = files_of_record(doi)
    check_limits(doi, files, target, limit)
    check_unchanged(files, target)
    with Progress("megabytes", total=sum(megabytes(file.size) for file in files), show=show) as progress:
        for file in files:
            download(file, target, progress)
    checksums = {file.name: file.checksum for file in files}
    write_json(target / RECORD_FILE, {"doi": doi, "checksums": checksums})
    archives = [target / file.name for file in files if archive_kind(target / file.name)]
    folders = [unpack(path, folder_of(path), limit=limit) for path in archives]
    return {"doi": doi, "files": [str(target / file.name) for file in files], "folders": [str(one) for one in folders]}


def files_of_record(doi: str) -> list[RemoteFile]:
    """Ask the repository for the files of a record."""
    import requests
    from pooch import downloaders

    try:
        repository: Any = downloaders.doi_to_repository(doi, timeout=TIMEOUT)
        listed = repository.api_response["files"]
        files = [
            RemoteFile(
                name=entry["key"],
                size=int(entry["size"]),
                checksum=entry["checksum"],
                url=repository.download_url(entry["key"]),
            )
            for entry in listed
        ]
    except requests.RequestException as error:
        raise InvalidData(
            f"the record doi:{doi} cannot be reached ({type(error).__name__}): fetching needs the network; "
            "`akpsim data wings` draws synthetic wings without it"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidData(f"the record doi:{doi} answers in a way that is not understood: {error!r}") from None
    if not files:
        raise InvalidData(f"the record doi:{doi} has no open files")
    for file in files:
        if len(PurePosixPath(file.name).parts) != 1 or file.name.startswith(".") or "\\" in file.name:
            raise InvalidData(f"the record doi:{doi} has a file named {file.name!r}, which is no plain name")
    return sorted(files, key=lambda file: file.name)


def check_limits(doi: str, files: list[RemoteFile], target: Path, limit: float) -> None:
    """Refuse a record that is too large for the limit or for the disk."""
    total = sum(file.size for file in files)
    if total > limit * GIGA:
        raise InvalidData(f"the record doi:{doi} has {total / GIGA:.1f} GB; `--limit` is {limit:g}")
    missing = sum(file.size for file in files if not (target / file.name).exists())
    place = next(folder for folder in [target, *target.absolute().parents] if folder.exists())
    free = shutil.disk_usage(place).free
    if missing > free:
        raise StoreError(f"{target} needs {missing / GIGA:.1f} GB, and {free / GIGA:.1f} GB are free")


def check_unchanged(files: list[RemoteFile], target: Path) -> None:
    """Refuse to mix two versions of a record in one folder."""
    try:
        known = json.loads((target / RECORD_FILE).read_text(encoding="utf-8"))["checksums"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{target / RECORD_FILE} is damaged: {first_line(error)}") from None
    for file in files:
        if file.name in known and known[file.name] != file.checksum:
            raise InvalidData(
                f"the record changed since it was fetched: {file.name} had {known[file.name]}, now {file.checksum}; "
                f"fetch into another folder than {target}"
            )


class Meter:
    """Hand the bytes that arrive on to a progress bar, and stop when there are more than were promised.

    The names are those that pooch expects of a progress bar.
    """

    def __init__(self, file: RemoteFile, progress: Progress) -> None:
        self.file, self.progress = file, progress
        self.total = self.bytes = self.shown = 0

    def update(self, count: int) -> None:
        """Count bytes; pooch counts whole chunks, and sets `total` to the length that the server announces."""
        self.bytes += count
        if self.total > self.file.size or self.bytes >= self.file.size + CHUNK:
            raise InvalidData(f"{self.file.name} is larger than the {self.file.size} bytes that the record says")
        steps = self.bytes // 10**6 - self.shown
        if steps > 0:
            self.shown += steps
            self.progress.advance(steps, note=self.file.name)

    def reset(self) -> None:
        """Start to count again, as pooch does to fill the bar."""
        self.bytes = 0

    def close(self) -> None:
        """Do nothing: the bar goes on with the next file."""


def megabytes(size: int) -> int:
    """Return whole megabytes, at least one."""
    return max(size // 10**6, 1)


def download(file: RemoteFile, target: Path, progress: Progress) -> None:
    """Fetch one file unless it is there already with the right checksum; it gets its name when that is right."""
    import logging

    import pooch
    import requests

    meter = Meter(file, progress)
    logger: logging.Logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    downloader = pooch.HTTPDownloader(progressbar=meter, chunk_size=CHUNK, timeout=TIMEOUT)
    try:
        pooch.retrieve(file.url, known_hash=file.checksum, fname=file.name, path=target, downloader=downloader)
    except requests.RequestException as error:
        raise InvalidData(
            f"{file.name} could not be fetched ({type(error).__name__}); run the command again to go on"
        ) from None
    except InvalidData:
        raise
    except ValueError:
        raise InvalidData(
            f"{file.name} does not have the checksum {file.checksum} of the record; it was not kept"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot write {target / file.name}: {error.strerror or error}") from None
    finally:
        logger.setLevel(level)
    progress.advance(max(megabytes(file.size) - meter.shown, 0), note=file.name)
