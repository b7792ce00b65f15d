"""A folder with one sub-folder a class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from akpsim.errors import InvalidData
from akpsim.families.datasets.contact_sheet import CONTACT_SHEET
from akpsim.families.datasets.given import PART_NAMES, complete_split, with_class_map
from akpsim.families.datasets.images import SYNTHETIC_NOTE, Dataset, Images
from akpsim.families.datasets.options import options_of
from akpsim.families.datasets.pictures import SUFFIXES, is_picture, read_pictures
from akpsim.study import Data


def load_folder(data: Data) -> Images:
    """Read ``data.path``, a folder with one sub-folder a class.

    Parameters
    ----------
    data : Data
        `path`, the folder: every PNG, JPEG or TIFF below a sub-folder is an image of that class, other files and
        hidden ones are passed over.  If the sub-folders are called train, validation, test (or probe), they are the
        split, and the classes are one level below.  `image_size` scales to a square; without it all sizes must agree.

    Returns
    -------
    Images
        Classes and images in the order of their names; ids are paths below the folder with forward slashes; copies
        share a group.

    Raises
    ------
    InvalidData
        If the folder has fewer than two classes, a class has fewer than two images, an image is damaged, or sizes
        differ.
    """
    options_of(data, {})
    if data.path is None:
        raise InvalidData("the data set 'folder' needs `path` (`--data FOLDER`), a folder with one sub-folder a class")
    root = Path(data.path).expanduser()
    files = labelled_files(root)
    classes = tuple(sorted({file.label for file in files}))
    if len(classes) < 2:
        raise InvalidData(f"{root} holds one class, {classes[0]!r}; two sub-folders with images are the least")
    labels = np.array([classes.index(file.label) for file in files], dtype=np.int64)
    for name, count in zip(classes, np.bincount(labels), strict=True):
        if count < 2:
            raise InvalidData(f"{root}: class {name!r} has one image; each class needs at least two")
    ids = [file.path.relative_to(root).as_posix() for file in files]
    images, groups = read_pictures([file.path for file in files], ids, image_size=data.image_size)
    split = np.array([file.part for file in files]) if files[0].part else None
    if split is not None:
        split = complete_split(split, labels, groups, seed=data.seed)
    synthetic = (root / SYNTHETIC_NOTE).exists()
    source = f"folder {root.resolve().name}{' of synthetic images' * synthetic}"
    return with_class_map(Images(images, labels, classes, np.array(ids), groups, split, synthetic, source), data)


@dataclass(frozen=True)
class LabelledFile:
    """A picture, its class, and its part of the split (empty if the folder has none)."""

    path: Path
    label: str
    part: str = ""


def labelled_files(root: Path) -> list[LabelledFile]:
    """Return the pictures below a folder with their classes, and their parts if the sub-folders are a split."""
    members = class_members(root)
    if set(map(str.lower, members)) <= set(PART_NAMES):
        return [
            LabelledFile(path, label, part)
            for part in members
            for label, paths in class_members(root / part).items()
            for path in paths
        ]
    return [LabelledFile(path, label) for label, paths in members.items() for path in paths]


def class_members(root: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class below a folder, both in the order of their names.

    Raises
    ------
    InvalidData
        If there is no such folder, it has no sub-folder, or a sub-folder has no picture.
    """
    if not root.is_dir():
        raise InvalidData(f"{root} is no folder" if root.exists() else f"the folder {root} does not exist")
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    folders.sort(key=lambda path: path.name)  # paths themselves sort differently on Windows
    if not folders:
        loose = sum(is_picture(path) and path.name != CONTACT_SHEET for path in root.iterdir())
        came = f"{loose} images and no sub-folder" if loose else "no sub-folder"
        raise InvalidData(f"{root} has {came}; put the images of each class into a sub-folder named for it")
    members = {folder.name: sorted(pictures_below(folder), key=Path.as_posix) for folder in folders}
    empty = [name for name, paths in members.items() if not paths]
    if empty:
        allowed = ", ".join(suffix.lstrip(".") for suffix in SUFFIXES)
        raise InvalidData(f"{root}: the sub-folder {empty[0]!r} holds no image ({allowed})")
    return members


def pictures_below(folder: Path) -> list[Path]:
    """Return the pictures in a folder and its sub-folders, without hidden ones."""
    found = (path for path in folder.rglob("*") if is_picture(path) and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


folder = Dataset("folder", load_folder, "a folder with one sub-folder a class (PNG, JPEG, TIFF); give `path`")
