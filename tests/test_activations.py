"""Every activation of torch is there by its name, or is refused with the reason."""

import pytest
import torch

from akpsim import AkpsimError
from akpsim.families.networks.activations import NAMES, REFUSED, activation_named, canonical

ARGUMENTS = {"Softmax": {"dim": -1}, "LogSoftmax": {"dim": -1}, "Softmin": {"dim": -1}}


@pytest.mark.parametrize("kind", torch.nn.modules.activation.__all__)
def test_every_activation_of_torch_does_what_torchs_module_does_or_says_why_not(kind):
    name = {"LeakyReLU": "leaky_relu", "LogSoftmax": "log_softmax"}.get(kind, kind.lower())
    if name in REFUSED:
        with pytest.raises(AkpsimError, match=f"^{kind} (halves|has|draws|is for)"):
            canonical(kind)
        return
    x = 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = getattr(torch.nn, kind)(**ARGUMENTS.get(kind, {}))(x)
    assert torch.equal(activation_named(name)(x), expected)
    assert torch.equal(activation_named(kind)(x), expected)
    assert canonical(kind) == name


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_keeps_the_width(name):
    assert activation_named(name)(torch.zeros(2, 4)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("glu", "^glu halves the number of neurons, and the layer after it would not fit; there are: relu, tanh"),
        ("prelu", "^prelu has weights of its own to learn, which no swap can bring along; leaky_relu is"),
        ("rrelu", "^rrelu draws its slopes at random in training; leaky_relu is rrelu with a fixed slope; there are"),
        ("sofmax", "^unknown activation 'sofmax': did you mean 'softmax'"),
        ("relu_", "^unknown activation 'relu_': did you mean 'relu'"),
        (7, "^unknown activation 7: there are: relu"),
    ],
)
def test_what_is_none_is_named_with_the_nearest_or_the_reason(name, message):
    with pytest.raises(AkpsimError, match=message):
        activation_named(name)
