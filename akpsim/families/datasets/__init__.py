"""Where images come from.  `DATASETS` lists the sources; add your own with ``DATASETS.add``."""

from akpsim.families.datasets.digits import digits
from akpsim.families.datasets.images import Dataset as Dataset
from akpsim.families.datasets.images import Images as Images
from akpsim.families.datasets.splits import split_images as split_images
from akpsim.registry import Registry

DATASETS: Registry[Dataset] = Registry("dataset", [digits])
