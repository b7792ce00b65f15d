"""Training families: the same bits each time, only what is missing, and what failed is said by name."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr

from akpsim import AkpsimError, load_study, open_run
from akpsim.errors import InvalidStudy
from akpsim.families import PERTURBATIONS, Perturbation, null_perturbations, train_family
from akpsim.families.training.audit import Found, mostly_null_line

GROUPS = ("history", "audit", "test", "activations/dense_1", "activations/dense_2", "populations/dense_1")


def variables(run, member):
    """Return every variable of a member's file, by group and name."""
    found = {}
    for group in GROUPS:
        with xr.open_dataset(run.file(member), group=group) as table:
            found |= {f"{group}/{name}": values.values for name, values in table.variables.items()}
    return found


def same(left, right):
    return left.keys() == right.keys() and all(
        np.array_equal(left[key], right[key], equal_nan=left[key].dtype.kind == "f") for key in left
    )


def test_two_runs_of_a_study_are_the_same_bit_for_bit(tiny_run, tiny_study, tmp_path):
    again = train_family(tiny_study, tmp_path / "again")
    assert again.names == tiny_run.names
    for member in again.names:
        assert same(variables(again, member), variables(tiny_run, member))


def test_another_seed_is_another_network(tiny_run):
    assert not same(variables(tiny_run, "baseline-0"), variables(tiny_run, "baseline-1"))


def test_families_with_the_same_seed_start_from_the_same_weights(tiny_run):
    start = tiny_run.representations("dense_2", epoch=0)
    assert np.array_equal(start.sel(member="baseline-0").values, start.sel(member="noisy-0").values)


def test_streams_that_a_family_does_not_vary_are_the_same_for_all_members(tmp_path, cache_folder):
    study = {
        "members": 2,
        "network": {"dense": [8]},
        "training": {"epochs": 1, "batch_size": 256},
        "families": [{"name": "fixed", "vary": ["perturbation"]}],
    }
    run = train_family(load_study(study), tmp_path / "run")
    first, second = run.representations("dense_1").values
    assert np.array_equal(first, second)


def test_running_again_trains_only_what_is_missing(tiny_run, tiny_study, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    lost = tmp_path / "run" / "members" / "noisy-1.nc"
    cut = tmp_path / "run" / "members" / "noisy-0.nc"
    kept = tmp_path / "run" / "members" / "baseline-0.nc"
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:1000])
    before = kept.stat().st_mtime_ns
    said = []
    run = train_family(tiny_study, tmp_path / "run", note=said.append)
    assert "2 of 4 members are complete, training the rest" in said[0]
    assert kept.stat().st_mtime_ns == before
    for member in ("noisy-0", "noisy-1"):
        assert same(variables(run, member), variables(tiny_run, member))
    train_family(tiny_study, tmp_path / "run", note=said.append)
    assert said[-1].endswith("all 4 members are complete")


