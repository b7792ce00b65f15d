"""Trunks that train: perturbations reach the head on them, their layers move and are captured by name or pattern."""

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from akpsim import AkpsimError, load_study
from akpsim.families import train_family
from akpsim.families.training.prepared import prepare


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twelve small colour images of each of two classes, one darker than the other."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, level in {"dark": 120, "light": 256}.items():
        (folder / name).mkdir()
        for number in range(12):
            pixels = rng.integers(0, level, (20, 20, 3), dtype=np.uint16).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def study_of(images, backbone, *, perturbations=(), layers=("conv*", "dense_1"), **network):
    return load_study(
        {
            "members": 1,
            "data": {"name": "folder", "path": str(images)},
            "network": {"backbone": backbone, "weights": "random", "dense": [8]} | network,
            "training": {"epochs": 2, "batch_size": 6},
            "capture": {"layers": list(layers), "populations": 5, "around_swaps": True},
            "families": [{"name": "f", "perturbations": list(perturbations)}],
        }
    )


@pytest.fixture(autouse=True)
def _cache(cache_folder):
    pass


SWAPS = (
    {"name": "initializer", "kernel": "he_uniform"},
    {"name": "swap_activation", "at": [2], "order": ["tanh"]},
    {"name": "dropout", "strength": 0.2},
    {"name": "blur", "strength": 0.5},
)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_trunk_moves_if_it_trains_and_stays_if_it_is_frozen(frozen, images, tmp_path):
    swaps = SWAPS[: 3 if frozen else 4]
    run = train_family(study_of(images, "small_cnn", perturbations=swaps, frozen=frozen), tmp_path / "run")
    assert run.layers == ["conv1", "conv2", "conv3", "dense_1"]
    first = run.representations("conv2", epoch=0).values
    last = run.representations("conv2", epoch=-1).values
    assert np.array_equal(first, last) == frozen
    before, after = (run.representations("dense_1", epoch=epoch).values[0] for epoch in (1, 1.5))
    assert (before >= 0).all()
    # the activation was ReLU before the swap at epoch 2: where it let something pass, tanh of it comes after
    passed = before > 0
    np.testing.assert_allclose(after[passed], np.tanh(before[passed]), atol=1e-6)


def test_convolutions_are_captured_before_the_activation_and_averaged_over_space(images, tmp_path):
    study = study_of(images, "small_cnn", layers=["conv1", "relu?", "dense_*"], frozen=False)
    run = train_family(study, tmp_path / "run")
    assert run.layers == ["conv1", "relu1", "relu2", "relu3", "dense_1"]
    prepared = prepare(study)
    with torch.no_grad():
        maps = prepared.trunk.module.conv1(prepared.parts["probe"].inputs)
    for layer, expected in {"conv1": maps, "relu1": maps.relu()}.items():
        found = run.representations(layer, epoch=0).values[0]
        np.testing.assert_allclose(found, expected.mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_a_network_of_torchvision_is_tuned_and_its_repeated_modules_are_told_apart(images, tmp_path):
    layers = ("layer4.1.relu*", "dense_1")
    study = study_of(images, "resnet18", layers=layers, frozen=False, input_size=32)
    run = train_family(study, tmp_path / "run")
    assert run.layers == ["layer4.1.relu", "layer4.1.relu#2", "dense_1"]
    assert run.representations("layer4.1.relu#2").shape[2] == 512
    with xr.open_dataset(run.file("f-0"), group="history") as history:
        assert np.isfinite(history.train_loss).all()


def test_a_last_batch_that_batch_norm_cannot_take_is_said_before_training(images, tmp_path):
    study = study_of(images, "resnet18", layers=["dense_1"], frozen=False, input_size=32)
    wrong = load_study(study.model_dump(mode="json"), training__batch_size=11)  # 12 training images
    with pytest.raises(AkpsimError, match="family f cannot be trained: Expected more than 1 value per channel"):
        train_family(wrong, tmp_path / "run")


def test_dropout_of_a_trunk_leaves_the_global_generator_alone(images, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    study = study_of(images, "mobilenet_v3_small", layers=["dense_1"], frozen=False, input_size=32)
    train_family(study, tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)
