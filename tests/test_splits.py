"""No image, and no copy of an image, is in two parts of a split; shares and classes are kept."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from akpsim import AkpsimError
from akpsim.families.datasets import DATASETS, Images, data_named, split_images
from akpsim.study import Data, Split


def images_of(labels, *, groups=None, pixels=None, split=None):
    labels = np.asarray(labels)
    n = len(labels)
    pixels = np.arange(n) if pixels is None else np.asarray(pixels)
    return Images(
        images=np.broadcast_to(pixels[:, None, None, None], (n, 2, 2, 1)).astype(np.float32),
        labels=labels.astype(np.int64),
        classes=tuple(f"class {label}" for label in range(labels.max() + 1)),
        ids=np.array([f"image-{index}" for index in range(n)]),
        groups=None if groups is None else np.asarray(groups),
        split=split,
    )


@given(counts=st.lists(st.integers(4, 60), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_every_image_is_in_exactly_one_part_and_classes_keep_their_shares(counts, seed):
    shares = Split()
    images = images_of(np.repeat(np.arange(len(counts)), counts))
    parts = split_images(images, shares, seed=seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(sum(counts)))
    for label, count in enumerate(counts):
        for part, indices in parts.items():
            have = int((images.labels[indices] == label).sum())
            assert have >= 1
            assert abs(have - getattr(shares, part) * count) <= 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_groups_and_copies_stay_on_one_side(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 60, 120)
    labels = groups % 2
    pixels = rng.integers(0, 200, 120) * 2 + labels  # copies across groups of one class
    assume(enough(groups, pixels, labels))
    parts = split_images(images_of(labels, groups=groups, pixels=pixels), Split(), seed=seed)
    side = {index: part for part, indices in parts.items() for index in indices}
    for first in side:
        for second in side:
            if groups[first] == groups[second] or pixels[first] == pixels[second]:
                assert side[first] == side[second]


def enough(groups, pixels, labels):
    """Tell whether copies leave each class at least four independent groups."""
    link = (groups[:, None] == groups) | (pixels[:, None] == pixels)
    component = connected_components(coo_matrix(link), directed=False)[1]
    return all(len(set(component[labels == label])) >= 4 for label in (0, 1))


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    images = images_of(np.repeat([0, 1], 50))
    first, again, other = (split_images(images, Split(), seed=seed)["train"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(AkpsimError, match="class 'class 1' has 1 distinct image or groups of images; at least 4"):
        split_images(images_of([0] * 9 + [1]), Split(), seed=0)


def test_copies_in_two_classes_are_refused_by_name():
    images = images_of([0] * 5 + [1] * 5, pixels=[0, 1, 2, 3, 4, 5, 6, 7, 8, 4])
    with pytest.raises(AkpsimError, match=r"image-4 and image-9 have the same pixels, but are of two classes"):
        split_images(images, Split(), seed=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), animals=st.integers(4, 30), mixed=st.floats(0, 1))
def test_an_animal_with_images_of_two_classes_stays_on_one_side(seed, animals, mixed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(animals), 6)
    labels = np.where(rng.random(animals * 6) < mixed, rng.integers(0, 2, animals * 6), groups % 2)
    assume(all(len(set(groups[labels == label])) >= 4 for label in (0, 1)))
    images = images_of(labels, groups=groups)
    parts = split_images(images, Split(), seed=seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    sides = [set(groups[indices]) for indices in parts.values()]
    assert sum(map(len, sides)) == animals
    assert all(set(labels[indices]) == {0, 1} for indices in parts.values())


def test_groups_that_leave_a_part_without_a_class_are_refused():
    with pytest.raises(AkpsimError, match="class 'class 1' has 2 distinct images or groups of images; at least 4"):
        split_images(images_of([0] * 8 + [0, 1, 0, 1], groups=[*range(8), 8, 8, 9, 9]), Split(), seed=0)

    groups = [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]  # found by trying: six animals, three classes, hardly any freedom
    message = "the groups cannot be dealt so that every part has every class: test has no 'class 2'; give a split"
    with pytest.raises(AkpsimError, match=message):
        split_images(images_of([0, 1, 1, 2, 1, 2, 0, 1, 2, 0, 2, 0], groups=groups), Split(), seed=0)


def test_a_given_split_is_kept_and_a_leaking_one_refused():
    split = np.array(["train", "validation", "probe", "test"] * 2)
    images = images_of([0, 0, 0, 0, 1, 1, 1, 1], split=split)
    assert split_images(images, Split(), seed=0)["probe"].tolist() == [2, 6]
    leaking = images_of([0, 0, 0, 0, 1, 1, 1, 1], split=split, pixels=[0, 0, 2, 3, 4, 5, 6, 7])
    with pytest.raises(AkpsimError, match="the given split leaks: image-0 or a copy of it is in both train and valid"):
        split_images(leaking, Split(), seed=0)


def test_digits_are_real_images_scaled_to_one_without_copies_across_parts():
    digits = DATASETS["digits"].load(Data())
    assert digits.images.shape == (1797, 8, 8, 1)
    assert (digits.images.min(), digits.images.max()) == (0, 1)
    assert digits.labels[:10].tolist() == list(range(10))  # scikit-learn's table starts with 0 to 9
    assert not digits.synthetic


def test_what_a_user_names_is_a_dataset_or_a_folder(tmp_path):
    assert data_named("digits") == {"name": "digits"}
    assert data_named(str(tmp_path)) == {"name": "folder", "path": str(tmp_path)}
    with pytest.raises(AkpsimError, match=r"unknown dataset, folder or file .* 'digit': did you mean 'digits'"):
        data_named("digit")
