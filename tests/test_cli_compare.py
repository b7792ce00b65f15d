"""`akpsim compare`: a run or files in, a matrix and a table out; every mistake is one sentence."""

import json

import numpy as np
import pytest
from akpsim_cli.main import app
from akpsim_cli.similarity_text import _interval
from typer.testing import CliRunner

import akpsim
from akpsim.files import atomic, write_json, write_text
from akpsim.store import MEMBER_COORDINATES, MemberWriter
from akpsim.study import load_study

SAMPLES = np.array([f"s{index:02d}" for index in range(20)])


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def run(tmp_path):
    """A run of two families of three members, with two layers at two epochs."""
    return made(tmp_path, {"dense_1": 6, "dense_2": 4})


def made(tmp_path, layers, samples=20):
    families = [{"name": "baseline"}, {"name": "tanh", "stress": "severe", "dose": 1.0}]
    study = load_study({"name": "made", "members": 3, "families": families})
    rng = np.random.default_rng(0)
    for member in study.design():
        attrs = dict.fromkeys(MEMBER_COORDINATES, 0.5)
        attrs |= {"family": member.family.name, "stress": member.family.stress, "dose": member.family.dose or 0.0}
        attrs |= {"seed": member.seed, "optimizer": "sgd", "initializer": "zeros"}
        with atomic(tmp_path / "made" / "members" / f"{member.name}.nc") as path:
            writer = MemberWriter(path, attrs)
            for layer, neurons in layers.items():
                for epoch in (0, 1):
                    values = rng.normal(size=(samples, neurons))
                    writer.activation(layer, epoch, values, epochs=[0, 3], samples=SAMPLES[:samples])
            writer.finish({})
            writer.close()
    write_text(tmp_path / "made" / "study.toml", study.to_toml())
    write_json(tmp_path / "made" / "manifest.json", {"study": study.hash, "members": {}})
    return tmp_path / "made"


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    paths = [tmp_path / f"{name}.npy" for name in "abc"]
    for path in paths:
        np.save(path, rng.normal(size=(10, 4)))
    return paths


def test_a_run_is_compared_and_its_families_tabulated(run):
    result = invoke(run, "--metric", "cka")
    assert result.exit_code == 0, result.output
    assert "within baseline" in result.stdout
    assert "baseline - tanh" in result.stdout
    saved = akpsim.open_result(run / "analysis" / "similarity-cka-dense_2.nc")
    assert saved.attrs["result"] == "similarity"
    assert saved.similarity.sizes == {"member": 6, "other": 6}
    assert saved.other_family.values.tolist() == ["baseline"] * 3 + ["tanh"] * 3


def test_layer_epoch_and_estimator_are_chosen(run):
    assert invoke(run, "--layer", "dense_1", "--epoch", "0", "--debiased").exit_code == 0
    saved = akpsim.open_result(run / "analysis" / "similarity-cka_debiased-dense_1-epoch_0.nc")
    x, y = akpsim.open_run(run).representations("dense_1", epoch=0)[:2].to_numpy()
    expected = akpsim.METRICS["cka_debiased"](x.astype(float), y.astype(float))
    assert saved.similarity[0, 1].item() == pytest.approx(expected, abs=1e-6)


def test_files_are_compared_and_saved_where_told(files, tmp_path):
    result = invoke(*files, "-o", tmp_path / "out.nc")
    assert result.exit_code == 0, result.output
    kind = "cka, a similarity: larger is more alike"
    assert result.stdout.splitlines()[-1] == f"{tmp_path / 'out.nc'}: {kind}; 3 members, n = 10 samples"
    assert akpsim.open_result(tmp_path / "out.nc").member.values.tolist() == ["a", "b", "c"]


def test_machines_get_json(files, tmp_path):
    result = invoke(*files, "--json", "-o", tmp_path / "out.nc")
    report = json.loads(result.stdout)
    assert report["members"] == ["a", "b", "c"]
    assert report["similarity"][0][0] == pytest.approx(1)


