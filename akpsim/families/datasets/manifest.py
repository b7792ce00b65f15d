"""A CSV file that lists images: path, label, and if wanted split and group."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.duplicates import groups_of
from akpsim.families.datasets.given import complete_split, with_class_map
from akpsim.families.datasets.images import Dataset, Images
from akpsim.families.datasets.options import options_of
from akpsim.families.datasets.pictures import read_pictures
from akpsim.study import Data

COLUMNS = {"path_column": "path", "label_column": "label", "split_column": "split", "group_column": "group"}


def load_manifest(data: Data) -> Images:
    """Read ``data.path``, a CSV file with a header and one line an image.

    Parameters
    ----------
    data : Data
        Columns ``path`` (from the folder of the CSV file, or absolute) and ``label``; ``split`` and ``group`` (one
        animal, one slide) if there are.  The options ``path_column`` and so on give other names of columns.

    Returns
    -------
    Images
        Images of one group, and copies, share a group.
    """
    names = options_of(data, COLUMNS)
    if data.path is None:
        raise InvalidData("the data set 'manifest' needs `path`, a CSV file")
    path = Path(data.path).expanduser()
    rows = rows_of(path, (names["path_column"], names["label_column"]))
    ids = [row[names["path_column"]].replace("\\", "/") for row in rows]
    for name, count in Counter(ids).items():
        if count > 1:
            raise InvalidData(f"{path} lists {name} twice")
    given = [row[names["label_column"]] for row in rows]
    classes = tuple(sorted(set(given)))
    if len(classes) < 2:
        raise InvalidData(f"{path} has one class, {classes[0]!r}; two are the least")
    labels = np.array([classes.index(label) for label in given], dtype=np.int64)
    images, copies = read_pictures([path.parent / name for name in ids], ids, image_size=data.image_size)
    groups = joined_groups(copies, [row.get(names["group_column"]) or "" for row in rows])
    split = None
    if names["split_column"] in rows[0]:
        split = complete_split(np.array([row[names["split_column"]] for row in rows]), labels, groups, seed=data.seed)
    return with_class_map(Images(images, labels, classes, np.array(ids), groups, split, source=path.name), data)


def joined_groups(copies: np.ndarray, given: list[str]) -> np.ndarray:
    """Return groups in which copies stay together, and images of one given group (empty: none) too."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(f"copy {copy}", index), index) for index, copy in enumerate(copies.tolist())]
    pairs += [(first.setdefault(f"given {name}", index), index) for index, name in enumerate(given) if name]
    return groups_of(len(given), pairs)


def rows_of(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the lines of a CSV file, each of which must have the needed columns filled."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except FileNotFoundError:
        raise InvalidData(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidData(f"{path} is no CSV file in UTF-8: {error}") from None
    if not rows:
        raise InvalidData(f"{path} lists no image")
    for column in needed:
        if column not in rows[0]:
            raise InvalidData(f"{path} needs the column {column!r}; it has {', '.join(rows[0])}")
        for number, row in enumerate(rows, start=2):
            if not row[column]:
                raise InvalidData(f"{path}, line {number}: {column!r} is empty")
    return rows


manifest = Dataset("manifest", load_manifest, "a CSV file: path, label, and if wanted split and group; give `path`")
