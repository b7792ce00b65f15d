"""Tensors in safetensors files that are complete, and of which damage is noticed.

The header carries a hash of the tensors and of itself, since a flipped bit in a weight is a weight like any other.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from akpsim.errors import StoreError
from akpsim.files import atomic

KEY, HASH = "akpsim", "xxh3_128"
"""One key of the header holds all, since the library writes several in any order."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write tensors as safetensors, whole or not at all; none shares memory with another afterwards."""
    with atomic(path) as temporary:
        copies = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        whole = {**header, HASH: hash_of(copies, header)}
        save_file(copies, temporary, metadata={KEY: json.dumps(whole, sort_keys=True)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file that `save_tensors` wrote, and its header.

    Raises
    ------
    StoreError
        If the file is absent, cut short, damaged or somebody else's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = json.loads((file.metadata() or {}).get(KEY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RuntimeError, OverflowError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise StoreError(f"{path} does not exist" if missing else f"{path} is damaged or cut short") from None
    if header.pop(HASH, None) != hash_of(tensors, header):
        raise StoreError(f"{path} is damaged: it is not what was written")
    return tensors, header


def hash_of(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Return a hash that differs between tensors that differ in a bit, a shape or a name, and between headers."""
    digest = xxhash.xxh3_128(json.dumps(dict(header), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
