"""Initializers draw from the distributions that Keras documents, from the generator they are given."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from akpsim.families.networks.initializers import INITIALIZERS

# Standard deviations, and largest values of uniform ones, of Keras 3.15.1.
KERAS = json.loads((Path(__file__).parent / "reference" / "keras_3.15.1.json").read_text(encoding="utf-8"))[
    "initializers"
]
SHAPE = (40, 300)  # 300 inputs, 40 outputs
CUT = 0.87962566103423978  # standard deviation of a normal cut at two: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1))

LIMITS = {
    "glorot_uniform": np.sqrt(6 / 340),
    "he_uniform": np.sqrt(6 / 300),
    "lecun_uniform": np.sqrt(3 / 300),
    "random_uniform": 0.05,
    "torch_default": 1 / np.sqrt(300),
}
DEVIATIONS = {  # before the cut at two deviations
    "glorot_normal": np.sqrt(2 / 340) / CUT,
    "he_normal": np.sqrt(2 / 300) / CUT,
    "lecun_normal": np.sqrt(1 / 300) / CUT,
    "truncated_normal": 0.5,
}


def filled(name, shape=SHAPE, seed=0):
    weight = torch.nn.Parameter(torch.full(shape, 7.0))
    INITIALIZERS[name](weight, torch.Generator().manual_seed(seed))
    return weight.detach().numpy()


def test_the_constant_of_keras_is_the_deviation_of_a_cut_normal():
    assert stats.truncnorm(-2, 2).std() == pytest.approx(CUT, abs=1e-12)


@pytest.mark.parametrize("name", LIMITS)
def test_uniform_weights_are_the_generators_numbers_within_the_limit(name):
    numbers = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)).numpy().astype(float)
    np.testing.assert_allclose(filled(name), (2 * numbers - 1) * LIMITS[name], atol=1e-7)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_cut_normal_weights_are_the_quantiles_of_the_generators_numbers(name):
    numbers = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    found = filled(name)
    np.testing.assert_allclose(found, DEVIATIONS[name] * stats.truncnorm(-2, 2).ppf(numbers), atol=1e-6)
    assert np.abs(found).max() <= 2 * DEVIATIONS[name]


def test_the_truncated_normal_of_group_c_ends_at_one():
    found = filled("truncated_normal", (1000, 1000))
    assert 0.999 < np.abs(found).max() <= 1.0
    assert found.std() == pytest.approx(0.5 * CUT, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "variance"), [("glorot_uniform", 2 / 340), ("glorot_normal", 2 / 340), ("he_uniform", 2 / 300)]
)
def test_scaled_weights_have_the_variance_of_their_paper(name, variance):
    assert filled(name).var() == pytest.approx(variance, rel=0.05)


def test_random_normal_is_keras_s_width():
    assert filled("random_normal").std() == pytest.approx(0.05, rel=0.03)
    assert stats.kstest(filled("random_normal").ravel(), stats.norm(scale=0.05).cdf).pvalue > 1e-3


def test_orthogonal_rows_are_orthonormal_also_of_convolutions():
    np.testing.assert_allclose(filled("orthogonal") @ filled("orthogonal").T, np.eye(40), atol=1e-5)
    rows = filled("orthogonal", (8, 4, 3, 3)).reshape(8, -1)
    np.testing.assert_allclose(rows @ rows.T, np.eye(8), atol=1e-5)


def test_zeros_are_zero():
    assert not filled("zeros").any()


def test_the_window_of_a_convolution_counts_among_its_inputs():
    # 4 channels x 9 pixels in, 8 x 9 out
    assert np.abs(filled("glorot_uniform", (8, 4, 3, 3))).max() == pytest.approx(np.sqrt(6 / 108), rel=0.02)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_generator_alone_decides(name):
    torch.manual_seed(1)
    first = filled(name, seed=3)
    torch.manual_seed(2)
    assert np.array_equal(first, filled(name, seed=3))
    assert first.dtype == np.float32
    if name != "zeros":
        assert not np.array_equal(first, filled(name, seed=4))


def test_he_uniform_and_the_torch_default_are_torchs_own():
    theirs = torch.empty(SHAPE)
    torch.nn.init.kaiming_uniform_(theirs, a=0, nonlinearity="relu", generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(filled("he_uniform"), theirs.numpy(), atol=1e-6)
    torch.nn.init.kaiming_uniform_(theirs, a=5**0.5, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(filled("torch_default"), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", KERAS)
def test_weights_spread_as_those_of_keras_itself(name):
    found = filled(name, (1000, 300))
    assert found.std() == pytest.approx(KERAS[name]["sd"], rel=5e-3)  # 300,000 numbers: .2 %
    if "max" in KERAS[name]:
        assert np.abs(found).max() == pytest.approx(KERAS[name]["max"], rel=1e-3)


def test_a_dense_layer_of_keras_and_of_ours_start_alike():
    from akpsim.families.networks.head import Head

    head = Head(300, 2, dense=(1000,), activation="relu", initializer="glorot_uniform", generator=torch.Generator())
    assert float(head.dense_1.linear.weight.detach().std()) == pytest.approx(KERAS["glorot_uniform"]["sd"], rel=5e-3)
    assert not any(layer.bias.any() for layer in (head.dense_1.linear, head.logits))
