"""The training loop of one member: epochs, batches, and the perturbations at their sites."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from akpsim.errors import InvalidStudy
from akpsim.families.devices import device_of
from akpsim.families.perturbations.perturbation import STEP_SITES, Active
from akpsim.families.training.losses import LOSSES
from akpsim.families.training.prepared import Part

Loss = Callable[[Tensor, Tensor], Tensor]

EVALUATION_BATCH = 256


class Training:
    """The state of one member in training.

    Parameters
    ----------
    network : Module
        Inputs (sample, ...) -> logits (sample, class).
    data : Part
        Training images and true labels.
    loss : str
        Name of the loss at the start.
    new_optimizer : callable
        Gives a fresh optimizer of the network's parameters.
    batch_size : int
        The last batch of an epoch may be smaller.
    perturbations : sequence of Active
        In the order in which they act.
    batches : torch.Generator
        Shuffles the images.
    class_weights : Tensor, optional
        One number a class, by which the loss of its samples is multiplied.
    after_step : callable, optional
        Called with the number of updates done so far.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Part,
        *,
        loss: str,
        new_optimizer: Callable[[], torch.optim.Optimizer],
        batch_size: int,
        perturbations: Sequence[Active],
        batches: torch.Generator,
        class_weights: Tensor | None = None,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        self.network, self.data, self.batch_size, self.batches = network, data, batch_size, batches
        self.loss: Loss = partial(LOSSES[loss])
        self.device = device_of(network)
        self.class_weights = None if class_weights is None else class_weights.to(self.device)
        self.new_optimizer, self.optimizer = new_optimizer, new_optimizer()
        self.perturbations, self.after_step = perturbations, after_step
        self.labels = data.labels
        self.updates = 0

    @property
    def updates_per_epoch(self) -> int:
        """Number of batches, the last one included."""
        return -(-len(self.data.labels) // self.batch_size)

    def objective(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each sample, times the weight of its class."""
        losses: Tensor = self.loss(logits, labels)
        return losses if self.class_weights is None else losses * self.class_weights[labels]

    def at(self, site: str, epoch: int) -> list[Active]:
        """Return the perturbations that act at a site in an epoch."""
        return [p for p in self.perturbations if p.perturbation.site == site and p.acts_at(epoch)]

    def fire(self, active: Active, epoch: int) -> None:
        """Let one event happen; with a fresh optimizer if the study says so, but not at strength 0, which is nothing.

        The optimizer is fresh before an event that acts on it, and after any other, which may bring new weights.
        """
        site = active.perturbation.site
        reset = active.spec.optimizer_state == "reset" and active.strength_at(epoch) > 0
        if site == "optimizer":
            self.optimizer = self.new_optimizer() if reset else self.optimizer
            active.act(self.optimizer, epoch)
            return
        before = list(self.network.parameters())
        if site == "loss":
            self.loss = active.act(self.loss, epoch)
        elif site == "labels":
            self.labels = active.act(self.labels, epoch)
        else:
            active.act(self.network, epoch)
        if reset:
            self.optimizer = self.new_optimizer()
        elif new_weights(self.network, before):
            raise InvalidStudy(
                f"{active.spec.name} puts new weights into the network, which the optimizer would never train: "
                f"write `optimizer_state` = 'reset', got {active.spec.optimizer_state!r}"
            )

    def try_out(self, active: Active) -> None:
        """Let a perturbation act once, whenever it is due, to see whether it can."""
        site = active.perturbation.site
        if site in STEP_SITES:
            active.act(self.data.inputs if site == "inputs" else self.network, 1)
        else:
            self.fire(active, 1)

    def lift(self, epoch: int) -> None:
        """Take off, before the events of an epoch, what acted until the epoch before and would stay by itself."""
        for active in self.perturbations:
            lift = active.perturbation.lift
            if lift is not None and active.acts_at(epoch - 1) and not active.acts_at(epoch):
                lift(self.network, **active.options)

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """Train for one epoch, after its events have happened; return mean loss and accuracy over its batches.

        The loss is the objective as trained.  The accuracy is against the true labels, also where training uses noisy
        ones; both are means while the weights move, as Keras reports them.
        """
        self.network.train()
        losses, hits = [], []
        for x, y, true in self.batches_of(epoch):
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.network(x)
            loss = self.objective(logits, y)
            loss.mean().backward()
            self.disturb_gradients(epoch)
            self.optimizer.step()
            losses.append(loss.detach())
            hits.append(logits.detach().argmax(1) == true)
            self.count_update()
        return mean_of(losses), mean_of(hits)

    def batches_of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batches of an epoch, in a new order: inputs as perturbed, labels as trained, true labels."""
        order = torch.randperm(len(self.data.labels), generator=self.batches)
        on_inputs = self.at("inputs", epoch)
        for batch in order.split(self.batch_size):
            x, y, true = self.data.inputs[batch], self.labels[batch], self.data.labels[batch]
            for active in on_inputs:
                x = active.act(x, epoch)
            yield x.to(self.device), y.to(self.device), true.to(self.device)

    def disturb_gradients(self, epoch: int) -> None:
        """Let the perturbations of gradients act, between the backward pass and the optimizer."""
        for active in self.at("gradients", epoch):
            active.act(self.network, epoch)

    def count_update(self) -> None:
        """Count an update of the weights, and call what waits for it."""
        self.updates += 1
        if self.after_step is not None:
            self.after_step(self.updates)


def mean_of(batches: Sequence[Tensor]) -> float:
    """Return the mean over the samples of all batches."""
    return float(torch.cat(list(batches)).mean(dtype=torch.float64))


def new_weights(network: nn.Module, before: Sequence[nn.Parameter]) -> bool:
    """Say whether a network has weights to train that are not among those before."""
    known = set(map(id, before))
    return any(p.requires_grad and id(p) not in known for p in network.parameters())


def evaluate(network: nn.Module, part: Part, *, before_batch: Callable[[], None] = lambda: None) -> Tensor:
    """Return the logits (sample, class) of a part in evaluation mode, on the CPU."""
    network.eval()
    device = device_of(network)
    logits = []
    with torch.inference_mode():
        for x in part.inputs.split(EVALUATION_BATCH):
            before_batch()
            logits.append(network(x.to(device)).cpu())
    return torch.cat(logits)


def loss_and_accuracy(network: nn.Module, part: Part) -> tuple[float, float]:
    """Return cross-entropy and accuracy against the true labels, whatever loss is being trained."""
    logits = evaluate(network, part)
    loss = LOSSES["cross_entropy"](logits, part.labels).mean()
    return float(loss), float((logits.argmax(1) == part.labels).float().mean())
