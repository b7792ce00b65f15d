"""A folder of stacks becomes a folder of images with the same classes, whole or not at all."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from akpsim_cli.main import app
from PIL import Image
from typer.testing import CliRunner

from akpsim.errors import AkpsimError, InvalidData, StoreError
from akpsim.families.datasets import DATASETS
from akpsim.families.datasets.folder import load_folder
from akpsim.families.datasets.microscopy import stack_of
from akpsim.families.datasets.projection import image_of
from akpsim.families.datasets.stacking import Recipe, stack_folder
from akpsim.study import Data

FLY = Path(__file__).parents[2] / "shared" / "data" / "fly_kc167"


def planes(seed, *, high=4096, dtype=np.uint16):
    return np.random.default_rng(seed).integers(0, high, (2, 5, 24, 20)).astype(dtype)


def write(path, array, axes="CZYX"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, metadata={"axes": axes}, ome=path.name.endswith(".ome.tif"))


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate(("tumour ü", "healthy")):
        for index in range(2):
            write(tmp_path / "scans" / name / f"wing {index}.ome.tif", planes(10 * number + index))
    return tmp_path / "scans"


def fault(*args, error=InvalidData, **kwargs):
    with pytest.raises(error) as caught:
        stack_folder(*args, **kwargs)
    return str(caught.value).replace(str(args[0]), "IN").replace(os.sep, "/")


def rows_of(folder):
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_classes_names_and_pixels(scans, tmp_path):
    rows = stack_folder(scans, tmp_path / "out")
    assert [row["path"] for row in rows] == [
        "healthy/wing 0.png",
        "healthy/wing 1.png",
        "tumour ü/wing 0.png",
        "tumour ü/wing 1.png",
    ]
    pixels = np.asarray(Image.open(tmp_path / "out" / "tumour ü" / "wing 1.png"))
    np.testing.assert_array_equal(pixels, image_of(stack_of(planes(1))))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "contact_sheet.png",
        "healthy",
        "manifest.csv",
        "tumour ü",
    ]
    assert load_folder(Data(name="folder", path=str(tmp_path / "out"))).classes == ("healthy", "tumour ü")


def test_the_manifest_is_a_data_set_too(scans, tmp_path):
    stack_folder(scans, tmp_path / "out")
    listed = DATASETS["manifest"].load(Data(name="manifest", path=str(tmp_path / "out" / "manifest.csv")))
    foldered = load_folder(Data(name="folder", path=str(tmp_path / "out")))
    assert listed.ids.tolist() == foldered.ids.tolist()
    np.testing.assert_array_equal(listed.labels, foldered.labels)


def test_a_channel_without_contrast_is_drawn_black_and_named(tmp_path):
    empty = planes(0)
    empty[1] = 100
    write(tmp_path / "scans" / "a" / "x.tif", empty)
    result = CliRunner().invoke(app, ["data", "stack", str(tmp_path / "scans"), str(tmp_path / "out")])
    assert "a channel without contrast is drawn black in 1 of them, first in a/x.png" in result.stdout
    image = np.asarray(Image.open(tmp_path / "out" / "a" / "x.png"))
    assert image[..., 1].max() == 255
    assert image[..., 0].max() == 0


def test_black_and_white_planes_are_stacked(tmp_path):
    mask = planes(0) > 3000
    tifffile.imwrite(tmp_path / "mask.tif", mask, metadata={"axes": "CZYX"}, photometric="minisblack")
    rows = stack_folder(tmp_path / "mask.tif", tmp_path / "out", Recipe(percentiles=(0, 100)))
    image = np.asarray(Image.open(tmp_path / "out" / rows[0]["path"]))
    np.testing.assert_array_equal(image[..., 1] == 255, mask[0].any(axis=0))


def test_the_manifest_says_what_was_done_and_to_what(scans, tmp_path):
    stack_folder(scans, tmp_path / "out", Recipe(projection="mean", percentiles=(0, 100)))
    row = rows_of(tmp_path / "out")[2]
    source = scans / "tumour ü" / "wing 0.ome.tif"
    mean = planes(0).mean(axis=1)
    assert row["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert {key: row[key] for key in ("label", "source", "shape", "axes", "type", "projection", "colours")} == {
        "label": "tumour ü",
        "source": "tumour ü/wing 0.ome.tif",
        "shape": "2x5x24x20",
        "axes": "CZYX",
        "type": "uint16",
        "projection": "mean",
        "colours": "green;magenta",
    }
    assert [float(low) for low in row["low"].split(";")] == pytest.approx(mean.min(axis=(1, 2)), rel=1e-5)
    assert [float(high) for high in row["high"].split(";")] == pytest.approx(mean.max(axis=(1, 2)), rel=1e-5)


def test_tiff_images_hold_the_same_pixels(scans, tmp_path):
    stack_folder(scans, tmp_path / "png")
    stack_folder(scans, tmp_path / "tiff", file_format="tiff")
    png = np.asarray(Image.open(tmp_path / "png" / "healthy" / "wing 0.png"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "tiff" / "healthy" / "wing 0.tif"), png)


def test_a_dark_image_stays_dark_only_with_the_contrast_of_all_or_of_the_type(tmp_path):
    for index, high in enumerate((100, 1000)):
        write(tmp_path / "scans" / "a" / f"{index}.tif", planes(index, high=high))
    brightest = {}
    for contrast in ("image", "all", "type"):
        stack_folder(tmp_path / "scans", tmp_path / contrast, Recipe(contrast=contrast, percentiles=(0, 100)))
        brightest[contrast] = [np.asarray(Image.open(tmp_path / contrast / "a" / f"{i}.png")).max() for i in (0, 1)]
    assert brightest["image"] == [255, 255]
    assert brightest["all"][1] == 255
    assert brightest["all"][0] < 30
    assert brightest["type"] == [0, 4]  # 99 and 999 of 65535


def test_files_of_one_channel_each_are_put_together(tmp_path):
    both = planes(3)
    for channel, suffix in enumerate(("_F", "_D")):
        write(tmp_path / "scans" / f"field 1{suffix}.tif", both[channel, 0], "YX")
    write(tmp_path / "scans" / "field 1_R.tif", both[0, 1], "YX")
    said = []
    rows = stack_folder(tmp_path / "scans", tmp_path / "out", Recipe(suffixes=("_F", "_D")), note=said.append)
    assert said == [f"left out, as they end in none of _F, _D: 1 files, first {tmp_path / 'scans' / 'field 1_R.tif'}"]
    assert [(row["path"], row["source"]) for row in rows] == [("field 1.png", "field 1_F.tif;field 1_D.tif")]
    expected = image_of(stack_of(both[:, :1]))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "field 1.png")), expected)
    write(tmp_path / "scans" / "field 2_F.tif", both[0, 0], "YX")
    assert fault(tmp_path / "scans", tmp_path / "other", Recipe(suffixes=("_F", "_D"))) == (
        "IN/field 2: the channel '_D' is missing"
    )
    write(tmp_path / "scans" / "field 2_D.tif", both[0, 0, 1:], "YX")
    assert fault(tmp_path / "scans", tmp_path / "other", Recipe(suffixes=("_F", "_D"))).endswith(
        "differ: layers, height, width and type 1 x 24 x 20 x uint16 against 1 x 23 x 20 x uint16"
    )
    assert fault(tmp_path / "scans", tmp_path / "other", Recipe(suffixes=("_X",))) == (
        "no stack below IN ends in _X, for example field 1_D.tif"
    )


def test_mixed_bit_depths_are_refused_unless_meant(scans, tmp_path):
    write(scans / "healthy" / "wing 2.ome.tif", planes(5, high=256, dtype=np.uint8))
    assert fault(scans, tmp_path / "out") == (
        "mixed bit depths: IN/healthy/wing 0.ome.tif is uint16, IN/healthy/wing 2.ome.tif is uint8; a network can "
        "learn the microscope's setting instead of the class, so say `--mixed` if that is meant"
    )
    assert len(stack_folder(scans, tmp_path / "out", mixed=True)) == 5


def test_stacks_with_other_channels_are_refused_unless_meant(scans, tmp_path):
    write(scans / "tumour ü" / "wing 2.ome.tif", planes(5)[0], "ZYX")
    assert fault(scans, tmp_path / "out") == (
        "IN/healthy/wing 0.ome.tif has 2 channels, IN/tumour ü/wing 2.ome.tif has 1; say `--mixed` if that is meant"
    )


def cut_last_short(scans):
    last = sorted(scans.rglob("*.tif"))[-1]
    content = last.read_bytes()
    # the header and the directory of pages stay good: only reading the pixels shows the damage
    tifffile.imwrite(last, planes(0), metadata={"axes": "CZYX"}, compression="zlib")
    content = bytearray(last.read_bytes())
    with tifffile.TiffFile(last) as file:
        start = file.pages[3].dataoffsets[0]
    content[start : start + 40] = bytes(40)
    last.write_bytes(content)


def test_nothing_is_left_half_written(scans, tmp_path):
    cut_last_short(scans)
    assert fault(scans, tmp_path / "out").startswith("IN/tumour ü/wing 1.ome.tif is damaged or cut short at plane 4: ")
    assert [path.name for path in tmp_path.iterdir()] == ["scans"]


def test_a_folder_in_the_way_is_never_replaced(scans, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(StoreError, match="exists already; choose another name or remove it first"):
        stack_folder(scans, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "x"
    assert fault(scans, scans / "out") == "IN/out lies inside IN; choose a folder outside of it"


def test_an_empty_folder_is_filled(scans, tmp_path):
    (tmp_path / "out").mkdir()
    assert len(stack_folder(scans, tmp_path / "out")) == 4


def test_input_that_cannot_be_used_is_said_in_a_sentence(scans, tmp_path):
    assert fault(tmp_path / "absent", tmp_path / "out") == "IN does not exist"
    (tmp_path / "empty").mkdir()
    assert fault(tmp_path / "empty", tmp_path / "out").startswith("IN holds no stack (.tif, ")
    assert fault(scans, tmp_path / "out", Recipe(percentiles=(99, 1))).startswith("`--percentiles` must be")
    assert fault(scans, tmp_path / "out", Recipe(colours=("green",))) == "2 channels need 2 colours, got 1: green"
    assert fault(scans, tmp_path / "out", Recipe(contrast="every"), error=AkpsimError).startswith("unknown `contrast`")
    assert fault(scans, tmp_path / "out", Recipe(projection="sum", contrast="type")) == (
        "`--contrast type` is for the projections max and mean, got sum"
    )
    assert fault(scans, tmp_path / "out", file_format="gif", error=AkpsimError).startswith("unknown `format` 'gif'")
    write(scans / "loose.tif", planes(1))
    assert fault(scans, tmp_path / "out") == "IN/loose.tif lies beside the folders of the classes; move it into one"
    (scans / "loose.tif").rename(scans / "healthy" / "Wing 0.tif")
    assert "would both become healthy/" in fault(scans, tmp_path / "out")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["empty", "scans"]


def test_the_command_says_what_it_made(scans, tmp_path):
    runner = CliRunner()
    result = runner.invoke(app, ["data", "stack", str(scans), str(tmp_path / "out")])
    assert result.exit_code == 0
    assert f"{tmp_path / 'out'}: 4 images: healthy 2, tumour ü 2" in result.stdout
    result = runner.invoke(app, ["data", "stack", str(scans), str(tmp_path / "json"), "--json"])
    assert json.loads(result.stdout)["images"] == rows_of(tmp_path / "json")
    result = runner.invoke(app, ["data", "stack", str(scans), str(tmp_path / "json")])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("akpsim: ")


def test_neither_the_command_nor_its_modules_import_torch():
    code = (
        "import sys, akpsim_cli.main, akpsim.families.datasets.stacking, akpsim.families.datasets.folder; "
        "sys.exit('torch' in sys.modules or 'tifffile' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not FLY.is_dir(), reason="the fly cells are not beside this checkout")
def test_the_fly_cells_make_green_and_magenta_images(tmp_path):
    rows = stack_folder(FLY, tmp_path / "out", Recipe(suffixes=("_F", "_D")))
    assert len(rows) == 3
    image = np.asarray(Image.open(tmp_path / "out" / rows[0]["path"])).astype(int)
    assert image.shape == (1006, 1000, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
