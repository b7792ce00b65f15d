"""Images from arrays, .npz files, CSV lists and torchvision's folders, each with its own complaints."""

import csv
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from akpsim.errors import AkpsimError
from akpsim.families import DATASETS, images_from_arrays
from akpsim.families.datasets import data_named, split_images
from akpsim.study import Data, Split

RNG = np.random.default_rng(0)


def load(name, path, **kwargs):
    return DATASETS[name].load(Data(name=name, path=str(path), **kwargs))


def fault(function, *args, **kwargs):
    with pytest.raises(AkpsimError) as error:
        function(*args, **kwargs)
    return str(error.value)


def test_arrays_become_labelled_images():
    pixels = RNG.integers(0, 256, (4, 5, 6), dtype=np.uint8)
    images = images_from_arrays(pixels, ["b", "a", "b", "a"], groups=["x", "x", "y", "z"])
    assert images.images.shape == (4, 5, 6, 1)
    assert (images.classes, images.labels.tolist()) == (("a", "b"), [1, 0, 1, 0])
    assert images.ids.tolist() == ["sample-00000", "sample-00001", "sample-00002", "sample-00003"]
    assert images.groups.tolist() == [0, 0, 1, 2]
    counted = images_from_arrays(pixels, np.array([[0], [1], [2], [1]]), classes=["x", "y", "z"])
    assert (counted.classes, counted.labels.tolist()) == (("x", "y", "z"), [0, 1, 2, 1])


def test_arrays_that_cannot_be_images_are_refused():
    good = np.zeros((4, 5, 6, 3), dtype=np.uint8)
    labels = [0, 0, 1, 1]
    assert fault(images_from_arrays, good[0, 0], labels).endswith("got 2 axes, 6 x 3")
    assert fault(images_from_arrays, good.transpose(0, 3, 1, 2), labels) == (
        "images need 1, 3 or 4 channels on the last axis; got 4 x 3 x 5 x 6; move the channel to the last axis"
    )
    assert fault(images_from_arrays, good.astype(int), labels) == (
        "images must be uint8 or real numbers in [0, 1], got int64"
    )
    assert fault(images_from_arrays, good + 2.0, labels) == "images of real numbers must lie in [0, 1], got [2, 2]"
    assert "got [nan, nan]" in fault(images_from_arrays, good * np.nan, labels)
    assert fault(images_from_arrays, good, labels[:3]) == "4 images need 4 labels, got 3"
    assert fault(images_from_arrays, good, [0] * 4) == "labels hold 1 class; two are the least"
    assert fault(images_from_arrays, good, [0, 1, 2, 3], classes=["a", "b"]) == "labels must lie in [0, 1], got 0 to 3"
    assert fault(images_from_arrays, good, list("abca"), classes=["a", "b"]) == (
        "the label 'c' is not among the classes a, b"
    )
    assert fault(images_from_arrays, good, np.zeros((4, 2), int)).endswith("got the shape (4, 2)")
    assert fault(images_from_arrays, good, [0.5] * 4) == "labels must be whole numbers or names, got float64"
    assert fault(images_from_arrays, good, labels, ids=["a", "b", "c", "a"]) == "ids must all be different"


def medmnist(path, *, channels=(), parts=("train", "val", "test"), seed=0):
    """Write a file in the layout of MedMNIST: images (n, 28, 28) or (n, 28, 28, 3), labels (n, 1)."""
    rng = np.random.default_rng(seed)
    tables = {}
    for part, count in zip(parts, (30, 6, 12), strict=False):
        tables[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28, *channels), dtype=np.uint8)
        tables[f"{part}_labels"] = np.arange(count)[:, None] % 3
    np.savez(path, **tables)
    return tables


@pytest.mark.parametrize("channels", [(), (3,)])
def test_medmnist_keeps_its_split_and_half_of_the_test_images_are_the_probe(channels, tmp_path):
    tables = medmnist(tmp_path / "med.npz", channels=channels)
    images = load("npz", tmp_path / "med.npz")
    assert images.classes == ("0", "1", "2")
    assert images.images.shape == (48, 28, 28, *(channels or (1,)))
    parts = split_images(images, Split(), seed=0)
    assert {part: len(found) for part, found in parts.items()} == {
        "train": 30,
        "validation": 6,
        "probe": 6,
        "test": 6,
    }
    probe = parts["probe"][0]
    assert images.ids[probe].startswith("test-")
    index = int(images.ids[probe].split("-")[1])
    np.testing.assert_array_equal(images.images[probe].squeeze(), tables["test_images"][index])
    assert images.labels[probe] == tables["test_labels"][index, 0]


def test_npz_options_and_sizes(tmp_path):
    medmnist(tmp_path / "med.npz", parts=("train", "test"))
    own = load("npz", tmp_path / "med.npz", options={"own_split": True}, image_size=16)
    assert own.split is None
    assert own.images.shape == (36, 16, 16, 3)
    parts = split_images(load("npz", tmp_path / "med.npz"), Split(), seed=0)
    assert all(len(found) for found in parts.values())
    np.savez(tmp_path / "simple.npz", images=np.zeros((4, 8, 8)), labels=np.array(["a", "b", "a", "b"]))
    assert load("npz", tmp_path / "simple.npz").classes == ("a", "b")
    joined = load("npz", tmp_path / "med.npz", class_map={"0": "early", "1": "early", "2": "late"})
    assert joined.classes == ("early", "late")


