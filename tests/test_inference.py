"""A network for evaluation answers as the plain one does, whatever its modules are called and however often."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from akpsim.families.networks.inference import PackedConvolution, for_evaluation


class Net(nn.Module):
    """Two convolutions, two batch norms and an activation, put together by a function of the network and a batch."""

    def __init__(self, rule, activation=None):
        super().__init__()
        self.c, self.d = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.a, self.b = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.relu = activation or nn.ReLU()
        self.rule = rule
        for norm in (self.a, self.b):
            for values in (norm.running_mean, norm.weight.data, norm.bias.data):
                values.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.rule(self, x)


def network(rule, activation=None):
    torch.manual_seed(0)
    return Net(rule, activation).eval()


def answers_alike(plain):
    """Tell whether the network for evaluation is as close to float64 as the plain one."""
    found = for_evaluation(plain)
    x = 5 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = copy.deepcopy(plain).double()(x.double())
        return bool((found(x) - exact).norm() < 1e-5 * exact.norm())


SHARED = {
    "convolution called twice": lambda net, x: net.b(net.c(net.a(net.c(x)))),
    "batch norm called twice": lambda net, x: net.b(net.d(net.b(net.c(x)))),
    "both called twice": lambda net, x: net.b(net.c(net.b(net.c(x)))),
    "convolution called before and after": lambda net, x: net.c(net.b(net.c(x))),
    "batch norm after a ReLU too": lambda net, x: net.b(functional.relu(net.b(net.c(x)))),
    "weights read elsewhere": lambda net, x: net.b(net.c(x)) + functional.conv2d(x, net.c.weight, padding=1),
}


@pytest.mark.parametrize("rule", SHARED.values(), ids=SHARED)
def test_a_module_in_two_places_is_left_alone(rule):
    plain = network(rule)
    assert answers_alike(plain)
    assert for_evaluation(plain) is plain


def test_a_convolution_under_two_names_is_left_alone():
    plain = network(lambda net, x: net.d(net.b(net.c(x))))
    plain.d = plain.c
    assert answers_alike(plain)
    assert for_evaluation(plain) is plain


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.SiLU(), nn.LeakyReLU(), nn.ReLU()], ids=repr)
def test_what_is_called_relu_need_not_be_one(activation):
    plain = network(lambda net, x: net.relu(net.b(net.c(x))), activation)
    assert answers_alike(plain)
    assert for_evaluation(plain).c.after == ("relu" if type(activation) is nn.ReLU else "none")


RELUS = {
    "torch": torch.relu,
    "functional": functional.relu,
    "by keyword": lambda x: functional.relu(input=x, inplace=True),
    "method": lambda x: x.relu(),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_every_way_to_write_a_relu_is_joined(relu):
    plain = network(lambda net, x: relu(net.b(net.c(x))))
    assert answers_alike(plain)
    assert for_evaluation(plain).c.after == "relu"


def doubled(module, arguments, output=None):
    return arguments[0] * 2 if output is None else output * 2


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_kept(register):
    plain = network(lambda net, x: net.b(net.c(x)))
    getattr(plain.c, register)(doubled)
    assert answers_alike(plain)
    assert for_evaluation(plain) is plain


def test_a_network_that_cannot_be_traced_is_left_alone():
    plain = network(lambda net, x: net.b(net.c(x)) if x.sum() > 0 else net.a(net.d(x)))
    assert answers_alike(plain)
    assert for_evaluation(plain) is plain


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_other_paddings_than_zeros_are_kept(mode):
    plain = network(lambda net, x: net.b(net.c(x)).relu())
    plain.c = nn.Conv2d(3, 3, 3, padding=1, padding_mode=mode).eval()
    assert answers_alike(plain)
    assert type(for_evaluation(plain).c) is nn.Conv2d
    plain.c = nn.Conv2d(3, 3, 3, padding="same").eval()
    assert answers_alike(plain)


def test_an_argument_by_keyword_is_taken():
    assert answers_alike(network(lambda net, x: net.b(net.d(input=net.relu(net.a(net.c(input=x)))))))


class Standardized(nn.Conv2d):
    """A convolution with a weight of its own kind, which tracing takes for torch's because of where it says it is."""

    __module__ = "torch.nn.own"

    def forward(self, x):
        return functional.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=1)


def test_a_kind_of_convolution_is_not_taken_for_one():
    plain = network(lambda net, x: net.b(net.c(x)).relu())
    plain.c = Standardized(3, 3, 3).eval()
    assert answers_alike(plain)


def test_a_plain_network_is_packed():
    found = for_evaluation(network(lambda net, x: net.b(net.d(net.relu(net.a(net.c(x)))))))
    assert (type(found.c), type(found.d)) == (PackedConvolution, PackedConvolution)
