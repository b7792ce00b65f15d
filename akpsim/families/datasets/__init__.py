"""Where images come from.  `DATASETS` lists the sources; add your own with ``DATASETS.add``."""

from pathlib import Path

from akpsim.errors import unknown_name
from akpsim.families.datasets.arrays import images_from_arrays as images_from_arrays
from akpsim.families.datasets.arrays import npz
from akpsim.families.datasets.digits import digits
from akpsim.families.datasets.folder import folder
from akpsim.families.datasets.images import Dataset as Dataset
from akpsim.families.datasets.images import Images as Images
from akpsim.families.datasets.manifest import manifest
from akpsim.families.datasets.splits import split_images as split_images
from akpsim.families.datasets.torchvision_on_disk import torchvision
from akpsim.families.datasets.wings import wings
from akpsim.registry import Registry

DATASETS: Registry[Dataset] = Registry("dataset", [digits, wings, folder, manifest, npz, torchvision])


READERS = {".npz": npz.name, ".csv": manifest.name}
"""Which data set reads a file, by the end of its name."""


def data_named(name: str) -> dict[str, str]:
    """Return the keys of ``[data]`` for what a user typed: a data set's name, a folder, or an .npz or .csv file.

    Raises
    ------
    UnknownName
        If it is none of these.
    """
    if name in DATASETS:
        return {"name": name}
    path = Path(name).expanduser()
    reader = folder.name if path.is_dir() else READERS.get(path.suffix.lower())
    if reader is not None and path.exists():
        return {"name": reader, "path": str(path.resolve())}
    raise unknown_name("dataset, folder or file (.npz, .csv)", name, DATASETS)
