r"""Optimizers with the arithmetic of Keras, of Keras before 2.11, or of torch.

The same name means different arithmetic in different libraries.  RMSprop keeps a running mean square of the gradient,
:math:`v \leftarrow \rho v + (1 - \rho) g^2`, and steps by :math:`\eta g` over its root; the small constant is

======================  =======================================  ======================================
flavour                 rmsprop                                  defaults
======================  =======================================  ======================================
``keras``               :math:`\sqrt{v + \epsilon}`              :math:`\eta` 1e-3, :math:`\rho` .9, 1e-7
``keras-legacy``        :math:`\sqrt{v} + \epsilon`              the same (TensorFlow up to 2.10)
``torch``               :math:`\sqrt{v} + \epsilon`              :math:`\eta` 1e-2, :math:`\rho` .99, 1e-8
======================  =======================================  ======================================

Adam in Keras adds its constant to the root of the *uncorrected* second moment ("epsilon hat" of Kingma and Ba 2015,
section 2), torch to the corrected one; Adagrad in Keras starts its sum at .1 instead of 0.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

from akpsim.checks import one_of, positive
from akpsim.registry import Registry

FLAVOURS = ("keras", "keras-legacy", "torch")


class KerasOptimizer(torch.optim.Optimizer):
    """What the optimizers below share: state made at a parameter's first gradient, lists of tensors updated at once.

    Parameters
    ----------
    parameters : iterable of Tensor
        What is trained; those without a gradient are left alone.
    **defaults
        ``lr`` and the constants of the rule; a scheduler may change them between steps.
    """

    slots: tuple[str, ...] = ()
    start: float = 0.0

    def __init__(self, parameters: Iterable[Tensor], **defaults: float) -> None:
        super().__init__(parameters, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter from its gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        with torch.no_grad():
            for group in self.param_groups:
                parameters = [p for p in group["params"] if p.grad is not None]
                if parameters:
                    state = [self._state(p) for p in parameters]
                    self.update(group, parameters, [p.grad for p in parameters], state)
        return loss

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state |= {slot: torch.full_like(parameter, self.start) for slot in self.slots}
        state["step"] += 1
        return state

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: Any) -> None:
        """Change `parameters` and `state` in place."""
        raise NotImplementedError


def slot(state: list[dict[str, Tensor]], name: str) -> list[Tensor]:
    """Return one kind of state of all parameters."""
    return [each[name] for each in state]


class KerasRMSprop(KerasOptimizer):
    """RMSprop with the constant inside the root (Keras since 2.11; Hinton 2012, lecture 6e)."""

    slots = ("velocity",)

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: Any) -> None:
        """Divide the gradient by the root of its running mean square."""
        velocity = slot(state, "velocity")
        torch._foreach_mul_(velocity, group["rho"])
        torch._foreach_addcmul_(velocity, gradients, gradients, 1 - group["rho"])
        root = torch._foreach_add(velocity, group["eps"])
        torch._foreach_sqrt_(root)
        torch._foreach_addcdiv_(parameters, gradients, root, -group["lr"])


class KerasMomentum(KerasOptimizer):
    """Gradient descent whose momentum carries the learning rate: a change of rate acts on new gradients only."""

    slots = ("momentum",)

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: Any) -> None:
        """Add the momentum, less the gradient times the rate."""
        momentum = slot(state, "momentum")
        torch._foreach_mul_(momentum, group["momentum"])
        torch._foreach_add_(momentum, gradients, alpha=-group["lr"])
        torch._foreach_add_(parameters, momentum)


class KerasAdam(KerasOptimizer):
    """Adam with epsilon hat, and decoupled weight decay if there is any (Loshchilov and Hutter 2019)."""

    slots = ("first", "second")

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: Any) -> None:
        """Divide the running mean of the gradient by the root of its running mean square."""
        first, second, beta1, beta2 = slot(state, "first"), slot(state, "second"), group["beta1"], group["beta2"]
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        root = torch._foreach_sqrt(second)
        torch._foreach_add_(root, group["eps"])
        steps = [int(step) for step in slot(state, "step")]
        rates = [-group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step) for step in steps]
        torch._foreach_addcdiv_(parameters, first, root, rates)


class KerasAdagrad(KerasOptimizer):
    """Adagrad whose sum of squares starts at .1, with the constant inside the root."""

    slots = ("sum",)
    start = 0.1

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: Any) -> None:
        """Divide the gradient by the root of the sum of its squares."""
        total = slot(state, "sum")
        torch._foreach_addcmul_(total, gradients, gradients, 1)
        root = torch._foreach_add(total, group["eps"])
        torch._foreach_sqrt_(root)
        torch._foreach_addcdiv_(parameters, gradients, root, -group["lr"])


@dataclass(frozen=True)
class Optimizer:
    """An optimizer by name: for each flavour the class and its default arguments, the learning rate among them."""

    name: str
    flavours: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]]
    summary: str

    def learning_rate(self, flavour: str = "keras") -> float:
        """Return the default learning rate of a flavour."""
        return float(self.flavours[one_of(flavour, "flavour", self.flavours)][1]["lr"])


def _adam(keras_decay: float, torch_class: Callable[..., torch.optim.Optimizer]) -> dict[str, Any]:
    constants = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "weight_decay": keras_decay}
    keras = (KerasAdam, constants)
    return {"keras": keras, "keras-legacy": keras, "torch": (torch_class, {"lr": 1e-3})}


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    [
        Optimizer(
            "sgd",
            {
                "keras": (torch.optim.SGD, {"lr": 1e-2}),
                "keras-legacy": (torch.optim.SGD, {"lr": 1e-2}),
                "torch": (torch.optim.SGD, {"lr": 1e-3}),
            },
            "gradient descent on batches",
        ),
        Optimizer(
            "momentum",
            {
                "keras": (KerasMomentum, {"lr": 1e-2, "momentum": 0.9}),
                "keras-legacy": (KerasMomentum, {"lr": 1e-2, "momentum": 0.9}),
                "torch": (torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9}),
            },
            "gradient descent with momentum .9",
        ),
        Optimizer(
            "rmsprop",
            {
                "keras": (KerasRMSprop, {"lr": 1e-3, "rho": 0.9, "eps": 1e-7}),
                "keras-legacy": (torch.optim.RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}),
                "torch": (torch.optim.RMSprop, {"lr": 1e-2}),
            },
            "gradient over the root of its running mean square",
        ),
        Optimizer("adam", _adam(0.0, torch.optim.Adam), "running mean of the gradient over that root"),
        Optimizer("adamw", _adam(0.004, torch.optim.AdamW), "adam with decoupled weight decay"),
        Optimizer(
            "adagrad",
            {
                "keras": (KerasAdagrad, {"lr": 1e-3, "eps": 1e-7}),
                "keras-legacy": (
                    torch.optim.Adagrad,
                    {"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7},
                ),
                "torch": (torch.optim.Adagrad, {"lr": 1e-2}),
            },
            "gradient over the root of the sum of its squares",
        ),
    ],
)


def build_optimizer(
    name: str,
    parameters: Iterable[Tensor],
    *,
    learning_rate: float | None = None,
    flavour: Literal["keras", "keras-legacy", "torch"] | str = "keras",
) -> torch.optim.Optimizer:
    """Return an optimizer of `parameters`, fresh.

    Parameters
    ----------
    name : str
        A name of `OPTIMIZERS`.
    parameters : iterable of Tensor
        What it trains.
    learning_rate : float, optional
        By default that of Keras, or of torch for the flavour ``torch``.
    flavour : {"keras", "keras-legacy", "torch"}
        Whose arithmetic and constants, see the module.

    Returns
    -------
    torch.optim.Optimizer
        Its `state_dict` holds tensors and numbers only.

    Raises
    ------
    UnknownName
        If there is no such optimizer or flavour.
    AkpsimError
        If the learning rate is not positive.
    """
    optimizer = OPTIMIZERS[name]
    build, constants = optimizer.flavours[one_of(flavour, "flavour", FLAVOURS)]
    given = {} if learning_rate is None else {"lr": positive(learning_rate, "learning_rate")}
    return build(parameters, **constants | given)
