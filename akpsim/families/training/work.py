"""A member being trained: its network, its training and what is recorded of it."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import akpsim
from akpsim.families.capturing import hooked, layers_matching
from akpsim.families.devices import gpu_of
from akpsim.families.networks.head import Head
from akpsim.families.perturbations.perturbation import STEP_SITES
from akpsim.families.training.audit import Audit
from akpsim.families.training.checkpoints import Checkpoints, restore, state_of
from akpsim.families.training.class_weights import weights_of_classes
from akpsim.families.training.fingerprint import fingerprint
from akpsim.families.training.loop import Training, evaluate, loss_and_accuracy
from akpsim.families.training.optimizers import build_optimizer
from akpsim.families.training.prepared import Part, Prepared, assembled
from akpsim.families.training.streams import GlobalStream, perturbations_of, stream_of
from akpsim.families.training.summaries import Summaries
from akpsim.store import MemberWriter
from akpsim.study import Member, Study

HISTORY = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


class Work:
    """A member being trained: its network, its training and what is recorded of it."""

    def __init__(self, study: Study, member: Member, prepared: Prepared, *, device: str = "cpu") -> None:
        self.study, self.member, self.family, self.prepared = study, member, member.family, prepared
        self.device = torch.device(device)
        self.epochs = self.family.epochs or study.training.epochs
        self.classes = len(prepared.classes)
        self.initializer = str(self.family.initializer or study.training.initializer)
        self.head = Head(
            prepared.trunk.features,
            self.classes,
            dense=study.network.dense,
            activation=study.network.activation,
            initializer=self.initializer,
            initialized=study.training.initializer_layers,
            generator=self.stream("weights"),
        )
        self.network = assembled(prepared, self.head).to(self.device)
        self.training = Training(
            self.network,
            prepared.parts["train"],
            loss=self.family.loss or study.training.loss,
            new_optimizer=self.new_optimizer,
            batch_size=study.training.batch_size,
            perturbations=perturbations_of(study, member, classes=self.classes),
            batches=self.stream("batches"),
            class_weights=weights_of_classes(
                study.training.class_weights, prepared.classes, prepared.parts["train"].labels
            ),
        )
        self.global_stream = GlobalStream(self.stream("batches", 1), self.device)
        last = list(self.head.hidden)[-1]
        self.audit = Audit(self.training, prepared.parts["probe"].inputs, lambda: self.head.get_submodule(last))
        _ = self.layers  # names that do not exist are said now
        self.captured = self.captured_moments()
        self.history: list[tuple[float, ...]] = []
        self.finite = True
        self.trained = (np.nan, np.nan)
        self.summaries = self.new_summaries()

    def stream(self, purpose: str, index: int = 0) -> torch.Generator:
        """Return a stream of the member."""
        return stream_of(self.study, self.member, purpose, index)

    def new_optimizer(self) -> torch.optim.Optimizer:
        """Return a fresh optimizer of what is trained."""
        trained = [p for p in self.network.parameters() if p.requires_grad]
        name = self.family.optimizer or self.study.training.optimizer
        rate = self.family.learning_rate or self.study.training.learning_rate
        return build_optimizer(name, trained, learning_rate=rate, flavour=self.study.training.flavour)

    @property
    def dose(self) -> float:
        """What the study says, or the first perturbation of itself."""
        acting = self.training.perturbations
        return self.family.dose if self.family.dose is not None else acting[0].dose if acting else 0.0

    def captured_moments(self) -> tuple[float, ...]:
        """Return when to capture, in epochs; 2.5 is after the events of epoch 3 and before its batches."""
        moments: set[float] = set(self.study.capture.epochs_of(self.epochs))
        if self.study.capture.around_swaps:
            events = [active.epochs for active in self.training.perturbations if active.perturbation.swaps]
            for epoch in {epoch for epochs in events for epoch in epochs} - {0}:
                moments |= {epoch - 1, epoch - 0.5}
        return tuple(sorted(moments))

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The modules to capture, as they are now; those of a frozen trunk were captured once for all members."""
        named = dict(self.head.named_children())
        if self.prepared.trained:
            trunk: nn.Module = self.network.get_submodule("0")
            named = {name: module for name, module in trunk.named_modules() if name} | named
        frozen = dict.fromkeys(self.prepared.trunk_activations, self.head)
        found = layers_matching(named | frozen, self.study.capture.layers)
        return {name: module for name, module in found.items() if name not in frozen}

    def new_summaries(self) -> Summaries | None:
        """Return what follows the neurons through training, if the study asks for it."""
        points = self.study.capture.populations
        if not points:
            return None
        probe = self.prepared.parts["probe"]
        k = max(1, self.epochs * self.training.updates_per_epoch // points)
        summaries = Summaries(
            self.network,
            {name: partial(self.head.get_submodule, name) for name in self.head.hidden},
            inputs=probe.inputs,
            labels=probe.labels,
            classes=self.classes,
            every=k,
        )
        self.training.after_step = summaries.after_step
        return summaries

    def epochs_to_run(self, writer: MemberWriter, checkpoints: Checkpoints) -> Iterator[int]:
        """Yield each epoch for the caller to run, after what comes before it and before what comes after it."""
        for layer, values in self.prepared.trunk_activations.items():
            writer.activation(layer, 0, values, epochs=(0,), samples=self.prepared.parts["probe"].ids)
        done = self.resume(writer, checkpoints)
        if done is None:
            done = 0
            self.events(0)
            start = loss_and_accuracy(self.network, self.prepared.parts["train"])
            self.after_epoch(0, start, writer)
            self.keep_weights(0, checkpoints)
            if self.summaries is not None:
                self.summaries.point(0)
        for epoch in range(done + 1, self.epochs + 1):
            self.events(epoch)
            self.capture(epoch - 0.5, writer)
            yield epoch
            self.after_epoch(epoch, self.trained, writer)
            self.keep_weights(epoch, checkpoints)
            if epoch < self.epochs and checkpoints.due(epoch):
                new = [(i, e) for i, e in enumerate(self.captured) if e <= epoch and e not in checkpoints.kept]
                captured = {e: writer.read(i, without=self.prepared.trunk_activations) for i, e in new}
                checkpoints.save(epoch, *state_of(self), captured)

    def run(self, epoch: int) -> None:
        """Train for one epoch."""
        with self.global_stream.active():
            self.trained = self.training.run_epoch(epoch)

    def keep_weights(self, epoch: int, checkpoints: Checkpoints) -> None:
        """Keep the weights of a captured epoch, if the study asks for it."""
        if self.study.capture.weights and epoch in self.captured:
            checkpoints.keep_weights(epoch, self.network.state_dict())

    def resume(self, writer: MemberWriter, checkpoints: Checkpoints) -> int | None:
        """Go on from the last checkpoint, if there is one, and return its epoch."""
        found = checkpoints.newest(self.captured)
        if found is None:
            return None
        epoch, tensors, values, captured = found
        restore(self, epoch, tensors, values)
        for before, arrays in captured.items():
            self.write_captured(before, arrays, writer)
        return epoch

    def events(self, epoch: int) -> None:
        """Let what is scheduled for the start of an epoch happen; audit swaps, and label noise where it tells most."""
        self.training.labels = self.training.data.labels
        self.training.lift(epoch)
        for active in self.training.perturbations:
            if not active.acts_at(epoch):
                continue
            entry = active.perturbation
            if entry.swaps or (entry.site == "labels" and epoch in active.telling):
                self.audit.event(active, epoch)
            elif entry.site not in STEP_SITES:
                self.training.fire(active, epoch)

    def rehearse(self) -> None:
        """Go through every event, and one small step, so that what cannot work is said before anything is trained."""
        training = self.training
        part = training.data
        few = 1 if len(part.labels) % training.batch_size == 1 else 2  # batch norm may refuse the last batch
        training.data = Part(part.inputs[:few], part.labels[:few], part.ids[:few])
        for active in training.perturbations:
            if not active.epochs:  # drawn in other members, perhaps
                training.try_out(active)
        for epoch in range(self.epochs + 1):
            training.labels = training.data.labels
            training.lift(epoch)
            for active in training.perturbations:
                if active.acts_at(epoch) and active.perturbation.site not in STEP_SITES:
                    training.fire(active, epoch)
        first = {active.epochs[0] for active in training.perturbations if active.epochs} | {1}
        training.after_step = None
        with self.global_stream.active():
            for epoch in sorted(first - {0}):
                training.run_epoch(epoch)

    def after_epoch(self, epoch: int, trained: tuple[float, float], writer: MemberWriter) -> None:
        """Record accuracy and, if the study asks for it, representations."""
        self.history.append((*trained, *loss_and_accuracy(self.network, self.prepared.parts["validation"])))
        self.capture(epoch, writer)

    def capture(self, moment: float, writer: MemberWriter) -> None:
        """Write representations on the probe images, if the study asks for them at this moment."""
        if moment not in self.captured:
            return
        with hooked(self.layers, pool=self.study.capture.pool, within=self.network) as recorder:
            evaluate(self.network, self.prepared.parts["probe"], before_batch=recorder.new_pass)
        self.write_captured(moment, recorder.arrays(), writer)

    def write_captured(self, moment: float, arrays: dict[str, np.ndarray], writer: MemberWriter) -> None:
        """Write the representations of a moment."""
        ids = self.prepared.parts["probe"].ids
        self.finite &= all(np.isfinite(values).all() for values in arrays.values())
        for layer, values in arrays.items():
            writer.activation(layer, self.captured.index(moment), values, epochs=self.captured, samples=ids)

    def finish(self, writer: MemberWriter) -> None:
        """Write the tables and the accuracy on the test images, and mark the file complete."""
        test = self.prepared.parts["test"]
        history = dict(zip(HISTORY, np.array(self.history).T, strict=True))
        writer.table("history", "epoch", {"epoch": np.arange(self.epochs + 1), **history})
        writer.table("audit", "event", self.audit.table())
        if self.summaries is not None:
            for layer in self.summaries.points:
                table = self.summaries.table(layer, updates_per_epoch=self.training.updates_per_epoch)
                writer.table(f"populations/{layer}", "time", table)
        probability = evaluate(self.network, test).softmax(1).numpy()
        labels = test.labels.numpy()
        writer.table("test", "sample", {"sample": test.ids, "label": labels, "probability": (probability, "class")})
        accuracy = float((probability.argmax(1) == labels).mean())
        baseline = float(np.bincount(labels).max() / len(labels))
        finite = self.finite and np.isfinite(probability).all() and np.isfinite(self.history).all()
        writer.finish({"accuracy": accuracy, "majority_baseline": baseline, "finite": int(finite)})

    def attributes(self) -> dict[str, Any]:
        """Return what made the member."""
        training = self.study.training
        return {
            "member": self.member.name,
            "family": self.family.name,
            "stress": self.family.stress,
            "dose": self.dose,
            "perturbation": self.family.perturbation,
            "seed": self.member.seed,
            "optimizer": self.family.optimizer or training.optimizer,
            "device": self.device.type,
            **({"gpu": gpu} if (gpu := gpu_of(self.device)) else {}),
            "initializer": self.initializer,
            "study": self.study.hash,
            "classes": json.dumps(self.prepared.classes),
            "akpsim_version": akpsim.__version__,
            "torch_version": torch.__version__,
            **fingerprint(self.prepared),
            **self.prepared.origin,
        }
