"""Checkpoints: all that a member in training is between two epochs, in one file.

A checkpoint holds the weights, the optimizer's state, the states of all generators, how often each perturbation has
acted, and what has been recorded so far.  What swaps have changed (activations, the loss) is not stored: the events up
to the checkpoint are gone through again on the fresh network, and then the stored numbers are put in their place.
Training that goes on from a checkpoint gives the same bits as training that was never interrupted.

Representations captured before are kept beside it, one file an epoch, so that a checkpoint stays small.  All are
safetensors; what is no tensor is JSON in the file's header.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from akpsim.errors import StoreError
from akpsim.families.perturbations.perturbation import EVENTS
from akpsim.families.training.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from akpsim.families.training.work import Work

SECONDS = 60.0
"""Where a study does not say how often: a checkpoint at the first end of an epoch after this long, so that members
which train in less, and are cheaper to train again, get none."""

Tensors = dict[str, Tensor]
Values = dict[str, Any]
Arrays = dict[str, np.ndarray]


class Checkpoints:
    """The checkpoints of one member, in a folder of its own.

    Parameters
    ----------
    folder : Path
        ``RUN/weights/FAMILY-SEED``.
    identity : mapping
        What made the member; a checkpoint that anything else made is not used.
    every : int, optional
        Epochs between two; by default one each `SECONDS` seconds, 0 for none.
    """

    def __init__(self, folder: Path, *, identity: Mapping[str, Any], every: int | None = None) -> None:
        self.folder, self.every = folder, every
        self.identity = json.dumps(dict(identity), sort_keys=True)
        self.last = time.monotonic()
        self.kept: set[float] = set()

    def due(self, epoch: int) -> bool:
        """Say whether it is time for one at the end of an epoch."""
        if self.every is None:
            return time.monotonic() - self.last > SECONDS
        return bool(self.every) and epoch % self.every == 0

    def save(self, epoch: int, tensors: Tensors, values: Values, captured: Mapping[float, Arrays]) -> None:
        """Write a checkpoint and what was captured and is not kept yet, then remove the checkpoint before."""
        for before, arrays in captured.items():
            self._write(
                self._path("captured", before), {name: torch.from_numpy(array) for name, array in arrays.items()}, {}
            )
            self.kept.add(before)
        self._write(self._path("checkpoint", epoch), tensors, values)
        for older, path in self._numbered("checkpoint"):
            if older != epoch:
                path.unlink(missing_ok=True)
        self.last = time.monotonic()

    def newest(self, captured: Iterable[float]) -> tuple[int, Tensors, Values, dict[float, Arrays]] | None:
        """Return the last usable checkpoint: its epoch, its content and what was captured up to it; None without one.

        Parameters
        ----------
        captured : iterable of float
            Moments, in epochs, that the member captures.
        """
        for epoch, path in sorted(self._numbered("checkpoint"), reverse=True):
            wanted = [before for before in captured if before <= epoch]
            kept = {before: self._read(self._path("captured", before)) for before in wanted}
            found = self._read(path)
            if found is not None and all(entry is not None for entry in kept.values()):
                arrays = {
                    before: {name: tensor.numpy() for name, tensor in entry[0].items()}
                    for before, entry in kept.items()
                    if entry is not None
                }
                self.kept = set(arrays)
                return int(epoch), *found, arrays
        return None

    def keep_weights(self, epoch: int, tensors: Tensors) -> None:
        """Write weights that the study asks for, for good."""
        save_tensors(self.folder / f"{epoch}.safetensors", tensors, {"made_by": self.identity})

    def remove(self) -> None:
        """Remove everything but weights that were asked for: the member is complete."""
        for kind in ("checkpoint", "captured"):
            for _, path in self._numbered(kind):
                path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, kind: str, epoch: float) -> Path:
        return self.folder / f"{kind}-{epoch:g}.safetensors"

    def _numbered(self, kind: str) -> Iterator[tuple[float, Path]]:
        for path in self.folder.glob(f"{kind}-*.safetensors"):
            number = path.name.removeprefix(f"{kind}-").removesuffix(".safetensors")
            if number.removesuffix(".5").isdecimal():
                yield float(number), path

    def _write(self, path: Path, tensors: Tensors, values: Values) -> None:
        save_tensors(path, tensors, {"made_by": self.identity, "values": json.dumps(values, default=_plain)})

    def _read(self, path: Path) -> tuple[Tensors, Values] | None:
        """Return the content of a file, or None if it is absent, damaged or of another member, study or version."""
        try:
            tensors, header = load_tensors(path)
        except StoreError:
            return None
        return (tensors, json.loads(header["values"])) if header.get("made_by") == self.identity else None


def state_of(work: "Work") -> tuple[Tensors, Values]:
    """Return all that changes in a member from epoch to epoch, as tensors by name and what JSON can hold."""
    training = work.training
    slots, optimizer = optimizer_state(training.optimizer)
    generators = {str(index): active.generator.get_state() for index, active in enumerate(training.perturbations)}
    generators |= {"batches": training.batches.get_state()} | above("global", work.global_stream.states)
    tensors = above("network", work.network.state_dict()) | above("optimizer", slots) | above("generator", generators)
    values: Values = {
        "optimizer": optimizer,
        "updates": training.updates,
        "events": [active.event for active in training.perturbations],
        "history": work.history,
        "audit": work.audit.rows,
    }
    if work.summaries is not None:
        points, values["times"] = work.summaries.state()
        tensors |= above("summaries", points)
    return tensors, values


def restore(work: "Work", epoch: int, tensors: Tensors, values: Values) -> None:
    """Put a member that has not begun into the state it had at the end of an epoch."""
    training = work.training
    for before in range(epoch + 1):
        training.lift(before)
        for active in training.perturbations:
            if active.perturbation.site in EVENTS and active.acts_at(before):
                training.fire(active, before)
    work.network.load_state_dict(below("network", tensors))
    load_optimizer_state(training.optimizer, below("optimizer", tensors), values["optimizer"])
    generators = below("generator", tensors)
    training.batches.set_state(generators["batches"])
    work.global_stream.states = below("global", generators)
    for index, active in enumerate(training.perturbations):
        active.generator.set_state(generators[str(index)])
        active.event = values["events"][index]
    training.updates = values["updates"]
    work.history = [tuple(row) for row in values["history"]]
    work.audit.rows = values["audit"]
    if work.summaries is not None:
        work.summaries.restore(below("summaries", tensors), values["times"])


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[Tensors, Values]:
    """Return an optimizer's state as tensors named ``INDEX/KEY`` and what is no tensor."""
    state = optimizer.state_dict()
    slots = {f"{index}/{key}": value for index, slot in state["state"].items() for key, value in slot.items()}
    tensors = {name: value for name, value in slots.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in slots.items() if name not in tensors}
    return tensors, {"groups": state["param_groups"], "numbers": numbers}


def load_optimizer_state(optimizer: torch.optim.Optimizer, tensors: Tensors, values: Values) -> None:
    """Give an optimizer the state that `optimizer_state` returned."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values["numbers"]}.items():
        index, key = name.split("/", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": values["groups"]})


def below(prefix: str, tensors: Tensors) -> Tensors:
    """Return the tensors whose names start with ``PREFIX/``, without it."""
    return {name.removeprefix(f"{prefix}/"): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def above(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors with ``PREFIX/`` before their names."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _plain(value: Any) -> Any:
    """Return a number of numpy's as one that JSON can hold."""
    return value.item()
