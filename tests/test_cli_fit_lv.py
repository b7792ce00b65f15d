"""`akpsim fit-lv` fits a table or a run, says what it found, and saves it to be drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

import akpsim

LYNX = Path(__file__).parents[1] / "data" / "lynx_hare.csv"


@pytest.fixture(scope="module")
def lynx(tmp_path_factory):
    from akpsim_cli.main import app
    from typer.testing import CliRunner

    path = tmp_path_factory.mktemp("fit") / "lynx.nc"
    result = CliRunner().invoke(app, ["fit-lv", str(LYNX), "--profile", "-o", str(path)], catch_exceptions=False)
    return result, path


def test_lynx_and_hare(lynx):
    result, path = lynx
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{path}: prey hare, lognormal noise, n = 42"
    assert "a               0.54016  [0.4377, 0.6599]" in lines
    assert lines[-1].startswith(
        "verdict: undecided: Lotka-Volterra, prey and predator, but generalized and var1 as good"
    )


def test_what_is_saved_is_labelled_and_can_be_drawn(lynx, cli, tmp_path):
    fit = akpsim.open_result(lynx[1])
    assert fit.attrs["best"] == "lotka_volterra"
    assert fit.model_bic.dims == ("model",)
    assert (fit.band_lower <= fit.fitted).all()
    code, out, _ = cli("plot", lynx[1], "-o", tmp_path / "lynx.png")
    assert code == 0
    assert Path(out.strip()).stat().st_size > 10_000
    for kind in ("models", "profile"):
        code, out, _ = cli("plot", lynx[1].with_name(f"lynx-{kind}.nc"), "-o", tmp_path / f"{kind}.svg")
        assert code == 0


def test_json_is_for_machines(cli, tmp_path):
    code, out, _ = cli("fit-lv", LYNX, "--prey", "hare", "--starts", 2, "--json", "-o", tmp_path / "fit.nc")
    found = json.loads(out)
    assert code == 0
    assert found["a"] == pytest.approx(0.540159, rel=1e-4)
    assert found["verdict"].startswith("undecided: Lotka-Volterra")


def test_three_species_are_fitted_by_the_generalized_system(cli, tmp_path):
    rates = {"growth_1": 1.0, "growth_2": -0.5, "growth_3": 0.4, "effect_12": -0.5, "effect_21": 0.4,
             "effect_23": -0.2, "effect_32": 0.1, "effect_33": -0.3}  # fmt: skip
    truth = akpsim.simulate_dynamics(
        "generalized", np.linspace(0, 12, 20), rates, initial=[1, 1, 1], noise=0.02, seed=0
    )
    table = tmp_path / "three.csv"
    columns = np.c_[truth.time.values, truth.populations.values]
    np.savetxt(table, columns, delimiter=",", header="time,x,y,z", comments="")
    code, out, _ = cli("fit-lv", table, "--species", 3, "--starts", 1, "-o", tmp_path / "fit.nc")
    assert code == 0
    assert "generalized of 3 populations, n = 60" in out
    code, _, err = cli("fit-lv", table)
    assert code == 1
    assert err.strip() == (
        "akpsim: --species 2 needs 2 populations, the table has 3 (x, y, z): choose with --columns, or --species 3"
    )


def test_a_run_gives_a_table_and_reasons(cli, tiny_run, tmp_path):
    code, out, _ = cli("fit-lv", tiny_run.path, "-o", tmp_path / "fit.nc", "--starts", 1)
    assert code == 0
    table = akpsim.open_result(tmp_path / "fit.nc")
    assert table.sizes["member"] == 4
    assert table.group.values.tolist() == ["none", "severe"]
    assert table.group_n.values.tolist() == [2, 2]
    named = [text.split(":")[0] not in ("", "DoubtfulFit") for text in table.problem.values]
    assert table.refused.values.astype(bool).tolist() == named
    for name in table.member.values:
        assert str(name) in out
    assert "none: " in out
    assert "severe: " in out
    code, _, _ = cli("plot", tmp_path / "fit.nc", "-o", tmp_path / "fit.png")
    assert code == 0


def test_a_users_error_is_one_sentence(cli, tiny_run, tmp_path):
    code, _, err = cli("fit-lv", tiny_run.path, "--member", "nobody", "-o", tmp_path / "fit.nc")
    assert code == 1
    assert err.startswith("akpsim: unknown member 'nobody': there are: baseline-0, baseline-1, noisy-0")
    short = tmp_path / "short.csv"
    short.write_text("time,x,y\n" + "\n".join(f"{t},{t + 1},{2 + t % 3}" for t in range(8)))
    code, _, err = cli("fit-lv", short)
    assert code == 1
    assert err.strip() == "akpsim: a fit needs at least 12 points in time, got 8: capture populations more often"


def test_growth_to_a_limit_needs_no_turning_point_and_the_verdict_is_about_it(cli, tmp_path):
    # Logistic growth to 100 and 50, by hand, with 5 % noise.
    time = np.linspace(0, 20, 30)
    limits = np.stack([100 / (1 + 20 * np.exp(-0.6 * time)), 50 / (1 + 5 * np.exp(-0.9 * time))], axis=1)
    values = limits * np.exp(0.05 * np.random.default_rng(0).normal(size=limits.shape))
    path = tmp_path / "logistic.csv"
    np.savetxt(path, np.c_[time, values], delimiter=",", header="time,u,v", comments="")
    code, out, _ = cli("fit-lv", path, "--model", "logistic", "--starts", 1, "-o", tmp_path / "fit.nc")
    assert code == 0
    assert any(line.startswith("limit_1    ") and "[" in line for line in out.splitlines())
    assert "Lotka" not in out.splitlines()[-1]
    code, _, err = cli("fit-lv", path, "-o", tmp_path / "fit.nc")
    assert code == 1
    assert "no population turns" in err


def test_a_refused_fit_is_no_estimate_in_text_and_figure(cli, tmp_path):
    from akpsim.plots.lotka_volterra import plot_lotka_volterra

    # A predator that grows whatever the prey does: c goes to zero.
    time = np.linspace(0, 10, 40)
    values = np.stack([np.exp(0.5 * time - 0.05 * time**2), 0.1 * np.exp(0.3 * time)], axis=1)
    values *= np.exp(0.01 * np.random.default_rng(0).normal(size=(40, 2)))
    path = tmp_path / "bound.csv"
    np.savetxt(path, np.c_[time, values], delimiter=",", header="time,u,v", comments="")
    code, out, _ = cli("fit-lv", path, "--prey", "u", "--starts", 2, "-o", tmp_path / "fit.nc")
    assert code == 0
    assert "refused, " in out
    rates = out.splitlines()[2:11]
    assert all(line.endswith("(refused: no estimate)") for line in rates)
    fit = akpsim.open_result(tmp_path / "fit.nc")
    reason = str(fit.problem.values).split(":")[0]
    assert plot_lotka_volterra(fit)[0].get_title().startswith(f"refused: {reason}; ")
