"""The paper's Table 1: scores by hand, beside what they must be read with."""

import csv
import io
import json
import re

import netCDF4
import numpy as np
import pytest
from scipy.stats import binomtest

from akpsim import AkpsimError, classification_table, load_study, open_run
from akpsim.classification import printable, wilson
from akpsim.files import write_json, write_text
from akpsim.seal import seal
from akpsim.store import MEMBER_COORDINATES, MemberWriter
from akpsim.study import Family, Study
from akpsim.tables import FORMATS, Table, as_latex, as_markdown, as_text

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
# 5 of 6 and 2 of 4 right; 6 of 6 and 0 of 4 right
SAID = {"f-0": [0, 0, 0, 0, 0, 1, 1, 1, 0, 0], "f-1": [0] * 10}


def a_run(folder, said=SAID, *, name="mine", family="f", labels=LABELS, study=None):
    """A run of one family, or of a study's, whose members gave these answers; NaN is one."""
    study = study or Study(name=name, members=len(said), families=(Family(name=family),))
    write_text(folder / "study.toml", study.to_toml())
    write_json(folder / "manifest.json", {"study": study.hash, "members": {}})
    (folder / "members").mkdir()
    for member, answers in zip(study.design(), said.values(), strict=True):
        attrs = dict.fromkeys(MEMBER_COORDINATES, 0.0) | {
            "family": member.family.name,
            "classes": json.dumps(["large", "small"]),
        }
        writer = MemberWriter(folder / "members" / f"{member.name}.nc", attrs)
        probability = [np.eye(2)[answer] if answer == answer else (np.nan, np.nan) for answer in answers]
        writer.table("test", "sample", {"label": labels, "probability": (np.array(probability), "class")})
        writer.finish({})
        writer.close()
    return open_run(folder)


def test_scores_are_those_by_hand(tmp_path):
    table = classification_table(a_run(tmp_path)).sel(family="f")
    # precision 5/7 and 6/10; 2/3 and, never predicted, 0
    np.testing.assert_allclose(table.precision, [(5 / 7 + 0.6) / 2, (2 / 3 + 0) / 2])
    np.testing.assert_allclose(table.recall, [(5 / 6 + 1) / 2, (1 / 2 + 0) / 2])
    # 2TP / (2TP + FP + FN)
    np.testing.assert_allclose(table.f1, [(10 / 13 + 12 / 16) / 2, (4 / 7 + 0) / 2])
    assert float(table.accuracy) == pytest.approx((0.7 + 0.6) / 2)
    assert float(table.accuracy_sd) == pytest.approx(0.1 / np.sqrt(2))
    assert float(table.balanced_accuracy) == pytest.approx(((5 / 6 + 1 / 2) / 2 + 1 / 2) / 2)
    assert (int(table.members), float(table.majority_baseline), table.images.values.tolist()) == (2, 0.6, [6, 4])


def test_members_that_answer_the_same_to_every_image_are_counted(tmp_path):
    table = classification_table(a_run(tmp_path))
    assert table.constant.values.tolist() == [1]
    said = "Members that give one and the same class to every image: 1 of 2 in f."
    assert said in printable(table).caption
    alive = classification_table(a_run(tmp_path / "alive", {"f-0": SAID["f-0"]}))
    assert not [sentence for sentence in printable(alive).caption if "one class" in sentence]


@pytest.mark.parametrize("lost", ["probability", "classes", "majority_baseline"])
def test_a_run_of_another_version_that_lacks_something_is_one_sentence(lost, cli, tmp_path):
    run = a_run(tmp_path)
    with netCDF4.Dataset(run.file("f-0"), "a") as file:
        if lost in file.ncattrs():
            file.delncattr(lost)
        else:
            file["test"].renameVariable(lost, "another")
    seal(run.file("f-0"))
    code, _, err = cli("table", run.path)
    assert (code, err.count("\n")) == (1, 1)
    assert re.search(rf"f-0\.nc has no (test/)?{lost}: it is of another version of akpsim; train the run again", err)


