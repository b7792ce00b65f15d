"""Files of features: five formats, labels kept, damage named, no pickle."""

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import save_file

import akpsim
from akpsim.errors import AkpsimWarning, InvalidData, StoreError

VALUES = np.arange(12, dtype=np.float64).reshape(4, 3)


def test_every_format_gives_the_same_array(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    np.savez(tmp_path / "b.npz", VALUES)
    save_file({"x": VALUES}, tmp_path / "c.safetensors")
    np.savetxt(tmp_path / "d.csv", VALUES, delimiter=",")
    xr.DataArray(VALUES, dims=("sample", "neuron"), name="activation").to_netcdf(tmp_path / "e.nc")
    found = akpsim.read_features(sorted(tmp_path.iterdir()))
    assert list(found) == ["a", "b", "c", "d", "e"]
    for array in found.values():
        np.testing.assert_array_equal(array, VALUES)


def test_a_table_with_names_and_ids_keeps_the_ids(tmp_path):
    (tmp_path / "t.csv").write_text("id,first,second\nx,1,2\ny,3,4\n")
    found = akpsim.read_features([tmp_path / "t.csv"])["t"]
    assert found.sample.values.tolist() == ["x", "y"]
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])


def test_an_archive_of_several_names_each(tmp_path):
    np.savez(tmp_path / "both.npz", first=VALUES, second=VALUES + 1)
    assert list(akpsim.read_features([tmp_path / "both.npz"])) == ["first", "second"]


def test_a_stack_of_members_is_one_labelled_array(tmp_path):
    np.save(tmp_path / "stack.npy", np.stack([VALUES, VALUES]))
    assert akpsim.read_features([tmp_path / "stack.npy"]).dims == ("member", "sample", "neuron")


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "nc"])
def test_a_file_cut_short_is_said_to_be(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    writers = {
        "npy": lambda: np.save(path, VALUES),
        "npz": lambda: np.savez(path, x=VALUES),
        "safetensors": lambda: save_file({"x": VALUES}, path),
        "nc": lambda: xr.DataArray(VALUES, dims=("sample", "neuron"), name="x").to_netcdf(path),
    }
    writers[suffix]()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidData, match=f"a.{suffix} is damaged, cut short or no .{suffix} file"):
        akpsim.read_features([path])


def test_pickled_content_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidData, match=r"a\.npy holds no plain numbers: pickled Python objects are never loaded"):
        akpsim.read_features([tmp_path / "a.npy"])


def test_a_word_in_a_table_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("1,2\n3,four\n")
    with pytest.raises(InvalidData, match=r"t\.csv: 'four' in row 2 is no number"):
        akpsim.read_features([tmp_path / "t.csv"])


def test_a_table_without_its_last_newline_may_be_cut_inside_a_number(tmp_path):
    (tmp_path / "t.csv").write_text("1,2\n3,4.25")
    with pytest.warns(AkpsimWarning, match=r"does not end with a newline: if it was cut short, '4\.25' may be part"):
        found = akpsim.read_features([tmp_path / "t.csv"])["t"]
    assert found.values.tolist() == [[1, 2], [3, 4.25]]


def test_other_kinds_and_missing_files_are_named(tmp_path):
    with pytest.raises(InvalidData, match=r"features are read from \.npy, \.npz, \.nc, \.safetensors, \.csv files"):
        akpsim.read_features([tmp_path / "a.pkl"])
    with pytest.raises(StoreError, match=r"a\.npy does not exist"):
        akpsim.read_features([tmp_path / "a.npy"])