def test_a_run_killed_in_the_middle_and_started_again_equals_one_that_was_not(tiny_run, tiny_study, tmp_path):
    (tmp_path / "tiny.toml").write_text(tiny_study.to_toml())
    out = tmp_path / "run"
    command = [sys.executable, "-m", "akpsim_cli", "train-family", str(tmp_path / "tiny.toml"), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(out.glob("members/[!.]*.nc")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = train_family(tiny_study, out)
    assert run.names == tiny_run.names
    assert all(same(variables(run, member), variables(tiny_run, member)) for member in run.names)
    assert not list(out.rglob("*.partial*"))


def test_a_changed_study_under_an_existing_run_is_refused_and_the_difference_named(tiny_run, tiny_study, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    changed = load_study(tiny_study.model_dump(mode="json"), training__batch_size=65)
    with pytest.raises(AkpsimError, match=r"holds another study \(`training.batch_size` is 64 there and 65 now\)"):
        train_family(changed, tmp_path / "run")
    fresh = train_family(changed, tmp_path / "run", fresh=True)
    assert fresh.study.training.batch_size == 65


def test_a_folder_of_something_else_is_left_alone(tmp_path, tiny_study):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(AkpsimError, match="exists and is no run folder; choose another with --out"):
        train_family(tiny_study, tmp_path, fresh=True)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_member_that_fails_is_named_and_the_others_finish(tiny_study, tmp_path, monkeypatch):
    def explode(gradients_of, moment):
        if moment.epoch == 2 and moment.generator.initial_seed() == bad_seed:
            raise FloatingPointError("boom")

    from akpsim.families.training.streams import stream

    bad_seed = stream(1, "perturbation", 0).initial_seed()
    monkeypatch.setitem(PERTURBATIONS, "explode", Perturbation("explode", "gradients", explode, "fails"))
    study = load_study(
        tiny_study.model_dump(mode="json")
        | {"families": [{"name": "f", "perturbations": [{"name": "explode", "start": 1}]}], "members": 3}
    )
    with pytest.raises(AkpsimError, match=r"1 of 3 members failed: FloatingPointError: boom \(f-1\)"):
        train_family(study, tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.names == ["f-0", "f-2"]
    assert run.manifest["members"]["f-1"] == {"state": "failed", "reason": "FloatingPointError: boom"}


def test_noise_on_labels_hurts_and_the_baseline_learns(tiny_run):
    accuracy = tiny_run.members.accuracy
    assert float(accuracy[:2].min()) > 0.6
    assert float(accuracy[2:].max()) < float(accuracy[:2].min())


def test_training_accuracy_is_against_the_true_labels(tmp_path, cache_folder):
    study = {
        "members": 1,
        "network": {"dense": [32]},
        "training": {"epochs": 6, "learning_rate": 0.01},
        "families": [{"name": "noisy", "perturbations": [{"name": "label_noise", "strength": 0.5}]}],
    }
    run = train_family(load_study(study), tmp_path / "run")
    # Half of the labels are wrong: a network that has not learnt them by heart agrees with half of them at most.
    assert run.history.train_accuracy.values[0, -1] > 0.65


def test_the_loss_swap_is_reported_as_null_and_the_activation_swap_is_not(tmp_path, cache_folder):
    poisson = {"name": "swap_loss", "order": ["poisson"], "at": [2], "optimizer_state": "reset"}
    study = {
        "members": 1,
        "network": {"dense": [16, 8]},
        "training": {"epochs": 2},
        "families": [
            {"name": "loss", "perturbations": [poisson]},
            {"name": "again", "perturbations": [poisson]},
            {"name": "accident", "perturbations": [poisson | {"labels": "broadcast"}]},
            {"name": "activation", "perturbations": [{"name": "swap_activation", "order": ["tanh"], "at": [2]}]},
        ],
    }
    run = train_family(load_study(study), tmp_path / "run")
    lines = null_perturbations(run)
    assert len(lines) == 1
    assert lines[0].startswith("swap_loss keeps the direction of the gradient in loss, again (cosine at least ")
    # Poisson's gradient is 1/classes of cross-entropy's, which under SGD is another learning rate.
    assert (
        "and multiplies its length by 0.1: another learning rate under SGD, next to nothing under RMSprop" in lines[0]
    )
    assert "trained here with rmsprop, at 2 events of all members together" in lines[0]
    assert lines[0].endswith("; but it starts the optimizer afresh, which no gradient shows")
    audit = run.table("audit")
    ratio = dict(zip(audit.family.values, audit.gradient_norm_ratio.values[:, 0], strict=True))
    assert ratio["loss"] == pytest.approx(1 / 10, rel=1e-5)  # Poisson's gradient is 1/classes of cross-entropy's
    cka = dict(zip(audit.family.values, audit.cka.values[:, 0], strict=True))
    assert cka["loss"] == pytest.approx(1)
    assert cka["activation"] < 0.99


def test_a_swap_changes_nothing_only_where_the_gradient_keeps_its_length_and_the_audit_names_what_was_swapped(
    tmp_path, cache_folder
):
    study = {
        "members": 1,
        "network": {"dense": [8, 8]},
        "training": {"epochs": 3, "batch_size": 256, "optimizer": "sgd"},
        "families": [
            {"name": "same", "perturbations": [{"name": "swap_loss", "order": ["kl_divergence"], "at": [2]}]},
            {
                "name": "longer",
                "perturbations": [{"name": "swap_loss", "order": ["poisson", "cross_entropy"], "at": [2, 3]}],
            },
            {
                "name": "one_layer",
                "perturbations": [
                    {"name": "swap_activation", "order": ["tanh"], "layers": "dense_2", "at": [2]},
                    {"name": "learning_rate_shock", "at": [2, 3]},
                ],
            },
            {
                "name": "afresh",
                "perturbations": [
                    {"name": "swap_activation", "order": ["relu"], "at": [2], "optimizer_state": "reset"}
                ],
            },
            {"name": "never", "perturbations": [{"name": "input_noise", "at": [2], "probability": 1e-6}]},
        ],
    }
    run = train_family(load_study(study), tmp_path / "run")
    same, longer, afresh, never = null_perturbations(run)
    assert afresh.startswith("swap_activation changes nothing in afresh: ")
    assert afresh.endswith("; but it starts the optimizer afresh, which no gradient shows")
    assert same.startswith(
        "swap_loss changes nothing in same: the gradients before and after have a cosine of at least"
    )
    assert "and multiplies its length by 0.1 to 10: another" in longer
    assert "trained here with sgd, at 2 events" in longer
    assert never == "input_noise never acted in never: by its `probability`, no epoch was drawn in any member"
    audit = run.audit
    said = {
        family: list(
            zip(
                *(audit[key].values[audit.family.values == family][0] for key in ("layers", "before", "after")),
                strict=True,
            )
        )
        for family in ("longer", "one_layer")
    }
    assert said["longer"][:2] == [("", "cross_entropy", "poisson"), ("", "poisson", "cross_entropy")]
    rates = [("", "learning rate 0.01", "learning rate 0.1"), ("", "learning rate 0.1", "learning rate 1")]
    assert said["one_layer"] == [("dense_2", "relu", "tanh"), *rates]  # the rate stays, and shocks multiply


def test_a_perturbation_without_a_dose_is_said_to_have_none(tmp_path, cache_folder):
    options = {"initializer": {}, "blur": {}}
    families = [
        {"name": f"zero_{name}", "perturbations": [{"name": name, "strength": 0.0, **options.get(name, {"at": [2]})}]}
        for name in PERTURBATIONS
    ]
    shock = {"name": "learning_rate_shock", "at": [2]}
    families += [
        {"name": "again", "perturbations": [{"name": "lesion", "strength": 0.0}]},
        {"name": "one", "perturbations": [shock | {"factor": 1.0}]},
        {"name": "late", "perturbations": [{"name": "lesion", "strength": [[1, 0.0], [2, 0.5]]}]},
        {"name": "ten", "perturbations": [shock]},
    ]
    study = {
        "members": 1,
        "network": {"dense": [8]},
        "training": {"epochs": 2, "batch_size": 512},
        "capture": {"populations": 0, "around_swaps": False},
        "families": families,
    }
    lines = null_perturbations(train_family(load_study(study), tmp_path / "run"))
    expected = {
        name: f"{name} does nothing in zero_{name}: its dose is 0 (strength 0 whenever it acts)"
        for name in PERTURBATIONS
    }
    expected["lesion"] = "lesion does nothing in zero_lesion, again: its dose is 0 (strength 0 whenever it acts)"
    expected["learning_rate_shock"] = (
        "learning_rate_shock does nothing in zero_learning_rate_shock, one: its dose is 0 (it multiplies the learning "
        "rate by 1)"
    )
    assert lines == list(expected.values())


def test_accuracies_and_losses_are_those_of_their_own_parts(tiny_study, tmp_path, cache_folder):
    from safetensors.torch import load_file

    from akpsim.families.training.prepared import prepare

    study = load_study(
        {
            "members": 1,
            "network": {"dense": [16]},
            "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01},
            "capture": {"epochs": [0, 1, 2], "weights": True, "populations": 0},
            "families": [{"name": "f"}],
        }
    )
    run, parts = train_family(study, tmp_path / "run"), prepare(study).parts

    def logits_of(part, epoch):
        weights = load_file(run.path / "weights" / "f-0" / f"{epoch}.safetensors")
        hidden = torch.relu(parts[part].inputs @ weights["dense_1.linear.weight"].T + weights["dense_1.linear.bias"])
        return hidden @ weights["logits.weight"].T + weights["logits.bias"]

    def right(part, epoch):
        return (logits_of(part, epoch).argmax(1) == parts[part].labels).double().mean().item()

    test = xr.open_dataset(run.file("f-0"), group="test")
    assert test.sample.values.tolist() == parts["test"].ids.tolist()
    assert test.label.values.tolist() == parts["test"].labels.tolist()
    np.testing.assert_allclose(test.probability, logits_of("test", 2).softmax(1), atol=1e-5)
    assert float(run.members.accuracy[0]) == pytest.approx(right("test", 2), abs=1e-9)
    history = run.history.isel(member=0)
    for epoch in (0, 1, 2):
        loss = torch.nn.functional.cross_entropy(logits_of("validation", epoch), parts["validation"].labels)
        assert float(history.validation_loss[epoch]) == pytest.approx(loss.item(), rel=1e-5)
        assert float(history.validation_accuracy[epoch]) == pytest.approx(right("validation", epoch), abs=1e-6)
    assert float(history.train_accuracy[0]) == pytest.approx(right("train", 0), abs=1e-6)
    test.close()


def test_noise_that_grows_is_audited_at_its_start_and_at_full_strength_and_is_not_null(tmp_path, cache_folder):
    growing = {"name": "label_noise", "strength": [[1, 0.0], [3, 0.9], [4, 0.1]]}
    study = {
        "members": 1,
        "network": {"dense": [8]},
        "training": {"epochs": 4, "batch_size": 256},
        "families": [{"name": "f", "perturbations": [growing]}],
    }
    run = train_family(load_study(study), tmp_path / "run")
    audit = run.audit.isel(member=0)
    assert audit.epoch.values.tolist() == [1, 3]
    assert float(audit.gradient_cosine[0]) == pytest.approx(1)
    assert float(audit.gradient_cosine[1]) < 0.9
    assert null_perturbations(run) == []


def test_weights_of_another_seed_do_not_move_the_global_generator(tiny_study, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_family(load_study(tiny_study.model_dump(mode="json"), members=1), tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)


def test_ctrl_c_says_how_far_it_came_and_how_to_go_on(cli, tiny_run, tiny_study, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("akpsim.families.train_family", interrupted)
    (tmp_path / "tiny.toml").write_text(tiny_study.to_toml())
    code, _, err = cli("train-family", tmp_path / "tiny.toml", "--out", tiny_run.path)
    assert code == 130
    assert "stopped: 4 of 4 members are complete; run the same command again to go on" in err
    assert "again without --fresh" in cli("train-family", tmp_path / "tiny.toml", "--out", tmp_path, "--fresh")[2]


def test_wrong_labels_of_a_loss_are_named_as_the_study_names_them(tmp_path, cache_folder):
    swap = {"name": "swap_loss", "at": [1], "labels": "onehott"}
    with pytest.raises(AkpsimError, match="unknown `labels` 'onehott': did you mean 'onehot'"):
        train_family(load_study({"families": [{"name": "f", "perturbations": [swap]}]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_family_in_which_most_events_are_null_is_said_to_have_some_that_are_not():
    found = Found("f", "rmsprop", [1.0, 0.9999, 0.983, np.nan, 1.0], [1.0] * 5)
    assert not found.null
    assert found.mostly_null
    assert mostly_null_line("swap_loss", found) == (
        "swap_loss keeps the direction of the gradient in f at 3 of 5 events of all members together; at 1 the cosine "
        "is 0.983 or more and at 1 there is no gradient"
    )
    for cosines in ([1.0, 1.0], [1.0, 0.5], [0.2, 0.3]):
        assert not Found("f", "sgd", cosines, [1.0] * len(cosines)).mostly_null


@pytest.mark.parametrize(
    ("name", "key", "value"), [("digits", "image_size", 16), ("digits", "path", "images"), ("wings", "path", "images")]
)
def test_keys_that_mean_nothing_to_a_data_set_are_refused(name, key, value, tmp_path, cache_folder):
    study = load_study({"data": {"name": name, key: value}})
    with pytest.raises(InvalidStudy, match=f"`data.{key}` means nothing for the data set {name}: leave it out, got"):
        train_family(study, tmp_path / "run")


def test_a_device_is_checked_also_where_nothing_is_left_to_train(tiny_run):
    with pytest.raises(AkpsimError, match="unknown `device` 'gpu'"):
        train_family(tiny_run.study, tiny_run.path, device="gpu")