def test_npz_files_that_cannot_be_used(tmp_path):
    path = tmp_path / "x.npz"
    assert fault(load, "npz", path).endswith("does not exist")
    path.write_bytes(b"no zip")
    assert "is damaged or no .npz file of plain arrays: " in fault(load, "npz", path)
    np.savez(path, images=np.array([{}], dtype=object), labels=np.zeros(1))
    assert "is damaged or no .npz file of plain arrays: " in fault(load, "npz", path)
    np.savez(path, x=np.zeros(3))
    assert fault(load, "npz", path).endswith(
        "needs the arrays images and labels, or train_images, train_labels, val_images, ...; it has x"
    )
    medmnist(path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "is damaged" in fault(load, "npz", path)


@pytest.fixture
def listed(tmp_path):
    rows = []
    for index in range(12):
        name = f"plate ü/{index}.png"
        (tmp_path / "plate ü").mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / name)
        rows.append({"path": name, "label": "ab"[index % 2], "group": f"animal {index // 4}" if index < 8 else ""})
    write_csv(tmp_path / "list.csv", rows)
    return tmp_path / "list.csv", rows


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_list_of_images_gives_labels_and_groups(listed):
    images = load("manifest", listed[0])
    assert images.classes == ("a", "b")
    assert images.ids.tolist() == [row["path"] for row in listed[1]]
    assert images.groups.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5]
    assert images.split is None


def test_a_list_may_bring_a_split_and_other_names_of_columns(listed):
    path, rows = listed
    for index, row in enumerate(rows):
        row["part"] = "train" if index < 8 else "test"
    write_csv(path, [{"file": row["path"], "class": row["label"], "part": row["part"]} for row in rows])
    names = {"path_column": "file", "label_column": "class", "split_column": "part"}
    images = load("manifest", path, options=names)
    assert set(images.split) == {"train", "validation", "probe", "test"}
    assert fault(load, "manifest", path).endswith("needs the column 'path'; it has file, class, part")
    assert fault(load, "manifest", path, options={"label": "x"}).startswith("unknown option of the data set 'manifest'")


def test_lists_that_cannot_be_used(listed):
    path, rows = listed
    path.write_text("")
    assert fault(load, "manifest", path).endswith("lists no image")
    write_csv(path, [*rows, rows[0]])
    assert fault(load, "manifest", path).endswith("lists plate ü/0.png twice")
    write_csv(path, [*rows, {"path": "absent.png", "label": "a", "group": ""}])
    assert fault(load, "manifest", path).endswith("absent.png does not exist")
    write_csv(path, [*rows, {"path": "x.png", "label": "", "group": ""}])
    assert fault(load, "manifest", path).endswith("line 14: 'label' is empty")
    write_csv(path, rows[::2])
    assert fault(load, "manifest", path).endswith("has one class, 'a'; two are the least")
    path.write_bytes(b"path,label\n\xff\xfe,a\n")
    assert "is no CSV file in UTF-8" in fault(load, "manifest", path)
    assert fault(load, "manifest", path.parent / "none.csv").endswith("does not exist")


def write_mnist(root, counts=(24, 12)):
    """Write files in the layout of MNIST: big-endian headers, then bytes."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in zip(("train", "t10k"), counts, strict=True):
        pixels, labels = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())


def test_torchvision_data_are_read_from_disk(tmp_path):
    write_mnist(tmp_path)
    images = load("torchvision", tmp_path, options={"dataset": "MNIST"})
    assert images.images.shape == (36, 28, 28, 3)
    assert images.classes[3] == "3 - three"
    assert set(images.split) == {"train", "validation", "probe", "test"}
    assert load("torchvision", tmp_path, options={"dataset": "MNIST", "own_split": True}).split is None


def test_torchvision_data_that_are_not_there(tmp_path):
    assert fault(load, "torchvision", tmp_path, options={"dataset": "CIFAR10"}).startswith(
        f"torchvision's CIFAR10 is not in {tmp_path}: Dataset not found"
    )
    assert "did you mean 'CIFAR10'" in fault(load, "torchvision", tmp_path, options={"dataset": "CIFAR-10"})
    assert "needs `path`" in fault(load, "torchvision", tmp_path)


def test_what_a_user_types_as_data_is_a_name_a_folder_or_a_file(tmp_path):
    (tmp_path / "list.csv").touch()
    (tmp_path / "med.npz").touch()
    assert data_named("wings") == {"name": "wings"}
    assert data_named(str(tmp_path)) == {"name": "folder", "path": str(tmp_path)}
    assert data_named(str(tmp_path / "list.csv"))["name"] == "manifest"
    assert data_named(str(tmp_path / "med.npz"))["name"] == "npz"
    assert fault(data_named, "wing").startswith(
        "unknown dataset, folder or file (.npz, .csv) 'wing': did you mean 'wings'?"
    )


def test_every_data_set_is_on_the_page_about_data():
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
    assert [name for name in DATASETS if f"`{name}`" not in page] == []
