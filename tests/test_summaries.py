"""Summaries of neurons over training, and what is captured around swaps, against what the stored arrays say."""

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.numpy import load_file

from akpsim import load_study
from akpsim.families import PERTURBATIONS, Perturbation, train_family
from akpsim.families.networks.head import Dense
from akpsim.families.training.prepared import prepare
from akpsim.families.training.summaries import SAMPLES, Summaries


@pytest.fixture(scope="module")
def study():
    return load_study(
        {
            "members": 1,
            "network": {"dense": [12, 6], "activation": "tanh"},  # has negative answers
            "training": {"epochs": 3, "batch_size": 300},  # 3 updates an epoch, 9 in all
            "capture": {"populations": 3, "weights": True, "epochs": [0, 1, -1]},
            "families": [{"name": "f"}],
        }
    )


@pytest.fixture(scope="module")
def run(study, tmp_path_factory, cache_folder):
    return train_family(study, tmp_path_factory.mktemp("runs") / "run")


def one_by_one(labels, count):
    """Take the first of each class, then the second of each, and so on; in the order in which they stand."""
    waiting = {label: np.flatnonzero(labels == label).tolist() for label in np.unique(labels)}
    found = []
    while len(found) < count:
        found += sorted(places.pop(0) for places in waiting.values() if places)[: count - len(found)]
    return found


def test_summaries_are_taken_every_k_updates_and_say_what_the_layer_answers(study, run):
    labels = prepare(study).parts["probe"].labels.numpy()
    chosen = one_by_one(labels, SAMPLES)
    for layer in ("dense_1", "dense_2"):
        with xr.open_dataset(run.file("f-0"), group=f"populations/{layer}") as table:
            table.load()
        assert table.time.values.tolist() == [0, 3, 6, 9]
        assert table.epoch.values.tolist() == [0, 1, 2, 3]
        for place, epoch in {0: 0, 1: 1, -1: 3}.items():
            answers = run.representations(layer, epoch=epoch).values[0][chosen]
            at = table.isel(time=place)
            np.testing.assert_allclose(at.mean_abs, np.abs(answers).mean(0), rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(at.active, (answers > 0).mean(0), atol=1e-6)
            means = [answers[labels[chosen] == label].mean(0) for label in range(10)]
            np.testing.assert_allclose(at.class_mean, means, rtol=1e-4, atol=1e-6)
            weights = load_file(run.path / "weights" / "f-0" / f"{epoch}.safetensors")[f"{layer}.linear.weight"]
            np.testing.assert_allclose(at.weight_norm, np.sqrt((weights**2).sum(1)), rtol=1e-5)


def test_a_rare_class_is_looked_at_whole():
    labels = torch.tensor([1] * 100 + [0] * 10)
    hidden = Dense(2, 3, activation="relu")
    found = Summaries(hidden, {"a": lambda: hidden}, inputs=torch.zeros(110, 2), labels=labels, classes=2, every=1)
    assert torch.bincount(found.labels).tolist() == [10, 54]


def test_hooks_follow_a_layer_that_a_perturbation_replaces(tmp_path, monkeypatch):
    def replace(network, moment):
        old = network.dense_2
        network.dense_2 = Dense(12, 6, activation="identity")
        network.dense_2.linear.load_state_dict({"weight": -old.linear.weight, "bias": -old.linear.bias - 1})

    monkeypatch.setitem(PERTURBATIONS, "replace", Perturbation("replace", "weights", replace, ""))
    design = {
        "members": 1,
        "network": {"dense": [12, 6]},
        "training": {"epochs": 1, "batch_size": 512},
        "capture": {"around_swaps": True, "populations": 0},
        "families": [{"name": "f", "perturbations": [{"name": "replace", "at": [1], "optimizer_state": "reset"}]}],
    }
    run = train_family(load_study(design), tmp_path / "run")
    before, after = (run.representations("dense_2", epoch=epoch).values[0] for epoch in (0, 0.5))
    passed = before > 0  # of the old layer's ReLU
    np.testing.assert_allclose(after[passed], -before[passed] - 1, atol=1e-5)
    assert (after[~passed] >= -1 - 1e-6).all()
    assert float(run.audit.cka[0, 0]) < 0.999
