"""The audit of a swap: what it did to the loss, the gradient and the function, on a fixed batch, before and after."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from akpsim.errors import UndefinedMetric
from akpsim.families.capturing import hooked
from akpsim.families.perturbations import PERTURBATIONS
from akpsim.families.perturbations.activations import layers_named
from akpsim.families.perturbations.losses import name_of
from akpsim.families.perturbations.perturbation import GRADIENT_SITES, Active
from akpsim.families.training.loop import Training
from akpsim.families.training.streams import perturbations_of
from akpsim.metrics import METRICS
from akpsim.parallel import one_blas_thread
from akpsim.store import Run, open_member

BATCH = 256
"""Images of the fixed batch: the first of the training part."""

PIECE = 2**20
"""Numbers turned into double precision at once."""

NULL_COSINE = 0.999
"""A swap whose gradient points the same way to this cosine is no perturbation of the direction of training."""

AFRESH = "; but it starts the optimizer afresh, which no gradient shows"
NULL_LENGTH = 1e-3
"""Nor is it one of the pace, if the gradient's length changes by no more than this share."""


class Audit:
    """Record, for every event of a member, what changed.

    Parameters
    ----------
    training : Training
        The member in training.
    probe : Tensor
        Inputs of the probe images; the change of the function is 1 - CKA of the last hidden layer on them.
    layer : callable
        Gives the last hidden layer, which an event may have replaced.
    """

    def __init__(self, training: Training, probe: Tensor, layer: Callable[[], torch.nn.Module]) -> None:
        self.training, self.probe, self.layer = training, probe, layer
        self.rows: list[dict[str, Any]] = []

    def event(self, active: Active, epoch: int) -> None:
        """Let an event happen and record it."""
        loss, accuracy, gradient, representation = self.measure()
        layers, before = in_use(self.training, active)
        self.training.fire(active, epoch)
        new_loss, new_accuracy, new_gradient, new_representation = self.measure()
        norm, new_norm = dot(gradient, gradient) ** 0.5, dot(new_gradient, new_gradient) ** 0.5
        self.rows.append(
            {
                "epoch": epoch,
                "acting": active.spec.name,
                "layers": layers,
                "before": before,
                "after": in_use(self.training, active)[1],
                "loss_before": loss,
                "loss_after": new_loss,
                "accuracy_before": accuracy,
                "accuracy_after": new_accuracy,
                "gradient_cosine": cosine_or_nan(gradient, new_gradient),
                "gradient_norm_ratio": new_norm / norm if norm else np.nan,
                "cka": cka_or_nan(representation, new_representation),
            }
        )

    def measure(self) -> tuple[float, float, Tensor, np.ndarray]:
        """Return loss, accuracy, gradient and the probe's representation, leaving the network as it was.

        The images go through the network in batches as large as those of training, which fit in memory.
        """
        training, network = self.training, self.training.network
        network.eval()
        parameters = [p for p in network.parameters() if p.requires_grad]
        device = training.device
        loss, hits = torch.zeros((), dtype=torch.float64, device=device), 0
        gradient = torch.zeros(sum(p.numel() for p in parameters), device=device)
        pieces = gradient.split([p.numel() for p in parameters])
        images = training.data.inputs[:BATCH], training.labels[:BATCH], training.data.labels[:BATCH]
        count = len(images[1])
        for batch in zip(*(t.split(training.batch_size) for t in images), strict=True):
            x, y, true = (t.to(device) for t in batch)
            logits = network(x)
            part = training.objective(logits, y).sum() / count
            gradients = torch.autograd.grad(part, parameters, allow_unused=True, materialize_grads=True)
            for piece, g in zip(pieces, gradients, strict=True):
                piece += g.flatten()
            loss += part.detach()
            hits += int((logits.argmax(1) == true).sum())
        with hooked({"layer": self.layer()}) as recorder, torch.inference_mode():
            for batch in self.probe.split(training.batch_size):
                recorder.new_pass()
                network(batch.to(device))
        return loss.item(), hits / count, gradient, recorder.arrays()["layer"]

    def table(self) -> dict[str, np.ndarray]:
        """Return the record as columns; empty if nothing happened."""
        return {key: np.array([row[key] for row in self.rows]) for key in self.rows[0]} if self.rows else {}


