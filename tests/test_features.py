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
    (tmp_path / "t.csv").write_text("5,2\n3,four\n")
    with pytest.raises(InvalidData, match=r"t\.csv: 'four' in row 2 is no number"):
        akpsim.read_features([tmp_path / "t.csv"])


def test_a_table_without_its_last_newline_may_be_cut_inside_a_number(tmp_path):
    (tmp_path / "t.csv").write_text("5,2\n3,4.25")
    with pytest.warns(AkpsimWarning, match=r"does not end with a newline: if it was cut short, '4\.25' may be part"):
        found = akpsim.read_features([tmp_path / "t.csv"])["t"]
    assert found.values.tolist() == [[5, 2], [3, 4.25]]


def test_other_kinds_and_missing_files_are_named(tmp_path):
    with pytest.raises(InvalidData, match=r"features are read from \.npy, \.npz, \.nc, \.safetensors, \.csv files"):
        akpsim.read_features([tmp_path / "a.pkl"])
    with pytest.raises(StoreError, match=r"a\.npy does not exist"):
        akpsim.read_features([tmp_path / "a.npy"])


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("0,1,2\n.5,1.5,2.5\n3.5,4.5,5.5\n6.5,7.5,8.5\n", None),  # pandas: to_csv(index=False)
        ("1,2,3\n.5,1.5,2.5\n3.5,4.5,5.5\n6.5,7.5,8.5\n", None),
        (",0,1,2\n0,.5,1.5,2.5\n1,3.5,4.5,5.5\n2,6.5,7.5,8.5\n", [0, 1, 2]),  # pandas: to_csv()
        ("sample,0,1,2\nx,.5,1.5,2.5\ny,3.5,4.5,5.5\nz,6.5,7.5,8.5\n", ["x", "y", "z"]),
        ("stimulus,0,1,2\nx,.5,1.5,2.5\ny,3.5,4.5,5.5\nz,6.5,7.5,8.5\n", ["x", "y", "z"]),
        ("sample,n0,n1,n2\n7,.5,1.5,2.5\n3,3.5,4.5,5.5\n5,6.5,7.5,8.5\n", [7, 3, 5]),
        ("Sample_ID,n0,n1,n2\n7.5,.5,1.5,2.5\n3,3.5,4.5,5.5\n05,6.5,7.5,8.5\n", ["7.5", "3", "05"]),
        (",n0,n1,n2\n2,.5,1.5,2.5\n0,3.5,4.5,5.5\n1,6.5,7.5,8.5\n", [2, 0, 1]),
        ("n0,n1,n2\n.5,1.5,2.5\n3.5,4.5,5.5\n6.5,7.5,8.5\n", None),
        ("x,.5,1.5,2.5\ny,3.5,4.5,5.5\nz,6.5,7.5,8.5\n", ["x", "y", "z"]),
        (".5,1.5,2.5\n3.5,4.5,5.5\n6.5,7.5,8.5\n", None),
    ],
)
def test_names_of_columns_and_ids_of_samples_are_no_numbers(tmp_path, text, ids):
    (tmp_path / "t.csv").write_text(text)
    found = akpsim.read_features([tmp_path / "t.csv"])["t"]
    np.testing.assert_array_equal(found, [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5], [6.5, 7.5, 8.5]])
    assert (found.sample.values.tolist() if "sample" in found.coords else None) == ids


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "4,.5,1\n2,3.5,1\n9,6.5,2\n",
            "the first column, 4, 2, 9, holds whole numbers that are all different: name it",
        ),
        ("a,b,c\n4,.5,1\n2,3.5,1\n9,6.5,2\n", "the first column, 4, 2, 9, holds whole numbers"),
        ("a,b\n4,.5\nNA,3.5\n", "the first column holds numbers and 'NA'"),
        ("4,NA,.5\n5,1,3.5\n", "'NA' in row 1 is no number"),
        ("4,,.5\n5,1,3.5\n", "'' in row 1 is no number"),
        ("a,b\n4.5,.5\n4.5,x\n", "'x' in row 3 is no number"),
        ("1;2;3\n4;5;6\n", "looks separated by semicolons; a .csv file of features is separated by commas"),
        ("1,5;2,5\n4,5;5,5\n", "looks separated by semicolons"),
        ("a\tb\n4\t5\n", "looks separated by tabs"),
    ],
)
def test_a_table_that_can_be_read_in_two_ways_is_refused(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InvalidData, match=rf"t\.csv.*{said}"):
        akpsim.read_features([tmp_path / "t.csv"])


@pytest.mark.parametrize(
    ("text", "said", "n"),
    [
        ("0,1\n5,5\n5,8.5\n", "its first row, 0, 1, is taken for names of columns", 2),
        ("3,7\n5.5,5.5\n5.5,8.5\n", "its first row, 3, 7, is taken for a sample, though it alone", 3),
        ("4,2\n5,5\n6,8\n", "the first column, 4, 5, 6, holds whole numbers .* and is taken for a neuron", 3),
    ],
)
def test_a_doubtful_table_of_whole_numbers_is_said_to_be(tmp_path, text, said, n):
    (tmp_path / "t.csv").write_text(text)
    with pytest.warns(AkpsimWarning, match=said):
        found = akpsim.read_features([tmp_path / "t.csv"])["t"]
    assert found.shape == (n, 2)


def test_an_empty_array_is_named_with_its_file(tmp_path):
    np.save(tmp_path / "w0.npy", np.zeros((9, 0)))
    with pytest.raises(InvalidData, match=r"w0\.npy: 'w0' has no neuron"):
        akpsim.read_features([tmp_path / "w0.npy"])


def test_no_variable_of_a_file_is_left_out_silently(tmp_path):
    one = xr.DataArray(VALUES, dims=("sample", "neuron"))
    two = xr.DataArray(VALUES, dims=("sample", "unit"))
    xr.Dataset({"one": one, "two": two}).to_netcdf(tmp_path / "both.nc")
    with pytest.raises(InvalidData, match=r"both\.nc: 'two' has the dimensions \(sample, unit\); representations have"):
        akpsim.read_features([tmp_path / "both.nc"])
    xr.Dataset({"one": one, "two": one + 1, "label": one[:, 0]}).to_netcdf(tmp_path / "same.nc")
    assert list(akpsim.read_features([tmp_path / "same.nc"])) == ["one", "two"]
