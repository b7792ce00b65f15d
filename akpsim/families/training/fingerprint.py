"""What a member was trained on, in three hashes: so that one run never mixes images, splits or trunks."""

from pathlib import Path
from typing import Any

import torch
import xxhash

from akpsim.errors import StoreError
from akpsim.families.training.folder import is_complete
from akpsim.families.training.prepared import Prepared
from akpsim.store import open_member
from akpsim.study import Member, Study

BATCH = 64
"""Images hashed at once, so that no second copy of all is made."""
VERSIONS = ("torch_version", "cpu")


def fingerprint(prepared: Prepared) -> dict[str, str]:
    """Return hashes of the trunk, of the split (classes, and labels and ids by part) and of the network's inputs."""
    split, images = xxhash.xxh3_128(repr(tuple(prepared.classes)).encode()), xxhash.xxh3_128()
    for name, part in sorted(prepared.parts.items()):
        split.update(f"{name} {part.labels.tolist()} {part.ids.tolist()}".encode())
        images.update(f"{name} {tuple(part.inputs.shape)} {part.inputs.dtype}".encode())
        for batch in part.inputs.split(BATCH):
            images.update(batch.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return {"trunk": prepared.trunk.key, "split": split.hexdigest(), "images": images.hexdigest()}


def check_same_data(study: Study, out: Path, complete: list[Member], prepared: Prepared, *, device: str) -> None:
    """Refuse to go on with a run whose complete members were trained on other data, another trunk or another device.

    Raises
    ------
    StoreError
        Which of them differs, and from which member's.
    """
    now = fingerprint(prepared) if complete else {}
    for member in complete:
        with open_member(out / "members" / f"{member.name}.nc") as file:
            there: dict[str, Any] = {key: getattr(file, key, None) for key in (*now, *VERSIONS)}
            where = getattr(file, "device", "cpu")
        if where != device:
            raise StoreError(
                f"{out}: {member.name} was trained on {where}, and one run cannot mix it with {device}: "
                f"go on with --device {where}, or start again with --fresh"
            )
        different = [key for key in now if there[key] != now[key]]
        if different:
            raise StoreError(
                f"{out}: {what_differs(different, there, weights=study.network.weights)} differ from those that "
                f"{member.name} was trained on, and one run cannot mix them: put them back, or start again with --fresh"
            )


def what_differs(different: list[str], there: dict[str, Any], *, weights: str) -> str:
    """Say in words which of the hashes differ; those of a random trunk, calibrated on images, do with the images."""
    if "split" in different:
        return "the images, their labels or their split"
    what = "the weights of the trunk" if "trunk" in different and weights != "random" else "the pixels of the images"
    now = {"torch_version": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
    changed = [f"{key} {there[key]} there and {value} now" for key, value in now.items() if there[key] != value]
    return f"{what} (or the numbers computed from them: {', '.join(changed)})" if changed else what


def trained_on(study: Study, out: Path, members: list[Member]) -> str | None:
    """Return the device on which the first complete member of a run was trained; None without one."""
    for member in members:
        if is_complete(study, out, member):
            with open_member(out / "members" / f"{member.name}.nc") as file:
                return str(getattr(file, "device", "cpu"))
    return None
