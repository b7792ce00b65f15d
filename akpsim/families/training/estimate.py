"""How much a study will write, said before it starts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from akpsim.errors import StoreError
from akpsim.families.capturing import hooked
from akpsim.families.training.work import HISTORY, Work

OVERHEAD = 2**16
"""Bytes of a member's file besides its numbers: groups, names, sample ids."""


@dataclass(frozen=True)
class Size:
    """Bytes that a member keeps, and bytes of a checkpoint that it needs for a while."""

    kept: int
    passing: int


def size_of(work: Work) -> Size:
    """Return what a member writes, uncompressed: an upper bound."""
    parts, capture = work.prepared.parts, work.study.capture
    work.network.eval()
    with hooked(work.layers, pool=capture.pool) as recorder, torch.inference_mode():
        work.network(parts["probe"].inputs[:1].to(work.device))
    neurons = sum(array.shape[1] for array in recorder.arrays().values())
    activations = 4 * neurons * len(parts["probe"].labels) * len(work.captured)
    frozen = sum(array.nbytes for array in work.prepared.trunk_activations.values())
    hidden = sum(layer.linear.out_features for layer in work.head.hidden.values())
    updates = work.epochs * work.training.updates_per_epoch
    points = 0 if work.summaries is None else 1 + updates // work.summaries.every
    trajectories = 4 * points * hidden * (3 + work.classes)
    tables = 8 * len(HISTORY) * (work.epochs + 1) + 4 * len(parts["test"].labels) * (work.classes + 3)
    weights = sum(tensor.nbytes for tensor in work.network.state_dict().values())
    kept = activations + frozen + trajectories + tables + OVERHEAD + capture.weights * weights * len(work.captured)
    return Size(kept, 0 if work.study.training.checkpoint_every == 0 else 3 * weights + activations + trajectories)


def room_for(out: Path, sizes: list[Size], *, at_once: int = 1) -> str:
    """Return a line that says how much will be written; refuse if the disk cannot hold it.

    Raises
    ------
    StoreError
        If less is free than will be written.
    """
    passing = sorted((size.passing for size in sizes), reverse=True)
    needed = sum(size.kept for size in sizes) + sum(passing[:at_once])
    free = shutil.disk_usage(out).free
    if needed > free:
        raise StoreError(
            f"{len(sizes)} members would write up to {human(needed)} but {out} has {human(free)} free; choose another "
            "disk with --out, or capture fewer layers or epochs"
        )
    return f"{out}: {len(sizes)} members to train, up to {human(needed)} to write, {human(free)} free"


def human(size: float) -> str:
    """Return a number of bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
