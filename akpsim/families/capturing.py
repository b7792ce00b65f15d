"""Forward hooks -> pooled (sample, neuron) arrays: the one place where a tensor becomes an array.

A hook copies what a module returns before a later in-place operation overwrites it.  A module that is called twice in
one forward pass gives ``relu`` and ``relu#2``.  Convolutional maps are averaged over space, and tokens over tokens,
unless told otherwise.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from akpsim.errors import InvalidData, unknown_name
from akpsim.families.channels import channels_last
from akpsim.families.devices import device_of

POOLS = "avg, max, none or points:K"


class Recorder:
    """What the hooks have seen: for each layer, and each call of it in a pass, the pooled responses batch by batch."""

    def __init__(self, pool: str, within: nn.Module | None = None) -> None:
        self.pool, self.within = pool, within
        self.batches: dict[str, list[Tensor]] = {}
        self.calls: dict[str, int] = {}

    def new_pass(self) -> None:
        """Forget how often each module was called: a new batch begins."""
        self.calls.clear()

    def hook(self, name: str) -> Any:
        """Return a forward hook for the module of that name."""

        def record(module: nn.Module, arguments: Any, output: Any) -> None:
            self.calls[name] = self.calls.get(name, 0) + 1
            key = name if self.calls[name] == 1 else f"{name}#{self.calls[name]}"
            values = tensor_of(output, name)
            last = values.ndim > 2 and channels_last(module, ndim=values.ndim, within=self.within)
            self.batches.setdefault(key, []).append(pooled(values, self.pool, channels_last=last).cpu())

        return record

    def arrays(self) -> dict[str, np.ndarray]:
        """Return (sample, neuron) of each layer."""
        return {name: torch.cat(batches).numpy() for name, batches in self.batches.items()}


def tensor_of(output: Any, name: str) -> Tensor:
    """Return a module's output if it is one tensor."""
    if not isinstance(output, Tensor):
        raise InvalidData(
            f"layer {name!r} returns a {type(output).__name__}, not one tensor; capture a layer inside it"
        )
    return output.detach().float()


def pooled(values: Tensor, pool: str, *, channels_last: bool) -> Tensor:
    """Return a module's output as (sample, neuron), never sharing memory with it."""
    if values.ndim <= 2 or pool == "none":
        return values.flatten(1).clone()
    flat = (values.movedim(-1, 1) if channels_last else values).flatten(2)
    if pool == "avg":
        return flat.mean(2)
    if pool == "max":
        return flat.amax(2)
    return flat[:, :, places(pool, flat.shape[2]).to(flat.device)].flatten(1)


def places(pool: str, positions: int) -> Tensor:
    """Return which positions of a map ``points:K`` keeps: drawn once from a seed, the same for all samples."""
    kind, _, number = pool.partition(":")
    if kind != "points" or not number.isdecimal() or not 1 <= int(number) <= positions:
        raise InvalidData(f"`pool` must be {POOLS} with K from 1 to {positions}, got {pool!r}")
    drawn = torch.randperm(positions, generator=torch.Generator().manual_seed(0))[: int(number)]
    return drawn.sort().values


def layers_matching(named: Mapping[str, nn.Module], patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Return the modules whose names match the patterns, in the network's order."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise unknown_name("layer", pattern, named)
    return {name: module for name, module in named.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}


@contextlib.contextmanager
def hooked(
    layers: Mapping[str, nn.Module], *, pool: str = "avg", within: nn.Module | None = None
) -> Iterator[Recorder]:
    """Record the layers while the body runs; the hooks are removed also when the body raises.

    `within` is the network, for layers that do not say themselves where their channels are; see `channels_last`.
    """
    recorder = Recorder(pool, within)
    handles = [module.register_forward_hook(recorder.hook(name)) for name, module in layers.items()]
    try:
        yield recorder
    finally:
        for handle in handles:
            handle.remove()


def capture(
    network: nn.Module, batches: Iterable[Any], layers: Sequence[str], *, pool: str = "avg"
) -> dict[str, xr.DataArray]:
    """Return the responses of layers of a network to batches of samples.

    Parameters
    ----------
    network : Module
        Put into evaluation mode for the pass and back afterwards; nothing else is changed.
    batches : iterable
        Tensors (sample, ...), or tuples whose first entry is one, as a DataLoader gives, in a fixed order.
    layers : sequence of str
        Names or patterns (``"layer3.*"``) of modules.
    pool : str
        What is done to maps (sample, channel, height, width) and tokens (sample, token, neuron): ``avg`` or ``max``
        over space or tokens, ``none`` (flattened), or ``points:K``, the same K positions of every map, drawn from a
        fixed seed.  Three axes are tokens unless a Conv1d or its like says otherwise.  Of more axes the channels are
        where the last layer inside the module puts them: a Linear or LayerNorm on the last, a convolution or
        BatchNorm2d on the second, a Permute where it moves them; a module without such layers is like the one before
        it, and otherwise has them on the second.

    Returns
    -------
    dict of DataArray (sample, neuron)
        One a layer; a module called twice gives two.  float32.

    Raises
    ------
    UnknownName
        If a layer does not exist.
    InvalidData
        If no layer is asked for, there is no batch, a DataLoader shuffles, or a layer returns not one tensor.
    """
    if not layers:
        raise InvalidData("`layers` names no layer to capture")
    if isinstance(getattr(batches, "sampler", None), RandomSampler):
        raise InvalidData("samples must come in a fixed order, which a DataLoader with shuffle=True does not give")
    found = layers_matching({name: module for name, module in network.named_modules() if name}, layers)
    device = device_of(network)
    was_training = network.training
    network.eval()
    try:
        with hooked(found, pool=pool, within=network) as recorder, torch.inference_mode():
            for batch in batches:
                recorder.new_pass()
                network((batch if isinstance(batch, Tensor) else batch[0]).to(device))
    finally:
        network.train(was_training)
    if not recorder.batches:
        raise InvalidData("there is nothing to capture: no batch came")
    return {
        name: xr.DataArray(
            values,
            dims=("sample", "neuron"),
            coords={"sample": np.arange(len(values)), "layer": name},
            attrs={"pool": pool},
            name="activation",
        )
        for name, values in recorder.arrays().items()
    }
