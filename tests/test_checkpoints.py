"""A member that goes on from a checkpoint ends with the same bits as one that was never interrupted."""

import functools
import itertools

import netCDF4
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from akpsim import load_study
from akpsim.families import PERTURBATIONS, train_family
from akpsim.families.training.checkpoints import Checkpoints
from akpsim.families.training.member import train_member
from akpsim.families.training.prepared import prepare

EPOCHS = 4
OPTIONS = {"swap_activation": {"order": "random"}, "swap_loss": {"order": "random"}, "label_noise": {"redraw": True}}


def study_of(perturbations=(), *, every=1, **changes):
    content = {
        "members": 1,
        "network": {"dense": [12, 8]},
        "training": {"epochs": EPOCHS, "batch_size": 256, "learning_rate": 0.01, "checkpoint_every": every},
        "capture": {"epochs": [0, 1, 3, -1], "populations": 12},
        "families": [{"name": "f", "perturbations": list(perturbations)}],
    }
    return load_study(content, **changes)


def content(path):
    """Return every variable and attribute of a netCDF file."""

    def walk(group):
        for name, variable in group.variables.items():
            yield f"{group.path}/{name}", np.ma.getdata(variable[:])
        for inner in group.groups.values():
            yield from walk(inner)

    with netCDF4.Dataset(path) as file:
        return dict(walk(file)) | {name: np.asarray(file.getncattr(name)) for name in file.ncattrs()}


def assert_same(path, other):
    left, right = content(path), content(other)
    assert left.keys() == right.keys()
    for name, values in left.items():
        equal_nan = values.dtype.kind == "f"
        assert np.array_equal(values, right[name], equal_nan=equal_nan), name


@functools.cache
def prepared(network, layers):
    return prepare(load_study({"network": network.model_dump(mode="json"), "capture": {"layers": list(layers)}}))


def train(study, out, *, stop=None):
    """Train the study's only member; stop as if killed after an epoch.  Return the epochs that were done."""
    (member,) = study.design()
    epochs = train_member(study, member, prepared(study.network, study.capture.layers), out)
    try:
        return list(itertools.takewhile(lambda epoch: epoch != stop, epochs))
    finally:
        epochs.close()


@pytest.fixture(autouse=True)
def _cache(cache_folder):
    pass


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_perturbation_resumes_bit_for_bit(name, tmp_path):
    perturbation = {"name": name, "strength": 0.5, "probability": 0.8, **OPTIONS.get(name, {})}
    if PERTURBATIONS[name].site == "initializer":
        perturbation = {"name": name, **OPTIONS.get(name, {})}
    images = {"backbone": "small_cnn", "weights": "random", "frozen": False}
    network = images if name == "blur" else {}
    study = study_of([perturbation], **{f"network__{key}": value for key, value in network.items()})
    whole = train(study, tmp_path / "whole")
    before = train(study, tmp_path / "run", stop=3)
    after = train(study, tmp_path / "run")
    assert (whole, before, after) == ([1, 2, 3, 4], [1, 2], [3, 4])
    assert_same(tmp_path / "whole" / "members" / "f-0.nc", tmp_path / "run" / "members" / "f-0.nc")
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_dropout_that_has_ended_does_not_come_back_with_a_restart(tmp_path):
    study = study_of([{"name": "dropout", "strength": 0.5, "at": [1, 2]}])
    train(study, tmp_path / "whole")
    train(study, tmp_path / "run", stop=3)
    train(study, tmp_path / "run")
    assert_same(tmp_path / "whole" / "members" / "f-0.nc", tmp_path / "run" / "members" / "f-0.nc")


@pytest.mark.parametrize(
    ("optimizer", "flavour"), [("momentum", "keras"), ("adam", "keras"), ("adamw", "torch"), ("adagrad", "torch")]
)
def test_an_optimizer_resumes_bit_for_bit(optimizer, flavour, tmp_path):
    swap = {"name": "swap_activation", "at": [2, 4], "optimizer_state": "reset"}
    study = study_of(
        [swap], every=2, capture__around_swaps=True, training__optimizer=optimizer, training__flavour=flavour
    )
    train(study, tmp_path / "whole")
    train(study, tmp_path / "run", stop=3)
    assert train(study, tmp_path / "run")[0] == 2
    assert_same(tmp_path / "whole" / "members" / "f-0.nc", tmp_path / "run" / "members" / "f-0.nc")


