"""The trunk: what turns an image into features, below the dense head.

``none`` hands on the pixels, ``small_cnn`` is three convolutions, and any classification network of torchvision goes
by its name, without its last layer: the features are what that layer would have read, globally pooled in all networks
that pool.  A frozen trunk stays in evaluation mode for good, because a running mean that moves is training too.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Generator, nn

from akpsim.errors import InvalidStudy, unknown_name
from akpsim.families.datasets.images import Images
from akpsim.families.networks.initializers import INITIALIZERS
from akpsim.families.networks.preparation import Preparation
from akpsim.families.networks.weights import BATCH_NORMS, calibrate, load_file, load_imagenet, randomize
from akpsim.study import Network

CALIBRATION_IMAGES = 12
CLASSES = 1000
PLAIN_INPUT: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": False, "transform_input": False}
    for name in ("inception_v3", "googlenet")
}
"""Networks whose weights want [-1, 1]: torchvision would turn ImageNet's scale into that itself."""


@dataclass(frozen=True)
class Trunk:
    """A network from images to features.

    Parameters
    ----------
    name : str
        The backbone's name.
    module : nn.Module
        Prepared batch (sample, channel, height, width) -> features (sample, feature).
    features : int
        How many.
    prepare : Preparation
        From images (sample, height, width, channel) to the batch that `module` wants.
    trains : bool
        False if frozen, or if there is nothing to train.
    """

    name: str
    module: nn.Module
    features: int
    prepare: Preparation
    trains: bool

    @cached_property
    def key(self) -> str:
        """Thirty-two digits that differ between trunks that differ in architecture, weights or preparation.

        Of the weights at its first use: members that train the trunk train a copy.
        """
        digest = hashlib.blake2b(f"{self.name} {self.prepare}".encode(), digest_size=16)
        for name, tensor in self.module.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy())
        return digest.hexdigest()


class Frozen(nn.Module):
    """Mixed into the class of a frozen trunk: asking it to train leaves it in evaluation mode."""

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)


def freeze(module: nn.Module) -> nn.Module:
    """Take gradients and training mode from a module for good; names of its layers stay."""
    kind = type(module)
    module.__class__ = type(f"Frozen{kind.__name__}", (Frozen, kind), {})
    return module.requires_grad_(False).eval()


def backbones() -> list[str]:
    """Return the names that `Network.backbone` takes."""
    return ["none", "small_cnn", *sorted(torchvision.models.list_models(module=torchvision.models))]


def natural_size(network: Network) -> int | None:
    """Return the edge to which images are resized for a backbone; None where it takes any size."""
    if network.input_size is not None or network.backbone not in torchvision.models.list_models(
        module=torchvision.models
    ):
        return network.input_size
    return int(torchvision.models.get_model_weights(network.backbone).DEFAULT.transforms().crop_size[0])


def build_trunk(network: Network, *, images: Images, generator: Generator, progress: bool = False) -> Trunk:
    """Build the trunk that a study's ``[network]`` describes.

    Parameters
    ----------
    network : Network
        Backbone, weights, whether it is frozen, size of its input.
    images : Images
        The training images: their shape, and for random weights at most 12 of them to calibrate batch norm.
    generator : torch.Generator
        Where random weights come from; the global generator is neither read nor moved.
    progress : bool
        Show a bar while ImageNet weights are fetched.

    Returns
    -------
    Trunk
        On the CPU, float32, channels last.

    Raises
    ------
    UnknownName
        If there is no such backbone.
    InvalidStudy
        If its weights cannot be had or do not fit.
    """
    name = network.backbone
    if name not in backbones():
        raise unknown_name("backbone", name, backbones())
    if name == "none":
        pixels = Preparation(size=network.input_size)
        count = pixels(images.images[:1]).numel()
        return Trunk(name, nn.Flatten(), count, pixels, trains=False)
    build = _small_cnn if name == "small_cnn" else _torchvision
    trunk = build(network, images, generator, progress)
    trunk.module.to(memory_format=torch.channels_last)
    if network.frozen:
        freeze(trunk.module)
    return trunk