def one_sentence(result, says):
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_different_numbers_of_samples_are_one_sentence(files):
    np.save(files[1], np.ones((9, 4)))
    one_sentence(invoke(*files), "akpsim: all representations must have the same samples: 'a' has 10, 'b' has 9")


@pytest.mark.parametrize(("value", "says"), [(3.0, "all samples have the same response"), (np.nan, "neuron 0 is NaN")])
def test_a_representation_without_a_value_leaves_its_cells_empty_and_says_why(files, tmp_path, value, says):
    np.save(files[1], np.full((10, 4), value))
    result = invoke(*files, "-o", tmp_path / "out.nc")
    assert result.exit_code == 0
    assert f"no value for b: cka is undefined: {says}" in result.stdout
    saved = akpsim.open_result(tmp_path / "out.nc").similarity.values
    assert np.isnan(saved[1]).all()
    assert saved[0, 2] > 0
    one_sentence(invoke(*files[:2]), f"akpsim: b: cka is undefined: {says}")  # then no pair has a value


def test_a_file_cut_short_is_one_sentence(files):
    files[1].write_bytes(files[1].read_bytes()[:-8])
    one_sentence(invoke(*files), "b.npy is damaged, cut short or no .npy file")


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path):
    one_sentence(invoke(tmp_path), "is no run: it has no manifest.json")


def test_an_unknown_metric_is_one_sentence(files):
    one_sentence(invoke(*files, "--metric", "ckaa"), "unknown metric 'ckaa': did you mean 'cka'?")


def test_a_saved_matrix_is_drawn_in_the_order_of_families(run, tmp_path):
    import matplotlib as mpl

    mpl.use("agg")
    from akpsim.plots import PLOTS

    invoke(run, "-o", tmp_path / "sim.nc")
    saved = akpsim.open_result(tmp_path / "sim.nc")
    mixed = saved.isel(member=[3, 0, 4, 1, 5, 2])
    ax = PLOTS[saved.attrs["result"]].draw(mixed)
    assert [text.get_text() for text in ax.get_yticklabels()][:3] == ["tanh-0", "tanh-1", "tanh-2"]
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown[0], saved.similarity.sel(member="tanh-0"))
    ax.figure.clear()


@pytest.mark.parametrize("over", ["layer", "epoch"])
def test_members_are_compared_at_every_layer_and_every_epoch(run, over):
    result = invoke(run, f"--{over}", "all")
    assert result.exit_code == 0, result.output
    kind = "similarity-cka-layers.nc" if over == "layer" else "similarity-cka-dense_2-epochs.nc"
    saved = akpsim.open_result(run / "analysis" / kind)
    assert saved[over].values.tolist() == (["dense_1", "dense_2"] if over == "layer" else [0, 3])
    alone = akpsim.significance(akpsim.open_run(run).representations("dense_2", -1))
    expected = akpsim.between_families(alone)
    np.testing.assert_allclose(saved["mean"][-1], expected["mean"], atol=1e-6)
    np.testing.assert_allclose(saved["mean_upper"][-1], expected["mean_upper"], atol=1e-6)
    np.testing.assert_allclose(saved["mean_z"][-1], expected["mean_z"], atol=1e-4)
    assert saved.similarity.dims == (over, "member", "other")
    np.testing.assert_allclose(saved.similarity[-1], alone.similarity, atol=1e-6)
    np.testing.assert_allclose(saved.z[-1], alone.z, atol=1e-4)
    assert saved.family.values.tolist() == ["baseline"] * 3 + ["tanh"] * 3
    assert saved.group.values.tolist() == ["baseline", "tanh"]


