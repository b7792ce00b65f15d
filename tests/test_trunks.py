"""Trunks: what goes in, what comes out, where the weights come from, and that a frozen one never moves."""

import copy
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from akpsim.errors import InvalidData, InvalidStudy, UnknownName
from akpsim.families.datasets.images import Images
from akpsim.families.networks import trunks
from akpsim.families.networks.preparation import Preparation
from akpsim.families.networks.trunks import backbones, build_trunk, headless, natural_size
from akpsim.families.networks.weights import calibrate
from akpsim.families.training.features import compute_features
from akpsim.study import Network


def some_images(count=6, size=20, channels=3, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    return Images(pixels, np.arange(count) % 2, ("a", "b"), np.arange(count).astype(str))


def build(backbone="shufflenet_v2_x0_5", *, images=None, seed=0, weights="random", input_size=64, **network):
    return build_trunk(
        Network(backbone=backbone, weights=weights, input_size=input_size, **network),
        images=images or some_images(),
        generator=torch.Generator().manual_seed(seed),
    )


def features_of(trunk, images):
    with torch.no_grad():
        return trunk.module(trunk.prepare(images.images))


@pytest.fixture(scope="module")
def shuffle():
    return build()


def test_none_hands_on_the_pixels_between_zero_and_one():
    images = some_images(count=3, size=4, channels=2)
    trunk = build("none", images=images, input_size=None)
    found = features_of(trunk, images)
    expected = images.images.transpose(0, 3, 1, 2).reshape(3, -1) / 255
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)
    assert (trunk.features, trunk.trains) == (32, False)


def test_floats_are_taken_as_they_are():
    images = np.array([0.0, 0.25, 1.0, 0.5], dtype=np.float32).reshape(1, 2, 2, 1)
    assert Preparation()(images).flatten().tolist() == [0.0, 0.25, 1.0, 0.5]


def test_inception_reads_keras_s_scale_and_neither_rescales_nor_has_auxiliary_heads():
    images = some_images(count=2, size=75)
    trunk = build("inception_v3", images=images, input_size=75)
    expected = images.images.transpose(0, 3, 1, 2) / 127.5 - 1  # keras.applications.inception_v3.preprocess_input
    np.testing.assert_allclose(trunk.prepare(images.images).numpy(), expected, atol=1e-6)
    assert trunk.features == 2048
    assert features_of(trunk, images).shape == (2, 2048)
    assert trunk.module.AuxLogits is None
    assert not trunk.module.transform_input
    # the network of the paper at its own size
    assert Preparation(size=299)(images.images).shape == (2, 3, 299, 299)


@pytest.mark.parametrize("name", ["inception_v3", "efficientnet_b0", "resnet18"])
def test_images_are_resized_to_what_the_network_was_made_for_not_to_what_a_crop_is_cut_from(name):
    size = {"inception_v3": 299, "efficientnet_b0": 224, "resnet18": 224}[name]  # Szegedy 2015, Tan 2019, He 2015
    assert natural_size(Network(backbone=name)) == size
    assert natural_size(Network(backbone=name, input_size=100)) == 100


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_a_network_without_a_size_gets_its_own_and_the_scale_of_its_weights(name, monkeypatch):
    monkeypatch.setattr(trunks, "_try_out", lambda *args, **kwargs: None)
    monkeypatch.setattr(trunks, "_fill", lambda *args: None)  # no image goes through the network
    trunk = build(name, input_size=None)
    white = trunk.prepare(np.full((1, 20, 20, 3), 255, dtype=np.uint8))
    assert white.shape[2:] == {"inception_v3": (299, 299), "googlenet": (224, 224)}[name]
    assert white.unique().tolist() == [1.0]  # 255 / 127.5 - 1
    assert trunk.prepare(np.zeros((1, 20, 20, 3), dtype=np.uint8)).unique().tolist() == [-1.0]
    assert not trunk.module.transform_input


def test_other_networks_read_imagenets_mean_and_deviation(shuffle):
    white = np.full((1, 64, 64, 3), 255, dtype=np.uint8)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet, torchvision's docs
    np.testing.assert_allclose(shuffle.prepare(white)[0, :, 0, 0].numpy(), (1 - mean) / deviation, atol=1e-5)
    assert shuffle.prepare(white).is_contiguous(memory_format=torch.channels_last)


