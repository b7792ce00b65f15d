"""Data sets of torchvision, by name, where they are already on disk; nothing is downloaded."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from akpsim.errors import InvalidData, unknown_name
from akpsim.families.datasets.arrays import images_from_arrays
from akpsim.families.datasets.given import complete_split, with_class_map
from akpsim.families.datasets.images import Dataset, Images
from akpsim.families.datasets.options import options_of
from akpsim.families.datasets.pictures import first_line, resized, shape_text
from akpsim.study import Data


def load_torchvision(data: Data) -> Images:
    """Read a data set of torchvision from ``data.path``, the folder that torchvision calls root.

    Parameters
    ----------
    data : Data
        The option ``dataset`` is the name of the class, such as ``CIFAR10``.  Its training and test parts become
        those of the split; a sixth of the training images become validation, half of the test images the probe.
        With the option ``own_split`` the study's split is dealt instead.

    Returns
    -------
    Images
    """
    options = options_of(data, {"dataset": "", "own_split": False})
    if data.path is None or not options["dataset"]:
        raise InvalidData("the data set 'torchvision' needs `path`, torchvision's root, and `options.dataset`, a name")
    parts = {part: opened(options["dataset"], data.path, part) for part in ("train", "test")}
    pixels: list[np.ndarray] = []
    labels: list[int] = []
    for samples in parts.values():
        for index in range(len(samples)):
            image, label = samples[index]
            array = np.asarray(image.convert("RGB"))
            array = array if data.image_size is None else resized(array, data.image_size)
            if pixels and array.shape != pixels[0].shape:
                raise InvalidData(
                    f"images differ in size: number {len(pixels)} has {shape_text(array)} pixels and the first has "
                    f"{shape_text(pixels[0])}; set `image_size`"
                )
            pixels.append(array)
            labels.append(int(label))
    split = np.repeat(list(parts), [len(samples) for samples in parts.values()])
    images = images_from_arrays(
        np.stack(pixels),
        labels,
        classes=getattr(parts["train"], "classes", None),
        ids=[f"{part}-{index:05d}" for part, samples in parts.items() for index in range(len(samples))],
        source=f"torchvision {options['dataset']}",
    )
    if not options["own_split"]:
        groups = np.arange(len(labels)) if images.groups is None else images.groups
        images = replace(images, split=complete_split(split, images.labels, groups, seed=data.seed))
    return with_class_map(images, data)


def opened(name: str, root: str, part: str) -> Any:
    """Return one part of a data set of torchvision."""
    from torchvision import datasets

    known = {one: getattr(datasets, one) for one in datasets.__all__}
    usable = {one: kind for one, kind in known.items() if part_keyword(kind)}
    if name not in usable:
        raise unknown_name("torchvision dataset with a training and a test part", name, usable)
    keyword = part_keyword(usable[name])
    chosen: dict[str, Any] = {"root": root, str(keyword): part == "train" if keyword == "train" else part}
    if takes(usable[name], "download"):
        chosen["download"] = False
    try:
        return usable[name](**chosen)
    except (RuntimeError, OSError, ValueError) as error:
        raise InvalidData(f"torchvision's {name} is not in {root}: {first_line(error)}") from None


def part_keyword(kind: Any) -> str | None:
    """Return the argument by which a data set chooses its part, if it has one."""
    return next((keyword for keyword in ("train", "split") if takes(kind, keyword)), None)


def takes(kind: Any, argument: str) -> bool:
    """Tell whether a class can be made with an argument of that name."""
    return argument in inspect.signature(kind.__init__).parameters


torchvision = Dataset(
    "torchvision", load_torchvision, "a data set of torchvision already on disk; give `path` and `options.dataset`"
)
