"""The heads of several members trained as one, for GPUs, which dense layers of one member leave idle.

The weights of a layer lie side by side, (member, neuron, input), and one batched product serves all members.  Batches,
events, noise and optimizers are each member's own: its parameters are views of the common arrays while an epoch runs.

On a CPU the bits are those of members that are trained one by one, where features and hidden widths are multiples of
16; elsewhere the order of sums depends on where in memory an array begins.  `torch.func.vmap` would not give them: it
adds the bias to the product, where a linear layer begins with it, and takes the gradient of the weights transposed.  On
a GPU the library of products may sum in another order.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from akpsim.families.networks.head import Dense, Head
from akpsim.families.perturbations import PERTURBATIONS
from akpsim.families.perturbations.losses import Mixed
from akpsim.families.training.loop import Training, mean_of
from akpsim.families.training.losses import LOSSES
from akpsim.families.training.optimizers import OPTIMIZERS

EXACT = 16
"""Where features and hidden widths are multiples of this, a stack has the bits of members alone, on a CPU."""

SHIPPED = (*PERTURBATIONS.values(), *LOSSES.values())
RULES = {rule for entry in OPTIMIZERS.values() for rule, _ in entry.flavours.values()}
"""What is akpsim's own: the registries before a user adds to them."""

SMALL = 400
"""Batched products of fewer numbers are summed by torch in another order than single ones on a CPU."""


def shape_of(training: Training) -> Hashable | None:
    """Return what members must have in common to be trained as one; None for one that has to be trained alone.

    That is a network with a trunk, and one with anything of a user's own: it may replace layers, hook them, look at
    the other samples of a batch or draw from torch's global generator, all of which is another thing in a stack.
    """
    head, parameters = training.network, list(training.network.parameters())
    used = [*(active.perturbation for active in training.perturbations), *parts_of(training.loss)]
    own = all(any(one is shipped for shipped in SHIPPED) for one in used) and type(training.optimizer) in RULES
    hooked = any(p._backward_hooks or p._post_accumulate_grad_hooks for p in parameters)  # by an initializer, say
    if type(head) is not Head or not own or hooked:
        return None
    return (*(tuple(p.shape) for p in parameters), len(training.data.labels), training.batch_size)


def parts_of(loss: Any) -> list[Any]:
    """Return the entries of the registry that a loss is made of."""
    if isinstance(loss, Mixed):
        return [*parts_of(loss.old), *parts_of(loss.new)]
    return [getattr(loss, "func", loss)]


def run_stacked(trainings: Sequence[Training], epochs: Sequence[int]) -> list[tuple[float, float]]:
    """Train members whose heads have the same shape for one epoch, as one.

    Parameters
    ----------
    trainings : sequence of Training
        Members with the same `shape_of`, after the events of their epochs have happened.
    epochs : sequence of int
        Which epoch it is for each.

    Returns
    -------
    list of (float, float)
        Mean loss and accuracy of each, as `Training.run_epoch` returns them.
    """
    parameters = list(zip(*(training.network.parameters() for training in trainings), strict=True))
    weights = [torch.stack([p.detach() for p in same]).requires_grad_() for same in parameters]
    for same, weight in zip(parameters, weights, strict=True):
        be_views(same, "data", weight.detach())
    for training in trainings:
        training.network.train()
    step = joint_step([training.optimizer for training in trainings])
    losses, hits = [], []
    batches = (training.batches_of(epoch) for training, epoch in zip(trainings, epochs, strict=True))
    for batch in zip(*batches, strict=True):
        x, y, true = (torch.stack(parts) for parts in zip(*batch, strict=True))
        logits = forward(trainings, weights, x)
        losses_alike = alike([kind(training.loss) for training in trainings], logits.device)
        loss = each([training.objective for training in trainings], losses_alike, logits, y)
        gradients = torch.autograd.grad(loss.mean(1).sum(), weights)
        for same, gradient in zip(parameters, gradients, strict=True):
            be_views(same, "grad", gradient)
        for training, epoch in zip(trainings, epochs, strict=True):
            training.disturb_gradients(epoch)
        step()
        losses.append(loss.detach())
        hits.append(logits.detach().argmax(2) == true)
        for training in trainings:
            training.count_update()
    for parameter in chain.from_iterable(parameters):
        parameter.data = parameter.data.clone()  # shared with no other member any more
    return [(mean_of([b[i] for b in losses]), mean_of([b[i] for b in hits])) for i in range(len(trainings))]


