"""A folder with one sub-folder a class becomes labelled images, or one sentence says why not."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from akpsim.errors import AkpsimError, InvalidData
from akpsim.families.datasets.folder import load_folder
from akpsim.study import Data

WBC = Path(__file__).parents[2] / "shared" / "data" / "wbc"


def picture(path, *, size=(12, 10), value=None, seed=0):
    """Write a picture of one value, or of noise."""
    shape = (size[1], size[0], 3)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, shape) if value is None else np.full(shape, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return pixels.astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("tumour", "healthy wing ü")):
        for index in range(3):
            picture(tmp_path / name / f"{index}.png", seed=10 * label + index)
    return tmp_path


def load(path, **kwargs):
    return load_folder(Data(name="folder", path=str(path), **kwargs))


def test_classes_ids_and_pixels_are_those_of_the_files(folder):
    images = load(folder)
    assert images.classes == ("healthy wing ü", "tumour")
    assert list(images.ids) == [f"{name}/{index}.png" for name in images.classes for index in range(3)]
    assert list(images.labels) == [0, 0, 0, 1, 1, 1]
    assert images.images.shape == (6, 10, 12, 3)
    np.testing.assert_array_equal(images.images[4], np.asarray(Image.open(folder / "tumour" / "1.png")))
    assert not images.synthetic


def test_files_that_are_no_pictures_and_hidden_ones_are_passed_over(folder):
    (folder / "labels.csv").write_text("file,class\n")
    (folder / "tumour" / "notes.txt").write_text("x")
    (folder / "tumour" / ".hidden.png").write_text("x")
    (folder / ".cache").mkdir()
    (folder / "tumour" / ".thumbs").mkdir()
    (folder / "tumour" / ".thumbs" / "0.png").write_text("x")
    assert len(load(folder).ids) == 6


def test_pictures_in_sub_folders_of_a_class_belong_to_it(folder):
    picture(folder / "tumour" / "plate 2" / "0.jpeg")
    assert "tumour/plate 2/0.jpeg" in load(folder).ids


def test_equal_pictures_share_a_group_whatever_their_format(folder):
    same = Image.open(folder / "tumour" / "1.png")
    same.save(folder / "healthy wing ü" / "copy.tif")
    images = load(folder)
    groups = dict(zip(images.ids, images.groups, strict=True))
    assert groups["tumour/1.png"] == groups["healthy wing ü/copy.tif"]
    assert len(set(images.groups)) == 6


def test_sizes_must_agree_or_be_set(folder):
    picture(folder / "tumour" / "1.png", size=(14, 10))
    with pytest.raises(InvalidData) as error:
        load(folder)
    assert str(error.value) == (
        "images differ in size: tumour/1.png has 14 x 10 pixels and healthy wing ü/0.png has 12 x 10; set `image_size`"
    )
    assert load(folder, image_size=8).images.shape == (6, 8, 8, 3)


def test_shrinking_averages_instead_of_dropping_pixels(folder):
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(folder / "tumour" / "1.png")
    small = load(folder, image_size=8).images[4]
    assert abs(small[2:-2, 2:-2].astype(int) - 100).max() <= 10


def test_grey_palette_and_transparent_pictures_become_three_colours(folder):
    grey = Image.fromarray(np.full((10, 12), 7, dtype=np.uint8))
    grey.save(folder / "tumour" / "0.png")
    grey.convert("P").save(folder / "tumour" / "1.png")
    grey.convert("RGBA").save(folder / "tumour" / "2.png")
    assert (load(folder).images[3:] == 7).all()


def fault(folder, damage):
    damage(folder)
    with pytest.raises(InvalidData) as error:
        load(folder)
    return str(error.value).replace(str(folder) + os.sep, "").replace(str(folder), "ROOT")


def cut_short(folder):
    whole = (folder / "tumour" / "2.png").read_bytes()
    (folder / "tumour" / "2.png").write_bytes(whole[: len(whole) // 2])


def test_a_picture_cut_short_is_named(folder):
    assert fault(folder, cut_short).startswith("tumour/2.png is damaged or no image: ")


def test_a_text_file_called_png_is_named(folder):
    message = fault(folder, lambda folder: (folder / "tumour" / "x.png").write_text("hello"))
    assert message.startswith("tumour/x.png is damaged or no image: ")


def test_deep_pictures_and_stacks_are_sent_to_data_stack(folder):
    deep = Image.fromarray(np.full((10, 12), 4000, dtype=np.uint16))
    assert fault(folder, lambda folder: deep.save(folder / "tumour" / "0.png")) == (
        "tumour/0.png has more than 8 bits a pixel; make 8-bit images of such files with `akpsim data stack`"
    )
    page = Image.fromarray(np.zeros((10, 12), dtype=np.uint8))
    (folder / "tumour" / "0.png").unlink()
    page.save(folder / "tumour" / "0.tif", save_all=True, append_images=[page])
    assert fault(folder, lambda folder: None) == (
        "tumour/0.tif has 2 pages; make 8-bit images of such files with `akpsim data stack`"
    )


def test_one_class_no_class_or_no_folder_is_refused(tmp_path):
    assert fault(tmp_path, lambda folder: None) == (
        "ROOT has no sub-folder; put the images of each class into a sub-folder named for it"
    )
    sheet = fault(tmp_path, lambda folder: picture(folder / "contact_sheet.png"))  # of `akpsim data stack`, no image
    assert sheet.startswith("ROOT has no sub-folder")
    assert fault(tmp_path, lambda folder: picture(folder / "0.png")).startswith("ROOT has 1 images and no sub-folder")
    assert fault(tmp_path, lambda folder: picture(folder / "a" / "0.png")) == (
        "ROOT holds one class, 'a'; two sub-folders with images are the least"
    )
    assert fault(tmp_path, lambda folder: picture(folder / "b" / "0.png")) == (
        "ROOT: class 'a' has one image; each class needs at least two"
    )
    assert fault(tmp_path, lambda folder: (folder / "c").mkdir()) == (
        "ROOT: the sub-folder 'c' holds no image (png, jpg, jpeg, tif, tiff)"
    )
    with pytest.raises(InvalidData, match="does not exist"):
        load(tmp_path / "absent")
    with pytest.raises(AkpsimError, match="unknown option of the data set 'folder': 'size'"):
        load_folder(Data(name="folder", path=str(tmp_path), options={"size": 3}))
    with pytest.raises(InvalidData, match="needs `path`"):
        load_folder(Data(name="folder"))


@pytest.mark.skipif(not WBC.is_dir(), reason="the white blood cells are not beside this checkout")
def test_the_white_blood_cells_have_the_published_counts():
    images = load(WBC, image_size=64)
    assert images.classes == ("granulocyte", "mononuclear")
    assert np.bincount(images.labels).tolist() == [199, 101]  # its README
