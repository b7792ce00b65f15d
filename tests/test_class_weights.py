"""Weights of classes: by hand, by Keras' rule, and through a whole run."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from akpsim.errors import AkpsimError
from akpsim.families import DATASETS, Dataset, images_from_arrays, train_family
from akpsim.families.training.class_weights import weights_of_classes
from akpsim.families.training.loop import Training
from akpsim.families.training.prepared import Part
from akpsim.study import load_study

LABELS = torch.tensor([0, 0, 0, 1])


def test_balanced_weights_by_hand():
    weights = weights_of_classes("balanced", ("a", "b"), LABELS)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])  # n / (k n_c)
    assert weights_of_classes("none", ("a", "b"), LABELS) is None


def test_weights_by_name():
    assert weights_of_classes({"b": 2.5}, ("a", "b"), LABELS).tolist() == [1, 2.5]
    with pytest.raises(AkpsimError, match=r"unknown class in `training.class_weights` 'tumor': did you mean 'tumour'"):
        weights_of_classes({"tumor": 2}, ("healthy", "tumour"), LABELS)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0])])
def test_one_step_follows_the_weighted_mean_over_samples(weights):
    torch.manual_seed(0)
    network, inputs = torch.nn.Linear(3, 2), torch.randn(4, 3)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    training = Training(
        network,
        Part(inputs, LABELS, np.arange(4)),
        loss="cross_entropy",
        new_optimizer=lambda: torch.optim.SGD(network.parameters(), lr=1.0),
        batch_size=4,
        perturbations=[],
        batches=torch.Generator().manual_seed(0),
        class_weights=weights,
    )
    training.run_epoch(1)
    by_hand = torch.nn.Linear(3, 2)
    by_hand.load_state_dict(start)
    losses = cross_entropy(by_hand(inputs), LABELS, reduction="none")
    factors = torch.tensor([0.5, 0.5, 0.5, 2.0]) if weights is not None else torch.ones(4)
    ((losses * factors).sum() / 4).backward()  # Keras divides by samples, torch's own `weight` by their weights
    with torch.no_grad():
        expected = by_hand.weight - by_hand.weight.grad
    torch.testing.assert_close(network.weight, expected)


def test_a_rare_class_is_found_with_balanced_weights_and_missed_without(tmp_path, cache_folder):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [180, 20])
    pixels = np.clip(rng.normal(0.4, 0.2, (200, 8, 8)) + 0.05 * labels[:, None, None], 0, 1)
    rare = images_from_arrays(pixels, labels)
    DATASETS.add(Dataset("rare", lambda data: rare, "one class in ten"))
    recalls = {}
    try:
        for wanted in ("none", "balanced"):
            study = {
                "data": {"name": "rare"},
                "members": 1,
                "network": {"dense": [8]},
                "training": {"epochs": 8, "class_weights": wanted},
            }
            run = train_family(load_study(study), tmp_path / wanted)
            logits = run.representations("logits").values[0]
            recalls[wanted] = (logits[:, 1] > logits[:, 0]).mean()
    finally:
        del DATASETS["rare"]
    assert recalls["none"] < 0.05  # calls next to nothing rare
    assert recalls["balanced"] > 0.1
