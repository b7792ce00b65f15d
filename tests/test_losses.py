"""Losses follow Keras's formulas to 1e-6, and their gradients the identities that make a loss swap a null dose."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from akpsim.errors import UnknownName
from akpsim.families.training.losses import LOSSES

# Keras 3.15.1 and algebra; central differences in float32, noise about 1e-3.
KERAS = json.loads((Path(__file__).parent / "reference" / "loss_swap_gradients.json").read_text(encoding="utf-8"))
SAMPLES = json.loads((Path(__file__).parent / "reference" / "keras_3.15.1.json").read_text(encoding="utf-8"))["losses"]
EPS = 1e-7


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def keras_kl(y, p):
    y, p = np.clip(y, EPS, 1), np.clip(p, EPS, 1)
    return (y * np.log(y / p)).sum(axis=1)


def keras_poisson(y, p):
    return (p - y * np.log(p + EPS)).mean(axis=1)


def of_truth(p, labels):
    return p[np.arange(len(labels)), labels]


FORMULAS = {
    "cross_entropy": lambda p, y, k: -np.log(of_truth(p, k)),
    "kl_divergence": lambda p, y, k: keras_kl(y, p),
    "poisson": lambda p, y, k: keras_poisson(y, p),
    "mean_squared_error": lambda p, y, k: ((p - y) ** 2).mean(axis=1),
    "focal": lambda p, y, k: -((1 - of_truth(p, k)) ** 2) * np.log(of_truth(p, k)),
    "label_smoothing": lambda p, y, k: -((0.9 * y + 0.1 / y.shape[1]) * np.log(p)).sum(axis=1),
}
OF_LABELS = {"cross_entropy", "focal", "label_smoothing"}


def draw(seed, classes, samples=8, scale=2.0):
    rng = np.random.default_rng(seed)
    # no probability so small that the epsilons of Keras show
    return np.tanh(rng.normal(size=(samples, classes))) * scale, rng.integers(classes, size=samples)


def gradient(name, logits, labels, encoding="onehot"):
    z = torch.tensor(logits, requires_grad=True)
    LOSSES[name](z, torch.tensor(labels), encoding=encoding).mean().backward()
    return z.grad.numpy()


def cosine(x, y):
    return (x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)


def test_every_loss_has_a_reference():
    assert set(FORMULAS) == set(LOSSES)
    assert {name for name, loss in LOSSES.items() if loss.of_labels} == OF_LABELS


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("encoding", ["onehot", "broadcast"])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_a_loss_follows_its_formula(name, encoding, classes, dtype, tolerance):
    logits, labels = draw(1, classes)
    onehot = np.eye(classes)[labels]
    integer = np.broadcast_to(labels[:, None], onehot.shape).astype(float)
    targets = integer if encoding == "broadcast" and name not in OF_LABELS else onehot
    found = LOSSES[name](torch.tensor(logits, dtype=dtype), torch.tensor(labels), encoding=encoding)
    assert found.shape == (8,)
    np.testing.assert_allclose(
        found.numpy(), FORMULAS[name](softmax(logits), targets, labels), rtol=0, atol=5 * tolerance
    )


def test_numbers_by_hand_at_even_probabilities():
    # p = (1/2, 1/2), true class 0: log 2; (1/2 - log .5 + 1/2) / 2; ((1/2)^2 + (1/2)^2) / 2; (1/2)^2 log 2
    expected = {"cross_entropy": 0.693147, "poisson": 0.846574, "mean_squared_error": 0.25, "focal": 0.173287}
    for name, value in expected.items():
        assert LOSSES[name](torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)).item() == pytest.approx(
            value, abs=1e-6
        )


@pytest.mark.parametrize(("name", "encoding"), [(n, e) for n in LOSSES if n in SAMPLES for e in SAMPLES[n]])
def test_a_loss_agrees_with_keras_itself(name, encoding):
    logits, labels = torch.tensor(SAMPLES["logits"]), torch.tensor(SAMPLES["labels"])
    found = LOSSES[name](logits, labels, encoding=encoding)
    np.testing.assert_allclose(found.numpy(), SAMPLES[name][encoding], rtol=1e-6, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6))
def test_onehot_gradients_of_kl_and_poisson_are_those_of_cross_entropy_and_its_share(seed, classes):
    logits, labels = draw(seed, classes)
    reference = gradient("cross_entropy", logits, labels)
    np.testing.assert_allclose(gradient("kl_divergence", logits, labels), reference, rtol=0, atol=1e-6)
    np.testing.assert_allclose(gradient("poisson", logits, labels), reference / classes, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "ours"), [("KLDivergence", "kl_divergence"), ("Poisson", "poisson")])
def test_onehot_gradients_agree_with_keras(name, ours):
    logits, labels = draw(0, 2)
    reference, found = gradient("cross_entropy", logits, labels), gradient(ours, logits, labels)
    measured = KERAS["one_hot_labels"][name]
    assert cosine(found, reference) == pytest.approx(measured["cos_with_sparse_CE"], abs=1e-4)
    assert np.linalg.norm(found) / np.linalg.norm(reference) == pytest.approx(measured["norm_ratio"], abs=2e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_broadcast_labels_give_class_0_no_gradient_and_push_class_1_to_even_probabilities(seed):
    logits, _ = draw(seed, 2)
    p = softmax(logits)
    for name, share in (("kl_divergence", 1.0), ("poisson", 0.5)):
        of_class_0 = gradient(name, logits, np.zeros(8, dtype=int), "broadcast")
        of_class_1 = gradient(name, logits, np.ones(8, dtype=int), "broadcast")
        assert np.abs(of_class_0).max() < 1e-6
        # d/dz_j of -sum_k log p_k is C p_j - 1, which vanishes at p = 1/2
        np.testing.assert_allclose(of_class_1 * 8, share * (2 * p - 1), rtol=0, atol=2e-5)


def test_broadcast_labels_are_no_null_dose():
    logits, labels = draw(0, 2)
    reference = gradient("cross_entropy", logits, labels)
    for name in ("kl_divergence", "poisson"):
        assert cosine(gradient(name, logits, labels, "broadcast"), reference) < 0.9
    assert (
        max(KERAS["integer_labels_shape_N_1"][name]["cos_with_sparse_CE"] for name in ("KLDivergence", "Poisson")) < 0.5
    )


def test_losses_stay_finite_where_the_softmax_saturates():
    logits, labels = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True), torch.tensor([1, 1])
    for name, loss in LOSSES.items():
        for encoding in ("onehot", "broadcast"):
            value = loss(logits, labels, encoding=encoding).sum()
            assert torch.isfinite(value), name
            assert torch.isfinite(torch.autograd.grad(value, logits)[0]).all(), name


def test_unknown_names_are_said():
    with pytest.raises(UnknownName, match="unknown loss 'poison': did you mean 'poisson'"):
        LOSSES["poison"]
    with pytest.raises(UnknownName, match="unknown `encoding` 'integer': there are: onehot, broadcast"):
        LOSSES["poisson"](torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), encoding="integer")


def test_a_network_that_is_sure_of_a_wrong_answer_gets_no_gradient_from_clipped_losses():
    logits = torch.tensor([[20.0, 0.0]], requires_grad=True)  # p of the true class is 2e-9, below Keras's 1e-7
    size = {}
    for name in ("cross_entropy", "kl_divergence", "poisson"):
        (gradient,) = torch.autograd.grad(LOSSES[name](logits, torch.tensor([1])).mean(), logits)
        size[name] = float(gradient.abs().max())
    assert size["cross_entropy"] == pytest.approx(1, abs=1e-6)  # p - y
    assert size["kl_divergence"] < 1e-6
    assert size["poisson"] < 0.05  # half of p / (p + 1e-7)
