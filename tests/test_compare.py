"""All pairs of representations: labels in, labels out, and one sentence where there is no value."""

import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.errors import AkpsimError, MisalignedSamples, UndefinedMetric, UnknownName


def representations(members=4, samples=12, neurons=5, seed=0):
    rng = np.random.default_rng(seed)
    return xr.DataArray(
        rng.normal(size=(members, samples, neurons)),
        dims=("member", "sample", "neuron"),
        coords={
            "member": [f"m{index}" for index in range(members)],
            "sample": [f"s{index}" for index in range(samples)],
            "family": ("member", ["calm", "tense"] * (members // 2)),
            "seed": ("member", np.arange(members) // 2),
            "layer": "dense_1",
        },
        attrs={"source": "somewhere"},
    )


def test_a_matrix_carries_the_coordinates_of_both_sides_and_what_made_it():
    found = akpsim.compare(representations(), metric="cka")
    assert found.dims == ("member", "other")
    assert found["family"].dims == ("member",)
    assert found["other_family"].dims == ("other",)
    assert found["layer"].item() == "dense_1"
    expected = {"result": "similarity", "metric": "cka", "kind": "similarity", "n": 12, "made_from": "somewhere"}
    assert {key: found.attrs[key] for key in expected} == expected
    assert found.sel(member="m1", other="m2").item() == found.sel(member="m2", other="m1").item()


def test_a_mapping_a_list_and_a_labelled_array_give_the_same_matrix():
    array = representations()
    by_name = {name: array.sel(member=name).to_numpy() for name in array.member.values}
    expected = akpsim.compare(array).to_numpy()
    assert akpsim.compare(by_name).member.values.tolist() == ["m0", "m1", "m2", "m3"]
    np.testing.assert_allclose(akpsim.compare(by_name), expected, rtol=1e-12)
    np.testing.assert_allclose(akpsim.compare(list(by_name.values())), expected, rtol=1e-12)


def test_each_cell_is_the_metric_of_the_two():
    array = representations()
    found = akpsim.compare(array, metric="cka_debiased")
    value = akpsim.METRICS["cka_debiased"](array[0].to_numpy(), array[3].to_numpy())
    assert found[0, 3].item() == pytest.approx(value, abs=1e-12)


def test_samples_are_matched_by_their_ids():
    array = representations()
    one, two = array[0], array[1].isel(sample=slice(None, None, -1))
    found = akpsim.compare({"one": one, "two": two})
    assert found[0, 1].item() == pytest.approx(akpsim.compare(array)[0, 1].item(), abs=1e-12)


def test_inputs_are_not_changed():
    array = representations()
    before = array.to_numpy().copy()
    akpsim.compare(array)
    np.testing.assert_array_equal(array.to_numpy(), before)


def test_a_missing_sample_is_named():
    array = representations()
    other = array[1].assign_coords(sample=["x9", *array.sample.values[1:]])
    with pytest.raises(MisalignedSamples, match="'s0' of 'one' is not in 'two'"):
        akpsim.compare({"one": array[0], "two": other})


def test_a_sample_that_is_there_twice_is_named():
    array = representations()
    with pytest.raises(MisalignedSamples, match="sample 's1' is there twice in 'two'"):
        akpsim.compare({"one": array[0], "two": array[1].assign_coords(sample=["s1", *array.sample.values[1:]])})


def test_different_numbers_of_samples_are_named():
    with pytest.raises(MisalignedSamples, match="same samples: 'a' has 5, 'b' has 6"):
        akpsim.compare({"a": np.zeros((5, 2)), "b": np.zeros((6, 2))})


def test_a_constant_member_leaves_its_row_empty_and_says_why():
    array = representations()
    array[2] = 7.0
    found = akpsim.compare(array)
    assert np.isnan(found.sel(member="m2")).all()
    assert np.isnan(found.to_numpy()).sum() == 7
    assert "all samples have the same response" in found.attrs["undefined"]


@pytest.mark.parametrize(("value", "says"), [(0.1, "all samples have the same response"), (np.nan, "neuron 0 is NaN")])
def test_a_member_without_a_value_can_be_an_error(value, says):
    array = representations()
    array[2] = value
    with pytest.raises(UndefinedMetric, match=f"m2: .*{says}"):
        akpsim.compare(array, undefined="raise")


def test_two_members_of_which_one_is_constant_are_an_error():
    with pytest.raises(UndefinedMetric, match=r"^flat: cka is undefined: all samples have the same response$"):
        akpsim.compare({"flat": np.ones((5, 2)), "other": np.eye(5)})


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown metric 'ckaa': did you mean 'cka'"):
        akpsim.compare(representations(), metric="ckaa")


def test_distances_of_cka_are_exactly_euclidean():
    array = representations(members=8)
    distance = akpsim.as_distance(akpsim.compare(array))
    points = [akpsim.METRICS["cka"].embed(x.to_numpy()) for x in array]
    expected = [[np.linalg.norm(one - two) for two in points] for one in points]
    np.testing.assert_allclose(distance, expected, atol=1e-7)  # the root of what is left of 1 - 1
    assert distance.attrs["euclidean"] == 1
    assert (np.diagonal(distance) == 0).all()


def test_distances_need_the_metric_s_declaration():
    with pytest.raises(AkpsimError, match="no attribute `kind`"):
        akpsim.as_distance(xr.DataArray(np.eye(3), dims=("member", "other")))


def family_matrix():
    # By hand: within calm (0, 2) .8, within tense (1, 3) .4; between .1 .3 .5 .7 with seeds 0 0 1 1
    values = np.array([[1, 0.1, 0.8, 0.3], [0.1, 1, 0.5, 0.4], [0.8, 0.5, 1, 0.7], [0.3, 0.4, 0.7, 1]])
    found = akpsim.compare(representations())
    return found.copy(data=values)


def test_families_are_averaged_by_hand():
    table = akpsim.between_families(family_matrix())
    assert table["mean"].sel(family="calm", other_family="calm").item() == pytest.approx(0.8)
    assert table["mean"].sel(family="tense", other_family="tense").item() == pytest.approx(0.4)
    # same-seed pairs are (0, 1) and (2, 3): .1 and .7; the others .3 and .5
    assert table["mean"].sel(family="calm", other_family="tense").item() == pytest.approx(0.4)
    assert table["same_seed"].sel(family="calm", other_family="tense").item() == pytest.approx(0.4)
    assert table["pairs"].values.tolist() == [[1, 2], [2, 1]]


def test_same_seed_pairs_are_apart_also_within_a_group_of_families():
    matrix = family_matrix().assign_coords(stress=("member", ["mild"] * 4), other_stress=("other", ["mild"] * 4))
    table = akpsim.between_families(matrix, by="stress").squeeze()
    # by hand: the twins are (0, 1) and (2, 3), .1 and .7; the others .8, .4, .3 and .5
    assert table["mean"].item() == pytest.approx(0.5)
    assert table["same_seed"].item() == pytest.approx(0.4)
    assert (table["pairs"].item(), table["same_seed_pairs"].item()) == (4, 2)
    # without member 0: .4 .5; without 1: .8 .5; without 2: .4 .3; without 3: .8 .3
    without = np.array([0.45, 0.65, 0.35, 0.55])
    half = 3.182446305284263 * np.sqrt(3 / 4 * ((without - 0.5) ** 2).sum())  # t quantile .975, 3 degrees of freedom
    assert table["mean_upper"].item() == pytest.approx(0.5 + half)


def test_groups_by_seed_hold_the_same_seed_pairs():
    table = akpsim.between_families(family_matrix(), by="seed")
    assert np.diagonal(table["mean"]) == pytest.approx([0.1, 0.7])


def test_the_interval_within_a_family_is_the_jackknife_over_members_by_hand():
    # pairs .1 .2 .3 of members 0 1 2: without 0 -> .3, without 1 -> .2, without 2 -> .1; se^2 = 2/3 * .02
    values = np.array([[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]])
    matrix = xr.DataArray(
        values, dims=("member", "other"), coords={"family": ("member", ["a"] * 3), "other_family": ("other", ["a"] * 3)}
    )
    table = akpsim.between_families(matrix)
    half = 4.302652729749464 * np.sqrt(2 / 3 * 0.02)  # t quantile .975 with 2 degrees of freedom, from any table
    assert table["mean_upper"].item() == pytest.approx(0.2 + half)


def test_members_without_the_grouping_are_told_what_there_is():
    with pytest.raises(UnknownName, match="unknown coordinate of member 'familly': did you mean 'family'"):
        akpsim.between_families(family_matrix(), by="familly")


def test_representations_with_and_without_sample_ids_are_not_mixed():
    rng = np.random.default_rng(0)
    bare, labelled = rng.normal(size=(4, 2)), xr.DataArray(rng.normal(size=(4, 2)), dims=("sample", "neuron"))
    labelled = labelled.assign_coords(sample=list("abcd"))
    for given in ({"x": bare, "y": labelled}, {"y": labelled, "x": bare}):
        with pytest.raises(akpsim.AkpsimError, match="'y' has sample ids and 'x' has none, so that their rows cannot"):
            akpsim.compare(given)


def test_two_members_a_family_give_a_mean_but_no_interval():
    rng = np.random.default_rng(0)
    x = xr.DataArray(rng.normal(size=(4, 9, 3)), dims=("member", "sample", "neuron"))
    found = akpsim.between_families(akpsim.compare(x.assign_coords(family=("member", list("aabb")))))
    assert np.isfinite(found["mean"].values).all()
    assert np.isnan(found["mean_lower"].values).all()


def test_tensors_in_training_are_compared_and_tables_refused():
    import torch

    x = torch.rand(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x.flip(1) ** 2
    expected = akpsim.compare([x, y])
    np.testing.assert_array_equal(akpsim.compare([x.clone().requires_grad_(), y]), expected)
    frame = xr.DataArray(x.numpy(), dims=("sample", "neuron"), name="a").to_pandas()
    with pytest.raises(
        AkpsimError, match=r"'a' must be an array \(sample, neuron\), got a DataFrame; give its numbers"
    ):
        akpsim.compare({"a": frame, "b": frame})
    other = xr.DataArray(x.numpy(), dims=("time", "unit"))
    with pytest.raises(AkpsimError, match=r"'a' must have the dimensions \(sample, neuron\), got \(time, unit\)"):
        akpsim.compare({"a": other, "b": other})


def test_memory_below_the_results_themselves_is_refused():
    with pytest.raises(AkpsimError, match=r"`memory` must be at least .* bytes for these representations, got 200"):
        akpsim.compare(list(np.random.default_rng(0).normal(size=(4, 50, 1))), memory=200)
