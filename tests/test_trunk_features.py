"""Features are computed once, kept under what they depend on, and refused where they would be wrong."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from akpsim import load_study
from akpsim.errors import InvalidStudy, StoreError
from akpsim.families.datasets.images import Images
from akpsim.families.networks.inference import PackedConvolution, for_evaluation
from akpsim.families.networks.trunks import build_trunk
from akpsim.families.training.features import cache_folder, cached_features, compute_features, features_key
from akpsim.families.training.prepared import trunk_layers
from akpsim.study import Network


def some_images(count=40, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Images(pixels, np.arange(count) % 2, ("a", "b"), np.arange(count).astype(str))


def build(seed=0, **network):
    network = {"backbone": "squeezenet1_1", "weights": "random", "input_size": 32} | network
    return build_trunk(Network(**network), images=some_images(), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def trunk():
    return build()


@pytest.fixture
def calls(trunk):
    """Batches that go through the trunk."""
    seen = []
    handle = trunk.module.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    yield seen
    handle.remove()


def test_features_are_computed_once(trunk, calls, tmp_path):
    first = cached_features(trunk, some_images(), cache=tmp_path)
    assert calls == [4] * 10
    again = cached_features(trunk, some_images().images, cache=tmp_path)
    assert sum(calls) == 40
    assert torch.equal(first, again)
    assert (first.shape, first.dtype) == ((40, trunk.features), torch.float32)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_features_are_those_of_the_trunk(trunk, tmp_path):
    images = some_images()
    with torch.no_grad():
        expected = trunk.module(trunk.prepare(images.images))
    torch.testing.assert_close(cached_features(trunk, images, cache=tmp_path), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x0_5"])
def test_features_with_folded_batch_norm_are_as_close_to_float64_as_without(backbone):
    trunk, images = build(backbone=backbone, input_size=64), some_images(8)
    batch = trunk.prepare(images.images)
    with torch.no_grad():
        plain = trunk.module(batch)
        exact = copy.deepcopy(trunk.module).double()(batch.double())
    found = compute_features(trunk, images.images)
    assert (found - exact).norm() < 3 * (plain - exact).norm() < 1e-4 * exact.norm()
    assert not torch.equal(found, plain)


class Branches(torch.nn.Module):
    """Convolutions before a ReLU, and before a sum and a ReLU."""

    def __init__(self):
        super().__init__()
        self.alone, self.read_by_two = (torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.relu = torch.nn.BatchNorm2d(3), torch.nn.ReLU()

    def forward(self, x):
        x = self.relu(self.norm(self.alone(x)))
        before = self.read_by_two(x)
        return torch.relu(before) - before


def test_a_relu_is_joined_to_a_convolution_that_nothing_else_reads():
    torch.manual_seed(0)
    network, x = Branches().eval(), torch.randn(2, 3, 8, 8)
    found = for_evaluation(network)
    kinds = {name: getattr(layer, "after", None) for name, layer in found.named_children()}
    assert (kinds["alone"], kinds["read_by_two"]) == ("relu", "none")
    assert isinstance(found.alone, PackedConvolution)
    with torch.no_grad():
        torch.testing.assert_close(found(x), network(x))


def test_other_images_other_weights_or_another_size_are_computed_anew(trunk, tmp_path):
    images = some_images()
    one_pixel = dataclasses.replace(images, images=images.images.copy())
    one_pixel.images[3, 0, 0, 0] ^= 1
    found = [
        cached_features(trunk, images, cache=tmp_path),
        cached_features(trunk, one_pixel, cache=tmp_path),
        cached_features(build(seed=1), images, cache=tmp_path),
        cached_features(build(input_size=40), images, cache=tmp_path),
    ]
    assert len(list(tmp_path.iterdir())) == 4
    assert not any(torch.equal(a, b) for i, a in enumerate(found) for b in found[:i])


@pytest.fixture
def two_threads():
    """Torch as it comes on two cores; conftest.py gives it one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("backbone", "size"), [("squeezenet1_1", 32), ("resnet18", 64)])
def test_the_number_of_threads_changes_no_bit(backbone, size, two_threads):
    trunk, images = build(backbone=backbone, input_size=size), some_images(18).images
    assert torch.equal(compute_features(trunk, images, threads=1), compute_features(trunk, images, threads=3))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("backbone", ["squeezenet1_1", "resnet18"])
def test_each_batch_is_computed_by_one_thread(backbone, two_threads, monkeypatch):
    seen = []
    kind = {"squeezenet1_1": torch.nn.Conv2d, "resnet18": PackedConvolution}[backbone]
    trunk, forward = build(backbone=backbone, input_size=64), kind.forward

    def watched(layer, x):
        seen.append(torch.get_num_threads())
        return forward(layer, x)

    monkeypatch.setattr(kind, "forward", watched)
    compute_features(trunk, some_images(12).images, threads=2)
    assert torch.get_num_threads() == 2
    assert set(seen) == {1}
    assert len(seen) >= 3 * 20  # both have twenty convolutions or more; three batches


def test_stored_activations_do_not_depend_on_the_number_of_threads(two_threads):
    network = {"backbone": "mobilenet_v3_small", "weights": "random", "input_size": 64}
    study = load_study({"network": network, "capture": {"layers": ["features.*"]}})
    trunk, probe = build(**network), some_images(20)
    on_two = trunk_layers(study, trunk, probe)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    on_one = trunk_layers(study, trunk, probe)
    assert "features.12.2" in on_one
    assert all(np.array_equal(values, on_two[name]) for name, values in on_one.items())


def test_the_key_tells_versions_of_torch_shapes_and_types_apart(trunk, monkeypatch):
    images = some_images(4).images
    keys = [features_key(trunk, images), features_key(trunk, images.reshape(8, 16, 32, 3))]
    keys.append(features_key(trunk, images.view(np.int8)))
    monkeypatch.setattr(torch, "__version__", "2.0.0")
    keys.append(features_key(trunk, images))
    assert len(set(keys)) == 4


def test_a_damaged_file_is_made_anew(trunk, tmp_path):
    first = cached_features(trunk, some_images(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1000] ^= 1
    for damaged in (b"", whole[:100], whole[:-100], bytes(flipped)):
        file.write_bytes(damaged)
        assert torch.equal(cached_features(trunk, some_images(), cache=tmp_path), first)
        assert file.read_bytes() == whole


def test_a_trunk_that_trains_or_augmented_images_are_refused(trunk, calls, tmp_path):
    with pytest.raises(InvalidStudy, match="features of squeezenet1_1 cannot be cached while it trains"):
        cached_features(build(frozen=False), some_images(), cache=tmp_path)
    with pytest.raises(InvalidStudy, match="augmented images differ in each epoch"):
        cached_features(trunk, some_images(), cache=tmp_path, augmented=True)
    assert not calls
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said_before_the_work(trunk, calls, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write features to .*file.*set AKPSIM_CACHE to a folder of yours"):
        cached_features(trunk, some_images(), cache=tmp_path / "file")
    assert not calls


def test_the_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("AKPSIM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "features"
    monkeypatch.delenv("AKPSIM_CACHE")
    assert cache_folder().parts[-2:] == ("akpsim", "features")


def test_pixels_have_features_too_and_leave_nothing_on_disk(tmp_path):
    images = some_images()
    pixels = build_trunk(Network(), images=images, generator=torch.Generator())
    found = cached_features(pixels, images, cache=tmp_path)
    assert found.shape == (40, 32 * 32 * 3)
    assert found.max() <= 1
    assert not list(tmp_path.iterdir())
