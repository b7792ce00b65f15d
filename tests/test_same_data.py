"""A run that goes on with missing members does so on the images, the split and the trunk of the others, or not."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from akpsim import AkpsimError, load_study, open_run
from akpsim.families import train_family
from akpsim.families.training import family
from akpsim.families.training.fingerprint import fingerprint, what_differs
from akpsim.families.training.prepared import prepare
from akpsim.store import open_member


def picture(path, seed, level=256):
    """Write one image."""
    pixels = np.random.default_rng(seed).integers(0, level, (12, 12, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def images(tmp_path, cache_folder):
    for place, (name, level) in enumerate({"dark": 120, "light": 256}.items()):
        for number in range(12):
            picture(tmp_path / "images" / name / f"{number:02}.png", 100 * place + number, level)
    return tmp_path / "images"


def study_of(images, **network):
    return load_study(
        {
            "members": 2,
            "data": {"name": "folder", "path": str(images)},
            "network": {"dense": [4]} | network,
            "training": {"epochs": 1, "batch_size": 8},
            "capture": {"populations": 0},
            "families": [{"name": "f"}],
        }
    )


def weights_of(images, path, *, seed):
    """Write random weights of the small network into a file."""
    study = load_study(study_of(images, backbone="small_cnn", weights="random").model_dump(mode="json"), seed=seed)
    tensors = prepare(study).trunk.module.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def with_one_missing(study, out):
    """Train a run and lose one of its two members."""
    run = train_family(study, out)
    run.file("f-1").unlink()
    return run


def refused(study, out):
    """Return why a run cannot go on; nothing is written then."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    with pytest.raises(AkpsimError) as caught:
        train_family(study, out)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    return str(caught.value)


@pytest.mark.parametrize("frozen", [True, False])
def test_another_file_of_weights_under_a_run_is_refused(frozen, images, tmp_path):
    weights, out = tmp_path / "w.safetensors", tmp_path / "run"
    weights_of(images, weights, seed=1)
    study = study_of(images, backbone="small_cnn", weights=str(weights), frozen=frozen)
    with_one_missing(study, out)
    weights_of(images, weights, seed=2)
    end = "one run cannot mix them: put them back, or start again with --fresh"
    said = f"{out}: the weights of the trunk differ from those that f-0 was trained on, and {end}"
    assert refused(study, out) == said
    weights_of(images, weights, seed=1)
    assert len(train_family(study, out).names) == 2


def test_images_that_came_went_changed_or_moved_are_refused(images, tmp_path):
    study, out = study_of(images), tmp_path / "run"
    with_one_missing(study, out)
    split, pixels = "the images, their labels or their split differ from", "the pixels of the images differ from"
    picture(images / "dark" / "99.png", 99, 120)
    assert split in refused(study, out)
    (images / "dark" / "99.png").unlink()
    before = (images / "dark" / "03.png").read_bytes()
    picture(images / "dark" / "03.png", 77, 120)
    assert pixels in refused(study, out)
    (images / "dark" / "03.png").write_bytes(before)
    shutil.move(images / "dark" / "03.png", images / "light" / "93.png")
    assert split in refused(study, out)
    fresh = train_family(study, out, fresh=True)
    assert len(fresh.names) == 2


def test_a_random_trunk_that_was_calibrated_on_other_images_is_a_matter_of_the_images(images, tmp_path):
    study, out = study_of(images, backbone="resnet18", weights="random", input_size=32), tmp_path / "run"
    with_one_missing(study, out)
    for number in range(12):
        picture(images / "dark" / f"{number:02}.png", 500 + number, 120)
    assert "the pixels of the images differ from those that f-0 was trained on" in refused(study, out)


def test_members_say_what_they_were_trained_on(images, tmp_path):
    study = study_of(images)
    run, expected = train_family(study, tmp_path / "run"), fingerprint(prepare(study))
    for name in run.names:
        with open_member(run.file(name)) as file:
            assert {key: file.getncattr(key) for key in ("trunk", "split", "images")} == expected
    assert len({*expected.values()}) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in expected.values())


def test_each_hash_differs_with_what_it_is_of_and_with_nothing_else(images):
    prepared = prepare(study_of(images))
    parts, first = prepared.parts, fingerprint(prepared)
    train = parts["train"]

    def different(**changed):
        other = fingerprint(replace(prepared, **changed))
        return {key for key in first if other[key] != first[key]}

    assert different(parts=parts | {"train": replace(train, labels=1 - train.labels)}) == {"split"}
    assert different(parts=parts | {"train": replace(train, ids=train.ids[::-1])}) == {"split"}
    assert different(classes=prepared.classes[::-1]) == {"split"}
    one_pixel = train.inputs.clone()
    one_pixel[-1, -1] += 2**-12
    assert different(parts=parts | {"train": replace(train, inputs=one_pixel)}) == {"images"}
    assert different(parts=parts | {"probe": parts["test"], "test": parts["probe"]}) == {"split", "images"}
    assert different() == set()


def test_a_run_that_is_complete_prepares_nothing(images, tmp_path, monkeypatch):
    study = study_of(images)
    train_family(study, tmp_path / "run")

    def unwanted(*arguments, **options):
        raise AssertionError("images were prepared for nothing")

    monkeypatch.setattr(family, "prepare", unwanted)
    said = []
    train_family(study, tmp_path / "run", note=said.append)
    assert said == [f"{tmp_path / 'run'}: all 2 members are complete"]
    assert len(open_run(tmp_path / "run").names) == 2


def test_another_version_of_torch_is_named_where_it_may_be_why():
    said = what_differs(["images"], {"torch_version": "1.0", "cpu": "abacus"}, weights="random")
    assert said.startswith("the pixels of the images (or the numbers computed from them: torch_version 1.0 there and ")
    assert ", cpu abacus there and " in said