def test_layers_of_one_member_are_compared_with_each_other(run):
    result = invoke(run, "--layer", "all", "--member", "tanh-1")
    assert result.exit_code == 0, result.output
    saved = akpsim.open_result(run / "analysis" / "similarity-cka-layers-tanh-1.nc")
    assert saved.similarity.dims == ("layer", "other")
    x, y = (akpsim.open_run(run).representations(f"dense_{i}").sel(member="tanh-1").values for i in (1, 2))
    assert saved.similarity[0, 1].item() == pytest.approx(akpsim.METRICS["cka"](x, y), abs=1e-6)
    assert invoke(run, "--epoch", "all", "--member", "tanh-1").exit_code == 0
    one_sentence(invoke(run, "--layer", "all", "--member", "tan-1"), "did you mean 'tanh-1'?")


def test_nulls_intervals_and_p_values_are_asked_for(files, tmp_path):
    out = tmp_path / "out.nc"
    result = invoke(*files, "--permutations", "9", "--resamples", "5", "-o", out)
    assert result.exit_code == 0, result.output
    saved = akpsim.open_result(out)
    assert {"similarity", "z", "p_corrected", "similarity_lower"} <= set(saved.data_vars)
    assert saved.attrs["permutations"] == 9
    pair = next(line for line in result.stdout.splitlines() if line.startswith("a - b"))
    low, high = (saved[f"similarity_{end}"].values[0, 1] for end in ("lower", "upper"))
    for part in (f"95 % interval {low:.3f} to {high:.3f}", f"z {saved.z.values[0, 1]:.1f}", "corrected"):
        assert part in pair
    assert "9 random orders of the samples" in result.stdout
    assert "smallest attainable 0.1, so that none can reach .05" in result.stdout


def test_z_stands_beside_cka_without_being_asked_for(files, run, tmp_path):
    out = tmp_path / "out.nc"
    result = invoke(*files, "-o", out)
    assert "z, in standard deviations above samples in random order:" in result.stdout
    assert f"{akpsim.open_result(out).z.values[0, 1]:6.1f}" in result.stdout
    assert json.loads(invoke(*files, "--json", "-o", out).stdout)["z"][0][0] is None
    assert "  mean z " in invoke(run, "-o", out).stdout.splitlines()[0]
    assert "z" not in akpsim.open_result(out).attrs
    invoke(*files, "--metric", "procrustes", "-o", out)
    assert set(akpsim.open_result(out).data_vars) == {"similarity"}


@pytest.mark.parametrize("metric", ["procrustes", "pwcca", "rsa", "jsd"])
def test_p_values_and_intervals_of_any_metric(run, tmp_path, metric):
    layer = "logits" if metric == "jsd" else "dense_2"
    run = made(tmp_path / "outputs", {"logits": 4}) if metric == "jsd" else run
    more = ("--layer", layer, "--permutations", "19", "--resamples", "4")
    result = invoke(run, "--metric", metric, *more, "-o", tmp_path / "out.nc")
    assert result.exit_code == 0, result.output
    saved = akpsim.open_result(tmp_path / "out.nc")
    assert np.isfinite(saved.p.values[~np.eye(6, dtype=bool)]).all()
    assert (saved.similarity_lower < saved.similarity_upper).values[~np.eye(6, dtype=bool)].all()
    assert "a pair +- " in result.stdout
    assert "smallest attainable 0.05" in result.stdout


def test_what_the_order_of_samples_cannot_change_has_no_p_value(files):
    one_sentence(invoke(*files, "--metric", "magnitude", "--permutations", "9"), "the order of samples does not change")


def test_the_noise_ceiling_is_printed_and_saved_when_asked_for(run):
    result = invoke(run, "--ceiling")
    saved = akpsim.open_result(run / "analysis" / "similarity-cka-dense_2.nc")
    line = next(line for line in result.stdout.splitlines() if line.startswith("noise ceiling of tanh"))
    assert f"{saved.ceiling_lower.values[1]:.3f} to {saved.ceiling_upper.values[1]:.3f}  3 members" in line
    assert json.loads(invoke(run, "--ceiling", "--layer", "all", "--json").stdout)["ceilings"][0]["layer"] == "dense_1"