def test_grey_images_are_repeated_and_two_channels_refused(shuffle):
    grey = some_images(channels=1)
    torch.testing.assert_close(
        shuffle.prepare(grey.images), shuffle.prepare(np.repeat(grey.images, 3, axis=-1)), rtol=0, atol=0
    )
    with pytest.raises(InvalidData, match="takes images of 1 or 3 channels, got 2"):
        shuffle.prepare(some_images(channels=2).images)
    with pytest.raises(InvalidData, match=r"\(sample, height, width, channel\), got \(20, 20, 3\)"):
        shuffle.prepare(grey.images[0].repeat(3, axis=-1))


@pytest.mark.parametrize(("backbone", "features"), [("squeezenet1_1", 512), ("mobilenet_v3_small", 1024)])
def test_any_torchvision_network_goes_without_its_last_layer(backbone, features):
    trunk = build(backbone)
    assert trunk.features == features
    assert features_of(trunk, some_images()).shape == (6, features)


KINDS = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "resnet18", "resnext50_32x4d", "swin_t", "swin_v2_t", "vgg11_bn",
    "vit_b_32", "vit_h_14",
)  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_gives_the_features_it_says(name):
    features_without_computing(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in backbones()[2:] if not name.startswith("regnet")])
def test_every_network_of_torchvision_gives_the_features_it_says(name):
    features_without_computing(name)


def features_without_computing(name):
    """Tensors of the device "meta" have shapes and no numbers."""
    size = natural_size(Network(backbone=name))
    with torch.device("meta"):
        module, features = headless(name, size)
    assert module.eval()(torch.empty(1, 3, size, size, device="meta")).shape == (1, features)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["regnet_x_400mf", "regnet_y_400mf", "densenet121", "maxvit_t", "googlenet", "vit_b_32"]
)
def test_features_of_a_network_are_those_of_torchvisions_own(name):
    images = some_images(count=2)
    trunk = build(name, images=images, input_size=None)
    computed = compute_features(trunk, images.images)
    torch.testing.assert_close(computed, features_of(trunk, images), rtol=1e-3, atol=1e-3)
    assert computed.shape == (2, trunk.features)


def test_a_size_that_a_network_cannot_take_is_one_sentence():
    for name, message in {
        "inception_v3": "inception_v3 cannot take images of 16 x 16 pixels, set `input_size`: ",
        "vit_b_32": "vit_b_32 cannot be built for images of 16 x 16 pixels: ",
    }.items():
        with pytest.raises(InvalidStudy, match=message):
            build(name, input_size=16)


def test_layers_keep_torchs_names(shuffle):
    names = dict(shuffle.module.named_modules())
    assert {"stage4.1.branch2.3", "conv5", "fc"} <= set(names)
    assert isinstance(names["fc"], torch.nn.Identity)


def test_random_features_tell_images_apart(shuffle):
    images = some_images(count=32, seed=5)
    found = features_of(shuffle, images)
    assert torch.isfinite(found).all()
    # uncalibrated, features explode or agree; calibrated, they vary about as much as they are large
    assert 0.02 < (found.std(dim=0) / found.abs().mean()).mean() < 5
    assert all(norm.running_var.sub(1).abs().max() > 1e-3 for norm in norms_of(shuffle.module))


def norms_of(module):
    return [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]


