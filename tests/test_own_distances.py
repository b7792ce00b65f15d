"""Distances of the user's own, with groups from a table, are taken by every command that compares groups."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

import akpsim
from akpsim.errors import AkpsimError

NAMES = [f"m{i}" for i in range(8)]
PAGE = Path(__file__).parents[1] / "docs" / "method-statistics.md"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The same distances in four forms, labels beside them, features of the same members."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(8, 5)) * np.repeat([1, 4], 4)[:, None]
    dist = cdist(points, points)
    np.save("distances.npy", dist)
    np.savetxt("bare.csv", dist, delimiter=",")
    rows = [",".join(["", *NAMES]), *(",".join([name, *map(str, row)]) for name, row in zip(NAMES, dist, strict=True))]
    Path("distances.csv").write_text("\n".join(rows) + "\n")
    labelled = xr.DataArray(dist, dims=("member", "other"), coords={"member": NAMES, "other": NAMES})
    akpsim.save(labelled, "saved.nc")
    labels = [f"{name},{'wet' if i < 4 else 'dry'},{i % 4}" for i, name in enumerate(NAMES)]
    Path("labels.csv").write_text("\n".join(["member,habitat,site", *labels]) + "\n")
    Path("numbers.csv").write_text("\n".join(["member,habitat,site", *(line[1:] for line in labels)]) + "\n")
    for name in NAMES:
        np.save(f"{name}.npy", rng.normal(size=(20, 3)))
    return dist


@pytest.mark.parametrize(
    ("file", "table"),
    [("distances.npy", "numbers"), ("bare.csv", "numbers"), ("distances.csv", "labels"), ("saved.nc", "labels")],
)
def test_a_square_matrix_is_taken_as_distances_with_groups_from_a_table(cli, here, file, table):
    code, said, _ = cli("disperse", file, "--groups", f"{table}.csv", "--by", "habitat", "--blocks", "site")
    assert code == 0
    expected = akpsim.disperse(here, ["wet"] * 4 + ["dry"] * 4, blocks=[0, 1, 2, 3] * 2)
    found = akpsim.open_result(f"dispersion-{Path(file).stem}-habitat-site.nc")
    assert float(found.log_ratio) == pytest.approx(float(expected.log_ratio))
    assert float(found.p) == float(expected.p)
    assert found.attrs["blocks"] == "site"
    assert found.attrs["seed"] == 0
    assert "blocks: site" in said.splitlines()
    assert said.startswith(f"{file}, 8 members")


def test_ordinate_calibrate_and_feature_files_take_the_table_too(cli, here):
    options = ("--groups", "labels.csv", "--by", "habitat")
    assert "wet: mean distance " in cli("ordinate", "distances.csv", *options)[1]
    assert "from 8 members" in cli("calibrate", "distances.csv", *options, "--n", "2,2", "--reps", 2)[1]
    features = [f"{name}.npy" for name in NAMES]
    assert "wet                  n = 4" in cli("disperse", *features, *options)[1]
    assert cli("ordinate", *features, *options, "--method", "pca")[0] == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("habitat\nwet\n", "must have a first line with `member` and one column a grouping"),
        ("member,habitat\nm0,wet\n", "has no row for 7 of 8 members, such as m1"),
        ("member,habitat\nm0,wet\nm0,dry\n", "names member m0 twice"),
        ("member,habitat\nm0\n", "every row needs 2 cells"),
        ("member,habitat\n" + "".join(f"{name},{'' if name < 'm4' else 'dry'}\n" for name in NAMES), "4 missing"),
    ],
)
def test_what_the_table_lacks_is_named(cli, here, table, message):
    Path("wrong.csv").write_text(table)
    code, _, refused = cli("disperse", "distances.csv", "--groups", "wrong.csv", "--by", "habitat")
    assert code == 1
    assert message in refused


def test_no_table_is_said(cli, here):
    assert "none.csv does not exist" in cli("disperse", "distances.csv", "--groups", "none.csv", "--by", "a")[2]


def test_a_matrix_that_is_said_to_be_one_must_hold_distances(here):
    Path("odd.csv").write_text(",a,b\na,0,1\nb,2,0\n")
    with pytest.raises(AkpsimError, match="distances must be symmetric"):
        akpsim.read_distances("odd.csv")
    assert akpsim.read_distances("m0.npy") is None
    assert akpsim.read_distances("labels.csv") is None


def test_the_examples_of_the_page_run(cli, here, capsys):
    section = PAGE.read_text().split("## Your own distances")[1].split("\n## ")[0]
    for command in re.findall(r"^    akpsim (.*)$", section, re.MULTILINE):
        assert cli(*command.split(), *(["--reps", 3] if "calibrate" in command else []))[0] == 0
    exec(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0])  # noqa: S102 - our own page
    assert capsys.readouterr().out.count("spread wet / dry = ") == 2
