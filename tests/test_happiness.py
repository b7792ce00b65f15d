"""Happy and unhappy by a rule fixed beforehand, and what of the effect is true by definition."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError
from akpsim.karenina.happiness import happy, one_class_share
from akpsim.karenina.readout import project_out
from akpsim.study import Happiness


def test_the_margin_counts_from_the_majority_baseline():
    rule = Happiness(rule="margin", margin=0.1)
    assert happy([0.76, 0.74, 0.90], 0.65, rule).tolist() == ["happy", "unhappy", "happy"]


def test_the_median_is_that_of_the_block():
    rule = Happiness(rule="median", block="optimizer")
    labels = happy([0.1, 0.2, 0.8, 0.9], 0, rule, np.array(["sgd", "sgd", "adam", "adam"]))
    assert labels.tolist() == ["unhappy", "happy", "unhappy", "happy"]


def test_a_member_that_says_one_class_to_nearly_all_is_collapsed():
    probability = np.zeros((2, 20, 3))
    probability[0, :19, 1] = probability[0, 19:, 0] = 1
    probability[1, np.arange(20), np.arange(20) % 3] = 1
    np.testing.assert_allclose(one_class_share(probability), [19 / 20, 7 / 20])


def test_happiness_of_a_run_uses_the_rule_of_its_study(tiny_run):
    accuracy = tiny_run.members.accuracy.values
    found = akpsim.happiness(tiny_run, Happiness(rule="median"))
    assert (found.happiness.values == np.where(accuracy > np.median(accuracy), "happy", "unhappy")).all()
    assert found.attrs["rule"] == "accuracy above the median of all members"
    assert found.attrs["collapsed_members"] == int((found.one_class_share >= 0.95).sum())
    assert "happiness" not in akpsim.happiness(tiny_run, Happiness(rule="continuous"))
    with pytest.raises(
        AkpsimError, match=r"all 4 members are unhappy by the rule of the study: accuracy above .* \+ 1;"
    ):
        akpsim.happiness(tiny_run, Happiness(margin=1.0))


def test_what_the_readout_says_is_taken_out_and_nothing_else():
    rng = np.random.default_rng(0)
    logits, free = np.split(np.linalg.qr(rng.normal(size=(20, 8)))[0], [3], axis=1)
    values = logits @ rng.normal(size=(3, 6)) + free @ rng.normal(size=(5, 6))
    left = project_out(values, logits @ rng.normal(size=(3, 4)))  # four columns of rank three
    np.testing.assert_allclose(logits.T @ left, 0, atol=1e-12)
    np.testing.assert_allclose(free.T @ left, free.T @ values, atol=1e-12)


def members(values):
    n, samples, _ = values.shape
    return xr.DataArray(
        values, dims=("member", "sample", "neuron"), coords={"member": range(n), "sample": range(samples)}
    )


def test_logits_without_themselves_are_nothing():
    logits = members(np.random.default_rng(0).normal(size=(2, 10, 3)))
    with pytest.raises(AkpsimError, match=r"the logits say all of this layer \(3 neurons, 3 logits\): nothing is left"):
        akpsim.without_readout(logits, logits)
    with pytest.raises(AkpsimError, match="representations and logits have different samples"):
        akpsim.without_readout(logits, logits.isel(sample=slice(1, None)))
    with pytest.raises(AkpsimError, match="as many rows are needed in both: 4 samples, but 3 of the readout"):
        project_out(np.ones((4, 1)), np.ones((3, 1)))


def test_the_tautological_part_is_the_difference_of_two_effects():
    rng = np.random.default_rng(1)
    labels = np.repeat(["happy", "unhappy"], 8)
    readout = rng.normal(size=(16, 5)) * np.where(labels == "unhappy", 3, 1)[:, None]
    rest = rng.normal(size=(16, 20))
    raw, projected = cdist(np.hstack([readout, rest]), np.hstack([readout, rest])), cdist(rest, rest)
    found = akpsim.disperse_without_readout(raw, projected, labels, seed=0)
    one, two = (akpsim.disperse(matrix, labels, seed=0) for matrix in (raw, projected))
    assert float(found.raw_log_ratio) == float(one.log_ratio)
    assert float(found.log_ratio) == float(two.log_ratio)
    assert float(found.tautological_part) == pytest.approx(float(one.log_ratio - two.log_ratio))
    assert float(found.tautological_part_lower) > 0
    assert found.attrs["verdict"] == two.attrs["verdict"]
    assert found.attrs["raw_verdict"] == "Anna Karenina"
    assert "of which is tautological" in found.attrs["sentence"]


def test_distance_regressed_on_accuracy():
    x = np.array([0.0, 1, 2, 4, 8, 9])[:, None]
    dist, accuracy = np.abs(x - x.T), np.array([0.9, 0.8, 0.9, 0.7, 0.4, 0.3])
    found = akpsim.disperse_on(dist, accuracy)
    contribution = np.log(dist.sum(axis=1) / 5)
    assert float(found.slope) == pytest.approx(np.polyfit(accuracy, contribution, 1)[0])
    assert found.attrs["permutations"] == 719  # 6! - 1
    assert float(found.slope_lower) < float(found.slope) < float(found.slope_upper)
    with pytest.raises(AkpsimError, match="`group` does not vary inside blocks: there is no slope"):
        akpsim.disperse_on(dist, np.ones(6))
    with pytest.raises(AkpsimError, match="four members at least are needed for a slope, got 3"):
        akpsim.disperse_on(dist[:3, :3], accuracy[:3])


def test_slopes_inside_blocks_ignore_differences_between_blocks():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 3))
    blocks = np.repeat([0, 1], 6)
    accuracy = rng.uniform(size=12)
    one = akpsim.disperse_on(cdist(points, points), accuracy, blocks=blocks, seed=0)
    two = akpsim.disperse_on(cdist(points, points), accuracy + blocks, blocks=blocks, seed=0)
    assert float(one.slope) == pytest.approx(float(two.slope))
    assert float(one.p) == pytest.approx(float(two.p))


@pytest.fixture(scope="module")
def median_run(tiny_study, tmp_path_factory, cache_folder):
    """A tiny run whose study calls the better half happy."""
    from akpsim.families import train_family

    study = tiny_study.model_copy(update={"happiness": Happiness(rule="median")})
    return train_family(study, tmp_path_factory.mktemp("runs") / "median")


def test_the_whole_chain_on_a_run(cli, median_run, tmp_path):
    code, said, _ = cli(
        "disperse", median_run.path, "--by", "happiness", "--layer", "dense_1", "-o", tmp_path / "d.nc", "--json"
    )
    found = json.loads(said)
    assert code == 0
    assert found["result"] == "dispersion"
    assert set(found["label"]) == {"happy", "unhappy"}
    assert {"raw_log_ratio", "tautological_part", "log_ratio_lower", "rule", "collapsed"} <= set(found)


def test_all_layers_of_a_run(cli, tiny_run, tmp_path):
    code, said, _ = cli("disperse", tiny_run.path, "--by", "family", "--layer", "all", "-o", tmp_path / "d.nc")
    assert code == 0
    assert "dense_1" in said
    assert akpsim.open_result(tmp_path / "d.nc").attrs["result"] == "dispersion_layers"


def test_happiness_needs_a_run(cli, tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    assert "`--by happiness` needs a run" in cli("disperse", tmp_path / "a.npy", "--by", "happiness")[2]
