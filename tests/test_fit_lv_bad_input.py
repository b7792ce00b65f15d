"""`akpsim fit-lv` answers any bad table or option with one sentence and exit code 1 or 2."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import akpsim

LYNX = Path(__file__).parents[1] / "data" / "lynx_hare.csv"
ROWS = [line.split(",") for line in LYNX.read_text().splitlines() if not line.startswith("#")]


def table(change=None, rows=ROWS, delimiter=",") -> str:
    """Return lynx and hare as CSV with one cell changed: {(row, column): text}."""
    cells = [list(row) for row in rows]
    for (row, column), text in (change or {}).items():
        cells[row][column] = text
    return "\n".join(delimiter.join(row) for row in cells) + "\n"


BAD = {
    "text in a cell": (table({(5, 1): "many"}), "row 6 holds 'many', which is no number"),
    "an empty cell": (table({(5, 1): ""}), "row 6 holds '', which is no number"),
    "not a number": (table({(4, 2): "nan"}), "must be positive and finite, got nan at time index 3 of 'lynx'"),
    "infinite": (table({(4, 2): "inf"}), "must be positive and finite, got inf at time index 3 of 'lynx'"),
    "negative": (table({(4, 2): "-3"}), "must be positive and finite, got -3 at time index 3 of 'lynx'"),
    "zero": (table({(4, 2): "0"}), "must be positive and finite, got 0 at time index 3 of 'lynx'"),
    "a time twice": (table({(5, 0): "1903"}), "`time` must increase, got 1903 after 1903 at index 4"),
    "unsorted": (table(rows=[ROWS[0], *ROWS[:0:-1]]), "`time` must increase, got 1919 after 1920 at index 1"),
    "a time that is none": (table({(5, 0): "nan"}), "`time` must be finite, got nan at index 4"),
    "one row": (table(rows=ROWS[:2]), "a fit needs at least 12 points in time, got 1"),
    "the header alone": (table(rows=ROWS[:1]), "needs a header and rows"),
    "no header": (table(rows=ROWS[1:]), "the first row holds numbers alone: a header with names is missing"),
    "empty": ("", "needs a header and rows"),
    "semicolons": (table(delimiter=";"), "needs a header and rows: a column of times and one a population"),
    "tabs": (table(delimiter="\t"), "needs a header and rows: a column of times and one a population"),
    "a short row": (table() + "1921,30\n", "row 23 has 2 values, the header has 3"),
    "one population": (
        table(rows=[row[:2] for row in ROWS]),
        "--species 2 needs 2 populations, the table has 1 (hare)",
    ),
    "a name twice": (table({(0, 2): "hare"}), "two columns are named 'hare'"),
    "constant": (
        table({(row, 2): "7" for row in range(1, 22)}),
        "population 'lynx' is constant: there are no dynamics to fit",
    ),
    "copies": (table({(row, 2): ROWS[row][1] for row in range(1, 22)}), "populations 'hare' and 'lynx' are collinear"),
    "binary": (b"\x00\xff\xfe\x80" * 50, "is no text file"),
    "a NUL": (table({(5, 1): "\x00"}), "which is no number"),
    "a cell too long": (table({(5, 1): "9" * 200_000}), "is no table: field larger than field limit"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_tables(cli, tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = cli("fit-lv", path, "--starts", 1, "-o", tmp_path / "fit.nc")
    assert (code, out) == (1, "")
    assert err.startswith("akpsim: ")
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert not (tmp_path / "fit.nc").exists()


OPTIONS = {
    "--species 0": "Invalid value for '--species'",
    "--species 3": "--species 3 needs 3 populations, the table has 2",
    "--species x": "Invalid value",
    "--starts 0": "`starts` must be a whole number of at least 1, got 0",
    "--noise normal": "unknown noise 'normal'",
    "--noise poisson": "whole numbers for poisson noise, which is of counts",
    "--prey hares": "unknown population 'hares'",
    "--columns hare": "the table has 1 (hare)",
    "--columns hare,wolf": "'wolf'",
    "--model var1": "unknown form of dynamics 'var1'",
    "--model generalized --profile": "--profile belongs to lotka_volterra, not to generalized",
    "--model logistic --prey hare": "--prey belongs to lotka_volterra",
    "--member x": "--member belongs to a table over",
    "--by stress": "--by belongs to a table over members",
    "--layer dense_1": "--layer belongs to a run",
    "--definition clusters": "--definition belongs to a run",
    "--segments": "--segments takes one member of a run",
    "--seed -1": "Invalid value for '--seed'",
    "--nothing": "No such option",
}


@pytest.mark.parametrize(("options", "message"), OPTIONS.items(), ids=OPTIONS)
def test_bad_options(cli, tmp_path, options, message):
    code, out, err = cli("fit-lv", LYNX, *options.split(), "-o", tmp_path / "fit.nc")
    assert code in (1, 2)
    assert out == ""
    assert message in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "fit.nc").exists()


def test_what_is_no_table_of_populations(cli, tmp_path, tiny_run):
    other = akpsim.save(akpsim.read_trajectory(LYNX).rename("pelts"), tmp_path / "other.nc")
    cut = tmp_path / "cut.nc"
    cut.write_bytes(other.read_bytes()[:200])
    for source, message in {
        other: "holds no populations over time",
        cut: "is no akpsim result, or was cut short",
        tmp_path / "nowhere.csv": "cannot read",
        tmp_path / "nowhere": "is no run",
    }.items():
        code, _, err = cli("fit-lv", source, "-o", tmp_path / "fit.nc")
        assert code == 1
        assert message in err
        assert len(err.strip().splitlines()) == 1
    code, _, err = cli("fit-lv", tiny_run.path, "--definition", "active_share", "-o", tmp_path / "fit.nc")
    assert code == 1
    assert "bounded by one: Lotka-Volterra does not apply; the models logistic and generalized do" in err
    code, _, err = cli("fit-lv", tiny_run.path, "--columns", "cluster_1", "-o", tmp_path / "fit.nc")
    assert (code, err.strip()) == (1, "akpsim: --columns belongs to a table, and this is none")


cell = st.one_of(
    st.sampled_from(["", "nan", "inf", "-1", "0", "1e308", "1e-308", "1900", "x", '"', "1,2", "\t", "'", "½", "0x10"]),
    st.floats().map(str),
    st.text(max_size=5),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(cell, max_size=4), max_size=16))
def test_tables_of_anything_are_refused_in_one_sentence(cli, tmp_path, rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path = tmp_path / "fuzz.csv"
    path.write_text(text.getvalue(), newline="", errors="replace")
    code, _, err = cli("fit-lv", path, "--starts", 1, "-o", tmp_path / "fit.nc")
    assert code == 1
    assert len(err.strip().splitlines()) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.sampled_from([1e-300, 1e-30, 1.0, 1e30, 1e300]),
    seed=st.integers(0, 99),
    when=st.sampled_from([1e-200, 1.0, 1e200]),
)
def test_huge_and_tiny_numbers_are_fitted_or_refused(cli, tmp_path, size, seed, when):
    rng = np.random.default_rng(seed)
    values = size * np.exp(np.cumsum(0.3 * rng.normal(size=(14, 2)), axis=0))
    path = tmp_path / "huge.csv"
    np.savetxt(path, np.c_[when * np.arange(14.0), values], delimiter=",", header="time,x,y", comments="")
    code, _, err = cli("fit-lv", path, "--starts", 1, "-o", tmp_path / "fit.nc")
    assert code in (0, 1)
    assert len(err.strip().splitlines()) == (code == 1)


def test_zeros_are_fitted_where_they_have_a_likelihood(cli, tmp_path):
    counts = akpsim.simulate_lotka_volterra(np.arange(30.0), a=0.5, b=0.1, c=0.8, d=0.1, initial=(25, 2), seed=0)
    values = np.random.default_rng(1).poisson(counts.populations.values)
    assert (values == 0).any()
    path = tmp_path / "counts.csv"
    np.savetxt(path, np.c_[np.arange(30), values], delimiter=",", header="time,hare,lynx", comments="", fmt="%d")
    for noise in ("poisson", "natural"):
        code, out, _ = cli("fit-lv", path, "--noise", noise, "-o", tmp_path / f"{noise}.nc")
        assert code == 0
        assert out.splitlines()[-1] == (
            "verdict: none: models are compared by the likelihood of logs, and there are zeros"
        )
        fit = akpsim.open_result(tmp_path / f"{noise}.nc")
        assert float(fit.a_lower) < 0.5 < float(fit.a_upper)
        assert float(fit.c) == pytest.approx(0.8, rel=0.25)
    code, _, err = cli("fit-lv", path, "-o", tmp_path / "log.nc")
    assert code == 1
    assert "populations must be positive and finite, got 0 at time index" in err
