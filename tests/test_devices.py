"""Where torch works: the CPU, a GPU if there is one, and nothing on the wrong one of the two."""

import numpy as np
import pytest
import torch

from akpsim import load_study, open_run
from akpsim.errors import AkpsimError, InvalidStudy, StoreError
from akpsim.families import PERTURBATIONS, train_family
from akpsim.families.devices import device_for, full_precision, reproducible, settings
from akpsim.families.networks.head import Head
from akpsim.families.perturbations.perturbation import STEP_SITES, Active
from akpsim.families.training import loop, stack
from akpsim.families.training.loop import Training
from akpsim.families.training.optimizers import OPTIMIZERS, build_optimizer
from akpsim.families.training.prepared import Part
from akpsim.families.training.summaries import Summaries
from akpsim.families.training.work import Work
from akpsim.study import PerturbationSpec

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
FEATURES, CLASSES = 64, 10


@pytest.fixture(autouse=True)
def _cache(cache_folder):
    pass


@pytest.mark.parametrize(
    ("name", "backbone", "before", "gpu", "expected"),
    [
        ("cpu", "inception_v3", None, True, "cpu"),
        ("cuda", "none", None, True, "cuda"),
        ("auto", "inception_v3", None, True, "cuda"),
        ("auto", "inception_v3", None, False, "cpu"),
        ("auto", "none", None, True, "cpu"),
        ("auto", "none", "cuda", True, "cuda"),
        ("auto", "inception_v3", "cpu", True, "cpu"),
    ],
)
def test_auto_is_the_gpu_for_a_trunk_and_where_the_run_began(name, backbone, before, gpu, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert device_for(name, backbone=backbone, before=before) == expected


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidStudy, match=r"`device` is cuda, but torch .* sees no GPU on this machine: write cpu or"):
        train_family(load_study("digits"), tmp_path / "run", device="cuda")
    with pytest.raises(AkpsimError, match=r"unknown `device` 'gpu'.* There are: auto, cpu, cuda"):
        train_family(load_study("digits"), tmp_path / "run", device="gpu")
    assert not (tmp_path / "run").exists()


def test_a_run_holds_to_one_device(tiny_study, tmp_path, monkeypatch):
    attributes = Work.attributes
    monkeypatch.setattr(Work, "attributes", lambda self: attributes(self) | {"device": "cuda"})
    run = train_family(tiny_study, tmp_path / "run")
    assert run.manifest["members"]
    monkeypatch.undo()
    next((tmp_path / "run" / "members").iterdir()).unlink()
    with pytest.raises(StoreError, match=r"was trained on cuda, and one run .* with cpu: go on with --device cuda, or"):
        train_family(tiny_study, tmp_path / "run")


def precision():
    return [(name, getattr(owner, name)) for owner, name, _ in settings()]


def test_float32_is_float32_and_everything_is_as_before_afterwards():
    before = precision()
    first, second = full_precision(), full_precision()
    first.__enter__()
    second.__enter__()
    assert precision() == [(name, value) for _, name, value in settings()]
    first.__exit__(None, None, None)  # as of two threads, the first may leave first
    assert precision() == [(name, value) for _, name, value in settings()]
    second.__exit__(None, None, None)
    assert precision() == before


def test_training_on_a_cpu_leaves_the_settings_of_a_gpu_alone(monkeypatch):
    monkeypatch.setattr("akpsim.families.devices.settings", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    with reproducible():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def training_on(device, *, optimizer="rmsprop", perturbation=None, seed=0):
    head = Head(
        FEATURES,
        CLASSES,
        dense=[32, 16],
        activation="relu",
        initializer="glorot_uniform",
        generator=torch.Generator().manual_seed(seed),
    ).to(device)
    images = torch.randn(100, FEATURES, generator=torch.Generator().manual_seed(1))
    part = Part(images, torch.arange(100) % CLASSES, np.arange(100))
    active = []
    if perturbation is not None:
        entry = PERTURBATIONS[perturbation]
        scheduled = {} if entry.site == "initializer" else {"strength": 0.5}
        spec = PerturbationSpec.model_validate({"name": perturbation, **scheduled})
        generator = torch.Generator().manual_seed(seed)
        active = [Active(entry, spec, epochs=3, classes=CLASSES, generator=generator)]
    training = Training(
        head,
        part,
        loss="cross_entropy",
        new_optimizer=lambda: build_optimizer(optimizer, head.parameters()),
        batch_size=32,
        perturbations=active,
        batches=torch.Generator().manual_seed(seed),
        class_weights=torch.ones(CLASSES),
    )
    hidden = {name: lambda name=name: head.get_submodule(name) for name in head.hidden}
    summaries = Summaries(head, hidden, inputs=images, labels=part.labels, classes=CLASSES, every=1)
    training.after_step = summaries.after_step
    return training


@pytest.mark.parametrize("perturbation", [None, *(name for name in PERTURBATIONS if name != "blur")])
def test_nothing_in_training_mixes_devices(perturbation, monkeypatch):
    """On torch's meta device, which refuses, as a GPU does, to work with numbers of the CPU."""
    for module in (loop, stack):
        monkeypatch.setattr(module, "mean_of", lambda batches: {batch.device.type for batch in batches})
    members = [training_on("meta", perturbation=perturbation, seed=seed) for seed in range(2)]
    for training in members:
        for active in training.perturbations:
            if active.perturbation.site not in STEP_SITES:
                training.try_out(active)
        assert training.run_epoch(1) == ({"meta"}, {"meta"})
    assert stack.run_stacked(members, [2, 2]) == [({"meta"}, {"meta"})] * 2
    assert {p.device.type for p in members[0].network.parameters()} == {"meta"}


def test_the_meta_device_does_refuse():
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.ones(3, device="meta") + torch.ones(3)


@GPU
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gpu_gives_the_numbers_of_the_cpu_to_rounding(optimizer):
    with reproducible():
        for stacked in (False, True):
            cpu, gpu = (
                [training_on(device, optimizer=optimizer, seed=s) for s in range(3)] for device in ("cpu", "cuda")
            )
            expected = [training.run_epoch(1) for training in cpu]
            found = stack.run_stacked(gpu, [1] * 3) if stacked else [training.run_epoch(1) for training in gpu]
            np.testing.assert_allclose(found, expected, rtol=1e-4)
            for one, other in zip(cpu, gpu, strict=True):
                for p, q in zip(one.network.parameters(), other.network.parameters(), strict=True):
                    torch.testing.assert_close(p, q.cpu(), rtol=1e-3, atol=1e-5)


@GPU
@pytest.mark.parametrize("frozen", [True, False])
def test_a_family_is_trained_on_a_gpu(frozen, tmp_path):
    study = load_study(
        "digits",
        members=1,
        training__epochs=2,
        network__backbone="small_cnn",
        network__weights="random",
        network__frozen=frozen,
    )
    runs = [train_family(study, tmp_path / device, device=device) for device in ("cpu", "cuda")]
    cpu, gpu = (open_run(run.path).representations(epoch=0) for run in runs)
    np.testing.assert_allclose(gpu.values, cpu.values, rtol=1e-3, atol=1e-4)
    again = train_family(study, tmp_path / "again", device="cuda", stack=4 if frozen else 1)
    np.testing.assert_allclose(again.members.accuracy, runs[1].members.accuracy, atol=0.05)