def test_a_trunk_that_trains_with_dropout_resumes_bit_for_bit_whatever_the_global_generator_is(tmp_path):
    network = {"backbone": "mobilenet_v3_small", "weights": "random", "frozen": False, "input_size": 32, "dense": [8]}
    changes = {f"network__{key}": value for key, value in network.items()}
    study = study_of(**changes, training__epochs=2, training__batch_size=512, capture__epochs=[0, 1, -1])
    torch.manual_seed(1)
    train(study, tmp_path / "whole")
    torch.manual_seed(2)
    train(study, tmp_path / "run", stop=1)
    torch.manual_seed(3)
    assert train(study, tmp_path / "run") == [1, 2]
    assert_same(tmp_path / "whole" / "members" / "f-0.nc", tmp_path / "run" / "members" / "f-0.nc")


def test_layers_of_a_frozen_trunk_are_there_after_a_restart(tmp_path):
    network = {"network__backbone": "small_cnn", "network__weights": "random"}
    study = study_of(**network, training__epochs=2, capture__epochs=[1, -1], capture__layers=["conv*", "dense_1"])
    train(study, tmp_path / "whole")
    train(study, tmp_path / "run", stop=2)
    assert train(study, tmp_path / "run") == [1, 2]
    assert_same(tmp_path / "whole" / "members" / "f-0.nc", tmp_path / "run" / "members" / "f-0.nc")
    with netCDF4.Dataset(tmp_path / "run" / "members" / "f-0.nc") as file:
        assert list(file["activations"].groups) == ["conv1", "conv2", "conv3", "dense_1"]


def test_a_damaged_or_foreign_checkpoint_is_not_used(tmp_path):
    study = study_of()
    train(study, tmp_path / "run", stop=3)
    (path,) = (tmp_path / "run").rglob("checkpoint-*.safetensors")
    whole = path.read_bytes()
    flipped = [bytearray(whole) for _ in range(4)]
    for content, place in zip(flipped, (5, 100, len(whole) // 2, -1), strict=True):
        content[place] ^= 1
    for damaged in (whole[: len(whole) // 2], b"", bytes(1000), whole[:200], *map(bytes, flipped)):
        for checkpoint in path.parent.glob("checkpoint-*"):
            checkpoint.unlink()
        path.write_bytes(damaged)
        assert train(study, tmp_path / "run", stop=2) == [1]
    assert train(study_of(training__batch_size=300), tmp_path / "run", stop=2) == [1]
    assert train(study, tmp_path / "run")[0] == 1


def test_how_often_is_no_part_of_the_study(tmp_path):
    assert study_of(every=1).hash == study_of(every=0).hash == study_of(every=None).hash
    train(study_of(every=1), tmp_path / "run", stop=3)
    assert train(study_of(every=0), tmp_path / "run") == [3, 4]


def test_short_members_leave_no_checkpoint_unless_asked(tmp_path):
    train(study_of(every=None), tmp_path / "auto", stop=4)
    train(study_of(every=0), tmp_path / "none", stop=4)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_by_default_there_is_one_a_minute(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, identity={})
    now = checkpoints.last
    monkeypatch.setattr("akpsim.families.training.checkpoints.time.monotonic", lambda: now + 59)
    assert not checkpoints.due(1)
    monkeypatch.setattr("akpsim.families.training.checkpoints.time.monotonic", lambda: now + 61)
    assert checkpoints.due(1)


def test_a_resumed_run_equals_another_and_keeps_the_weights_that_were_asked_for(tmp_path):
    study = study_of(capture__weights=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.toml").write_text(study.to_toml())
    train(study, tmp_path / "run", stop=3)
    run = train_family(study, tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run" / "weights" / "f-0").iterdir())
    assert kept == ["0.safetensors", "1.safetensors", "3.safetensors", "4.safetensors"]
    weights = load_file(tmp_path / "run" / "weights" / "f-0" / "4.safetensors")
    last = run.representations("dense_2").values[0]
    first = run.representations("dense_1").values[0]
    by_hand = np.maximum(first @ weights["dense_2.linear.weight"].numpy().T + weights["dense_2.linear.bias"].numpy(), 0)
    assert np.allclose(last, by_hand, atol=1e-5)
