"""Hooks see what a layer returned, survive in-place operations and repeated modules, and are always removed."""

import numpy as np
import pytest
import torch
from torch import nn

from akpsim import AkpsimError
from akpsim.families import capture
from akpsim.families.capturing import hooked


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
