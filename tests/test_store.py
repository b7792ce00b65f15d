"""A run's files are complete or refused, and what is read carries its labels."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from akpsim import AkpsimError, compare, open_result, open_run, read_features, save
from akpsim.files import atomic
from akpsim.seal import state_of
from akpsim.store import MemberWriter, Run, open_member
from akpsim.store.writer import COMPRESSIONS


def test_representations_are_labelled_and_lazy(tiny_run):
    found = tiny_run.representations(layer="dense_1", epoch=-1)
    assert found.dims == ("member", "sample", "neuron")
    assert found.chunks is not None
    assert list(found.member.values) == ["baseline-0", "baseline-1", "noisy-0", "noisy-1"]
    assert list(found.family.values) == ["baseline"] * 2 + ["noisy"] * 2
    assert list(found.stress.values) == ["none"] * 2 + ["severe"] * 2
    assert found.dose.values == pytest.approx([0, 0, 0.8, 0.8])
    assert all(sample.startswith("digit-") for sample in found.sample.values)
    assert len(set(found.sample.values)) == found.sizes["sample"]
    assert np.isfinite(found.values).all()
    assert found.dtype == np.float32


def test_a_slice_of_representations_equals_the_slice_of_all(tiny_run):
    found = tiny_run.representations("dense_1")
    assert np.array_equal(found[1, 5:9, ::3].values, found.values[1, 5:9, ::3])


def test_the_default_layer_is_the_last_hidden_one(tiny_run):
    assert tiny_run.representations().layer == "dense_2"
    assert tiny_run.layers == ["dense_1", "dense_2", "logits"]
    assert list(tiny_run.epochs()) == [0, 1, 3]


def test_representations_around_a_swap_are_those_before_and_after_it(tiny_run):
    noisy = tiny_run.file("noisy-0")
    with xr.open_dataset(noisy, group="activations/dense_1") as table:
        assert table.epoch.values.tolist() == [0, 1, 1.5, 2, 2.5, 3]
        before, after, trained = (table.activation.sel(epoch=epoch).values for epoch in (1, 1.5, 2))
    assert before.min() == 0  # ReLU
    assert after.min() < 0  # tanh, with the same weights: the same sign of every response
    assert np.allclose(np.tanh(before[before > 0]), after[before > 0], atol=1e-6)
    assert not np.array_equal(after, trained)


def test_history_has_an_epoch_zero_and_labels(tiny_run):
    history = tiny_run.history
    assert list(history.epoch.values) == [0, 1, 2, 3]
    assert history.train_accuracy.dims == ("member", "epoch")
    assert list(history.family.values) == ["baseline"] * 2 + ["noisy"] * 2


def test_the_audit_of_members_with_fewer_events_ends_in_nan(tiny_run):
    assert repr(tiny_run) == f"<Run {tiny_run.path}: {len(tiny_run.names)} of {len(tiny_run.names)} members complete>"
    audit = tiny_run.audit
    assert audit.gradient_cosine.dims == ("member", "event")
    assert np.isfinite(audit.gradient_cosine.sel(member="noisy-0")).all()
    assert np.isnan(audit.gradient_cosine.sel(member="baseline-0")).all()
    assert list(audit.acting.sel(member="noisy-1").values) == [
        "label_noise",
        "swap_activation",
        "swap_activation",
    ]


def test_what_was_not_captured_is_said(tiny_run):
    with pytest.raises(AkpsimError, match=r"epoch -1.5 of baseline-0 was not captured; there are: 0, 1, 3"):
        tiny_run.representations("dense_1", epoch=-1.5)
    with pytest.raises(AkpsimError, match=r"epoch 2 of baseline-0 was not captured; there are: 0, 1, 3"):
        tiny_run.representations(epoch=2).compute()
    with pytest.raises(AkpsimError, match=r"unknown layer of .* 'dense_3': did you mean 'dense_2'"):
        tiny_run.representations("dense_3")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(AkpsimError, match=r"is no run: it has no manifest.json"):
        open_run(tmp_path)


def test_without_a_run_the_error_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AkpsimError, match="`akpsim train-family` makes one"):
        open_run()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_member_file_cut_short_is_refused(tiny_run, tmp_path, keep):
    broken = tmp_path / "run"
    (broken / "members").mkdir(parents=True)
    for name in ("study.toml", "manifest.json"):
        (broken / name).write_bytes((tiny_run.path / name).read_bytes())
    whole = tiny_run.file("baseline-0").read_bytes()
    (broken / "members" / "baseline-0.nc").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(AkpsimError, match=r"baseline-0.nc is (damaged|not complete)"):
        Run(broken).representations().compute()


def test_an_atomic_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_result_is_saved_and_read_with_its_labels(tmp_path):
    result = xr.DataArray(np.eye(2), dims=("member", "other"), coords={"member": ["a", "b"]}, name="similarity")
    path = save(result.assign_attrs(metric="cka"), tmp_path / "sim.nc")
    found = open_result(path)
    assert found.similarity.values.tolist() == [[1, 0], [0, 1]]
    assert found.attrs["metric"] == "cka"


def test_a_result_that_is_damaged_foreign_or_missing_is_refused(tmp_path):
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "foreign.nc")
    (tmp_path / "noise.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name, said in {
        "foreign.nc": "foreign.nc is no akpsim result, or was cut short or changed since",
        "noise.nc": "noise.nc is no akpsim result, or was cut short or changed since",
        "none.nc": "none.nc does not exist",
    }.items():
        with pytest.raises(AkpsimError) as caught:
            open_result(tmp_path / name)
        assert str(caught.value) == f"{tmp_path}/{said}"


def flipped(content, rng, count):
    """Give copies of a file's content with one bit flipped: in the formats' tables, the seal and anywhere."""
    near = [0, 9, 20, 47, 96, 200, 500, len(content) // 2, len(content) - 60, len(content) - 1]
    for place in (*near, *rng.integers(0, len(content), count)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        yield bytes(damaged)


def test_one_flipped_bit_anywhere_is_refused_before_the_netcdf_library_sees_it(tiny_run, tmp_path):
    rng, tried = np.random.default_rng(0), 0
    shutil.copytree(tiny_run.path, tmp_path / "run")
    similarity = save(compare(tiny_run.representations()), tmp_path / "similarity.nc")
    readers = {
        tmp_path / "run" / "members" / "noisy-0.nc": lambda path: (
            open_run(tmp_path / "run").representations().compute()
        ),
        similarity: open_result,
        tmp_path / "features.nc": lambda path: read_features([path]),
    }
    save(tiny_run.representations(), tmp_path / "features.nc")
    for path, read in readers.items():
        whole = path.read_bytes()
        read(path)
        for number, damaged in enumerate(flipped(whole, rng, 40)):
            path.write_bytes(damaged)
            os.utime(path, (number, number))
            if path.name == "features.nc" and damaged[-49:] != whole[-49:]:
                continue  # a seal that cannot be read is none, and features may be anybody's
            with pytest.raises(
                AkpsimError, match=rf"{path.name} is (damaged: it is not what|not complete, or|no akpsim)"
            ):
                read(path)
            tried += 1
        path.write_bytes(whole)
        read(path)
    assert tried >= 140


def test_a_sealed_file_opens_in_other_programs(tiny_run, tmp_path):
    path = tmp_path / "member.nc"
    path.write_bytes(tiny_run.file("noisy-0").read_bytes())
    with netCDF4.Dataset(path, "a") as file:
        file.remark = "changed"
        assert np.isfinite(file["activations/dense_1/activation"][:]).all()
    with xr.open_dataset(path, group="history") as history:
        assert np.isfinite(history.validation_loss).all()
    assert state_of(path) == "unsealed"


WRITER = """
import sys
import numpy as np
from akpsim.store.writer import MemberWriter

