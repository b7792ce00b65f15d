"""The correlation graph agrees with R; phases are named only when both intervals say so."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.errors import AkpsimError
from akpsim.karenina.correlation_graph import correlations, dimensions, expected_weight, weights
from akpsim.karenina.crisis import phase
from akpsim.plots import PLOTS

mpl.use("Agg")
REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "corrgraph_expected.json").read_text())  # R 4.2.2, agreed by numpy
TINY = json.loads((REFERENCE / "tiny_exact.json").read_text())  # algebra


def table(name):
    if name == "swiss":
        return np.loadtxt(REFERENCE / "swiss.csv", delimiter=",", skiprows=1, usecols=range(1, 7))
    iris = np.loadtxt(REFERENCE / "iris.csv", delimiter=",", skiprows=1, usecols=range(1, 5))
    return iris if name == "iris" else iris[:50]


@pytest.mark.parametrize("name", EXPECTED)
def test_weights_and_dimensions_of_iris_and_swiss(name):
    expected = EXPECTED[name]
    found = akpsim.correlation_graph(table(name), permutations=9, bootstrap=9, seed=0)
    assert float(found.G) == pytest.approx(expected["G"], abs=1e-10)
    assert int(found.edges) == expected["n_edges"]
    assert float(found.variance) == pytest.approx(expected["total_variance"], rel=1e-10)
    rules = {
        "kaiser": "dim_kaiser",
        "broken_stick": "dim_broken_stick",
        "condition": "dim_cond10",
        "participation": "participation_ratio",
        "entropy": "entropy_dim",
    }
    for rule, key in rules.items():
        assert float(found.dimensions.sel(rule=rule)) == pytest.approx(expected[key], abs=1e-10)


def test_three_attributes_by_hand():
    matrix = np.array(TINY["corrgraph_3"]["R"])
    assert weights(matrix, 0.5) == pytest.approx(TINY["corrgraph_3"]["G"])
    assert dimensions(np.eye(4)) == {
        "kaiser": 0,
        "broken_stick": 0,
        "condition": 4,
        "participation": 4,
        "entropy": pytest.approx(4),
    }


@pytest.mark.parametrize("n", TINY["G_null_per_pair"])
def test_what_chance_gives_a_pair_of_attributes(n):
    assert expected_weight(int(n), 0.5) == pytest.approx(TINY["G_null_per_pair"][n]["E_G_per_pair"], rel=1e-12)


def test_permuted_columns_give_the_expected_null_and_observed_chance_is_no_finding():
    values = np.random.default_rng(0).normal(size=(10, 20))
    found = akpsim.correlation_graph(values, permutations=400, bootstrap=50, seed=1)
    assert float(found.G_null) == pytest.approx(float(found.G_expected), rel=0.1)
    assert float(found.G_expected) == pytest.approx(190 * TINY["G_null_per_pair"]["10"]["E_G_per_pair"])
    assert float(found.p) > 0.05
    assert float(found.G_lower) <= float(found.G_upper)


def test_a_constant_column_is_joined_to_none_and_counted():
    values = np.random.default_rng(0).normal(size=(6, 3))
    values[:, 1] = 7.1
    assert not correlations(values[None])[0][1].any()
    assert akpsim.correlation_graph(values, permutations=5, bootstrap=5).attrs["constant"] == 1


def trajectories(kind, n=30, epochs=5, p=6):
    """Members whose common factor grows (crisis), shrinks (recovery) or turns into noise (catastrophe)."""
    rng = np.random.default_rng(5)
    factor, noise = rng.normal(size=(n, 1, 1)), rng.normal(size=(n, epochs, p))
    time = np.linspace(0, 1, epochs)[None, :, None]
    made = {
        "crisis": 3 * time * factor + 0.7 * noise,
        "recovery": 3 * (1 - time) * factor + 0.7 * noise,
        "catastrophe": 2 * (1 - time) * factor + (0.5 + 5 * time) * noise,
        "undecided": factor + noise,
    }[kind]
    coords = {"member": range(n), "epoch": range(epochs), "family": ("member", ["a", "b"] * (n // 2))}
    return xr.DataArray(made, dims=("member", "epoch", "attribute"), coords=coords)


@pytest.mark.parametrize("kind", ["crisis", "recovery", "catastrophe", "undecided"])
def test_phases(kind):
    found = akpsim.crisis(trajectories(kind), ["all"] * 30, permutations=49, bootstrap=199, seed=0)
    assert found.phase.sel(group="all").values[0] == "undecided"  # nothing has changed since the first epoch
    assert found.phase.sel(group="all").values[-1] == kind


def test_a_phase_needs_both_intervals():
    assert phase(0.1, 0.5, 0.1, 0.5) == "crisis"
    assert phase(-0.1, 0.5, 0.1, 0.5) == "undecided"
    assert phase(-0.5, -0.1, -0.5, -0.1) == "recovery"
    assert phase(-0.5, -0.1, 0.1, 0.5) == "catastrophe"
    assert phase(0.1, 0.5, -0.5, -0.1) == "undecided"


def test_an_epoch_says_what_its_table_says_alone_and_groups_are_apart():
    made = trajectories("crisis")
    found = akpsim.crisis(made, permutations=9, bootstrap=9, seed=0)
    assert found.attrs["by"] == "family"  # what pools families is correlated by their means
    assert found.attrs["smallest_p"] == 1 / 10
    alone = akpsim.correlation_graph(made.sel(epoch=3).values[::2], permutations=9, bootstrap=9)
    assert float(found.G.sel(group="a", epoch=3)) == pytest.approx(float(alone.G))
    assert float(found.variance.sel(group="a", epoch=3)) == pytest.approx(float(alone.variance))
    assert found["size"].values.tolist() == [15, 15]


def test_the_trend_of_a_growing_correlation_is_found_and_that_of_none_is_not():
    assert float(akpsim.crisis(trajectories("crisis"), permutations=99, bootstrap=5, seed=0).p_trend[0]) == 0.01
    rng = np.random.default_rng(1)
    noise = trajectories("crisis").copy(data=rng.normal(size=(30, 5, 6)))
    assert float(akpsim.crisis(noise, permutations=99, bootstrap=5, seed=0).p_trend[0]) > 0.05


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.ones((3, 4)),
            "4 members and 2 attributes at least make a correlation graph, got 3 members and 4 attributes",
        ),
        (np.ones(5), r"a table \(member, attribute\) is needed, got shape \(5,\)"),
        (np.full((5, 3), np.nan), "attributes must be finite, got 15 missing or infinite"),
    ],
)
def test_tables_that_make_no_graph_are_refused(values, message):
    with pytest.raises(AkpsimError, match=message):
        akpsim.correlation_graph(values)


def test_groups_and_epochs_that_are_too_few_are_refused():
    made = trajectories("crisis")
    with pytest.raises(AkpsimError, match="group rare has 3 members: 4 at least make a correlation graph"):
        akpsim.crisis(made, ["rare"] * 3 + ["common"] * 27)
    with pytest.raises(AkpsimError, match="two epochs and two attributes at least are needed, got 1 and 6"):
        akpsim.crisis(made.isel(epoch=[0]))
    with pytest.raises(
        AkpsimError, match=r"a table \(member, epoch, attribute\) is needed, got \('member', 'attribute'\)"
    ):
        akpsim.crisis(made.isel(epoch=0))


def test_members_that_start_alike_are_followed_from_where_they_differ():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((8, 6, 3)) * np.array([0, 0, 1, 2, 3, 4])[:, None] + 0.1
    over = xr.DataArray(values, dims=("member", "epoch", "attribute"), coords={"epoch": np.arange(6)})
    found = akpsim.crisis(over, permutations=19, bootstrap=99, seed=0).isel(group=0)
    later = akpsim.crisis(over.isel(epoch=slice(2, None)), permutations=19, bootstrap=99, seed=0).isel(group=0)
    assert float(found.since) == 2
    assert found.variance.values[:2].tolist() == [0, 0]
    assert np.isnan(found.G.values[:2]).all()
    assert np.isnan(found.log_variance_change.values[:2]).all()
    assert found.phase.values[:2].tolist() == ["undecided"] * 2
    xr.testing.assert_identical(found.isel(epoch=slice(2, None)).drop_attrs(), later.drop_attrs())
    # By hand: the log of the variance changes by that of the ratio, about twice the log of the scale.
    variance = values[:, 2:].var(axis=0, ddof=1).sum(axis=1)
    np.testing.assert_allclose(found.log_variance_change[2:], np.log(variance / variance[0]))


@pytest.mark.parametrize("differ", [1, 2])
def test_an_interval_has_no_end_where_resamples_hold_members_that_do_not_differ(differ):
    values = np.random.default_rng(0).standard_normal((8, 3, 2))
    values[:, 0] = (0.1, 0.7)  # of which the mean of eight is rounded
    values[:differ, 0] += np.arange(1, differ + 1)[:, None]
    over = xr.DataArray(values, dims=("member", "epoch", "attribute"), coords={"epoch": np.arange(3)})
    for seed in range(20):
        found = akpsim.crisis(over, seed=seed, permutations=1, bootstrap=199).isel(group=0)
        ends = found.log_variance_change_upper.values[1:]
        assert (np.isposinf(ends) | (ends < 20)).all()
    assert np.isposinf(ends).all()
    assert np.isfinite(found.log_variance_change).all()
    assert float(found.variance_lower[0]) == 0


def test_members_that_hardly_ever_differ_are_refused():
    values = np.ones((5, 3, 2))
    values[:, 2] = np.random.default_rng(0).standard_normal((5, 2))
    over = xr.DataArray(values, dims=("member", "epoch", "attribute"), coords={"epoch": np.arange(3)})
    for table_of in (over, over.isel(epoch=[2, 0, 1])):
        with pytest.raises(AkpsimError, match="the members of group all differ at 1 epochs; two at least are needed"):
            akpsim.crisis(table_of, seed=0)


def test_families_that_differ_in_their_means_are_not_pooled():
    made = trajectories("undecided")
    made = made + 9 * xr.where(made.family == "a", 1, -1)
    apart = akpsim.crisis(made, permutations=9, bootstrap=9, seed=0)
    pooled = akpsim.crisis(made.drop_vars("family"), permutations=9, bootstrap=9, seed=0)
    assert float(pooled.G[0, 0]) > 14.5  # of 15 pairs
    assert float(apart.G[0, 0]) < 13
    assert pooled.attrs["by"] == "all"


def test_the_picture_shows_g_over_epochs():
    found = akpsim.crisis(trajectories("crisis"), "family", permutations=9, bootstrap=99, seed=0)
    axes = PLOTS[found.attrs["result"]].draw(found)
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), found.G.sel(group="a"))
    assert axes[0].get_legend().get_texts()[0].get_text() == "a (n = 15)"


def test_crisis_of_a_table_of_ones_own(cli, tmp_path):
    frame = trajectories("crisis").to_dataset("attribute").to_dataframe().reset_index()
    frame.to_csv(tmp_path / "table.csv", index=False)
    code, said, _ = cli(
        "crisis",
        tmp_path / "table.csv",
        "--by",
        "family",
        "--bootstrap",
        99,
        "--permutations",
        99,
        "-o",
        tmp_path / "c.nc",
    )
    assert code == 0
    assert "a                n = 15  epoch 4: G " in said
    assert akpsim.open_result(tmp_path / "c.nc").attrs["result"] == "crisis"
    frame.drop(columns="epoch").to_csv(tmp_path / "bad.csv", index=False)
    assert "needs the columns member, epoch; there are: member" in cli("crisis", tmp_path / "bad.csv")[2]
    refused = cli("crisis", tmp_path / "c.nc")
    assert refused[0] == 1
    assert refused[2].startswith("akpsim: crisis follows a run or a table .csv over epochs, got ")


def test_the_attributes_of_a_run_are_means_over_classes(tiny_run):
    found = akpsim.class_means(tiny_run, "dense_1")
    assert found.dims == ("member", "epoch", "attribute")
    assert found.sizes["attribute"] == 10
    with pytest.raises(
        AkpsimError, match="the points of training are those of hidden layers: dense_1, dense_2; got 'x'"
    ):
        akpsim.class_means(tiny_run, "x")
    with pytest.raises(
        AkpsimError, match=r"class means are those of a run, as `akpsim\.open_run` opens it; got DataArray"
    ):
        akpsim.class_means(tiny_run.representations())


def test_crisis_of_a_run_follows_families_and_says_when_a_group_pools_them(cli, four_members, tmp_path):
    options = ("--bootstrap", 9, "--permutations", 9, "-o", tmp_path / "c.nc")
    code, said, _ = cli("crisis", four_members, *options)
    assert code == 0
    assert "baseline         n = 4" in said
    assert "p from 9 permutations of whole trajectories; smallest attainable 0.1" in said
    assert "families" not in said
    note = "holds 2 families: what differs between them counts as well; `--by family` keeps them apart"
    assert f"all {note}" in cli("crisis", four_members, "--by", "none", *options)[1]


def test_the_numbers_that_make_the_word_are_printed(cli, tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"m{m},{e},{','.join(f'{v:.4f}' for v in rng.normal(size=3))}" for m in range(6) for e in (0, 1)]
    (tmp_path / "t.csv").write_text("\n".join(["member,epoch,a,b,c", *rows]) + "\n")
    said = cli("crisis", tmp_path / "t.csv", "--permutations", 9, "--bootstrap", 19, "-o", tmp_path / "c.nc")[1]
    last = akpsim.open_result(tmp_path / "c.nc").isel(epoch=-1).squeeze()
    for name, words in (("G_change", "G"), ("log_variance_change", "log variance")):
        value, low, high = (float(last[name + end]) for end in ("", "_lower", "_upper"))
        assert f"{words} {value:+.2f} ({low:+.2f} to {high:+.2f})" in said
    assert "compare with the baseline" in said
