"""What members share, handed to other processes as one file in the run folder: read by mapping it, never pickled.

Only features of a frozen trunk travel this way.  Where members train the trunk, each process prepares the images and
the trunk from the study itself.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from akpsim.errors import StoreError
from akpsim.families.networks.preparation import Preparation
from akpsim.families.networks.trunks import Trunk
from akpsim.families.training.checkpoints import above, below
from akpsim.families.training.prepared import Part, Prepared, prepare
from akpsim.families.training.tensors import load_tensors, save_tensors
from akpsim.study import Study


@dataclass(frozen=True)
class KnownTrunk(Trunk):
    """A frozen trunk of which only the features and the key are at hand."""

    known_key: str = ""

    @property
    def key(self) -> str:
        """The key of the trunk that gave the features."""
        return self.known_key


def share(prepared: Prepared, out: Path) -> Path | None:
    """Write what members share into the run folder; None if each process has to prepare it."""
    if prepared.trained:
        return None
    tensors: dict[str, torch.Tensor] = {}
    for name, part in prepared.parts.items():
        tensors |= above(name, {"inputs": part.inputs, "labels": part.labels})
    arrays = {
        name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in prepared.trunk_activations.items()
    }
    header = {
        "ids": {name: part.ids.tolist() for name, part in prepared.parts.items()},
        "classes": prepared.classes,
        "trunk": [prepared.trunk.name, prepared.trunk.features, prepared.trunk.key],
        "layers": list(arrays),
        "origin": prepared.origin,
    }
    path = out / "cache" / "prepared.safetensors"
    save_tensors(path, tensors | above("activations", arrays), {"header": json.dumps(header)})
    return path.resolve()


@functools.lru_cache(maxsize=1)
def receive(study: str, path: str | None, device: str = "cpu") -> Prepared:
    """Return what members of a study (as JSON) share; once a process."""
    if path is None:
        return prepare(Study.model_validate_json(study), device=device)
    if not Path(path).exists():
        raise StoreError(f"this worker cannot see {path}: is the run folder shared by all machines?")
    tensors, text = load_tensors(Path(path))
    header = json.loads(text["header"])
    name, features, key = header["trunk"]
    return Prepared(
        parts={part: Part(**below(part, tensors), ids=np.array(ids)) for part, ids in header["ids"].items()},
        classes=tuple(header["classes"]),
        trunk=KnownTrunk(name, nn.Identity(), features, Preparation(), trains=False, known_key=key),
        trained=False,
        trunk_activations={layer: tensors[f"activations/{layer}"].numpy() for layer in header["layers"]},
        origin=header["origin"],
    )
