"""Where images come from.  `DATASETS` lists the sources; add your own with ``DATASETS.add``."""

from pathlib import Path

from akpsim.errors import unknown_name
from akpsim.families.datasets.digits import digits
from akpsim.families.datasets.folder import folder
from akpsim.families.datasets.images import Dataset as Dataset
from akpsim.families.datasets.images import Images as Images
from akpsim.families.datasets.splits import split_images as split_images
from akpsim.families.datasets.wings import wings
from akpsim.registry import Registry

DATASETS: Registry[Dataset] = Registry("dataset", [digits, wings, folder])


def data_named(name: str) -> dict[str, str]:
    """Return the keys of ``[data]`` for what a user typed: a dataset's name, or the path of a folder.

    Raises
    ------
    UnknownName
        If it is neither.
    """
    if name in DATASETS:
        return {"name": name}
    if Path(name).is_dir():
        return {"name": "folder", "path": str(Path(name).resolve())}
    raise unknown_name("dataset or folder", name, DATASETS)