def cosine_or_nan(gradient: Tensor, other: Tensor) -> float:
    """Return the cosine between two gradients, NaN where one has no direction or an event changed their number."""
    if gradient.shape != other.shape:
        return float("nan")
    norms = dot(gradient, gradient) ** 0.5 * dot(other, other) ** 0.5
    return dot(gradient, other) / norms if norms else float("nan")


def dot(x: Tensor, y: Tensor) -> float:
    """Return the inner product in double precision, a piece at a time: a trunk's gradient is long."""
    return sum(float(a.double() @ b.double()) for a, b in zip(x.split(PIECE), y.split(PIECE), strict=True))


def cka_or_nan(x: np.ndarray, y: np.ndarray) -> float:
    """Return the CKA of two representations, NaN where it has no value (a dead layer)."""
    try:
        with one_blas_thread():  # as in the process of a worker
            return METRICS["cka"](x, y)
    except UndefinedMetric:
        return float("nan")


def in_use(training: Training, active: Active) -> tuple[str, str]:
    """Return the layers at which a perturbation acts and what is in use there: activations, a loss, a learning rate."""
    site = active.perturbation.site
    if site == "initializer" and "layers" in active.perturbation.options:
        patterns = active.options.get("layers", active.perturbation.options["layers"])
        return ", ".join(layers_named(training.network, patterns)), ""
    if site == "activation":
        layers = layers_named(training.network, active.options.get("layers", "dense_*"))
        return ", ".join(layers), ", ".join(dict.fromkeys(layer.name for layer in layers.values()))
    if site == "loss":
        accident = getattr(training.loss, "keywords", {}).get("encoding") == "broadcast"
        return "", name_of(training.loss) + " (broadcast)" * accident
    if site == "optimizer":
        return "", f"learning rate {training.optimizer.param_groups[0]['lr']:g}"
    return "", ""


@dataclass
class Found:
    """What the audits of one family say of a perturbation's gradient, at all its events."""

    family: str
    optimizer: str
    cosines: list[float]
    ratios: list[float]

    @property
    def null(self) -> bool:
        """Whether the gradient points where it pointed at every event; NaN does not."""
        return bool(np.min(self.cosines) > NULL_COSINE)

    @property
    def mostly_null(self) -> bool:
        """Whether it does at most events, but not at all."""
        share = float(np.mean(np.array(self.cosines) > NULL_COSINE))
        return 0.5 < share < 1

    @property
    def same_length(self) -> bool:
        """Whether its length is the same at every event, too."""
        return bool(np.max(np.abs(np.array(self.ratios) - 1)) <= NULL_LENGTH)


def null_perturbations(run: Run) -> list[str]:
    """Say in one line each which perturbations of a run had no dose, left the gradient where it was, or never happened.

    Families with the same perturbation share a line, but one where the length of the gradient changed is not said to
    be unchanged: that is another learning rate, unless the optimizer divides by the length.
    """
    idle, fresh = without_dose(run), with_reset(run)
    lines = [idle_line(perturbation, families) for perturbation, families in idle.items()]
    for perturbation, families in found_in(run).items():
        null = [found for found in families.values() if found.null and found.family not in idle.get(perturbation, ())]
        for same, afresh in product((True, False), (False, True)):
            kind = (same, afresh)
            alike = [one for one in null if (one.same_length, one.family in fresh.get(perturbation, ())) == kind]
            if alike:
                lines.append(null_line(perturbation, alike, same_length=same) + (AFRESH if afresh else ""))
        lines += [mostly_null_line(perturbation, found) for found in families.values() if found.mostly_null]
    return lines + never_fired(run)


def without_dose(run: Run) -> dict[str, list[str]]:
    """Return, by perturbation, the families in which it acts but with a dose of 0 in every member."""
    null: dict[str, dict[str, bool]] = {}
    for member in run.study.design():
        for active in perturbations_of(run.study, member, classes=2):
            if active.epochs:
                families = null.setdefault(active.spec.name, {})
                families[member.family.name] = families.get(member.family.name, True) and active.null
    found = {name: [family for family, idle in families.items() if idle] for name, families in null.items()}
    return {name: families for name, families in found.items() if families}