def test_gram_matrices_of_a_run_are_kept_and_damage_is_computed_again(run):
    def values():
        assert invoke(run).exit_code == 0
        return akpsim.open_result(run / "analysis" / "similarity-cka-dense_2.nc").similarity.values

    first = values()
    kept = sorted((run / "cache" / "dense_2-3").glob("*.npz"))
    assert len(kept) == 7  # six members, and the products
    for path in kept:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    np.testing.assert_allclose(values(), first, atol=1e-6)


def test_workers_give_the_same_table(run):
    assert invoke(run, "--workers", "2").stdout == invoke(run).stdout
    one_sentence(invoke(run, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "give one of the two")


def test_what_counts_alone_give_is_said(run):
    result = invoke(run, "--metric", "cca", "--layer", "dense_1")
    assert result.exit_code == 0, result.output
    assert "caution" not in result.stdout
    # 6 dimensions of 19
    assert "chance: unrelated representations have a mean squared canonical correlation of about 0.32" in result.stdout
    said = invoke(run, "--metric", "mutual_knn", "--json")
    assert "10 neighbours of 19 other samples" in json.loads(said.stdout)["cautions"][0]
    assert not said.stderr


def test_outputs_are_compared_with_the_true_classes(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=30)
    outputs = [np.eye(3)[np.where(rng.random(30) < rate, labels, 0)] for rate in (0.9, 0.3)]
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path, values in zip(paths, outputs, strict=True):
        np.save(path, values)
    (tmp_path / "labels.txt").write_text("\n".join(map(str, labels)))
    out = tmp_path / "out.nc"
    result = invoke(
        *paths, "--metric", "accuracy_difference", "--param", f"labels={tmp_path / 'labels.txt'}", "-o", out
    )
    assert result.exit_code == 0, result.output
    one, two = ((values.argmax(axis=1) == labels).mean() for values in outputs)
    assert akpsim.open_result(out).similarity.values[0, 1] == pytest.approx(abs(one - two))
    assert invoke(*paths, "--metric", "disagreement", "-o", out).exit_code == 0
    one_sentence(
        invoke(*paths, "--metric", "accuracy_difference"), "needs the true class of each sample: --param labels=FILE"
    )
    one_sentence(invoke(*paths, "--metric", "accuracy_difference", "--param", "labels=x"), "`labels` are whole numbers")


def test_arguments_of_a_metric_are_given_and_recorded(files, tmp_path):
    out = tmp_path / "out.nc"
    assert invoke(*files, "--metric", "svcca", "--param", "components=2", "-o", out).exit_code == 0
    assert json.loads(akpsim.open_result(out).attrs["parameters"])["components"] == 2
    one_sentence(invoke(*files, "--param", "components"), "`--param` is NAME=VALUE, such as components=10")
    one_sentence(invoke(*files, "--metric", "svcca", "--param", "component=2"), "did you mean 'components'?")


def test_mistakes_in_options_are_one_sentence(files, run):
    one_sentence(invoke(*files, "--layer", "all"), "`--layer all` is of a run; name a run folder")
    one_sentence(invoke(*files, "--layer", "dense_1"), "`--layer` and `--epoch` are of a run")
    one_sentence(invoke(run, "--member", "tanh-1"), "`--member` goes with `--layer all` or `--epoch all`")
    one_sentence(invoke(run, "--layer", "all", "--pairs"), "`--pairs` are of one matrix, not of `--layer all`")
    one_sentence(invoke(run, "--permutations", "3", "--correction", "maxi"), "did you mean 'max'?")
    one_sentence(invoke(run, "--epoch", "last"), "`--epoch` is a number or all, got 'last'")
    one_sentence(invoke(run, "--epoch", "2"), "was not captured; there are: 0, 3")
    one_sentence(invoke(run, "--by", "familly"), "unknown coordinate of member 'familly': did you mean 'family'?")
    one_sentence(invoke(run, "--memory", "lots"), "`memory` is a size such as 2GiB or 500MB, got 'lots'")


def test_curves_and_strips_are_drawn_from_saved_results(run, tmp_path):
    import matplotlib as mpl

    mpl.use("agg")
    from akpsim.plots import PLOTS

    invoke(run, "--layer", "all", "-o", tmp_path / "curve.nc")
    curve = akpsim.open_result(tmp_path / "curve.nc")
    ax, *maps = PLOTS[curve.attrs["result"]].draw(curve)
    assert [drawn.get_title() for drawn in maps] == [f"layer dense_{layer}, n = 20 samples" for layer in (1, 2)]
    np.testing.assert_allclose(maps[1].images[0].get_array(), curve.similarity[1])
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["within tanh"].get_ydata(), curve["mean"][:, 1, 1])
    np.testing.assert_allclose(lines["baseline - tanh"].get_ydata(), curve["mean"][:, 1, 0])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["dense_1", "dense_2"]
    invoke(run, "--pairs", "-o", tmp_path / "pairs.nc")
    pairs = akpsim.open_result(tmp_path / "pairs.nc")
    assert pairs.sizes["pair"] == 15
    assert int(pairs.same_seed.sum()) == 3
    ax = PLOTS[pairs.attrs["result"]].draw(pairs)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["within baseline", "within tanh", "baseline - tanh"]
    shown = np.sort(np.concatenate([strip.get_offsets()[:, 0] for strip in ax.collections]))
    np.testing.assert_allclose(shown, np.sort(pairs.similarity))


