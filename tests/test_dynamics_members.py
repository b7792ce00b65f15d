"""A table over members: where prey and predators live in a run they are found, with intervals and a verdict."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import akpsim
from akpsim.errors import AkpsimError
from akpsim.seal import seal

RATES = {"none": {"a": 0.5, "b": 0.4, "c": 0.4, "d": 0.3}, "severe": {"a": 0.9, "b": 0.4, "c": 0.6, "d": 0.3}}
NOISE = 0.05


def prey_and_predator(stress: str, seed: int, time=range(45)) -> xr.DataArray:
    return akpsim.simulate_lotka_volterra(time, **RATES[stress], initial=(1.5, 0.5), noise=NOISE, seed=seed).populations


@pytest.fixture(scope="module")
def living_run(tmp_path_factory, cache_folder):
    """A run that was trained, into whose neurons prey and predators were written: cluster_1 hunts cluster_2."""
    from akpsim.families import train_family

    study = akpsim.load_study(
        {
            "name": "living",
            "members": 2,
            "network": {"backbone": "none", "dense": [16]},
            "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.01},
            "capture": {"epochs": [-1], "populations": 45},
            "families": [{"name": "calm"}, {"name": "wild", "stress": "severe"}],
        }
    )
    run = train_family(study, tmp_path_factory.mktemp("living") / "run")
    activations = run.representations(layer="dense_1").values
    for index, member in enumerate(run.names):
        clusters = akpsim.cluster_neurons(activations[index])
        with netCDF4.Dataset(run.file(member), "r+") as file:
            stored = file["populations/dense_1/mean_abs"]
            truth = prey_and_predator("none" if "calm" in member else "severe", index, range(len(stored))).values
            values = stored[:]
            # Neurons of a cluster differ, and their mean is the population.
            for cluster, population in enumerate((1, 0)):
                inside = clusters == cluster
                weights = np.linspace(0.5, 1.5, inside.sum())
                values[:, inside] = truth[:, [population]] * weights / weights.mean()
            stored[:] = values
        seal(run.file(member))
    return run


def test_prey_and_predators_of_a_run_are_found_member_by_member(living_run, cli, tmp_path):
    code, out, _ = cli("fit-lv", living_run.path, "--starts", 2, "-o", tmp_path / "fit.nc")
    assert code == 0
    table = akpsim.open_result(tmp_path / "fit.nc")
    assert table.best.values.tolist() == ["lotka_volterra"] * 4
    assert table.prey.values.tolist() == ["cluster_2"] * 4
    assert not table.refused.any()
    for name in "abcd":
        truth = np.repeat([RATES["none"][name], RATES["severe"][name]], 2)
        assert table[name].values == pytest.approx(truth, rel=0.1)
        inside = (table[f"{name}_lower"] < truth) & (truth < table[f"{name}_upper"])
        assert int(inside.sum()) >= 3
        for stress in RATES:
            group = table.sel(group=stress)
            assert float(group[f"group_{name}_lower"]) < RATES[stress][name] < float(group[f"group_{name}_upper"])
    assert table.group_fitted.values.tolist() == table.group_chosen.values.tolist() == [2, 2]
    assert "severe: 2 of 2 members could be fitted; lotka_volterra was chosen for 2" in out
    assert out.splitlines()[-1].startswith(
        "verdict: undecided: BIC chooses lotka_volterra for 4 of the 4 members that could be judged (95% interval 40% "
    )
    code, _, _ = cli("plot", tmp_path / "fit.nc", "-o", tmp_path / "fit.png")
    assert code == 0


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """Members that cycle, walk at random, only grow, and end early; saved as anybody could save them."""
    rng = np.random.default_rng(3)
    time = np.arange(45.0)
    cycles = [prey_and_predator("none", seed).values for seed in range(6)]
    walk = np.exp(np.cumsum(0.2 * rng.normal(size=(45, 2)), axis=0))
    growth = np.exp(np.outer(time, [0.05, 0.02]) + 0.01 * rng.normal(size=(45, 2)))
    late = [np.exp(np.outer(time, [0.03, 0.02]) + 0.01 * rng.normal(size=(45, 2)))]
    cycles[5][30:] = np.nan
    values = xr.DataArray(
        np.stack([*cycles, walk, growth, *late]),
        dims=("member", "time", "population"),
        coords={
            "member": ["c0", "c1", "c2", "c3", "c4", "early", "walk", "up", "slow"],
            "time": time,
            "population": ["hare", "lynx"],
            "stress": ("member", ["none"] * 6 + ["severe"] * 3),
        },
        name="populations",
        attrs={"unit": "heads"},
    )
    return akpsim.save(values, tmp_path_factory.mktemp("mixture") / "populations.nc")


def test_saved_populations_are_fitted_and_reasons_are_counted(mixture, cli, tmp_path):
    code, out, _ = cli("fit-lv", mixture, "-o", tmp_path / "fit.nc", "--starts", 2)
    assert code == 0
    table = akpsim.open_result(tmp_path / "fit.nc")
    assert table.best.sel(member=["c0", "c1", "c2", "c3", "c4", "early"]).values.tolist() == ["lotka_volterra"] * 6
    assert str(table.best.sel(member="walk").values) in ("random_walk", "ar1", "var1")
    assert int(table.n.sel(member="early")) == 60
    lines = out.splitlines()
    assert "InsufficientTrajectory, 2 of 9, for example up: no population turns: each is monotone" in out
    assert lines[-1].startswith("verdict: undecided: BIC chooses lotka_volterra for 6 of the 7 members that could be")
    assert lines[-1].endswith("; 2 of 9 could not be judged")
    code, out, _ = cli("fit-lv", mixture, "--member", "c1", "--starts", 2, "--json", "-o", tmp_path / "one.nc")
    assert code == 0
    assert json.loads(out)["a"] == pytest.approx(float(table.a.sel(member="c1")), rel=1e-4)


def test_other_forms_are_fitted_to_every_member(mixture, cli, tmp_path):
    code, out, _ = cli("fit-lv", mixture, "--model", "generalized", "--starts", 1, "-o", tmp_path / "fit.nc")
    assert code == 0
    table = akpsim.open_result(tmp_path / "fit.nc")
    for name, truth in {"effect_12": -0.4, "effect_21": 0.3, "effect_11": 0.0}.items():
        assert float(table[name].sel(member="c0")) == pytest.approx(truth, abs=0.05)
        assert float(table[f"{name}_lower"].sel(member="c0")) < truth < float(table[f"{name}_upper"].sel(member="c0"))
    good = table[["effect_12"]].where(~table.refused.astype(bool) & (table.stress == "none"))
    assert float(table.group_effect_12.sel(group="none")) == pytest.approx(float(good.effect_12.mean()))
    assert "NotIdentifiable, " in out
    assert "the data do not determine the rates" in out
    one = akpsim.fit_dynamics(
        "generalized", None, akpsim.read_trajectory(mixture).sel(member="c1"), starts=1, strict=False
    )
    assert float(table.effect_12.sel(member="c1")) == pytest.approx(float(one.value.sel(rate="effect_12")), rel=1e-3)
    code, _, _ = cli("plot", tmp_path / "fit.nc", "-o", tmp_path / "fit.png")
    assert code == 0


def test_three_clusters_of_a_run_are_fitted_too(living_run, cli, tmp_path):
    options = ("--species", 3, "--model", "logistic", "--starts", 1)
    code, _, _ = cli("fit-lv", living_run.path, *options, "-o", tmp_path / "fit.nc")
    assert code == 0
    table = akpsim.open_result(tmp_path / "fit.nc")
    assert table.attrs["parameters"] == (
        "growth_1 crowding_1 growth_2 crowding_2 growth_3 crowding_3 limit_1 limit_2 limit_3"
    )
    assert table.sizes["population"] == 3
    assert "lotka_volterra" not in table.model.values


def test_the_page_and_the_command_list_every_model(cli):
    page = (Path(__file__).parents[1] / "docs" / "method-dynamics.md").read_text()
    listed = json.loads(cli("list", "models", "--json")[1])
    assert list(listed) == [*akpsim.FORMS, *akpsim.NULLS]
    for kind, entries in {"form": akpsim.FORMS, "one-step null": akpsim.NULLS}.items():
        for entry in entries.values():
            assert f"| `{entry.name}` | {kind} | {entry.summary} |" in page
            assert listed[entry.name].endswith(entry.summary)


def test_options_of_prey_and_predator_belong_to_them(mixture):
    populations = akpsim.read_trajectory(mixture)
    with pytest.raises(AkpsimError, match="`prey` and profile intervals belong to lotka_volterra, not to generalized"):
        akpsim.fit_members(populations, model="generalized", prey="hare")


def test_starts_agree_when_a_rate_vanishes():
    # Two populations that grow to a limit and drop for a while: the predator never decays, and c goes to zero.
    time = np.arange(0, 580, 4.0)
    limit = np.stack([2.2 - 2 * np.exp(-time / 150), 2.1 - 2 * np.exp(-time / 170)], axis=1)
    limit *= np.where((time > 300) & (time < 380), 0.4, 1.0)[:, None]
    noisy = limit * np.exp(0.03 * np.random.default_rng(0).normal(size=limit.shape))
    fit = akpsim.fit_lotka_volterra(time, noisy, starts=3, strict=False)
    assert json.loads(fit.attrs["warnings"])[0].startswith("AtBound: c went to zero")
    assert bool(fit.converged)