def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

ids = np.arange(256).astype(str)
batch = np.zeros((256, 4096), np.float32)
batch[:, ::8] = 1
before = peak()
writer = MemberWriter(sys.argv[1], {}, compression=sys.argv[2])
for epoch in range(6):
    for layer in range(12):
        writer.activation(f"layer_{layer}", epoch, batch, epochs=range(6), samples=ids)
writer.finish({})
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say how much memory was held")
@pytest.mark.parametrize("compression", ["none", "lossless"])
def test_writing_288_megabytes_holds_no_more_than_50_over_a_batch(compression, tmp_path):
    command = [sys.executable, "-c", WRITER, tmp_path / "member.nc", compression]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown <= 50, f"{grown:.0f} MB"


def test_an_epoch_around_a_swap_is_a_half_on_the_command_line_too(tiny_run, cli):
    code, _, err = cli("ordinate", tiny_run.path, "--epoch", "1.5")
    assert (code, "epoch 1.5 of baseline-0 was not captured; there are: 0, 1, 3" in err) == (1, True)


def test_rounded_representations_keep_ten_bits_and_others_all(tmp_path):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(200, 50)) * 10.0 ** rng.integers(-6, 6, (200, 50))).astype(np.float32)
    largest = {}
    for compression in COMPRESSIONS:
        path = tmp_path / f"{compression}.nc"
        writer = MemberWriter(path, {}, compression=compression)
        writer.activation("a", 0, values, epochs=[0], samples=np.arange(200).astype(str))
        writer.finish({})
        with open_member(path) as file:
            found = np.ma.getdata(file["activations/a/activation"][0]).astype(np.float64)
        largest[compression] = (np.abs(found - values) / np.abs(values)).max()
    # BitRound to 10 bits: half of the last of them, 2^-11, at most, and among 10,000 numbers nearly so
    assert 0.9 * 2**-11 < largest.pop("rounded") <= 2**-11
    assert set(largest.values()) == {0.0}