def with_reset(run: Run) -> dict[str, list[str]]:
    """Return, by perturbation, the families in which its events start the optimizer afresh."""
    found: dict[str, list[str]] = {}
    for family in run.study.families:
        for spec in family.perturbations:
            if spec.optimizer_state == "reset":
                found.setdefault(spec.name, []).append(family.name)
    return found


def idle_line(perturbation: str, families: list[str]) -> str:
    """Say that a perturbation has no dose, and why."""
    site = PERTURBATIONS[perturbation].site
    why = "it multiplies the learning rate by 1" if site == "optimizer" else "strength 0 whenever it acts"
    return f"{perturbation} does nothing in {', '.join(families)}: its dose is 0 ({why})"


def found_in(run: Run) -> dict[str, dict[str, Found]]:
    """Return what the audits say of each perturbation whose whole effect shows in the gradient, by family."""
    by_perturbation: dict[str, dict[str, Found]] = {}
    columns = ("acting", "gradient_cosine", "gradient_norm_ratio")
    for name, family in zip(run.names, run.members.family.values.tolist(), strict=True):
        with open_member(run.file(name)) as file:
            audit, optimizer = file["audit"], str(file.optimizer)
            if "gradient_cosine" not in audit.variables:
                continue
            for perturbation, cosine, ratio in zip(*(np.ma.getdata(audit[key][:]) for key in columns), strict=True):
                entry = PERTURBATIONS.get(str(perturbation))
                if entry is not None and entry.site in GRADIENT_SITES:
                    families = by_perturbation.setdefault(entry.name, {})
                    found = families.setdefault(family, Found(family, optimizer, [], []))
                    found.cosines.append(float(cosine))
                    found.ratios.append(float(ratio))
    return by_perturbation


def null_line(perturbation: str, families: list[Found], *, same_length: bool) -> str:
    """Say that a perturbation changes no direction, and what it does to the length."""
    cosines = [cosine for found in families for cosine in found.cosines]
    where = ", ".join(found.family for found in families)
    cosine = f"{math.floor(1e6 * min(*cosines, 1.0)) / 1e6:.6f}"
    events = f"at {len(cosines)} events of all members together"
    if same_length:
        return (
            f"{perturbation} changes nothing in {where}: the gradients before and after have a cosine of at least "
            f"{cosine} and the same length, {events}"
        )
    ratios = [ratio for found in families for ratio in found.ratios]
    length = dict.fromkeys(f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
    optimizers = " and ".join(dict.fromkeys(found.optimizer for found in families))
    return (
        f"{perturbation} keeps the direction of the gradient in {where} (cosine at least {cosine}) and multiplies its "
        f"length by {' to '.join(length)}: another learning rate under SGD, next to nothing under RMSprop; trained "
        f"here with {optimizers}, {events}"
    )


def mostly_null_line(perturbation: str, found: Found) -> str:
    """Say at how many events of a family a perturbation changes no direction, and how far it goes at the others."""
    cosines = np.array(found.cosines)
    null = cosines > NULL_COSINE
    others = cosines[~null & ~np.isnan(cosines)]
    rest = [f"at {len(others)} the cosine is {others.min():.3g} or more"] if len(others) else []
    rest += [f"at {lost} there is no gradient"] if (lost := int(np.isnan(cosines).sum())) else []
    return (
        f"{perturbation} keeps the direction of the gradient in {found.family} at {int(null.sum())} of {len(cosines)} "
        f"events of all members together; {' and '.join(rest)}"
    )


def never_fired(run: Run) -> list[str]:
    """Say which perturbations with a probability were drawn in no member: their families are unperturbed."""
    events: dict[tuple[str, str], int] = {}
    for member in run.study.design():
        for active in perturbations_of(run.study, member, classes=2):
            if active.spec.schedule.probability < 1:
                key = (member.family.name, active.spec.name)
                events[key] = events.get(key, 0) + len(active.epochs)
    return [
        f"{perturbation} never acted in {family}: by its `probability`, no epoch was drawn in any member"
        for (family, perturbation), number in events.items()
        if number == 0
    ]