def forward(trainings: Sequence[Training], weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return the logits (member, sample, class) of inputs (member, sample, feature)."""
    layers = [list(training.network.children()) for training in trainings]
    for index in range(len(weights) // 2):
        weight, bias = weights[2 * index : 2 * index + 2]
        x = linear(x, weight, bias)
        same = [of_member[index] for of_member in layers]
        if isinstance(same[0], Dense):
            kinds = [kind(layer.activation) if type(layer.dropout) is nn.Identity else id(layer) for layer in same]
            x = each([layer.activated for layer in same], alike(kinds, x.device), x)
    return x


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``x @ weight.T + bias`` of each member: (member, sample, input) -> (member, sample, neuron)."""
    if x[0].numel() * weight.shape[1] < SMALL:
        return torch.stack([nn.functional.linear(*one) for one in zip(x, weight, bias, strict=True)])
    mapped: Tensor = Linear.apply(x, weight, bias)
    return mapped


class Linear(torch.autograd.Function):
    """The linear maps of several members, whose gradients are the products that torch takes for one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the sums (member, sample, neuron)."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Return the gradients on inputs, weights and biases."""
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        on_inputs = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return on_inputs, torch.bmm(gradient.transpose(1, 2), x), gradient.sum(1)


def alike(kinds: Sequence[Hashable], device: torch.device) -> list[list[int]]:
    """Return which members' functions are called at once.

    On a GPU, where the number of calls takes the time, those of the same kind.  On a CPU each alone: how torch computes
    the last few numbers of an array depends on its length.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, of_member in enumerate(kinds):
        groups.setdefault(of_member if device.type == "cuda" else index, []).append(index)
    return list(groups.values())


def each(functions: Sequence[Any], groups: Sequence[list[int]], *stacked: Tensor) -> Tensor:
    """Return what the function of each member makes of its slices; the first of a group does so for all in it."""
    parts = []
    for group in groups:
        chosen = [values[group] for values in stacked]
        flat = functions[group[0]](*(values.flatten(0, 1) for values in chosen))
        parts.append(flat.unflatten(0, chosen[0].shape[:2]))
    order = torch.tensor(list(chain.from_iterable(groups)), device=stacked[0].device)
    return torch.cat(parts)[order.argsort()]


def joint_step(optimizers: Sequence[torch.optim.Optimizer]) -> Callable[[], Any]:
    """Return what takes a step of several optimizers, those of the same rule and rates as one.

    The state stays each optimizer's own: the dictionaries are shared, and changed in place.
    """
    by_rule: dict[Hashable, list[torch.optim.Optimizer]] = {}
    for optimizer in optimizers:
        rates = repr([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
        by_rule.setdefault((type(optimizer), rates), []).append(optimizer)
    joint = [joined(some) for some in by_rule.values()]
    return lambda: [optimizer.step() for optimizer in joint]


def joined(optimizers: Sequence[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """Return one optimizer of all their parameters, with their state."""
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    parameters = [parameter for group in groups for parameter in group["params"]]
    rule: Any = type(optimizers[0])
    whole: torch.optim.Optimizer = rule(parameters)
    whole.param_groups[0] |= {key: value for key, value in groups[0].items() if key != "params"}
    for optimizer, group in zip(optimizers, groups, strict=True):
        whole.state.update({parameter: optimizer.state[parameter] for parameter in group["params"]})
    return whole


def be_views(tensors: Sequence[Tensor], attribute: str, stacked: Tensor) -> None:
    """Let the data or the gradient of each tensor be its part of a stack."""
    for index, tensor in enumerate(tensors):
        setattr(tensor, attribute, stacked[index])


def kind(function: Any) -> Hashable:
    """Return what is the same for functions that do the same."""
    if isinstance(function, partial):
        return (function.func, function.args, tuple(sorted(function.keywords.items())))
    plain: Hashable = function
    return plain