def test_titles_say_of_which_run_layer_epoch_and_how_many_samples(run, tmp_path):
    import matplotlib as mpl

    mpl.use("agg")
    from akpsim.plots import PLOTS

    given = {"heat": (), "strip": ("--pairs",), "over": ("--epoch", "all"), "within": ("--layer", "all", "--member")}
    for name, options in given.items():
        member = ("tanh-1",) if name == "within" else ("--layer", "dense_1")
        invoke(run, *options, *member, "-o", tmp_path / f"{name}.nc")
        result = akpsim.open_result(tmp_path / f"{name}.nc")
        drawn = PLOTS[result.attrs["result"]].draw(result)
        ax = np.atleast_1d(drawn)[-1]
        said = (ax.get_title() + ax.figure.get_suptitle()).replace("\n", "")
        expected = {"within": ("epoch 3", "member tanh-1"), "over": ("layer dense_1",)}
        for words in (str(run), "n = 20 samples", *expected.get(name, ("layer dense_1", "epoch 3"))):
            assert words in said, (name, said)


def test_a_table_cut_inside_its_last_number_is_said_to_be_doubtful(files, tmp_path):
    np.savetxt(tmp_path / "d.csv", np.load(files[0]), delimiter=",")
    (tmp_path / "d.csv").write_text((tmp_path / "d.csv").read_text()[:-2])
    result = invoke(*files[:2], tmp_path / "d.csv", "-o", tmp_path / "out.nc")
    assert result.exit_code == 0
    assert "does not end with a newline" in result.stderr