def test_calibrated_batch_norm_holds_the_statistics_of_the_images():
    images = some_images()
    trunk = build(images=images)
    first = trunk.module.conv1[0](trunk.prepare(images.images)).detach()
    torch.testing.assert_close(trunk.module.conv1[1].running_mean, first.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trunk.module.conv1[1].running_var, first.var(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert {norm.momentum for norm in norms_of(trunk.module)} == {0.1}


def test_calibrating_again_forgets_what_was_seen_before():
    norm = torch.nn.BatchNorm2d(1)
    for level in (5.0, -3.0):
        calibrate(norm, torch.full((4, 1, 2, 2), level))
    assert norm.running_mean.item() == -3.0


def test_a_frozen_trunk_never_moves_even_when_told_to_train(shuffle):
    before = {key: value.clone() for key, value in shuffle.module.state_dict().items()}
    torch.nn.Sequential(shuffle.module).train()
    assert not any(layer.training for layer in shuffle.module.modules())
    assert not any(parameter.requires_grad for parameter in shuffle.module.parameters())
    features_of(shuffle, some_images(seed=9))
    assert all(torch.equal(value, before[key]) for key, value in shuffle.module.state_dict().items())
    assert not copy.deepcopy(shuffle.module).train().training


def test_a_trunk_that_is_not_frozen_trains():
    trunk = build("small_cnn", frozen=False, input_size=None)
    trunk.module.train()
    loss = trunk.module(trunk.prepare(some_images().images)).square().sum()
    loss.backward()
    assert trunk.trains
    assert trunk.module.training
    assert all(
        parameter.grad.abs().sum() > 0 for name, parameter in trunk.module.named_parameters() if "weight" in name
    )


def test_small_cnn_takes_any_channels_and_any_size():
    images = some_images(size=9, channels=5)
    trunk = build("small_cnn", images=images, input_size=None)
    assert features_of(trunk, images).shape == (6, trunk.features)


def test_the_generator_alone_decides_and_the_global_one_is_left_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(seed=3)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert first.key == build(seed=3).key
    assert first.key != build(seed=4).key


def test_the_number_of_threads_changes_no_weight():
    before = torch.get_num_threads()
    keys = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            keys.append(build(images=some_images(count=32), input_size=128).key)
    finally:
        torch.set_num_threads(before)
    assert keys[0] == keys[1]


def test_the_key_tells_weights_and_preparation_apart(shuffle):
    other_size = build(input_size=65, images=some_images())
    assert len({shuffle.key, build(images=some_images(seed=1)).key, other_size.key}) == 3


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_from_a_file_are_those_of_the_file(tmp_path, suffix):
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None)  # whole, with its head
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        torch.save({"state_dict": {f"module.{key}": value for key, value in theirs.state_dict().items()}}, path)
    else:
        save_file(theirs.state_dict(), path)
    trunk = build(weights=str(path))
    theirs.fc = torch.nn.Identity()
    images = some_images()
    expected = theirs.eval()(trunk.prepare(images.images)).detach()
    torch.testing.assert_close(features_of(trunk, images), expected, rtol=1e-4, atol=1e-4)


def test_a_file_that_does_not_fit_is_one_sentence(tmp_path):
    state = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    path = tmp_path / "w.safetensors"
    save_file({key: value for key, value in state.items() if key != "stage2.0.branch1.0.weight"}, path)
    with pytest.raises(InvalidStudy, match=r"shufflenet_v2_x0_5: 1 of 280 tensors are missing, first stage2\.0"):
        build(weights=str(path))
    save_file(state | {"conv1.0.weight": torch.zeros(24, 1, 3, 3)}, path)
    with pytest.raises(InvalidStudy, match=r"conv1\.0\.weight has the shape \(24, 1, 3, 3\), not \(24, 3, 3, 3\)"):
        build(weights=str(path))
    path.write_bytes(b"not weights")
    with pytest.raises(InvalidStudy, match="holds no weights"):
        build(weights=str(path))
    (tmp_path / "w.pt").write_bytes(b"junk that torch takes for a pickle")
    with pytest.raises(InvalidStudy, match=r"w\.pt holds no weights that safetensors or torch can read"):
        build(weights=str(tmp_path / "w.pt"))
    with pytest.raises(InvalidStudy, match=r"imagenet, random or the path of a file; there is no nowhere\.pt"):
        build(weights="nowhere.pt")


class Surprise:
    """An object that torch must not unpickle."""


def test_a_file_with_objects_in_it_is_not_opened(tmp_path):
    torch.save({"conv1.weight": Surprise()}, tmp_path / "w.pt")
    with pytest.raises(InvalidStudy, match="holds more than weights and is not opened"):
        build(weights=str(tmp_path / "w.pt"))
    torch.save([torch.zeros(2)], tmp_path / "w.pt")
    with pytest.raises(InvalidStudy, match="a dictionary from names to tensors is wanted"):
        build(weights=str(tmp_path / "w.pt"))


def test_imagenet_weights_that_cannot_be_had_say_where_to_put_them(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(
        InvalidStudy, match=r"cannot be fetched .*put shufflenet.*\.pth into .*checkpoints.*weights random"
    ):
        build(weights="imagenet")


def test_imagenet_weights_at_hand_are_loaded(tmp_path, monkeypatch):
    state = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    monkeypatch.setattr(torchvision.models.ShuffleNet_V2_X0_5_Weights, "get_state_dict", lambda self, **kwargs: state)
    assert torch.equal(build(weights="imagenet").module.conv1[0].weight, state["conv1.0.weight"])


def test_unknown_backbones_and_weights_that_do_not_exist_are_said():
    with pytest.raises(UnknownName, match="unknown backbone 'resnet81': did you mean 'resnet18'"):
        build("resnet81")
    with pytest.raises(InvalidStudy, match='small_cnn has no ImageNet weights; write weights = "random"'):
        build("small_cnn", weights="imagenet")
    assert {"none", "small_cnn", "inception_v3", "vit_b_16"} <= set(backbones())
