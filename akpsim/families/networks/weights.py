"""Where a trunk's weights come from: ImageNet by torchvision's loader, a file, or a generator."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_safetensors
from torch import Generator, Tensor, nn

from akpsim.errors import InvalidStudy
from akpsim.families.devices import reproducible

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BATCH = 16


def randomize(module: nn.Module, generator: Generator) -> None:
    """Draw all convolutions anew, normal with variance two over the inputs, so that ReLUs keep the signal's size."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            drawn = torch.empty(layer.weight.shape, device=generator.device)
            nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
            with torch.no_grad():
                layer.weight.copy_(drawn)


def calibrate(module: nn.Module, batch: Tensor) -> None:
    """Set the running statistics of batch norm to those of `batch`.

    A random network whose batch norm still holds mean 0 and variance 1 maps all images to nearly the same features.
    With ``momentum=None`` torch averages the statistics of all batches with equal weight.  One thread takes the sums,
    so that the weights, and with them the key of the cached features, are the same whatever the number of threads.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, BATCH_NORMS)]
    if not norms:
        return
    module.eval()
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad(), reproducible():
        for part in torch.split(batch, BATCH):
            module(part)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    module.train()


def load_imagenet(module: nn.Module, weights: Any, *, name: str, progress: bool) -> None:
    """Load torchvision's ImageNet weights, fetching them at first use.

    Raises
    ------
    InvalidStudy
        If they are not on this machine and cannot be fetched: where to put them, and what to do without.
    """
    try:
        state = weights.get_state_dict(progress=progress, check_hash=True)
    except (OSError, RuntimeError) as error:
        file, folder = weights.url.rsplit("/", 1)[-1], Path(torch.hub.get_dir()) / "checkpoints"
        raise InvalidStudy(
            f"the ImageNet weights of {name} cannot be fetched ({error}): put {file} into {folder}, or give a file "
            "by `--weights PATH`, or take `--weights random`, a trunk of random filters calibrated on your images"
        ) from None
    fit(module, state, origin=f"the ImageNet weights of {name}", name=name)


def load_file(module: nn.Module, path: str, *, name: str) -> None:
    """Load a state dictionary, from safetensors or from torch without unpickling objects.

    Raises
    ------
    InvalidStudy
        If there is no such file, it holds no tensors by name, or they do not fit.
    """
    try:
        if Path(path).suffix == ".safetensors":
            state: Any = load_safetensors(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InvalidStudy(f"`weights` must be imagenet, random or the path of a file; there is no {path}") from None
    except (OSError, SafetensorError, RuntimeError, EOFError, KeyError, ValueError) as error:
        said = f"({type(error).__name__}: {str(error).splitlines()[0]})" if str(error) else ""
        raise InvalidStudy(f"{path} holds no weights that safetensors or torch can read {said}") from None
    except Exception as error:
        if "Unsupported global" not in str(error):  # an object would be named; this is no file of torch's at all
            raise InvalidStudy(f"{path} holds no weights that safetensors or torch can read") from None
        raise InvalidStudy(f"{path} holds more than weights and is not opened: {type(error).__name__}") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InvalidStudy(f"{path} holds no weights: a dictionary from names to tensors is wanted")
    fit(module, {key.removeprefix("module."): value for key, value in state.items()}, origin=path, name=name)


def fit(module: nn.Module, state: dict[str, Tensor], *, origin: str, name: str) -> None:
    """Load `state` into `module`; layers that the trunk left out (the head, auxiliary heads) may be in it.

    Raises
    ------
    InvalidStudy
        If a tensor is missing or has another shape: the first, and how many.
    """
    wanted = {key: value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    missing = [key for key in wanted if key not in state]
    if missing:
        share = f"{len(missing)} of {len(wanted)} tensors are missing"
        raise InvalidStudy(f"{origin} does not fit {name}: {share}, first {missing[0]}")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise InvalidStudy(
                f"{origin} does not fit {name}: {key} has the shape {tuple(state[key].shape)}, not {tuple(value.shape)}"
            )
    module.load_state_dict({key: value for key, value in state.items() if key in module.state_dict()}, strict=False)
