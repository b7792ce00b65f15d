"""Summaries of neurons over training, from which neuron populations are made (see docs/method.md)."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from akpsim.families.devices import device_of
from akpsim.families.networks.head import Dense

SAMPLES = 64
"""Probe images that the summaries are means over: the first of each class, as evenly as possible."""


class Summaries:
    """Follow each neuron of the hidden layers, at every k updates, on a fixed batch of probe images.

    Parameters
    ----------
    network : Module
        The member's network; its hidden layers are watched.
    hidden : mapping
        Name -> what gives the hidden layer of that name, which a perturbation may have replaced.
    inputs, labels : Tensor
        The probe part.
    classes : int
        Number of classes.
    every : int
        Updates between two points.
    """

    def __init__(
        self,
        network: nn.Module,
        hidden: Mapping[str, Callable[[], nn.Module]],
        *,
        inputs: Tensor,
        labels: Tensor,
        classes: int,
        every: int,
    ) -> None:
        rank = torch.zeros_like(labels)
        for label in range(classes):
            rank[labels == label] = torch.arange(int((labels == label).sum()))
        chosen = torch.argsort(rank, stable=True)[:SAMPLES]
        self.network, self.hidden, self.every = network, hidden, every
        device = device_of(network)
        self.inputs, self.labels = inputs[chosen].to(device), labels[chosen]
        member = nn.functional.one_hot(self.labels, classes).float()
        self.class_weights = (member / member.sum(0).clamp_min(1)).T.to(device)
        self.times: list[int] = []
        self.points: dict[str, list[dict[str, Tensor]]] = {name: [] for name in hidden}

    def after_step(self, updates: int) -> None:
        """Take a point if it is time."""
        if updates % self.every == 0:
            self.point(updates)

    def point(self, updates: int) -> None:
        """Take a point."""
        seen: dict[str, Tensor] = {}
        layers = {name: found() for name, found in self.hidden.items()}
        handles = [
            layer.register_forward_hook(lambda module, inputs, output, name=name: seen.__setitem__(name, output))
            for name, layer in layers.items()
        ]
        training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                self.network(self.inputs)
        finally:
            self.network.train(training)
            for handle in handles:
                handle.remove()
        self.times.append(updates)
        for name, layer in layers.items():
            active = seen[name]
            self.points[name].append(
                {
                    "mean_abs": active.abs().mean(0),
                    "active": (active > 0).float().mean(0),
                    "weight_norm": norms(layer, neurons=active.shape[1]),
                    "class_mean": self.class_weights @ active,
                }
            )

    def state(self) -> tuple[dict[str, Tensor], list[int]]:
        """Return the points taken so far as tensors named ``LAYER/KEY``, and their times."""
        stacked = {
            f"{layer}/{key}": torch.stack([point[key].cpu() for point in points])
            for layer, points in self.points.items()
            for key in (points[0] if points else ())
        }
        return stacked, list(self.times)

    def restore(self, tensors: Mapping[str, Tensor], times: list[int]) -> None:
        """Go on from what `state` returned."""
        self.times = list(times)
        for layer in self.points:
            mine = {name.removeprefix(f"{layer}/"): t for name, t in tensors.items() if name.startswith(f"{layer}/")}
            self.points[layer] = [{key: stacked[i] for key, stacked in mine.items()} for i in range(len(times))]

    def table(self, layer: str, *, updates_per_epoch: int) -> dict[str, object]:
        """Return the columns of ``/populations/LAYER``, along ``time``."""
        points = self.points[layer]
        stacked = {key: np.stack([point[key].cpu().numpy() for point in points]) for key in points[0]}
        time = np.array(self.times)
        return {
            "time": time,
            "epoch": time / updates_per_epoch,
            "mean_abs": (stacked["mean_abs"], "neuron"),
            "active": (stacked["active"], "neuron"),
            "weight_norm": (stacked["weight_norm"], "neuron"),
            "class_mean": (stacked["class_mean"], "class", "neuron"),
        }


def norms(layer: nn.Module, *, neurons: int) -> Tensor:
    """Return the norm of each neuron's incoming weights; NaN for a layer that is none of akpsim's."""
    return layer.linear.weight.detach().norm(dim=1) if isinstance(layer, Dense) else torch.full((neurons,), torch.nan)