def _fill(module: nn.Module, network: Network, images: Images, prepare: Preparation, generator: Generator) -> None:
    """Give a module random weights, calibrated, or those of a file."""
    if network.weights == "random":
        randomize(module, generator)
        count = len(images.images)
        chosen = np.linspace(0, count - 1, min(CALIBRATION_IMAGES, count)).astype(int)
        batch = prepare(images.images[chosen])
        with _of_size(network.backbone, batch.shape[-1]):
            calibrate(module, batch)
    else:
        load_file(module, network.weights, name=network.backbone)


@contextmanager
def _of_size(name: str, width: int) -> Iterator[None]:
    """Say in one sentence that a network cannot take images of this size."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InvalidStudy(
            f"{name} cannot take images of {width} x {width} pixels, set `input_size`: {reason}"
        ) from None


def _try_out(module: nn.Module, batch: torch.Tensor, *, name: str) -> None:
    """Let a network see one image before its weights are read; random ones are calibrated, which does the same."""
    module.eval()
    with _of_size(name, batch.shape[-1]), torch.no_grad():
        module(batch)
    module.train()


def _small_cnn(network: Network, images: Images, generator: Generator, progress: bool) -> Trunk:
    if network.weights == "imagenet":
        raise InvalidStudy('small_cnn has no ImageNet weights; write weights = "random", or the path of a file')
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    widths = (images.images.shape[-1], 16, 32, 64)
    for index, (before, after) in enumerate(pairwise(widths), start=1):
        layers[f"conv{index}"] = convolution = nn.Conv2d(before, after, 3, padding=1)
        INITIALIZERS["zeros"](convolution.bias, generator)  # type: ignore[arg-type]
        layers[f"relu{index}"] = nn.ReLU()
        if index < len(widths) - 1:
            layers[f"pool{index}"] = nn.MaxPool2d(2)
    layers |= {"average": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    module = nn.Sequential(layers)
    prepare = Preparation(size=network.input_size, mean=(0.5,), deviation=(0.5,))
    _fill(module, network, images, prepare, generator)
    return Trunk(network.backbone, module, widths[-1], prepare, trains=not network.frozen)


def _torchvision(network: Network, images: Images, generator: Generator, progress: bool) -> Trunk:
    name = network.backbone
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
        module, features = headless(name, natural_size(network))
    weights = torchvision.models.get_model_weights(name).DEFAULT
    wanted = weights.transforms()
    mean, deviation = ([0.5] * 3, [0.5] * 3) if name in PLAIN_INPUT else (wanted.mean, wanted.std)
    prepare = Preparation(
        size=natural_size(network),
        mean=tuple(mean),
        deviation=tuple(deviation),
        interpolation=wanted.interpolation.value,
        channels=3,
    )
    calibrated = network.weights == "random" and any(isinstance(layer, BATCH_NORMS) for layer in module.modules())
    if not calibrated:
        _try_out(module, prepare(images.images[:1]), name=name)
    if network.weights == "imagenet":
        load_imagenet(module, weights, name=name, progress=progress)
    else:
        _fill(module, network, images, prepare, generator)
    return Trunk(name, module, features, prepare, trains=not network.frozen)


def headless(name: str, size: int | None) -> tuple[nn.Module, int]:
    """Return a network of torchvision without its last layer, for images of `size` pixels, and its features."""
    options = PLAIN_INPUT.get(name, {}) | ({"image_size": size} if name.startswith("vit_") else {})
    try:
        module = torchvision.models.get_model(name, weights=None, **options)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise InvalidStudy(f"{name} cannot be built for images of {size} x {size} pixels: {error}") from None
    return module, _remove_head(module)


def _remove_head(module: nn.Module) -> int:
    """Replace the last layer, which tells ImageNet's classes apart, by the identity; return how many it read."""
    outputs = {
        name: layer
        for name, layer in module.named_modules()
        if getattr(layer, "out_features", getattr(layer, "out_channels", None)) == CLASSES
    }
    name, layer = outputs.popitem()
    module.set_submodule(name, nn.Identity())
    return int(getattr(layer, "in_features", getattr(layer, "in_channels", 0)))
