"""The presets of the paper are the paper's design: 12 cells, 56 members, 2,800 epochs."""

import pytest

from akpsim import load_study
from akpsim.errors import UnknownName
from akpsim.families.networks.initializers import INITIALIZERS
from akpsim.study import Study

SWAPS = (3, 6, 9, 12, 15, 18, 21)


def test_the_paper_has_its_members_and_epochs():
    study = load_study("paper")
    members = list(study.design())
    assert (len(study.families), len(members)) == (12, 56)
    assert sum(member.family.epochs or study.training.epochs for member in members) == 2800


def test_the_paper_is_its_three_groups():
    groups = [load_study(f"paper-{group}") for group in "abc"]
    whole = load_study("paper")
    assert whole.families == tuple(family for group in groups for family in group.families)
    for group in groups:
        assert group.model_dump(exclude={"name", "families"}) == whole.model_dump(exclude={"name", "families"})


def test_each_group_crosses_two_perturbations_with_two_optimizers():
    for group in "abc":
        cells = {(f.perturbations[0].name, f.optimizer) for f in load_study(f"paper-{group}").families}
        assert len(cells) == 4


def test_swaps_come_at_the_papers_epochs_and_activations_end_in_relu():
    for family in load_study("paper").families:
        (swap,) = family.perturbations
        assert swap.schedule.at == SWAPS
        assert swap.options.get("finally") == ("relu" if swap.name == "swap_activation" else None)


def test_what_differs_between_members_is_what_the_paper_says():
    vary = {group: {f.vary for f in load_study(f"paper-{group}").families} for group in "abc"}
    every = ("weights", "batches", "perturbation")
    assert vary == {"a": {("perturbation",)}, "b": {every}, "c": {every}}
    assert {f.perturbations[0].options["order"] for f in load_study("paper-a").families} == {"random"}
    taken = [member.family.initializer for member in load_study("paper-c").design()]
    assert taken == ["zeros", "glorot_normal", "he_uniform", "truncated_normal"] * 4
    assert set(taken) <= set(INITIALIZERS)
    assert load_study("paper-c").training.initializer_layers == ("dense_1",)


def test_initializers_are_taken_in_turn_by_members():
    families = ({"name": "a", "initializer": ("zeros", "orthogonal")}, {"name": "b"})
    study = Study(members=3, families=families)
    assert [member.family.initializer for member in study.design()] == ["zeros", "orthogonal", "zeros"] + [
        "glorot_uniform"
    ] * 3


def test_an_initializer_can_be_for_one_layer_alone():
    import torch

    from akpsim.families.networks.head import Head

    def head(**initialized):
        return Head(
            5, 2, dense=(4, 3), activation="relu", initializer="zeros", generator=torch.Generator(), **initialized
        )

    first, second = head(initialized=("dense_1",)).hidden.values()
    assert not first.linear.weight.any()
    assert second.linear.weight.all()
    assert not any(layer.linear.weight.any() for layer in head().hidden.values())
    with pytest.raises(UnknownName, match=r"unknown layer in `initializer_layers` 'dense_9': did you mean 'dense_.'"):
        head(initialized=("dense_9",))
