"""Hooks see what a layer returned, survive in-place operations and repeated modules, and are always removed."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import ConvNeXt, SwinTransformer, VisionTransformer, get_model, resnet18
from torchvision.models.convnext import CNBlockConfig
from torchvision.ops import Permute

from akpsim import AkpsimError
from akpsim.families import capture
from akpsim.families.capturing import hooked, places, pooled
from akpsim.families.channels import channels_last


class Twice(nn.Module):
    """Uses one ReLU, in place, two times, as torchvision's ResNet does."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


@pytest.fixture
def images():
    return torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_a_copy_is_taken_before_an_in_place_relu_overwrites_it(images):
    network = Twice()
    expected = network.first(images).detach()
    assert (expected < 0).any()
    seen = capture(network, [images], ["first"], pool="none")["first"]
    assert np.array_equal(seen.values, expected.flatten(1).numpy())


def test_a_module_called_twice_gives_two_layers(images):
    network = Twice()
    seen = capture(network, [images[:3], images[3:]], ["relu"], pool="none")
    first = network.first(images).relu()
    assert list(seen) == ["relu", "relu#2"]
    assert np.array_equal(seen["relu"].values, first.detach().flatten(1).numpy())
    assert np.array_equal(seen["relu#2"].values, network.second(first).relu().detach().flatten(1).numpy())


@pytest.mark.parametrize(("pool", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_maps_are_pooled_over_space(images, pool, reduce):
    network = Twice()
    maps = network.first(images).detach().numpy()
    seen = capture(network, [images], ["first"], pool=pool)["first"]
    assert seen.dims == ("sample", "neuron")
    assert seen.values == pytest.approx(reduce(maps, axis=(2, 3)), abs=1e-6)


def test_points_are_the_same_positions_of_every_map(images):
    network = Twice()
    maps = network.first(images).detach().flatten(2).numpy()
    seen = capture(network, [images], ["first"], pool="points:3")["first"].values.reshape(5, 3, 3)
    kept = [place for place in range(16) if any(np.array_equal(maps[:, :, place], seen[:, :, k]) for k in range(3))]
    assert len(kept) == 3
    again = capture(network, [images[:2], images[2:]], ["first"], pool="points:3")["first"].values.reshape(5, 3, 3)
    assert np.allclose(again, seen, atol=1e-6)


def test_an_unknown_pool_says_what_is_allowed(images):
    with pytest.raises(
        AkpsimError, match=r"`pool` must be avg, max, none or points:K with K from 1 to 16, got 'points:17'"
    ):
        capture(Twice(), [images], ["first"], pool="points:17")


def test_a_loader_of_pairs_is_taken_and_the_network_left_as_it_was(images):
    network = Twice().train()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, torch.arange(5)), batch_size=2)
    seen = capture(network, loader, ["relu"])["relu"]
    assert seen.sizes == {"sample": 5, "neuron": 3}
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_hooks_are_removed_also_when_the_body_raises(images):
    network = Twice()
    with pytest.raises(ZeroDivisionError), hooked({"relu": network.relu}):
        _ = 1 / 0
    assert not network.relu._forward_hooks


def test_a_layer_that_does_not_exist_is_an_error_with_the_nearest(images):
    with pytest.raises(AkpsimError, match="unknown layer 'rleu': did you mean 'relu'"):
        capture(Twice(), [images], ["rleu"])


def test_no_batch_is_an_error():
    with pytest.raises(AkpsimError, match="nothing to capture: no batch came"):
        capture(Twice(), [], ["relu"])


def test_a_layer_that_returns_no_tensor_is_an_error():
    network = nn.LSTM(3, 2)
    with pytest.raises(AkpsimError, match="layer 'a' returns a tuple, not one tensor"):
        capture(Wrapped(network), [torch.zeros(2, 1, 3)], ["a"])


class Wrapped(nn.Module):
    """A module with a child that returns a tuple."""

    def __init__(self, child):
        super().__init__()
        self.a = child

    def forward(self, x):
        return self.a(x)[0]


