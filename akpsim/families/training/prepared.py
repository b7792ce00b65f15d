"""Images, split and ready for the network: done once a study, shared by all members."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from akpsim.errors import InvalidStudy
from akpsim.families.capturing import capture, layers_matching
from akpsim.families.datasets import DATASETS, Images, split_images
from akpsim.families.datasets.splits import PARTS
from akpsim.families.devices import reproducible
from akpsim.families.networks.trunks import Trunk, build_trunk, natural_size
from akpsim.families.training.features import cached_features
from akpsim.families.training.streams import stream
from akpsim.study import Study

BATCH = 16
"""Images a pass through a trunk."""


@dataclass(frozen=True)
class Part:
    """Images of one part of the split: inputs of the trained network, labels, sample ids."""

    inputs: Tensor
    labels: Tensor
    ids: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """All that members share.

    Parameters
    ----------
    parts : dict
        ``train``, ``validation``, ``probe`` and ``test``.  The inputs are features if the trunk is frozen, and images
        prepared for the trunk otherwise.
    classes : tuple of str
        Names.
    trunk : Trunk
        With the weights that every member starts from.
    trained : bool
        True if members train the trunk.
    trunk_activations : dict
        Layer -> (sample, neuron) of a frozen trunk on the probe images, the same for all members.
    origin : dict
        Where the images come from, for the record.
    """

    parts: dict[str, Part]
    classes: tuple[str, ...]
    trunk: Trunk
    trained: bool
    trunk_activations: dict[str, np.ndarray] = field(default_factory=dict)
    origin: dict[str, str | int] = field(default_factory=dict)


def prepare(study: Study, *, cache: Path | None = None, device: str = "cpu", show: bool = False) -> Prepared:
    """Load and split the images and, if the trunk is frozen, pass them through it once, on a device."""
    size = study.data.image_size or natural_size(study.network)
    dataset = DATASETS[study.data.name]
    for key in dataset.ignores:
        if (value := getattr(study.data, key)) is not None:
            raise InvalidStudy(
                f"`data.{key}` means nothing for the data set {dataset.name}: leave it out, got {value!r}"
            )
    images = dataset.load(study.data.model_copy(update={"image_size": size}))
    parts = split_images(images, study.data.split, seed=study.data.seed)
    training_images = chosen(images, parts["train"])
    generator = stream(study.seed, "trunk")
    trunk = build_trunk(study.network, images=training_images, generator=generator, progress=show)
    trained = not study.network.frozen and bool(list(trunk.module.parameters()))
    layers_matching(layer_names(study, trunk), study.capture.layers)  # before the trunk works for what does not exist
    activations = {}
    if trained:
        inputs = trunk.prepare(images.images)
    else:
        with at_work(trunk.module, device):
            inputs = cached_features(trunk, images, cache=cache, progress=show)
            activations = trunk_layers(study, trunk, chosen(images, parts["probe"]))
    labels = torch.from_numpy(images.labels)
    return Prepared(
        parts={part: Part(inputs[parts[part]], labels[parts[part]], images.ids[parts[part]]) for part in PARTS},
        classes=images.classes,
        trunk=trunk,
        trained=trained,
        trunk_activations=activations,
        origin={"data": images.source, "synthetic": int(images.synthetic)},
    )


def chosen(images: Images, indices: np.ndarray) -> Images:
    """Return some of the images."""
    return Images(images.images[indices], images.labels[indices], images.classes, images.ids[indices])


def layer_names(study: Study, trunk: Trunk) -> dict[str, nn.Module]:
    """Return what can be captured: the trunk's layers, if it has weights, and the head's."""
    inner = trunk.module.named_modules() if list(trunk.module.parameters()) else ()
    return {name: module for name, module in inner if name} | dict.fromkeys(head_layers(study), trunk.module)


def head_layers(study: Study) -> list[str]:
    """Return the names of the head's layers."""
    return [f"dense_{number}" for number in range(1, len(study.network.dense) + 1)] + ["logits"]


def trunk_layers(study: Study, trunk: Trunk, probe: Images) -> dict[str, np.ndarray]:
    """Capture the layers of a frozen trunk that the study asks for, by one thread: the bits depend on their number."""
    head = head_layers(study)
    patterns = [p for p in study.capture.layers if not any(fnmatchcase(name, p) for name in head)]
    if not patterns or not list(trunk.module.parameters()):
        return {}
    batches = (trunk.prepare(probe.images[start : start + BATCH]) for start in range(0, len(probe.images), BATCH))
    with reproducible():
        captured = capture(trunk.module, batches, patterns, pool=study.capture.pool)
    return {name: values.values for name, values in captured.items()}


@contextmanager
def at_work(module: nn.Module, device: str) -> Iterator[None]:
    """Have a module on a device, and back on the CPU afterwards."""
    module.to(device)
    try:
        yield
    finally:
        module.to("cpu")
        if device != "cpu":
            torch.cuda.empty_cache()  # for the workers, which are processes of their own


def assembled(prepared: Prepared, head: nn.Module) -> nn.Module:
    """Return what a member trains: the head on features, or a copy of the trunk and the head."""
    if not prepared.trained:
        return head
    return nn.Sequential(copy.deepcopy(prepared.trunk.module), head)
