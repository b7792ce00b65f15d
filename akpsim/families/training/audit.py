"""The audit of a swap: what it did to the loss, the gradient and the function, on a fixed batch, before and after."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from akpsim.errors import UndefinedMetric
from akpsim.families.capturing import hooked
from akpsim.families.perturbations import PERTURBATIONS
from akpsim.families.perturbations.perturbation import GRADIENT_SITES, Active
from akpsim.families.training.loop import Training
from akpsim.metrics import METRICS
from akpsim.store import Run, open_member

BATCH = 256
"""Images of the fixed batch: the first of the training part."""

NULL_COSINE = 0.999
"""A swap whose gradient points the same way to this cosine is no perturbation."""


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
        self.training.fire(active, epoch)
        new_loss, new_accuracy, new_gradient, new_representation = self.measure()
        norm, new_norm = float(gradient.norm()), float(new_gradient.norm())
        self.rows.append(
            {
                "epoch": epoch,
                "acting": active.spec.name,
                "loss_before": loss,
                "loss_after": new_loss,
                "accuracy_before": accuracy,
                "accuracy_after": new_accuracy,
                "gradient_cosine": float(gradient @ new_gradient) / (norm * new_norm) if norm * new_norm else np.nan,
                "gradient_norm_ratio": new_norm / norm if norm else np.nan,
                "cka": cka_or_nan(representation, new_representation),
            }
        )

    def measure(self) -> tuple[float, float, Tensor, np.ndarray]:
        """Return loss, accuracy, gradient and the probe's representation, leaving the network as it was."""
        training = self.training
        network, x = training.network, training.data.inputs[:BATCH]
        network.eval()
        logits = network(x)
        loss = training.objective(logits, training.labels[:BATCH]).mean()
        parameters = [p for p in network.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        hits = (logits.argmax(1) == training.data.labels[:BATCH]).double().mean()
        with hooked({"layer": self.layer()}) as recorder, torch.inference_mode():
            for batch in self.probe.split(BATCH):
                recorder.new_pass()
                network(batch)
        gradient = torch.cat([g.flatten() for g in gradients]).double()
        return loss.item(), float(hits), gradient, recorder.arrays()["layer"]

    def table(self) -> dict[str, np.ndarray]:
        """Return the record as columns; empty if nothing happened."""
        return {key: np.array([row[key] for row in self.rows]) for key in self.rows[0]} if self.rows else {}


def cka_or_nan(x: np.ndarray, y: np.ndarray) -> float:
    """Return the CKA of two representations, NaN where it has no value (a dead layer)."""
    try:
        return METRICS["cka"](x, y)
    except UndefinedMetric:
        return float("nan")


def null_perturbations(run: Run) -> list[str]:
    """Say in one line each which perturbations of a run left the gradient where it pointed, at all events of a family.

    Families with the same perturbation share a line.
    """
    cosines: dict[str, dict[str, list[float]]] = {}
    for name, family in zip(run.names, run.members.family.values.tolist(), strict=True):
        with open_member(run.file(name)) as file:
            audit = file["audit"]
            if "gradient_cosine" not in audit.variables:
                continue
            for perturbation, cosine in zip(audit["acting"][:], audit["gradient_cosine"][:], strict=True):
                entry = PERTURBATIONS.get(str(perturbation))
                if entry is not None and entry.site in GRADIENT_SITES:
                    cosines.setdefault(entry.name, {}).setdefault(family, []).append(float(cosine))
    lines = []
    for perturbation, families in cosines.items():
        null = {family: found for family, found in families.items() if np.min(found) > NULL_COSINE}  # NaN is not null
        if null:
            every = [cosine for found in null.values() for cosine in found]
            lowest = math.floor(1e6 * min(*every, 1.0)) / 1e6
            lines.append(
                f"{perturbation} changes nothing in {', '.join(null)}: the cosine of the gradients before and after is "
                f"at least {lowest:.6f}, at {len(every)} events of all members together"
            )
    return lines
