"""`akpsim disperse` and `akpsim ordinate` on a saved matrix."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr

import akpsim


@pytest.fixture
def matrix(tmp_path):
    """CKA between twelve random representations, the second half of which share less of a common one."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(40, 6))
    noise = np.repeat([0.2, 1.0], 6)[:, None, None] * rng.normal(size=(12, 40, 6))
    coords = {
        "member": [f"m{i}" for i in range(12)],
        "stress": ("member", ["none"] * 6 + ["severe"] * 6),
        "seed": ("member", list(range(6)) * 2),
    }
    reps = xr.DataArray(common + noise, dims=("member", "sample", "neuron"), coords=coords)
    return akpsim.save(akpsim.compare(reps), tmp_path / "similarity.nc")


def test_disperse_prints_the_verdict_with_its_interval_and_saves_the_result(cli, matrix, tmp_path):
    code, said, _ = cli("disperse", matrix, "--by", "stress", "-o", tmp_path / "dispersion.nc")
    assert code == 0
    result = akpsim.open_result(tmp_path / "dispersion.nc")
    assert result.attrs["sentence"] in said
    assert "95% interval" in said
    assert "923 relabelings, complete; smallest attainable p 0.00216)" in said  # 12! / 6! 6! = 924, two of them extreme
    assert result.attrs["reference"] == "none"
    assert said.startswith("12 arrays, cka, 12 members") or said.startswith(str(matrix))
    assert float(result.log_ratio) > 0


def test_disperse_as_json_has_every_number(cli, matrix, tmp_path):
    code, said, _ = cli("disperse", matrix, "--blocks", "seed", "--json", "-o", tmp_path / "d.nc")
    found = json.loads(said)
    assert code == 0
    assert found["verdict"] in ("Anna Karenina", "both")
    assert found["permutations"] == 63  # 2^6 relabelings inside six seeds
    assert len(found["distance"]) == 12


def test_ordinate_says_the_spread_in_the_full_space(cli, matrix, tmp_path):
    code, said, _ = cli("ordinate", matrix, "-o", tmp_path / "map.nc")
    result = akpsim.open_result(tmp_path / "map.nc")
    assert code == 0
    assert f"severe: mean distance {float(result.full_space_distance[1]):.3f} in the full space" in said
    assert result.position.dims == ("member", "axis")


def test_a_user_error_is_one_line(cli, matrix):
    assert cli("disperse", matrix, "--by", "famly")[0::2] == (
        1,
        "akpsim: unknown coordinate of members for `by` 'famly': there are: member, stress, seed\n",
    )


def test_members_without_a_value_are_left_out_and_named(cli, matrix, tmp_path):
    saved = akpsim.open_result(matrix)
    saved.similarity[3, :] = saved.similarity[:, 3] = np.nan
    path = akpsim.save(saved, tmp_path / "holes.nc")
    code, _, warned = cli("disperse", path, "-o", tmp_path / "d.nc")
    assert code == 0
    assert "left out, without a value: m3" in warned
    assert akpsim.open_result(tmp_path / "d.nc").sizes["member"] == 11


def test_panels_of_a_run_are_maps_of_its_groups_of_families(cli, tiny_run, matrix, tmp_path):
    code, said, _ = cli("ordinate", tiny_run.path, "--panels", "-o", tmp_path / "panels.nc")
    assert code == 0
    assert "noisy: inconclusive: spread severe / none = " in said  # two members a group have no interval
    assert akpsim.open_result(tmp_path / "panels.nc").panel.values.tolist() == ["noisy"]
    assert "`--panels` needs a run" in cli("ordinate", matrix, "--panels")[2]


def test_what_starts_from_representations_is_made_from_a_run_and_not_from_a_matrix(cli, tiny_run, matrix, tmp_path):
    code, said, _ = cli("ordinate", tiny_run.path, "--method", "pca", "-o", tmp_path / "pca.nc")
    assert code == 0
    assert "pca on 3 axes, explained: " in said
    assert "neurons of different networks are not matched" in said
    assert akpsim.open_result(tmp_path / "pca.nc").loading.sizes["attribute"] > 1000  # samples x neurons
    code, _, refused = cli("ordinate", matrix, "--method", "pca")
    assert code == 1
    assert refused.startswith("akpsim: pca starts from representations, but ")
    assert "is a matrix between members; name a run or feature files, or use pcoa" in refused
    for name, shape in (("one", (9, 3)), ("two", (9, 4))):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=shape))
    code, _, refused = cli("ordinate", tmp_path / "one.npy", tmp_path / "two.npy", "--method", "pca")
    assert code == 1
    assert "as many samples and neurons of each member are needed, got (9, 3) and (9, 4); use pcoa" in refused


def test_nmds_prints_its_stress_and_a_warning_is_one_line(cli, matrix, tmp_path):
    said = cli("ordinate", matrix, "--method", "nmds", "-o", tmp_path / "map.nc")[1]
    assert "nmds on 2 axes, stress 0." in said
    assert "(best of 8 starts)" in said


def test_a_warning_is_one_line(cli, tmp_path):
    points = np.random.default_rng(0).normal(size=(12, 20)) + 10 * np.repeat([0, 1], 6)[:, None]
    far = xr.DataArray(
        np.linalg.norm(points[:, None] - points, axis=-1),
        dims=("member", "other"),
        coords={"member": range(12)},
        attrs={"result": "distance", "kind": "metric"},
        name="distance",
    )
    path = akpsim.save(far, tmp_path / "far.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, warned = cli("ordinate", path, "--method", "nmds", "-o", tmp_path / "map.nc")
    assert code == 0
    assert warned.startswith("akpsim: nmds is degenerate: ")
    assert warned.count("\n") == 1


def test_several_groups_are_compared_with_the_reference_one_by_one(cli, tmp_path):
    points = np.random.default_rng(0).normal(size=(15, 6)) * np.repeat([1, 2, 4], 5)[:, None]
    levels = {"stress": ("member", np.repeat(["severe", "mild", "none"], 5)), "family": ("member", list("abcde" * 3))}
    dist = xr.DataArray(
        np.linalg.norm(points[:, None] - points, axis=-1),
        dims=("member", "other"),
        coords={"member": range(15), **levels},
        attrs={"result": "distance", "kind": "metric"},
        name="distance",
    )
    _, said, _ = cli("disperse", akpsim.save(dist, tmp_path / "d.nc"), "-o", tmp_path / "out.nc")
    found = akpsim.open_result(tmp_path / "out.nc")
    lines = said.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["none", "mild", "severe"]
    assert lines[4].startswith(f"mild / none: {np.exp(float(found.pair_log_ratio[0])):.3f}")
    assert lines[5].startswith("severe / none: ")
    p, adjusted, least = (float(found[name][1]) for name in ("pair_p", "pair_p_adjusted", "pair_smallest_p"))
    assert least == pytest.approx(2 / 252)
    assert lines[5].endswith(f"p = {p:.3g} (smallest attainable 0.00794), {adjusted:.3g} adjusted for 3 pairs")
    assert lines[6].startswith("severe / mild: ")
    assert "none holds 5 families: what differs between them counts as well; `--by family` keeps them apart" in lines
