"""The paper's rows that "stayed at 63 %": a first layer of zeros is dead with ReLU, provably, and learns with tanh.

With zero weights and biases the first layer's responses are 0 for every image. ReLU has slope 0 there, so its weights
get no gradient, ever, and nothing above it sees the image; tanh has slope 1.
"""

import numpy as np
import pytest
import xarray as xr

from akpsim import load_study
from akpsim.families import train_family


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache_folder):
    tanh_first = {"name": "swap_activation", "at": [1, 3], "order": ["tanh"], "finally": "relu"}
    study = {
        "members": 1,
        "network": {"dense": [32, 16]},
        "training": {"epochs": 6, "initializer": "zeros", "initializer_layers": ["dense_1"], "learning_rate": 0.01},
        "families": [{"name": "relu"}, {"name": "tanh_first", "perturbations": [tanh_first]}],
    }
    return train_family(load_study(study), tmp_path_factory.mktemp("runs") / "zeros")


def first_layer(run, member):
    with xr.open_dataset(run.file(member), group="populations/dense_1") as table:
        return table.load()


def test_zeros_with_relu_stay_zero_and_the_classifier_constant(run):
    assert not first_layer(run, "relu-0").weight_norm.any()
    with xr.open_dataset(run.file("relu-0"), group="test") as test:
        assert len(np.unique(test.probability.values.argmax(1))) == 1


def test_zeros_with_tanh_first_learn_and_go_on_with_relu(run):
    weights = first_layer(run, "tanh_first-0").weight_norm
    assert not weights[0].any()
    assert weights[-1].all()
    assert float(run.members.accuracy.sel(member="tanh_first-0")) > 0.6
