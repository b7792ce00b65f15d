"""Members trained as one: the same bits as alone, on a CPU; and torch.func.vmap as an outside reference."""

import dataclasses
import functools
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from akpsim import load_study
from akpsim.errors import InvalidStudy
from akpsim.families import PERTURBATIONS, train_family
from akpsim.families.networks.head import Head
from akpsim.families.networks.initializers import INITIALIZERS, Initializer
from akpsim.families.perturbations.losses import Mixed
from akpsim.families.perturbations.perturbation import Perturbation
from akpsim.families.training import stack
from akpsim.families.training.family import MemberFailed
from akpsim.families.training.loop import Training
from akpsim.families.training.losses import LOSSES, Loss
from akpsim.families.training.optimizers import FLAVOURS, OPTIMIZERS, build_optimizer
from akpsim.families.training.prepared import Part
from akpsim.families.training.streams import stream


@pytest.fixture(autouse=True)
def _cache(cache_folder):
    pass


OPTIONS = {"swap_activation": {"order": "random"}, "swap_loss": {"order": "random"}, "label_noise": {"redraw": True}}


def study_of(families, **changes):
    content = {
        "members": 2,
        "network": {"dense": [32, 16]},
        "training": {"epochs": 3, "batch_size": 100, "learning_rate": 0.01},
        "capture": {"epochs": [0, -1], "populations": 6},
        "families": families,
    }
    return load_study(content, **changes)


def files(run):
    return {file.name: file.read_bytes() for file in (Path(run) / "members").iterdir()}


def assert_same_runs(study, folder, *, stacked):
    alone = train_family(study, folder / "alone")
    together = train_family(study, folder / "together", stack=stacked)
    assert files(alone.path) == files(together.path)


def test_every_perturbation_has_the_same_bits_in_a_stack_and_alone(tmp_path):
    families = []
    for name, entry in PERTURBATIONS.items():
        scheduled = {} if entry.site == "initializer" else {"strength": 0.5, "start": 2}
        families.append({"name": name, "perturbations": [{"name": name, **scheduled, **OPTIONS.get(name, {})}]})
    families = [family for family in families if family["name"] != "blur"]  # which needs images
    whole = {"name": "swap_activation", "order": ["tanh", "softplus"], "at": [2, 3], "finally": "relu"}
    families += [
        {"name": "whole", "perturbations": [whole, {"name": "swap_loss", "at": [2]}]},
        {"name": "long", "epochs": 5},
    ]
    assert_same_runs(study_of(families, training__class_weights="balanced"), tmp_path, stacked=6)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_optimizer_has_the_same_bits_in_a_stack_and_alone(flavour, tmp_path):
    shock = {"name": "learning_rate_shock", "at": [2]}
    reset = {"name": "swap_activation", "at": [3], "optimizer_state": "reset"}
    families = [{"name": name, "optimizer": name} for name in OPTIMIZERS]
    families += [{"name": f"{name}_shock", "optimizer": name, "perturbations": [shock, reset]} for name in OPTIMIZERS]
    assert_same_runs(study_of(families, training__flavour=flavour), tmp_path, stacked=24)


def trainings(features, dense, *, count, batch_size=32, images=75, classes=3):
    found = []
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)
        head = Head(
            features, classes, dense=dense, activation="tanh", initializer="glorot_uniform", generator=generator
        )
        part = Part(
            torch.randn(images, features, generator=generator),
            torch.randint(classes, (images,), generator=generator),
            np.arange(images),
        )
        found.append(
            Training(
                head,
                part,
                loss="cross_entropy",
                new_optimizer=lambda head=head: build_optimizer("rmsprop", head.parameters()),
                batch_size=batch_size,
                perturbations=[],
                batches=generator,
            )
        )
    return found


@pytest.mark.parametrize(
    ("features", "dense", "classes"), [(2048, (128, 32), 2), (64, (64, 32), 10), (784, (16,), 3), (16, (16, 16), 2)]
)
@pytest.mark.parametrize("batch_size", [32, 37, 74])
def test_the_bits_are_those_of_members_alone(features, dense, classes, batch_size):
    one, other = (trainings(features, dense, count=3, batch_size=batch_size, classes=classes) for _ in range(2))
    expected = [training.run_epoch(1) for training in one]
    assert stack.run_stacked(other, [1, 1, 1]) == expected
    for alone, together in zip(one, other, strict=True):
        for p, q in zip(alone.network.parameters(), together.network.parameters(), strict=True):
            assert torch.equal(p, q)
            assert torch.equal(p.grad, q.grad)
            assert torch.equal(alone.optimizer.state[p]["velocity"], together.optimizer.state[q]["velocity"])