def test_labels_are_read_from_npy_and_text_and_refused_otherwise(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", rng.random((6, 3)))
    labels = tmp_path / "labels.npy"
    labels_text = tmp_path / "labels.txt"
    labels_text.write_text("0, 1 2\n0 1 2\n")

    def with_labels(path):
        given = ["--metric", "accuracy_difference", "--param", f"labels={path}", "-o", tmp_path / "out.nc", "--json"]
        return invoke(tmp_path / "a.npy", tmp_path / "b.npy", *given)

    np.save(labels, [0, 1, 2, 0, 1, 2])
    found, expected = with_labels(labels), with_labels(labels_text)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["similarity"] == json.loads(expected.stdout)["similarity"]
    said = "`labels` are whole numbers, or a .npy or text file of them, one a sample"
    for wrong in (np.array([[0, 1]]), np.array([0.5, 1]), np.array(["x"])):
        np.save(labels, wrong)
        one_sentence(with_labels(labels), said)
    labels_text.write_bytes(b"\x93NUMPY")
    one_sentence(with_labels(labels_text), said)
    one_sentence(with_labels(tmp_path), said)


def test_metrics_of_outputs_take_the_logits_of_a_run(run):
    one_sentence(invoke(run, "--metric", "jsd"), "unknown layer of ")
    said = "compares outputs (sample, class): take layer 'logits', got 'dense_1'"
    one_sentence(invoke(run, "--metric", "disagreement", "--layer", "dense_1"), said)
    one_sentence(invoke(run, "--metric", "jsd", "--layer", "all"), said)
    one_sentence(invoke(run, "--metric", "jsd", "--layer", "all", "--member", "tanh-1"), said)


def test_metrics_of_outputs_find_the_logits_of_a_run(tmp_path):
    run = made(tmp_path, {"dense_1": 6, "logits": 3})
    assert invoke(run, "--metric", "jsd").exit_code == 0
    found = akpsim.open_result(run / "analysis" / "similarity-jsd-logits.nc")
    assert json.loads(found.attrs["parameters"]) == {"logits": True}
    expected = akpsim.compare(akpsim.open_run(run).representations("logits"), metric="jsd", logits=True)
    np.testing.assert_array_equal(found.similarity, expected)
    assert invoke(run, "--metric", "disagreement", "--epoch", "all").exit_code == 0


def test_pairs_of_files_are_one_row_each(files, tmp_path):
    result = invoke(*files, "--pairs", "-o", tmp_path / "pairs.nc")
    assert result.exit_code == 0, result.output
    pairs = akpsim.open_result(tmp_path / "pairs.nc")
    assert list(zip(pairs.member.values, pairs.partner.values, strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    arrays = {path.stem: np.load(path) for path in files}
    np.testing.assert_allclose(pairs.similarity, akpsim.compare(arrays).values[np.triu_indices(3, 1)])
    import matplotlib as mpl

    mpl.use("agg")
    from akpsim.plots import PLOTS

    ax = PLOTS[pairs.attrs["result"]].draw(pairs)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["all pairs"]


def test_three_samples_have_values_and_no_z(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(3, 4)) for name in "ab"}
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    result = invoke(tmp_path / "a.npy", tmp_path / "b.npy", "-o", tmp_path / "out.nc")
    assert result.exit_code == 0, result.output
    assert "no z below 4 samples" in result.stderr
    np.testing.assert_array_equal(akpsim.open_result(tmp_path / "out.nc").similarity, akpsim.compare(arrays))
    run = made(tmp_path, {"dense_1": 6, "dense_2": 4}, samples=3)
    for options in (["--layer", "all"], ["--layer", "all", "--member", "tanh-1"], ["--epoch", "all"], []):
        result = invoke(run, *options, "-o", tmp_path / "out.nc")
        assert result.exit_code == 0, result.output
        assert "no z below 4 samples" in result.stderr


def test_a_correction_of_nothing_is_refused(files):
    one_sentence(invoke(*files, "--correction", "fdr"), "`--correction` is of p-values; give `--permutations`")


def test_a_place_that_is_no_disk_is_not_called_full(files):
    result = invoke(*files, "-o", "/proc/x.nc")
    assert result.exit_code == 1
    assert "cannot write /proc/x.nc" in result.stderr
    assert "full" not in result.stderr


def test_distances_are_drawn_light_where_alike_and_have_a_unit(files, tmp_path):
    import matplotlib as mpl

    mpl.use("agg")
    from akpsim.plots import PLOTS

    maps = {}
    for metric in ("cka", "procrustes"):
        invoke(*files, "--metric", metric, "-o", tmp_path / "out.nc")
        saved = akpsim.open_result(tmp_path / "out.nc")
        maps[metric] = PLOTS["similarity"].draw(saved)
    drawn = {metric: (ax.images[0].cmap.name, ax.images[0].colorbar.ax.get_ylabel()) for metric, ax in maps.items()}
    assert drawn["cka"][0] == "viridis"
    assert drawn["procrustes"] == ("viridis_r", "procrustes distance (radians)")


def test_an_interval_beyond_the_range_of_a_metric_is_said_to_be():
    attrs = {"range": "[0, 1]", "level": 0.9}
    assert _interval(0.2, 0.9, attrs) == "90 % interval 0.200 to 0.900"
    for low, high in ((0.2, 1.1), (-0.1, 0.9)):
        said = f"90 % interval {low:.3f} to {high:.3f} (beyond 0 to 1: too few to say)"
        assert _interval(low, high, attrs) == said


def test_pairs_keep_what_was_tested(run, tmp_path):
    invoke(run, "--permutations", 9, "--resamples", 10, "-o", tmp_path / "matrix.nc")
    invoke(run, "--permutations", 9, "--resamples", 10, "--pairs", "-o", tmp_path / "pairs.nc")
    matrix, pairs = (akpsim.open_result(tmp_path / f"{name}.nc") for name in ("matrix", "pairs"))
    rows, columns = np.triu_indices(6, 1)
    for name in ("similarity", "z", "p", "p_corrected", "similarity_lower", "similarity_upper"):
        np.testing.assert_array_equal(pairs[name], matrix[name].values[rows, columns])
    assert (pairs.layer.item(), pairs.epoch.item()) == ("dense_2", 3)
    invoke(run, "--metric", "soft_match", "--pairs", "-o", tmp_path / "both.nc")
    assert akpsim.open_result(tmp_path / "both.nc").sizes["pair"] == 30  # not symmetric: in both directions


def test_names_of_results_say_what_differs(run):
    for options in (
        [],
        ["--metric", "rsa"],
        ["--metric", "rsa", "--param", "rdm=euclidean"],
        ["--permutations", 9],
        ["--pairs"],
        ["--pairs", "--layer", "dense_1"],
        ["--pairs", "--by", "stress"],
    ):
        assert invoke(run, *options).exit_code == 0
    names = {path.name for path in (run / "analysis").iterdir()}
    assert names == {
        "similarity-cka-dense_2.nc",
        "similarity-rsa-dense_2.nc",
        "similarity-rsa-rdm_euclidean-dense_2.nc",
        "similarity-cka-permutations_9-dense_2.nc",
        "similarity-pairs-cka-dense_2.nc",
        "similarity-pairs-cka-dense_1.nc",
        "similarity-pairs-cka-dense_2-by_stress.nc",
    }


def test_debiased_is_of_metrics_that_have_such_a_form(files, tmp_path):
    out = tmp_path / "out.nc"
    assert invoke(*files, "--metric", "distance_correlation", "--debiased", "-o", out).exit_code == 0
    assert json.loads(akpsim.open_result(out).attrs["parameters"]) == {"debiased": True}
    message = "`--debiased` is of cka, cka_rbf, distance_correlation; procrustes has no debiased form"
    one_sentence(invoke(*files, "--metric", "procrustes", "--debiased"), message)


def test_many_reasons_are_printed_as_a_few(run, tmp_path):
    paths = [tmp_path / f"{name}.npy" for name in "abcdefg"]
    rng = np.random.default_rng(0)
    for place, path in enumerate(paths):
        values = rng.normal(size=(10, 4))
        values[:, 2] = values[:, 2] if place < 2 else 1.0
        np.save(path, values)
    out = invoke(*paths, "--metric", "hard_match", "-o", tmp_path / "out.nc").stdout
    reason = (
        "hard_match is undefined: neuron 2 has the same response to all samples; dead='drop' leaves such neurons out"
    )
    assert f"no value for c: {reason}" in out
    assert "... nor for 2 others; the result's attribute `undefined` has all reasons" in out


def test_labels_of_no_file_and_groups_of_a_figure_are_refused(files, run, tmp_path):
    one_sentence(
        invoke(*files, "--metric", "accuracy_difference", "--param", "labels=none.npy"), "there is no file none.npy"
    )
    invoke(run, "--pairs", "-o", tmp_path / "pairs.nc")
    result = CliRunner().invoke(app, ["plot", str(tmp_path / "pairs.nc"), "--by", "stress"])
    one_sentence(result, "keeps the groups that the result was made with, by family; make the result again by stress")
