"""Copies of an image are found through what people do to images, and different images are left apart."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from akpsim_cli.main import app
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter
from typer.testing import CliRunner

from akpsim.errors import AkpsimError, AkpsimWarning
from akpsim.families.datasets import duplicates
from akpsim.families.datasets.arrays import images_from_arrays, load_npz
from akpsim.families.datasets.duplicates import equal_pairs, fingerprint, groups_of, near_pairs, turned, unit
from akpsim.families.datasets.folder import load_folder
from akpsim.families.datasets.given import complete_split, with_class_map
from akpsim.families.datasets.images import Images
from akpsim.families.datasets.splits import PARTS, split_images
from akpsim.families.datasets.verify import verify_folder
from akpsim.study import Data, Split

WBC = Path(__file__).parents[2] / "shared" / "data" / "wbc"


def blobs(seed, *, side=96):
    """Return a picture of smooth spots at random places, such as cells."""
    noise = np.random.default_rng(seed).normal(size=(side, side, 3)) * 40 + 128
    spots = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(6))
    values = np.asarray(spots, dtype=float)
    return Image.fromarray(((values - values.min()) / np.ptp(values) * 255).astype(np.uint8))


def as_jpeg(image):
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=40)
    return Image.open(memory).convert("RGB")


COPIES = {
    "saved as JPEG": as_jpeg,
    "half the size": lambda image: image.resize((48, 48)),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "moved by a pixel": lambda image: image.crop((1, 0, 96, 96)),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned and mirrored": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_nothing_else(copy):
    pictures = [blobs(seed) for seed in range(30)]
    pictures.append(COPIES[copy](pictures[7]))
    assert near_pairs(np.array([fingerprint(np.asarray(picture)) for picture in pictures])) == [(7, 30)]


def test_pictures_framed_alike_are_not_copies():
    # one bright disc in the middle of each image, as of a wing; what is inside differs
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    disc = (x**2 + y**2 < 0.5)[..., None]
    pictures = [np.where(disc, 190 + np.asarray(blobs(seed)) // 4, 0).astype(np.uint8) for seed in range(30)]
    prints = np.array([fingerprint(picture) for picture in pictures])
    flat = prints.reshape(30, -1)
    assert (flat @ flat.T).min() > 0.98  # alike by the frame
    assert near_pairs(prints) == []


def test_flat_pictures_are_nobodys_near_duplicates():
    assert near_pairs(np.array([fingerprint(np.full((40, 40, 3), value, np.uint8)) for value in (0, 9, 255)])) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_groups_are_the_connected_parts(pairs):
    groups = groups_of(10, pairs)
    reach = np.eye(10, dtype=bool)
    for one, other in pairs:
        reach[one, other] = reach[other, one] = True
    for _ in range(10):
        reach = reach @ reach
    np.testing.assert_array_equal(groups[:, None] == groups[None, :], reach)


def test_equal_pairs_by_hand():
    assert equal_pairs(["a", "b", "a", "a", "b"]) == [(0, 2), (0, 3), (1, 4)]


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for index in range(8):
            blobs(20 * label + index).save(tmp_path / name / f"{index}.png")
    return tmp_path


def load(path):
    return load_folder(Data(name="folder", path=str(path)))


def test_copies_of_one_class_stay_on_one_side_of_every_split(folder):
    for index in range(4):
        COPIES["turned"](blobs(index)).save(folder / "a" / f"turned {index}.png")
    images = load(folder)
    place = {name: index for index, name in enumerate(images.ids)}
    for seed in range(10):
        parts = split_images(images, Split(), seed=seed)
        side = {index: part for part, indices in parts.items() for index in indices}
        for index in range(4):
            assert side[place[f"a/{index}.png"]] == side[place[f"a/turned {index}.png"]]


def sides_of(images, *, seed):
    parts = split_images(images, Split(), seed=seed)
    return {str(images.ids[index]): part for part, indices in parts.items() for index in indices}


def test_near_duplicates_of_two_classes_stay_on_one_side_and_are_reported(folder):
    for index in range(4):
        as_jpeg(blobs(index)).save(folder / "b" / f"copy {index}.png")
    images = load(folder)
    for seed in range(10):
        sides = sides_of(images, seed=seed)
        assert all(sides[f"a/{index}.png"] == sides[f"b/copy {index}.png"] for index in range(4))
    assert verify_folder(folder).across == [
        f"a/{index}.png and b/copy {index}.png are nearly the same, in two classes" for index in range(4)
    ]


def test_equal_pixels_in_two_classes_are_still_refused(folder):
    blobs(1).save(folder / "b" / "same.png")
    with pytest.raises(AkpsimError, match=r"a/1\.png and b/same\.png have the same pixels, but are of two classes"):
        split_images(load(folder), Split(), seed=0)


def one_level_off(pixels, seed):
    """Return a picture with at most one grey level of noise."""
    return np.clip(pixels.astype(int) + np.random.default_rng(seed).integers(-1, 2, pixels.shape), 0, 255).astype(
        np.uint8
    )


def arrays(*, kind):
    """Return twelve pictures, their copies with noise of one grey level, and twelve others; and their names."""
    pictures = [np.asarray(blobs(seed)) for seed in range(24)]
    pictures[12:12] = [one_level_off(picture, seed) for seed, picture in enumerate(pictures[:12])]
    pixels = np.stack(pictures)
    pixels = pixels[..., :1] if "grey" in kind else pixels
    return pixels.astype(np.float32) / 255 if "real" in kind else pixels


@pytest.mark.parametrize("kind", ["colour", "grey", "grey, real", "colour, real"])
@pytest.mark.parametrize("labels", [[0] * 24 + [1] * 12, [0] * 12 + [1] * 24], ids=["one class", "two classes"])
def test_nearly_equal_arrays_stay_on_one_side(kind, labels):
    images = images_from_arrays(arrays(kind=kind), labels)
    for seed in range(3):
        sides = sides_of(images, seed=seed)
        assert all(sides[f"sample-{one:05d}"] == sides[f"sample-{one + 12:05d}"] for one in range(12))


def test_given_groups_of_arrays_are_joined_with_copies():
    groups = np.arange(36)
    groups[[1, 30]] = 99
    images = images_from_arrays(arrays(kind="grey"), [0] * 24 + [1] * 12, groups=groups)
    assert len(set(images.groups)) == 36 - 12 - 1
    assert len({images.groups[index] for index in (1, 13, 30)}) == 1


def test_a_given_split_of_arrays_that_separates_copies_is_refused(tmp_path):
    split = np.array(["train"] * 12 + ["test"] * 12 + ["validation", "probe", "train", "test"] * 3)
    images = images_from_arrays(arrays(kind="grey"), [0] * 24 + [1] * 12, split=split)
    with pytest.raises(AkpsimError, match="the given split leaks: sample-00000 or a copy of it is in both test and tr"):
        split_images(images, Split(), seed=0)


def test_copies_in_an_npz_file_stay_on_one_side(tmp_path):
    pixels, labels = arrays(kind="grey"), np.array([0] * 24 + [1] * 12)
    np.savez(tmp_path / "plain.npz", images=pixels, labels=labels)
    images = load_npz(Data(name="npz", path=str(tmp_path / "plain.npz")))
    sides = sides_of(images, seed=0)
    assert all(sides[f"sample-{one:05d}"] == sides[f"sample-{one + 12:05d}"] for one in range(12))
    parts = {part: slice(start, None, 3) for start, part in enumerate(("train", "val", "test"))}
    halves = {f"{part}_images": pixels[where] for part, where in parts.items()}
    # every third picture, so that a picture and its copy are in one part
    np.savez(tmp_path / "split.npz", **halves, **{f"{part}_labels": labels[where] for part, where in parts.items()})
    assert set(sides_of(load_npz(Data(name="npz", path=str(tmp_path / "split.npz"))), seed=0).values()) == set(PARTS)


def test_every_pair_is_found_that_a_search_without_shortcuts_finds():
    prints = [fingerprint(np.asarray(blobs(seed))) for seed in range(40)]
    rng = np.random.default_rng(0)
    for index, amount in enumerate(np.linspace(0.001, 0.006, 20)):  # from plain copies to different pictures
        copy = turned(prints[index][None], index % 8)[0]
        prints.append(
            unit((copy + amount * rng.normal(size=copy.shape)).reshape(1, -1), centre=True).reshape(32, 32, 3)
        )
    prints = np.array(prints, dtype=np.float32)
    mean, flat = prints.mean(axis=0), prints.reshape(60, -1)
    beyond = unit((prints - mean).reshape(60, -1))
    expected = set()
    for way in range(8):
        other = turned(prints, way)
        alike = (flat @ other.reshape(60, -1).T >= 0.985) & (beyond @ unit((other - mean).reshape(60, -1)).T >= 0.93)
        expected |= {(int(i), int(j)) for i, j in np.argwhere(np.triu(alike, k=1))}
    assert near_pairs(prints) == sorted(expected)
    assert 3 < len(expected) < 18


@pytest.mark.parametrize("shape", [(7, 9), (60, 11)])
def test_pairs_do_not_depend_on_how_the_search_is_cut(monkeypatch, shape):
    pictures = [blobs(seed) for seed in range(30)]
    pictures += [COPIES["turned"](pictures[index]) for index in (3, 17, 29)]
    prints = np.array([fingerprint(np.asarray(picture)) for picture in pictures])
    for name, value in zip(("ROWS", "COLUMNS"), shape, strict=True):
        monkeypatch.setattr(duplicates, name, value)
    assert near_pairs(prints) == [(3, 30), (17, 31), (29, 32)]


def test_what_is_not_looked_for_is_said(monkeypatch):
    assert duplicates.TURNED_LIMIT >= 20_000
    assert duplicates.NEAR_LIMIT >= 100_000
    pictures = [blobs(seed) for seed in range(10)]
    pictures += [COPIES["turned"](pictures[0]), as_jpeg(pictures[1])]
    prints = np.array([fingerprint(np.asarray(picture)) for picture in pictures])
    monkeypatch.setattr(duplicates, "TURNED_LIMIT", 11)
    said = r"turned and mirrored copies were not looked for among 12 images \(at most 11\): the split may separate them"
    with pytest.warns(AkpsimWarning, match=said):
        assert near_pairs(prints) == [(1, 11)]
    monkeypatch.setattr(duplicates, "NEAR_LIMIT", 11)
    with pytest.warns(AkpsimWarning, match=r"^near-duplicates were not looked for among 12 images \(at most 11\)"):
        assert near_pairs(prints) == []


def test_a_sound_folder_is_sound(folder):
    found = verify_folder(folder)
    assert found.sound
    assert (found.counts, found.sizes) == ({"a": 8, "b": 8}, {"96 x 96": 16})
    assert (found.damaged, found.exact, found.near) == ([], [], [])


def test_damage_and_copies_are_listed(folder):
    (folder / "a" / "0.png").write_bytes((folder / "a" / "0.png").read_bytes()[:200])
    blobs(1).save(folder / "a" / "again.tif")
    blobs(2).save(folder / "b" / "again.png")
    found = verify_folder(folder)
    assert not found.sound
    assert found.counts == {"a": 9, "b": 9}
    assert len(found.damaged) == 1
    assert "0.png is damaged or no image: " in found.damaged[0]
    assert found.exact == [["a/1.png", "a/again.tif"], ["a/2.png", "b/again.png"]]
    assert found.across == ["a/2.png and b/again.png have the same pixels, in two classes"]


def test_the_command_exits_with_one_on_leakage_or_damage(folder):
    runner = CliRunner()
    result = runner.invoke(app, ["data", "verify", str(folder)])
    assert result.exit_code == 0
    assert "16 images: a 8 (50%), b 8 (50%)" in result.output
    blobs(2).save(folder / "b" / "again.png")
    result = runner.invoke(app, ["data", "verify", str(folder)])
    assert result.exit_code == 1
    assert "a/2.png and b/again.png have the same pixels, in two classes" in result.output
    result = runner.invoke(app, ["data", "verify", str(folder), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["sound"]) == (1, False)


def test_a_folder_that_is_split_already_keeps_its_split(tmp_path):
    seed = 0
    for part, count in (("train", 12), ("val", 3), ("test", 6)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(count):
                blobs(seed).save(tmp_path / part / name / f"{index}.png")
                seed += 1
    images = load(tmp_path)
    assert images.classes == ("a", "b")
    parts = split_images(images, Split(), seed=0)
    assert {part: len(indices) for part, indices in parts.items()} == {
        "train": 24,
        "validation": 6,
        "probe": 6,
        "test": 6,
    }
    assert all(images.ids[index].startswith("test/") for part in ("probe", "test") for index in parts[part])
    blobs(0).save(tmp_path / "test" / "a" / "leak.png")
    with pytest.raises(AkpsimError, match="the given split leaks: "):
        split_images(load(tmp_path), Split(), seed=0)
    assert verify_folder(tmp_path).across == [
        "test/a/leak.png and train/a/0.png have the same pixels, in two parts of the split"
    ]


def test_missing_parts_are_dealt_group_by_group_and_class_by_class():
    labels = np.repeat([0, 1], 40)
    groups = np.arange(80) // 2
    split = np.tile(np.repeat(["train", "test"], [24, 16]), 2)
    parts = complete_split(split, labels, groups, seed=0)
    for label in (0, 1):
        counts = {part: int(((parts == part) & (labels == label)).sum()) for part in np.unique(parts)}
        assert counts == {"train": 20, "validation": 4, "probe": 8, "test": 8}
    assert all(len(set(parts[groups == group])) == 1 for group in groups)
    assert set(parts[split == "test"]) == {"probe", "test"}
    with pytest.raises(AkpsimError, match="unknown part of the split 'tset': did you mean 'test'"):
        complete_split(np.array(["tset"]), np.array([0]), np.array([0]), seed=0)


def test_dealing_missing_parts_hides_no_leak():
    split = np.array(["train", "test"] * 4 + ["validation"])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])  # each pair is in both parts
    parts = complete_split(split, np.zeros(9, int), groups, seed=0)
    assert (parts[split == "train"] == "train").all()
    assert sorted(parts[split == "test"]) == ["probe", "probe", "test", "test"]


def test_classes_can_be_renamed_joined_and_left_out():
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2, 1)
    images = Images(pixels, np.array([0, 1, 2, 3, 1, 2]), ("a", "b", "c", "d"), np.array(list("uvwxyz")))
    mapped = with_class_map(images, Data(class_map={"b": "early", "c": "late", "d": "late", "a": ""}))
    assert mapped.classes == ("early", "late")
    assert mapped.ids.tolist() == ["v", "w", "x", "y", "z"]
    assert mapped.labels.tolist() == [0, 1, 1, 0, 1]
    np.testing.assert_array_equal(mapped.images, pixels[1:])
    with pytest.raises(AkpsimError, match="unknown class in `class_map` 'e'"):
        with_class_map(images, Data(class_map={"e": "x"}))
    with pytest.raises(AkpsimError, match="`class_map` leaves 1 class; two are the least"):
        with_class_map(images, Data(class_map=dict.fromkeys("abcd", "x")))


@pytest.mark.skipif(not WBC.is_dir(), reason="the white blood cells are not beside this checkout")
def test_cells_that_were_photographed_twice_are_found():
    # looked at: 157 and 158, and 166 and 171, show the same cell
    found = verify_folder(WBC)
    assert found.sound
    assert found.exact == [["mononuclear/112.png", "mononuclear/139.png"]]
    assert found.near == [
        ["granulocyte/157.png", "granulocyte/158.png"],
        ["granulocyte/166.png", "granulocyte/171.png"],
    ]