@pytest.mark.parametrize(("features", "dense", "classes"), [(7, (17, 5), 3), (33, (9,), 2)])
def test_odd_widths_agree_to_rounding(features, dense, classes):
    one, other = (trainings(features, dense, count=3, classes=classes) for _ in range(2))
    np.testing.assert_allclose(stack.run_stacked(other, [1, 1, 1]), [t.run_epoch(1) for t in one], rtol=1e-6)
    for alone, together in zip(one, other, strict=True):
        for p, q in zip(alone.network.parameters(), together.network.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_vmap_which_has_other_bits():
    members = trainings(2048, (128, 32), count=3)
    for bias in (p for training in members for p in training.network.parameters() if p.ndim == 1):
        nn.init.normal_(bias, generator=torch.Generator().manual_seed(0))
    inputs = torch.stack([training.data.inputs for training in members])
    labels = torch.stack([training.data.labels for training in members])
    parameters, _ = stack_module_state([training.network for training in members])

    def loss(weights, x, y):
        return nn.functional.cross_entropy(functional_call(members[0].network, weights, (x,)), y)

    reference = vmap(grad(loss))(parameters, inputs, labels)
    weights = list(parameters.values())
    logits = stack.forward(members, weights, inputs)
    ours = torch.autograd.grad(
        sum(nn.functional.cross_entropy(z, y) for z, y in zip(logits, labels, strict=True)), weights
    )
    for gradient, expected in zip(ours, reference.values(), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    alone = []
    for training in members:
        nn.functional.cross_entropy(training.network(training.data.inputs), training.data.labels).backward()
        alone.append([p.grad for p in training.network.parameters()])
    for gradient, of_members in zip(ours, zip(*alone, strict=True), strict=True):
        assert torch.equal(gradient, torch.stack(of_members))
    assert not all(torch.equal(g, r) for g, r in zip(ours, reference.values(), strict=True))


def test_functions_of_a_kind_are_called_once_on_a_gpu_and_each_alone_on_a_cpu():
    calls = []

    def counted(function):
        return lambda x: calls.append(len(x)) or function(x)

    kinds = ["tanh", "relu", "tanh", "relu", "tanh"]
    x = torch.randn(5, 6, 4)
    functions = [counted(getattr(torch, name)) for name in kinds]
    apart = stack.each(functions, stack.alike(kinds, torch.device("cpu")), x)
    assert calls == [6] * 5
    calls.clear()
    groups = stack.alike(kinds, torch.device("cuda"))
    assert groups == [[0, 2, 4], [1, 3]]
    torch.testing.assert_close(stack.each(functions, groups, x), apart)
    assert calls == [18, 12]
    assert torch.equal(apart, torch.stack([getattr(torch, name)(part) for name, part in zip(kinds, x, strict=True)]))


def test_functions_that_do_the_same_are_of_a_kind():
    from akpsim.families.networks.activations import activation_named

    assert stack.kind(activation_named("softmax")) == stack.kind(activation_named("softmax"))
    assert stack.kind(activation_named("softmax")) != stack.kind(activation_named("softmin"))
    assert stack.kind(torch.tanh) != stack.kind(torch.relu)


def test_a_run_that_was_stopped_in_a_stack_goes_on_alone_with_the_same_bits(tmp_path, monkeypatch):
    from akpsim.families.training import in_process

    study = study_of([{"name": "f"}], training__checkpoint_every=1)
    alone = train_family(study, tmp_path / "alone")
    advance, turns = in_process.Going.advance, iter([1, 2])

    def stop(self):
        if next(turns, None) is None:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(in_process.Going, "advance", stop)
    with pytest.raises(KeyboardInterrupt):
        train_family(study, tmp_path / "stopped", stack=2)
    assert not list((tmp_path / "stopped" / "members").iterdir())
    assert len(list((tmp_path / "stopped").rglob("checkpoint-1.safetensors"))) == 2
    monkeypatch.undo()
    again = train_family(study, tmp_path / "stopped")
    assert files(alone.path) == files(again.path)


def test_members_of_a_stack_that_fails_are_trained_alone_so_that_the_one_at_fault_is_named(tmp_path, monkeypatch):
    def fail(gradients_of, moment):
        if moment.generator.initial_seed() == bad and moment.event > 3:
            raise ValueError("no more")

    bad = stream(1, "perturbation", 0).initial_seed()
    fail.__module__ = "akpsim.families"  # so that it is stacked
    monkeypatch.setitem(PERTURBATIONS, "fails", Perturbation("fails", "gradients", fail, ""))
    study = study_of([{"name": "good"}, {"name": "f", "perturbations": [{"name": "fails", "start": 2}]}])
    with pytest.raises(MemberFailed, match=r"1 of 4 members failed: ValueError: no more \(f-1\)"):
        train_family(study, tmp_path / "run", stack=4)
    with pytest.raises(MemberFailed):
        train_family(study, tmp_path / "alone")
    assert sorted(files(tmp_path / "run")) == ["f-0.nc", "good-0.nc", "good-1.nc"]
    assert files(tmp_path / "alone") == files(tmp_path / "run")


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def replaced(network):
    old = network.get_submodule("dense_1").linear
    new = Doubled(old.in_features, old.out_features)
    new.weight, new.bias = old.weight, old.bias
    network.get_submodule("dense_1").linear = new


def hooked(network):
    for parameter in network.parameters():
        parameter.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))