def test_one_member_has_no_deviation(tmp_path):
    table = classification_table(a_run(tmp_path, {"f-0": SAID["f-0"]}))
    assert np.isnan(table.accuracy_sd).all()
    assert "±" not in " ".join(printable(table).rows[0])


@pytest.mark.parametrize("right", [0, 29, 43])
def test_the_interval_is_wilsons_on_the_papers_43_images(right):
    theirs = binomtest(right, 43).proportion_ci(method="wilson")
    lower, upper = wilson(np.array([right / 43]), 43)
    assert (lower[0], upper[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_interval_counts_images_and_not_members(tmp_path):
    table = classification_table(a_run(tmp_path))
    theirs = binomtest(13, 20).proportion_ci(method="wilson")  # what one would get by counting members
    assert float(table.accuracy_lower[0]) < theirs.low
    assert float(table.accuracy_upper[0]) > theirs.high


def test_members_tested_on_other_images_are_refused(tmp_path):
    run = a_run(tmp_path)
    other = a_run(tmp_path / "other", labels=LABELS[::-1])
    other.file("f-1").replace(run.file("f-1"))
    with pytest.raises(AkpsimError, match="members were tested on different images"):
        classification_table(run)


def test_a_paper_preset_shows_the_papers_numbers_beside_ours(tmp_path):
    run = a_run(tmp_path, name="paper-a", family="a_activation_rmsprop")
    whole = classification_table(run)
    table = whole.sel(family="a_activation_rmsprop")
    # Table 1 of the paper, group A, activation, RMSProp
    assert table.paper_precision.values.tolist() == [0.8, 1.0]
    assert table.paper_recall.values.tolist() == [1.0, 0.47]
    assert table.paper_f1.values.tolist() == [0.88, 0.64]
    assert float(table.paper_accuracy) == 0.82
    shown = printable(whole)
    assert shown.header.count("paper") == 4
    assert shown.rows[1][:5] == ["", "small", "", "0.33 ± 0.47", "1.00"]
    assert "paper" not in printable(classification_table(a_run(tmp_path / "mine"))).header


def test_a_baseline_family_beside_those_of_the_paper_leaves_the_papers_numbers_where_they_are(tmp_path, cli):
    study = Study(name="paper-a", members=1, families=(Family(name="baseline"), Family(name="a_activation_rmsprop")))
    run = a_run(tmp_path / "run", {"f-0": SAID["f-0"], "f-1": SAID["f-1"]}, study=study)
    table = classification_table(run)
    assert table.paper_recall.sel(family="a_activation_rmsprop").values.tolist() == [1.0, 0.47]
    assert np.isnan(table.paper_recall.sel(family="baseline")).all()
    assert np.isnan(table.paper_accuracy.sel(family="baseline"))
    shown = printable(table)
    assert [row[4] for row in shown.rows] == ["", "", "0.80", "1.00"]
    assert {len(row) for row in shown.rows} == {len(shown.header)}
    _, out, _ = cli("table", run.path, "--json")
    assert [each["paper_accuracy"] for each in json.loads(out)] == [None, None, 0.82, 0.82]
    assert "paper: the paper's Table 1" in cli("table", run.path)[1]


def test_a_member_with_values_that_are_not_finite_is_named(tmp_path, cli):
    said = {"f-0": SAID["f-0"], "f-1": [float("nan")] * 10}
    run = a_run(tmp_path / "run", said)
    sentence = "Members with values that are not finite, whose scores mean nothing: f-1."
    assert sentence in printable(classification_table(run)).caption
    assert sentence in cli("table", run.path)[1]
    assert "finite" not in cli("table", a_run(tmp_path / "alive", {"f-0": SAID["f-0"]}).path)[1]


def test_a_member_that_diverges_is_named_at_the_end_of_training_and_in_its_table(tmp_path, cli):
    study = {
        "members": 1,
        "network": {"dense": [8]},
        "training": {"epochs": 2, "batch_size": 256, "optimizer": "sgd"},
        "families": [{"name": "tame"}, {"name": "wild", "learning_rate": 1e30}],
    }
    (tmp_path / "wild.toml").write_text(load_study(study).to_toml())
    sentence = "Members with values that are not finite, whose scores mean nothing: wild-0."
    code, out, _ = cli("train-family", tmp_path / "wild.toml", "--out", tmp_path / "run")
    assert (code, sentence in out.splitlines()) == (0, True)
    assert sentence in cli("table", tmp_path / "run")[1]
    code, out, _ = cli("train-family", tmp_path / "wild.toml", "--out", tmp_path / "run", "--json")
    assert json.loads(out)["not_finite"] == ["wild-0"]


def test_the_papers_class_0_stands_beside_the_larger_class(tmp_path):
    run = a_run(tmp_path, {"f-0": [1] * 10}, name="paper", family="a_loss_sgd", labels=1 - LABELS)
    table = classification_table(run)
    assert table.images.values.tolist() == [4, 6]
    assert table.paper_recall.values.tolist() == [[0.0, 1.0]]


def test_any_name_can_stand_in_latex():
    table = Table(["x"], [["a^b~{50%}\\"]])
    assert as_latex(table).splitlines()[6] == r"a\textasciicircum{}b\textasciitilde{}\{50\%\}\textbackslash{} \\"


def test_formats_of_a_table_by_hand():
    table = Table(["a_b", "x"], [["one", "1 ± 2"], ["o|o", "10 %"]], caption=["Said."])
    assert as_text(table) == "a_b      x\none  1 ± 2\no|o   10 %\nSaid."
    assert as_markdown(table).splitlines() == [
        "| a_b | x |",
        "| :-- | --: |",
        "| one | 1 ± 2 |",
        r"| o\|o | 10 % |",
        "",
        "Said.",
    ]
    assert as_latex(table).splitlines()[3:8] == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & x \\",
        r"\midrule",
        r"one & 1 $\pm$ 2 \\",
    ]


@pytest.mark.parametrize("style", FORMATS)
def test_the_command_prints_every_format(style, cli, tmp_path):
    run = a_run(tmp_path / "run")
    code, out, _ = cli("table", run.path, "--format", style)
    assert code == 0
    assert "f" in out
    if style == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [float(row["recall"]) for row in rows] == pytest.approx([11 / 12, 0.25])
    else:
        assert "large" in out
        assert "Always saying large gets accuracy 0.60 and balanced accuracy 0.50." in out


def test_the_command_saves_by_suffix_and_prints_json(cli, tmp_path):
    run = a_run(tmp_path / "run")
    for suffix, start in {"md": "| family", "tex": r"\begin{table}", "csv": "family,class", "txt": "family "}.items():
        path = tmp_path / f"table.{suffix}"
        code, out, _ = cli("table", run.path, "-o", path)
        assert (code, out.strip()) == (0, str(path))
        assert path.read_text().startswith(start)
    code, _, err = cli("table", run.path, "-o", tmp_path / "table.docx")
    assert (code, "--out must end in .txt, .csv, .md, .tex or .nc, or --format say" in err) == (1, True)
    assert not (tmp_path / "table.docx").exists()
    code, out, _ = cli("table", run.path, "--json")
    first, second = json.loads(out)
    assert (first["class"], first["accuracy"], second["recall"]) == ("large", pytest.approx(0.65), 0.25)
    code, _, err = cli("table", run.path, "--format", "html")
    assert (code, "unknown `--format` 'html'" in err) == (1, True)
    assert cli("table", tmp_path)[0] == 1


def test_training_a_paper_preset_ends_with_table_1(tmp_path, tiny_run):
    from akpsim_cli.train_family import result_table

    run = a_run(tmp_path, name="paper-a", family="a_activation_rmsprop")
    assert "paper: the paper's Table 1" in result_table(run)
    assert result_table(tiny_run).startswith("family ")
    assert "paper" not in result_table(tiny_run)


def test_ten_classes_fit_too(tiny_run):
    table = classification_table(tiny_run)
    assert table.sizes == {"class": 10, "family": 2}
    np.testing.assert_allclose(
        table.accuracy, [tiny_run.members.accuracy[:2].mean(), tiny_run.members.accuracy[2:].mean()]
    )
