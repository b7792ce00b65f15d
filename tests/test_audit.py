"""The audit of an event says what it did, by numbers computed again from the member before and after it."""

import numpy as np
import pytest
import torch

from akpsim import load_study
from akpsim.families.training.audit import BATCH, cosine_or_nan
from akpsim.families.training.losses import LOSSES
from akpsim.families.training.prepared import prepare
from akpsim.families.training.work import Work

SWAPS = {
    "swap_loss": {"order": ["poisson"]},
    "swap_activation": {"order": ["tanh"]},
    "weight_noise": {},
}


def member(name, *, batch_size=100, **options):
    """Return a small member after its first epoch, whose event is at the second."""
    study = load_study(
        {
            "network": {"dense": [16, 8]},
            "training": {"epochs": 2, "batch_size": batch_size, "learning_rate": 0.01},
            "capture": {"populations": 0},
            "families": [{"name": "f", "perturbations": [{"name": name, "at": [2], **options}]}],
        }
    )
    work = Work(study, next(study.design()), prepare(study))
    work.training.run_epoch(1)
    return work


def whole_batch(work, loss):
    """Return loss, accuracy and gradient on the fixed batch, in one go."""
    training = work.training
    logits = work.network.eval()(training.data.inputs[:BATCH])
    labels = training.data.labels[:BATCH]
    value = LOSSES[loss](logits, labels).mean()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(value, list(work.network.parameters()))])
    return value.item(), float((logits.argmax(1) == labels).float().mean()), gradient.double()


@pytest.mark.parametrize("name", SWAPS)
def test_an_event_is_recorded_with_loss_accuracy_and_gradient_before_and_after(name, cache_folder):
    work = member(name, **SWAPS[name])
    loss, accuracy, gradient = whole_batch(work, "cross_entropy")
    work.events(2)
    after = whole_batch(work, "poisson" if name == "swap_loss" else "cross_entropy")
    (row,) = work.audit.rows
    assert row["loss_before"] == pytest.approx(loss, rel=1e-6)
    assert row["accuracy_before"] == pytest.approx(accuracy, abs=1e-9)
    assert row["loss_after"] == pytest.approx(after[0], rel=1e-6)
    assert row["accuracy_after"] == pytest.approx(after[1], abs=1e-9)
    assert row["loss_after"] != pytest.approx(loss, rel=1e-3)
    if name != "swap_loss":
        assert row["accuracy_after"] != pytest.approx(accuracy, abs=1e-3)
    cosine = torch.nn.functional.cosine_similarity(gradient, after[2], dim=0)
    assert row["gradient_cosine"] == pytest.approx(float(cosine), abs=1e-6)
    assert row["gradient_norm_ratio"] == pytest.approx(float(after[2].norm() / gradient.norm()), rel=1e-5)


@pytest.mark.parametrize("size", [1, 100, 256, 1000])
def test_batches_of_any_size_give_the_loss_and_gradient_of_the_whole(size, cache_folder):
    work = member("swap_loss", batch_size=100)
    work.training.batch_size = size
    seen = []
    work.network.register_forward_pre_hook(
        lambda module, inputs: seen.append((torch.is_inference_mode_enabled(), len(inputs[0])))
    )
    loss, accuracy, gradient, _ = work.audit.measure()
    assert max(images for inference, images in seen if not inference) == min(size, BATCH)
    expected = whole_batch(work, "cross_entropy")
    assert loss == pytest.approx(expected[0], rel=1e-6)
    assert accuracy == pytest.approx(expected[1], abs=1e-9)
    np.testing.assert_allclose(gradient, expected[2], rtol=1e-3, atol=1e-7)


def test_gradients_that_cannot_be_compared_have_no_cosine():
    some = torch.ones(3, dtype=torch.float64)
    assert cosine_or_nan(some, 2 * some) == pytest.approx(1)
    assert np.isnan(cosine_or_nan(some, some[:2]))
    assert np.isnan(cosine_or_nan(some, 0 * some))


def test_an_event_before_training_names_the_layers_it_drew_anew(cache_folder):
    perturbation = {"name": "initializer", "kernel": "zeros", "layers": ["dense_2"]}
    study = load_study(
        {"network": {"dense": [16, 8]}, "families": [{"name": "f", "perturbations": [perturbation]}, {"name": "g"}]}
    )
    work = Work(study, next(study.design()), prepare(study))
    work.events(0)
    assert [row["layers"] for row in work.audit.rows] == ["dense_2"]
