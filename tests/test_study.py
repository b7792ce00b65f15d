"""A study has a default for everything, says what is wrong in one sentence, and survives being written and read."""

import numpy as np
import pytest

from akpsim import AkpsimError, load_study
from akpsim.study import Family, Schedule, Study, presets


def test_everything_has_a_default():
    assert load_study({}).families[0].name == "baseline"


@pytest.mark.parametrize("name", presets())
def test_a_preset_written_out_and_read_again_is_the_same_study(name, tmp_path):
    study = load_study(name)
    path = tmp_path / "study.toml"
    path.write_text(study.to_toml())
    assert load_study(path) == study
    assert load_study(path).hash == study.hash


def test_the_default_study_has_three_stress_levels_of_at_least_six_members():
    study = load_study()
    members = list(study.design())
    for stress in ("none", "mild", "severe"):
        assert sum(member.family.stress == stress for member in members) >= 6


def test_the_hash_ignores_the_name_and_sees_everything_else():
    study = load_study({})
    assert load_study({"name": "other"}).hash == study.hash
    assert load_study({"training": {"epochs": 21}}).hash != study.hash


def test_a_frozen_study_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_study({}).seed = 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"trainng": {}}, "unknown key 'trainng': did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "did you mean 'epochs'?"),
        ({"families": [{"name": "a", "sress": "mild"}]}, "unknown key in `families.a` 'sress': did you mean 'stress'?"),
        ({"families": [{"name": "a", "stress": "x"}]}, "'none', 'mild' or 'severe', got 'x'"),
        ({"families": [{"name": "a"}, {"name": "a"}]}, "two families are named 'a'"),
        ({"families": [{"name": "../a"}]}, "`families.0.name`"),
        ({"data": {"split": {"train": 0.2}}}, "sum to 1, got a sum of 0.7"),
        ({"members": "3"}, "`members`: must be a whole number, got '3'"),
        ({"capture": {"epochs": "last"}}, "`capture.epochs`: must be a list, got 'last'"),
        ({"network": {"dense": ["32"]}}, "`network.dense.0`: must be a whole number, got '32'"),
        ({"training": {"class_weights": {"a": "2"}}}, "`training.class_weights.a`: must be a number, got '2'"),
        ({"name": "a b"}, "must be letters, digits, `_`, `.` and `-`, beginning with a letter or a digit, got 'a b'"),
        ({"members": True}, "`members`: must be a whole number, got True"),
        ({"network": {"frozen": "yes"}}, "`network.frozen`: must be true or false, got 'yes'"),
        ({"network": {"dense": []}}, "`network.dense`: must hold at least 1, got []"),
        ({"network": 3}, "`network`: must be a table, got 3"),
        ({"training": {"class_weights": {"0": -1.0}}}, "`training.class_weights.0`: Input should be greater than or"),
        ({"families": [{"name": "a-b"}]}, "must be letters, digits, `_` and `.`, beginning with a letter or a digit"),
        ({"families": [{"name": "a", "perturbations": [{"name": "p", "strength": "0.5"}]}]}, "a number, got '0.5'"),
        ({"families": [{"name": "a", "perturbations": [{"name": "p", "at": 3}]}]}, "p.at`: must be a list, got 3"),
        ({"data": {"split": {"train": 0.7, "test": 0.0}}}, "all four shares must be above 0, got `test` = 0"),
        ({"training": {"epochs": 0}}, "`training.epochs`: Input should be greater than or equal to 1, got 0"),
        ({"families": [{"name": "a", "perturbations": [{"at": [1]}]}]}, "`families.a.perturbations.0.name`"),
        (
            {"families": [{"name": "a", "perturbations": [{"name": "p", "at": [1], "every": 2}]}]},
            "give either `at` or `every`",
        ),
    ],
)
def test_a_fault_is_said_in_one_sentence(content, message):
    with pytest.raises(AkpsimError) as error:
        load_study(content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_toml_or_no_file_is_named(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("a = [")
    with pytest.raises(AkpsimError, match=r"bad.toml is no TOML"):
        load_study(bad)
    with pytest.raises(AkpsimError, match=r"cannot read .*none.toml: No such file"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(AkpsimError, match="unknown preset 'digts': did you mean 'digits'"):
        load_study("digts")


def test_an_override_replaces_what_families_say_of_their_own():
    content = {"families": [{"name": "a", "members": 9, "epochs": 7}]}
    study = load_study(content, members=2, training__epochs=3, training__batch_size=None)
    (first, second) = study.design()
    assert (first.family.epochs, first.seed, second.seed) == (3, 0, 1)
    assert content["families"][0]["members"] == 9


def test_a_study_renamed_keeps_the_names_of_its_families():
    study = load_study("digits", name="mine")
    assert study.name == "mine"
    assert study.families == load_study("digits").families


def test_members_inherit_what_their_family_does_not_say():
    study = load_study(
        {"training": {"optimizer": "sgd"}, "families": [{"name": "a"}, {"name": "b", "optimizer": "adam"}]}
    )
    optimizers = {member.family.name: member.family.optimizer for member in study.design()}
    assert optimizers == {"a": "sgd", "b": "adam"}
    assert isinstance(study, Study)
    assert Family(name="a").optimizer is None


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"at": [3, 6, 9]}, (3, 6, 9)),
        ({"every": 3}, (3, 6, 9)),
        ({"every": 3, "start": 4}, (6, 9)),
        ({}, tuple(range(1, 11))),
        ({"start": 4, "stop": 6}, (4, 5, 6)),
    ],
)
def test_a_schedule_acts_at_its_epochs(schedule, expected):
    assert Schedule(**schedule).epochs(10) == expected


