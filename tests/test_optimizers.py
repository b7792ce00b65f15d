"""Optimizers do the arithmetic of the library they are named for, to 1e-6, over changing gradients."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from akpsim.errors import AkpsimError, UnknownName
from akpsim.families.training.optimizers import FLAVOURS, OPTIMIZERS, build_optimizer

# Weights after twenty steps of Keras 3.15.1 from START with GRADIENTS.
KERAS = json.loads((Path(__file__).parent / "reference" / "keras_3.15.1.json").read_text(encoding="utf-8"))[
    "optimizers"
]
STEPS = 20
START = np.array([[0.5, -1.0, 2.0], [1e-3, 0.0, -3.0]])
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, *START.shape)) * np.geomspace(1e-5, 10, 3)


def rmsprop(rate, rho, eps, *, inside):
    """Keras: the running mean square starts at zero; eps inside the root since TensorFlow 2.11, outside before."""
    w, v = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        v = rho * v + (1 - rho) * g**2
        w = w - rate * g / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)
    return w


def sgd(rate, momentum=0.0):
    w, m = START.copy(), np.zeros_like(START)
    for g in GRADIENTS:
        m = momentum * m - rate * g
        w = w + m
    return w


def adam(decay, *, hat):
    """Kingma and Ba 2015, algorithm 1 (eps on the corrected moment) or its faster form at the end of section 2."""
    w, m, v = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for t, g in enumerate(GRADIENTS, start=1):
        w = w * (1 - 1e-3 * decay)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        if hat:
            w = w - 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        else:
            w = w - 1e-3 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def adagrad(rate, start, eps, *, inside):
    w, s = START.copy(), np.full_like(START, start)
    for g in GRADIENTS:
        s = s + g**2
        w = w - rate * g / (np.sqrt(s + eps) if inside else np.sqrt(s) + eps)
    return w


# Constants: keras.optimizers and torch.optim, as documented.
EXPECTED = {
    ("sgd", "keras"): sgd(1e-2),
    ("sgd", "keras-legacy"): sgd(1e-2),
    ("sgd", "torch"): sgd(1e-3),
    ("momentum", "keras"): sgd(1e-2, 0.9),
    ("momentum", "keras-legacy"): sgd(1e-2, 0.9),
    ("momentum", "torch"): sgd(1e-3, 0.9),
    ("rmsprop", "keras"): rmsprop(1e-3, 0.9, 1e-7, inside=True),
    ("rmsprop", "keras-legacy"): rmsprop(1e-3, 0.9, 1e-7, inside=False),
    ("rmsprop", "torch"): rmsprop(1e-2, 0.99, 1e-8, inside=False),
    ("adam", "keras"): adam(0.0, hat=True),
    ("adam", "keras-legacy"): adam(0.0, hat=True),
    ("adam", "torch"): adam(0.0, hat=False),
    ("adamw", "keras"): adam(0.004, hat=True),
    ("adamw", "keras-legacy"): adam(0.004, hat=True),
    ("adamw", "torch"): adam(0.01, hat=False),
    ("adagrad", "keras"): adagrad(1e-3, 0.1, 1e-7, inside=True),
    ("adagrad", "keras-legacy"): adagrad(1e-3, 0.1, 1e-7, inside=False),
    ("adagrad", "torch"): adagrad(1e-2, 0.0, 1e-10, inside=False),
}


def train(optimizer, weight, gradients):
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=weight.dtype)
        optimizer.step()


def test_every_optimizer_and_flavour_has_a_reference():
    assert set(EXPECTED) == {(name, flavour) for name in OPTIMIZERS for flavour in FLAVOURS}


@pytest.mark.parametrize(("name", "flavour"), EXPECTED)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_twenty_steps_follow_the_formula(name, flavour, dtype, tolerance):
    weight = torch.nn.Parameter(torch.tensor(START, dtype=dtype))
    train(build_optimizer(name, [weight], flavour=flavour), weight, GRADIENTS)
    np.testing.assert_allclose(weight.detach().numpy(), EXPECTED[name, flavour], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("flavour", "step"),
    [
        ("keras", 3.1466e-4),  # .001 * 1e-4 / sqrt(1e-9 + 1e-7), by hand
        ("keras-legacy", 3.1523e-3),  # .001 * 1e-4 / (sqrt(1e-9) + 1e-7): ten times as far
        ("torch", 9.9900e-2),  # .01 * 1e-4 / (sqrt(1e-10) + 1e-8)
    ],
)
def test_a_small_first_gradient_tells_the_flavours_of_rmsprop_apart(flavour, step):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    train(build_optimizer("rmsprop", [weight], flavour=flavour), weight, [[1e-4]])
    assert -weight.item() == pytest.approx(step, rel=1e-4)


def test_default_learning_rates_are_those_of_the_library():
    rates = {name: (o.learning_rate("keras"), o.learning_rate("torch")) for name, o in OPTIMIZERS.items()}
    assert rates == {
        "sgd": (0.01, 0.001),
        "momentum": (0.01, 0.001),
        "rmsprop": (0.001, 0.01),
        "adam": (0.001, 0.001),
        "adamw": (0.001, 0.001),
        "adagrad": (0.001, 0.01),
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_kept_in_tensors_goes_on_bit_for_bit(name):
    whole, half = (torch.nn.Parameter(torch.tensor(START, dtype=torch.float32)) for _ in range(2))
    train(build_optimizer(name, [whole]), whole, GRADIENTS)
    first = build_optimizer(name, [half])
    train(first, half, GRADIENTS[:7])
    state = first.state_dict()
    flat = {
        f"{i}.{key}": value for i, slots in state["state"].items() for key, value in slots.items() if value is not None
    }
    restored = load(io.BytesIO(save(flat)).getvalue())
    state["state"] = {}
    for key, value in restored.items():
        index, name_of_slot = key.split(".")
        state["state"].setdefault(int(index), {})[name_of_slot] = value
    second = build_optimizer(name, [half])
    second.load_state_dict(state)
    train(second, half, GRADIENTS[7:])
    assert torch.equal(whole, half)


def test_parameters_without_a_gradient_stay():
    moved, still = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    train(build_optimizer("adam", [moved, still]), moved, [[1.0, 1.0]])
    assert torch.equal(still, torch.ones(2))
    assert not torch.equal(moved, still)


def test_unknown_names_suggest_the_nearest_and_a_bad_rate_is_said():
    with pytest.raises(UnknownName, match="unknown optimizer 'rmsprob': did you mean 'rmsprop'"):
        build_optimizer("rmsprob", [])
    with pytest.raises(UnknownName, match="unknown `flavour` 'tensorflow': there are: keras, keras-legacy, torch"):
        build_optimizer("sgd", [], flavour="tensorflow")
    with pytest.raises(AkpsimError, match="`learning_rate` must be positive and finite, got -1"):
        build_optimizer("sgd", [torch.nn.Parameter(torch.ones(1))], learning_rate=-1)


@pytest.mark.parametrize("name", KERAS)
def test_twenty_steps_agree_with_keras_itself(name):
    weight = torch.nn.Parameter(torch.tensor(START, dtype=torch.float32))
    train(build_optimizer(name, [weight]), weight, GRADIENTS)
    np.testing.assert_allclose(weight.detach().numpy(), KERAS[name]["weights"], rtol=1e-6, atol=1e-6)
    assert OPTIMIZERS[name].learning_rate("keras") == pytest.approx(KERAS[name]["learning_rate"])