def with_global_dropout(network):
    network.get_submodule("dense_1").dropout = nn.Dropout(0.5)


def without_gradient(network):
    network.get_submodule("dense_1").activation = lambda x: (x > 0).float()


@pytest.mark.parametrize("change", [replaced, hooked, with_global_dropout, without_gradient])
def test_whatever_a_perturbation_of_ones_own_does_it_does_alone(change, tmp_path, monkeypatch):
    mine = Perturbation("mine", "weights", lambda network, moment: change(network), "")
    monkeypatch.setitem(PERTURBATIONS, "mine", mine)
    study = study_of([{"name": "f"}, {"name": "d", "perturbations": [{"name": "mine", "at": [2]}]}])
    assert_same_runs(study, tmp_path, stacked=4)


def test_a_loss_of_ones_own_is_trained_alone(tmp_path, monkeypatch):
    def relative(logits, labels):
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        return losses / losses.mean().detach()

    monkeypatch.setitem(LOSSES, "relative", Loss("relative", relative, "", of_labels=True))
    assert_same_runs(study_of([{"name": "f", "loss": "relative"}]), tmp_path, stacked=2)


def test_what_follows_an_entry_of_akpsims_in_all_but_one_thing_is_trained_alone(tmp_path, monkeypatch):
    noise = PERTURBATIONS["gradient_noise"]

    @functools.wraps(noise.act)  # which copies the name of the module, too
    def wrapped(network, moment, **options):
        for parameter in network.parameters():
            parameter.data = parameter.data.clamp(-0.05, 0.05)

    def hook(network, **options):
        network.get_submodule("dense_2").register_forward_hook(lambda module, inputs, output: 0.1 * output)

    monkeypatch.setitem(PERTURBATIONS, "wrapped", dataclasses.replace(noise, name="wrapped", act=wrapped))
    monkeypatch.setitem(PERTURBATIONS, "lifted", dataclasses.replace(noise, name="lifted", lift=hook))
    families = [{"name": name, "perturbations": [{"name": name, "stop": 2}]} for name in ("wrapped", "lifted")]
    assert_same_runs(study_of([{"name": "f"}, *families]), tmp_path, stacked=6)


def test_weights_that_an_initializer_hooked_are_trained_alone(tmp_path, monkeypatch):
    class Hooking(Initializer):
        def __call__(self, weight, generator):
            super().__call__(weight, generator)
            weight.register_hook(lambda gradient: gradient.clamp(-1e-4, 1e-4))

    mine = Hooking("mine", INITIALIZERS["glorot_uniform"].draw, "")
    monkeypatch.setitem(INITIALIZERS, "mine", mine)
    assert_same_runs(study_of([{"name": "f", "initializer": "mine"}]), tmp_path, stacked=2)


def test_only_what_is_akpsims_own_is_stacked(monkeypatch):
    (training,) = trainings(16, (16,), count=1)
    monkeypatch.setitem(LOSSES, "mine", Loss("mine", lambda logits, labels: logits[:, 0], ""))
    assert stack.shape_of(training) is not None  # that there is another loss is no matter
    training.loss = functools.partial(LOSSES["poisson"], encoding="broadcast")
    assert stack.shape_of(training) is not None
    training.loss = Mixed(training.loss, LOSSES["mine"], 0.5)
    assert stack.shape_of(training) is None


def test_where_a_stack_may_round_otherwise_the_files_say_so(tmp_path):
    for dense, said in (([32, 16], None), ([33, 17], 2)):
        run = train_family(study_of([{"name": "f"}], network__dense=dense), tmp_path / str(dense), stack=2)
        with netCDF4.Dataset(run.file("f-0")) as file:
            assert getattr(file, "stacked", None) == said


def test_a_stack_holds_no_copy_of_the_images_for_each_member():
    members = trainings(64, (16,), count=1)
    batches = members[0].batches_of(1)
    first = next(batches)[0]
    assert first.untyped_storage().nbytes() == first.nbytes


def test_what_cannot_be_stacked_is_refused_before_anything_is_trained(tmp_path):
    study = study_of([{"name": "f"}])
    trunk = study_of([{"name": "f"}], network__backbone="small_cnn", network__weights="random", network__frozen=False)
    with pytest.raises(InvalidStudy, match="for heads on a frozen trunk, and this study trains its trunk: got 4"):
        train_family(trunk, tmp_path / "run", stack=4)
    with pytest.raises(InvalidStudy, match="for one process, not for `workers` or a `scheduler`: got 2"):
        train_family(study, tmp_path / "run", stack=2, workers=2)
    with pytest.raises(ValueError, match="`stack` must be a whole number of at least 1, got 0"):
        train_family(study, tmp_path / "run", stack=0)
    assert not (tmp_path / "run").exists()