def test_a_schedule_that_cannot_act_is_refused():
    with pytest.raises(AkpsimError, match="swap_loss acts at epoch 11, but training ends after epoch 10"):
        Schedule(at=[3, 11]).epochs(10, "swap_loss")
    for wrong, message in {
        "every": ({"every": 12}, "every = 12 means its multiples, and none lies from epoch 1 to 10, the last"),
        "start": ({"start": 11, "every": 2}, "it starts at epoch 11, but training ends after epoch 10"),
        "stop": ({"start": 5, "stop": 3}, "`start` = 5 comes after `stop` = 3"),
    }.values():
        with pytest.raises(AkpsimError, match=f"swap_loss never acts: {message}"):
            Schedule(**wrong).epochs(10, "swap_loss")
    with pytest.raises(AkpsimError, match="`strength` of blur begins at epoch 11, but training ends after epoch 10"):
        Schedule(strength=[[11, 0.1], [12, 0.2]]).epochs(10, "blur")
    with pytest.raises(AkpsimError, match="at`: must hold at least 1, got"):
        load_study({"families": [family(at=[])]})


def test_a_training_too_short_for_its_swaps_says_how_long_it_must_be():
    with pytest.raises(AkpsimError, match=r"acts at epoch 6, .* give 21 epochs or more \(--epochs 21\), or earlier"):
        Schedule(at=[3, 6, 9, 12, 15, 18, 21]).epochs(3, "swap_activation")


def test_strength_is_a_function_of_the_epoch_given_by_points():
    rising = Schedule(strength=[[2, 0.2], [4, 0.8], [10, 0.5]])
    assert [rising.strength_at(epoch) for epoch in (1, 2, 3, 4, 6, 10, 99)] == pytest.approx(
        [0.2, 0.2, 0.5, 0.8, 0.7, 0.5, 0.5]
    )
    assert load_study(load_study({"families": [family(strength=[[1, 0.0], [9, 1.0]])]}).model_dump(mode="json"))
    for wrong, message in {
        ((4, 0.1), (2, 0.2)): "the epochs of `strength` must increase, got 4, 2",
        ((1, 0.1), (2, 1.2)): "should be less than or equal to 1",
        (): "must hold at least 1",
        2: "strength.*: Input should be less than or equal to 1, got 2",
    }.items():
        with pytest.raises(AkpsimError, match=message):
            load_study({"families": [family(strength=wrong)]})
    with pytest.raises(AkpsimError, match="probability`: Input should be greater than 0, got 0"):
        load_study({"families": [family(probability=0)]})


def family(**schedule):
    return {"name": "a", "perturbations": [{"name": "label_noise", **schedule}]}


def test_captured_epochs_count_from_both_ends_and_past_them_is_an_error():
    assert load_study({"capture": {"epochs": [0, -1], "every": 2}}).capture.epochs_of(5) == (0, 2, 4, 5)
    with pytest.raises(AkpsimError, match="capture asks for epoch 9, but training has epochs 0 to 5"):
        load_study({"capture": {"epochs": [9]}}).capture.epochs_of(5)


def test_a_study_named_anew_keeps_the_names_of_its_families():
    study = load_study("digits", name="mine")
    assert study.name == "mine"
    assert study.families == load_study("digits").families


@pytest.mark.parametrize("name", [None, 3])
def test_a_family_whose_name_is_no_text_is_named_by_its_place(name):
    with pytest.raises(AkpsimError) as caught:
        load_study("digits", families=[{"name": name}])
    assert str(caught.value) == f"digits: `families.0.name`: must be text, got {name!r}"


def test_a_folder_is_no_study(tmp_path):
    with pytest.raises(AkpsimError, match=r"is a folder: a study is a \.toml file or a preset, images are given by"):
        load_study(tmp_path)


def test_a_number_of_numpy_is_a_number():
    assert load_study(members=np.int64(3), training__learning_rate=np.float32(0.5)) == load_study(
        members=3, training__learning_rate=0.5
    )
