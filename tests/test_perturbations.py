"""A perturbation of strength 0 changes nothing, bit for bit; each acts when and how its schedule says."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from akpsim import AkpsimError, load_study
from akpsim.families import PERTURBATIONS, Moment, Perturbation
from akpsim.families.networks.head import Head
from akpsim.families.perturbations.labels import noise
from akpsim.families.perturbations.losses import name_of
from akpsim.families.perturbations.perturbation import Active
from akpsim.families.training.losses import LOSSES
from akpsim.study import PerturbationSpec


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def moment(strength=1.0, *, event=0, last=False, classes=10, seed=0):
    return Moment(epoch=1, event=event, last=last, strength=strength, classes=classes, generator=generator(seed))


def head(activation="relu"):
    return Head(4, 3, dense=(6, 5), activation=activation, initializer="glorot_uniform", generator=generator())


def test_label_noise_hits_exactly_its_share_and_never_gives_the_true_label():
    labels = torch.arange(1000) % 10
    noisy = noise(labels, moment(0.3))
    assert int((noisy != labels).sum()) == 300
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    assert torch.equal(labels, torch.arange(1000) % 10)


def test_a_smaller_share_of_noise_is_a_subset_of_a_larger_one():
    labels = torch.arange(500) % 10
    mild, severe = (noise(labels, moment(strength)) for strength in (0.3, 0.8))
    hit = mild != labels
    assert torch.equal(mild[hit], severe[hit])


def test_label_noise_hits_the_same_images_at_every_epoch_unless_redrawn():
    labels, stream = torch.arange(500) % 10, generator()
    moments = [
        Moment(epoch=epoch, event=epoch, last=False, strength=0.5, classes=10, generator=stream) for epoch in (1, 2)
    ]
    assert torch.equal(noise(labels, moments[0]), noise(labels, moments[1]))
    assert not torch.equal(noise(labels, moments[0], redraw=True), noise(labels, moments[1], redraw=True))


def test_swapped_activations_follow_the_order_and_end_with_finally():
    network, act = head(), PERTURBATIONS["swap_activation"].act
    names = []
    for event in range(4):
        act(network, moment(event=event, last=event == 3), order=["tanh", "softplus"], finally_="relu")
        names.append(network.dense_1.name)
    assert names == ["tanh", "softplus", "tanh", "relu"]


def test_a_swapped_layer_computes_the_new_activation():
    network, x = head(), torch.randn(7, 4, generator=generator(1))
    PERTURBATIONS["swap_activation"].act(network, moment(), order=["tanh"], layers="dense_2")
    expected = network.dense_2.linear(network.dense_1.linear(x).relu()).tanh()
    assert torch.equal(network.dense_2(network.dense_1(x)), expected)


def test_half_a_swap_is_the_mean_of_both_activations():
    layer, x = head().dense_1, torch.randn(5, 4, generator=generator(1))
    layer.swap("tanh", strength=0.5)
    z = layer.linear(x)
    assert torch.allclose(layer(x), (z.relu() + z.tanh()) / 2)


def test_a_random_order_never_stays_with_the_current_activation():
    network, stream = head(), generator(3)
    seen = [network.dense_1.name]
    for event in range(20):
        at = Moment(epoch=1, event=event, last=False, strength=1.0, classes=3, generator=stream)
        PERTURBATIONS["swap_activation"].act(network, at, order="random", choices=["tanh", "softplus", "relu"])
        seen.append(network.dense_1.name)
    assert all(one != two for one, two in pairwise(seen))
    assert set(seen) == {"tanh", "softplus", "relu"}


def test_a_swapped_loss_is_the_one_of_the_order():
    act = PERTURBATIONS["swap_loss"].act
    swapped = act(LOSSES["cross_entropy"], moment(event=1), order=["kl_divergence", "poisson"])
    logits, labels = torch.randn(4, 3, generator=generator()), torch.tensor([0, 1, 2, 0])
    assert name_of(swapped) == "poisson"
    assert torch.equal(swapped(logits, labels), LOSSES["poisson"](logits, labels))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_at_strength_zero_training_is_unchanged_bit_for_bit(name, cache_folder):
    assert np.array_equal(
        trained_weights([]), trained_weights([{"name": name, "strength": 0.0, **NEEDED.get(name, {})}])
    )


NEEDED: dict[str, dict[str, object]] = {}
"""Options without a default."""


def trained_weights(perturbations):
    """Return the weights of a small member after two epochs."""
    from akpsim.families.training.member import Work
    from akpsim.families.training.prepared import prepare

    study = load_study(
        {
            "network": {"dense": [8]},
            "training": {"epochs": 2, "batch_size": 256},
            "capture": {"populations": 0},
            "families": [{"name": "a", "perturbations": perturbations}],
        }
    )
    work = Work(study, next(study.design()), prepare(study))
    for epoch in range(3):
        work.events(epoch)
        if epoch:
            work.training.run_epoch(epoch)
    return torch.cat([p.detach().flatten() for p in work.network.parameters()]).numpy()


def test_a_name_that_is_needed_twice_has_the_options_of_its_function():
    assert set(PERTURBATIONS["swap_activation"].options) == {"order", "choices", "layers", "finally"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ordr": ["tanh"]}, "unknown option of swap_activation 'ordr': did you mean 'order'"),
        ({"order": ["tanhh"]}, "unknown activation 'tanhh': did you mean 'tanh'"),
        ({"layers": "dense_9"}, "unknown dense layer 'dense_9'"),
        ({"order": "shuffled"}, "`order` must be a list of names or 'random', got 'shuffled'"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_trained(options, message, tmp_path, cache_folder):
    from akpsim.families import train_family

    study = load_study({"families": [{"name": "a", "perturbations": [{"name": "swap_activation", **options}]}]})
    with pytest.raises(AkpsimError, match=message):
        train_family(study, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_option_without_a_default_must_be_given():
    mine = Perturbation("mine", "weights", lambda network, moment, *, size: None, "")
    with pytest.raises(AkpsimError, match="perturbation mine needs the option 'size'"):
        mine.check({})


def test_a_probability_thins_the_schedule_and_depends_on_the_seed_alone():
    spec = PerturbationSpec(name="label_noise", schedule={"probability": 0.5})
    drawn = [
        Active(PERTURBATIONS["label_noise"], spec, epochs=200, classes=2, generator=generator(seed)).epochs
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 70 < len(drawn[0]) < 130