SMALL = {
    "vit": lambda: VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16),
    "swin": lambda: SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4]),
    "convnext": lambda: ConvNeXt([CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 1)]),
    "resnet": lambda: resnet18(),
}
LAYERS = {  # how torchvision's code has the axes of its output, read there
    ("vit", "conv_proj"): "nchw",
    ("vit", "encoder.dropout"): "ntc",
    ("vit", "encoder.layers.encoder_layer_0"): "ntc",
    ("vit", "encoder.layers.encoder_layer_1.mlp"): "ntc",
    ("vit", "encoder.layers.encoder_layer_1.mlp.1"): "ntc",
    ("vit", "encoder.ln"): "ntc",
    ("swin", "features.0.0"): "nchw",
    ("swin", "features.0.1"): "nhwc",
    ("swin", "features.0"): "nhwc",
    ("swin", "features.1.0"): "nhwc",
    ("swin", "features.1.0.mlp.1"): "nhwc",
    ("swin", "features.2"): "nhwc",
    ("swin", "norm"): "nhwc",
    ("swin", "permute"): "nchw",
    ("convnext", "features.0"): "nchw",
    ("convnext", "features.1.0"): "nchw",
    ("convnext", "features.1.0.block.1"): "nhwc",
    ("convnext", "features.1.0.block.3"): "nhwc",
    ("convnext", "features.1.0.block.4"): "nhwc",
    ("convnext", "features.1.0.stochastic_depth"): "nchw",
    ("convnext", "features.2.0"): "nchw",
    ("resnet", "relu"): "nchw",
    ("resnet", "layer1.0"): "nchw",
}


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return {name: build().eval() for name, build in SMALL.items()}


@pytest.mark.parametrize(("kind", "layer"), LAYERS)
def test_channels_are_where_torchvision_has_them(small, kind, layer):
    network, maps = small[kind], {}
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    handle = network.get_submodule(layer).register_forward_hook(lambda m, i, o: maps.update(seen=o.clone()))
    with torch.no_grad():
        network(x)
    handle.remove()
    axes = LAYERS[kind, layer]
    values = np.moveaxis(maps["seen"].numpy(), axes.index("c"), 1).reshape(3, maps["seen"].shape[axes.index("c")], -1)
    seen = {pool: capture(network, [x], [layer], pool=pool)[layer].values for pool in ("avg", "max", "points:2")}
    np.testing.assert_allclose(seen["avg"], values.mean(2), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen["max"], values.max(2), rtol=1e-5, atol=1e-6)
    kept = places("points:2", values.shape[2]).numpy()
    np.testing.assert_allclose(seen["points:2"], values[:, :, kept].reshape(3, -1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("backbone", "layer", "width"), [
    ("vit_b_32", "encoder.layers.encoder_layer_0", 768),
    ("swin_t", "features.1.0", 96),
    ("convnext_tiny", "features.1.0.block.3", 384),
    ("maxvit_t", "blocks.1.layers.0", 128),
])  # fmt: skip
def test_a_layer_has_as_many_neurons_as_channels(backbone, layer, width):
    with torch.device("meta"):
        network = get_model(backbone).eval()
        shape = {}
        handle = network.get_submodule(layer).register_forward_hook(lambda m, i, o: shape.update(seen=o))
        network(torch.empty(1, 3, 224, 224))
        handle.remove()
        last = channels_last(network.get_submodule(layer), ndim=shape["seen"].ndim)
        assert pooled(shape["seen"], "avg", channels_last=last).shape == (1, width)


def test_what_conv1d_returns_has_channels_before_length():
    network = nn.Sequential(nn.Conv1d(2, 5, 3), nn.BatchNorm1d(5), nn.ReLU()).eval()
    x = torch.randn(4, 2, 9, generator=torch.Generator().manual_seed(0))
    seen = capture(network, [x], ["0", "1", "2"])
    assert {values.sizes["neuron"] for values in seen.values()} == {5}
    assert seen["2"].values == pytest.approx(network(x).mean(2).detach().numpy(), abs=1e-6)


def test_without_a_layer_that_says_it_three_axes_are_tokens_and_four_are_maps():
    assert channels_last(nn.ReLU(), ndim=3)
    assert not channels_last(nn.ReLU(), ndim=4)
    assert not channels_last(nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2)), ndim=4)
    assert channels_last(nn.Sequential(nn.Conv2d(2, 2, 1), Permute([0, 2, 3, 1]), nn.GELU()), ndim=4)
    assert not channels_last(nn.Sequential(nn.Linear(2, 2), Permute([0, 3, 1, 2])), ndim=4)


def test_an_activation_is_like_the_layer_before_it_also_outside_its_parent():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Linear(2, 2), nn.Sequential(nn.GELU()))
    assert channels_last(network[2][0], ndim=4, within=network)
    assert not channels_last(network[2][0], ndim=4)


def test_a_loader_that_shuffles_is_refused():
    data = torch.utils.data.TensorDataset(torch.rand(6, 4))
    network = torch.nn.Sequential(torch.nn.Linear(4, 2))
    kept = capture(network, torch.utils.data.DataLoader(data, batch_size=4), ["0"])["0"]
    assert kept.shape == (6, 2)
    with pytest.raises(AkpsimError, match="samples must come in a fixed order, which a DataLoader with shuffle=True"):
        capture(network, torch.utils.data.DataLoader(data, batch_size=4, shuffle=True), ["0"])
