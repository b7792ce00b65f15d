"""Synthetic wings: deterministic, labelled synthetic, and as hard as asked."""

import csv

import numpy as np
import pytest
import tifffile
from akpsim_cli.main import app
from typer.testing import CliRunner

from akpsim.errors import AkpsimError
from akpsim.families.datasets import DATASETS, split_images
from akpsim.families.datasets.duplicates import fingerprint, near_pairs
from akpsim.families.datasets.folder import load_folder
from akpsim.families.datasets.wings import drawn_disc, wing_stack
from akpsim.study import Data, Split


def load(**options):
    return DATASETS["wings"].load(Data(name="wings", options=options))


@pytest.fixture(scope="module")
def wings():
    return load(size=64)


def test_there_are_as_many_as_in_the_published_data_set(wings):
    assert wings.classes == ("healthy", "tumour")
    assert np.bincount(wings.labels).tolist() == [139, 76]  # Zenodo 7648739
    assert wings.images.shape == (215, 64, 64, 3)
    assert wings.images.dtype == np.uint8


def test_they_are_called_synthetic_everywhere(wings):
    assert wings.synthetic
    assert "synthetic" in wings.source
    assert all(name.startswith("synthetic-") for name in wings.ids)
    assert "not photographs" in DATASETS["wings"].summary


def test_red_equals_blue_and_the_background_is_dark(wings):
    np.testing.assert_array_equal(wings.images[..., 0], wings.images[..., 2])
    corners = wings.images[:, :6, :6].reshape(215, -1)
    assert np.median(corners) < 25


def test_no_two_are_alike(wings):
    prints = np.array([fingerprint(image) for image in wings.images])
    assert near_pairs(prints) == []
    assert all(len(part) for part in split_images(wings, Split(), seed=0).values())


def test_a_disc_is_a_stack_of_thirteen_layers_two_channels_and_twelve_bits():
    stack = wing_stack(3, tumour=True)
    assert (stack.shape, stack.dtype) == ((2, 13, 128, 128), np.uint16)
    assert stack.max() <= 4095
    assert stack.reshape(2, 13, -1).std(axis=2).argmax(axis=1).min() > 0  # in focus inside the stack


def test_the_same_number_and_seed_give_the_same_disc():
    np.testing.assert_array_equal(wing_stack(7, tumour=True), wing_stack(7, tumour=True))
    assert (wing_stack(7, tumour=True) != wing_stack(8, tumour=True)).mean() > 0.5
    assert (wing_stack(7, tumour=True) != wing_stack(7, tumour=True, seed=1)).mean() > 0.5


def test_difficulty_one_is_no_difference_at_all():
    healthy, tumour = (wing_stack(5, tumour=tumour, difficulty=1) for tumour in (False, True))
    np.testing.assert_array_equal(healthy, tumour)


def test_the_clone_is_brighter_the_lower_the_difficulty_and_only_the_clone():
    clone = drawn_disc(np.random.default_rng([0, 5]), 128, 13, 0).clone > 0.9
    away = drawn_disc(np.random.default_rng([0, 5]), 128, 13, 0).clone < 1e-3
    healthy = wing_stack(5, tumour=False).max(axis=1).astype(float)
    gains = []
    for difficulty in (0.8, 0.4, 0):
        flat = wing_stack(5, tumour=True, difficulty=difficulty).max(axis=1).astype(float)
        gains.append(flat[:, clone].mean(axis=1) / healthy[:, clone].mean(axis=1))
        assert flat[:, away].mean(axis=1) == pytest.approx(healthy[:, away].mean(axis=1), rel=0.02)  # haze alone
    assert (np.diff(gains, axis=0) > 0.05).all()


def test_options_are_checked():
    images = load(tumour=3, healthy=2, size=32, layers=5, difficulty=0)
    assert images.images.shape == (5, 32, 32, 3)
    assert (
        DATASETS["wings"].load(Data(name="wings", image_size=40, options={"tumour": 2, "healthy": 2})).images.shape[1]
        == 40
    )
    for options, message in {
        "difficulty": (1.5, r"`difficulty` must lie in \[0, 1\], got 1.5"),
        "tumours": (3, "unknown option of the data set 'wings': 'tumours': did you mean 'tumour'"),
        "tumour": (1, "`tumour` must be a whole number of at least 2, got 1"),
        "size": ("large", "`data.options.size` must be of type int, got 'large'"),
    }.items():
        value, text = message
        with pytest.raises(AkpsimError, match=text):
            load(**{options: value})


def test_stacks_written_and_stacked_by_the_commands_are_the_images_of_the_data_set(tmp_path):
    runner = CliRunner()
    numbers = ["--tumour", "3", "--healthy", "2", "--size", "48", "--seed", "9"]
    assert runner.invoke(app, ["data", "wings", str(tmp_path / "scans"), *numbers]).exit_code == 0
    assert runner.invoke(app, ["data", "stack", str(tmp_path / "scans"), str(tmp_path / "images")]).exit_code == 0
    images, expected = (
        load_folder(Data(name="folder", path=str(tmp_path / "images"))),
        load(tumour=3, healthy=2, size=48, seed=9),
    )
    assert images.classes == expected.classes
    np.testing.assert_array_equal(images.images, expected.images)
    assert [name.split("/")[1] for name in images.ids] == [f"{name}.png" for name in expected.ids]
    assert images.synthetic
    assert "synthetic" in images.source
    for folder in ("scans", "images"):
        assert "synthetic" in (tmp_path / folder / "SYNTHETIC.txt").read_text()
    with tifffile.TiffFile(next((tmp_path / "scans").rglob("*.tif"))) as file:
        assert "synthetic wing discs, not photographs" in file.ome_metadata
    with (tmp_path / "images" / "manifest.csv").open() as handle:
        assert all("synthetic-" in row["source"] for row in csv.DictReader(handle))
