"""A perturbation of strength 0 changes nothing, bit for bit; each acts when and how its schedule says."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from akpsim import AkpsimError, load_study
from akpsim.families import PERTURBATIONS, Moment, Perturbation
from akpsim.families.networks.head import Dense, Head
from akpsim.families.perturbations.dropout import Dropout
from akpsim.families.perturbations.labels import noise
from akpsim.families.perturbations.losses import name_of
from akpsim.families.perturbations.perturbation import EVENTS, Active
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


def test_a_single_swap_is_not_undone_by_finally():
    network = head()
    PERTURBATIONS["swap_activation"].act(network, moment(event=0, last=True), order=["tanh"], finally_="relu")
    assert network.dense_1.name == "tanh"


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


@pytest.mark.parametrize(
    ("name", "state"),
    [
        (name, state)
        for name, entry in PERTURBATIONS.items()
        for state in ("keep", *(["reset"] if entry.site in EVENTS else []))
    ],
)
def test_at_strength_zero_training_is_unchanged_bit_for_bit(name, state, cache_folder):
    nothing = {"name": name, "strength": 0.0, "optimizer_state": state, **NEEDED.get(name, {})}
    assert np.array_equal(trained_weights([]), trained_weights([nothing]))


NEEDED: dict[str, dict[str, object]] = {}
"""Options without a default."""


def small_work(perturbations, *, dense=(8,), epochs=2, populations=0):
    """Return a small member that has not begun."""
    from akpsim.families.training.prepared import prepare
    from akpsim.families.training.work import Work

    study = load_study(
        {
            "network": {"dense": list(dense)},
            "training": {"epochs": epochs, "batch_size": 256},
            "capture": {"populations": populations},
            "families": [{"name": "a", "perturbations": perturbations}],
        }
    )
    return Work(study, next(study.design()), prepare(study))


def trained_weights(perturbations):
    """Return the weights of a small member after two epochs."""
    work = small_work(perturbations)
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
        ({"order": "random", "choices": ["tanh", "softplus", "foo"]}, "family a: unknown activation 'foo': there are"),
        ({"finally": "rellu", "at": [1]}, "unknown activation 'rellu': did you mean 'relu'"),
        ({"finally": 3}, "unknown activation 3: there are"),
        ({"order": ["glu"]}, "glu halves the number of neurons, and the layer after it would not fit; there are"),
        ({"order": 3}, "`order` must be a list of names, or 'random', got 3"),
        ({"choices": "tanh"}, "`choices` must be a list of names, got 'tanh'"),
        ({"layers": 3}, "`layers` must be a name, a pattern or a list of them, got 3"),
        ({"layers": [3]}, "`layers` must be a name, a pattern or a list of them, got list"),
        ({"layers": []}, "`layers` must be a name, a pattern or a list of them, got list"),
        ({"layers": "dense_9", "probability": 1e-6}, "unknown dense layer 'dense_9'"),
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


@pytest.mark.parametrize(
    ("perturbation", "message"),
    [
        ({"name": "initializer", "at": [3]}, "initializer acts before the first epoch; it takes no `at`, `every`"),
        (
            {"name": "label_noise", "optimizer_state": "reset"},
            "`optimizer_state` = 'reset' is for swaps and other events; label_noise acts on labels all along",
        ),
        ({"name": "swap_loss", "order": []}, "`order` must hold at least one name, got an empty list"),
        (
            {"name": "swap_activation", "order": "random", "choices": ["relu"]},
            r"`choices` must hold a name other than 'relu', got \['relu'\]",
        ),
        ({"name": "swap_loss", "order": "random", "choices": ["poisson", "foo"]}, "unknown loss 'foo'"),
        ({"name": "swap_loss", "finally": "possion", "at": [1]}, "unknown loss 'possion': did you mean 'poisson'"),
        ({"name": "swap_loss", "order": "random", "choices": []}, r"`choices` must hold a name, got \[\]"),
        ({"name": "label_noise", "redraw": "no"}, "family a: `redraw` must be true or false, got 'no'"),
        ({"name": "label_noise", "redraw": 1}, "`redraw` must be true or false, got 1"),
        ({"name": "initializer", "kernel": "zeroes", "strength": 0}, "unknown initializer 'zeroes': did you mean"),
        ({"name": "initializer", "layers": 3}, "`layers` must be a name, a pattern or a list of them, got 3"),
        ({"name": "dropout", "layers": True}, "`layers` must be a name, a pattern or a list of them, got True"),
        ({"name": "learning_rate_shock", "factor": "ten", "probability": 1e-6}, "`factor` must be positive and finite"),
        ({"name": "blur", "probability": 1e-6}, r"blur needs images .*, got features of shape"),
        ({"name": "learning_rate_shock", "factor": -2}, "`factor` must be positive and finite, got -2"),
        ({"name": "input_noise", "scale": "wide"}, "`scale` must be positive and finite, got 'wide'"),
        ({"name": "blur", "sigma": 0, "strength": 0}, "family a: `sigma` must be positive and finite, got 0"),
    ],
)
def test_what_a_site_cannot_follow_is_refused(perturbation, message, tmp_path, cache_folder):
    from akpsim.families import train_family

    study = load_study({"families": [{"name": "a", "perturbations": [perturbation]}]})
    with pytest.raises(AkpsimError, match=message):
        train_family(study, tmp_path / "run")


# by hand: 3 events of strength .5; the largest strength times the unit; ten to the sum of the strengths
DOSES = {
    "swap_activation": 1.5,
    "swap_loss": 1.5,
    "initializer": 0.5,
    "label_noise": 0.5,
    "input_noise": 1.5,
    "blur": 2.0,
    "weight_noise": 0.5,
    "lesion": 0.5,
    "dropout": 0.5,
    "gradient_noise": 0.5,
    "learning_rate_shock": 8.0,
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_dose_is_in_the_unit_that_the_summary_names(name):
    options = {"input_noise": {"scale": 3.0}, "blur": {"sigma": 4.0}, "learning_rate_shock": {"factor": 4.0}}
    when = {} if name == "initializer" else {"at": [1, 2, 5]}
    spec = PerturbationSpec(name=name, strength=0.5, **when, **options.get(name, {}))
    active = Active(PERTURBATIONS[name], spec, epochs=9, classes=2, generator=generator())
    assert active.dose == pytest.approx(DOSES[name])
    assert "dose: " in PERTURBATIONS[name].summary


def test_a_family_has_the_dose_of_its_first_perturbation_unless_it_says_otherwise(tmp_path, cache_folder):
    from akpsim.families import train_family

    swap = {"name": "swap_activation", "every": 1, "strength": [[1, 0.0], [2, 0.5]]}
    families = [
        {"name": "none"},
        {"name": "swaps", "perturbations": [swap, {"name": "label_noise", "strength": 0.3}]},
        {"name": "own", "dose": 7.0, "perturbations": [swap]},
    ]
    study = {"members": 1, "training": {"epochs": 2, "batch_size": 512}, "network": {"dense": [4]}}
    run = train_family(load_study(study | {"families": families}), tmp_path / "run")
    assert run.members.dose.values.tolist() == [0.0, 0.5, 7.0]


@pytest.mark.parametrize(("state", "squares"), [("keep", 0.9 * 0.1 * 4 + 0.1 * 9), ("reset", 0.1 * 9)])
def test_the_optimizer_keeps_its_state_at_a_swap_or_starts_afresh(state, squares):
    from akpsim.families.training.loop import Training
    from akpsim.families.training.optimizers import build_optimizer
    from akpsim.families.training.prepared import Part

    network = head()
    spec = PerturbationSpec(name="learning_rate_shock", at=[1], factor=3.0, optimizer_state=state)
    shock = Active(PERTURBATIONS["learning_rate_shock"], spec, epochs=1, classes=3, generator=generator())
    training = Training(
        network,
        Part(torch.zeros(1, 4), torch.zeros(1, dtype=torch.long), np.array(["a"])),
        loss="cross_entropy",
        new_optimizer=lambda: build_optimizer("rmsprop", [network.logits.bias]),
        batch_size=1,
        perturbations=[shock],
        batches=generator(),
    )
    bias = network.logits.bias
    bias.grad = torch.full_like(bias, 2.0)
    training.optimizer.step()
    training.fire(shock, 1)
    before, bias.grad = bias.detach().clone(), torch.full_like(bias, 3.0)
    training.optimizer.step()
    # RMSprop by hand: three times the rate of .001, times the gradient, over the root of the running mean of squares
    assert (before - bias.detach()).tolist() == pytest.approx([0.003 * 3 / (squares + 1e-7) ** 0.5] * 3, rel=1e-4)


def replace_dense_2(network, moment):
    """Put a new layer in the place of an old one."""
    new = Dense(12, 6, activation="identity")
    new.linear.load_state_dict(network.dense_2.linear.state_dict())
    network.dense_2 = new


def test_a_layer_that_a_perturbation_replaces_is_followed_and_trains(monkeypatch, cache_folder):
    entry = Perturbation("replace", "weights", replace_dense_2, "")
    monkeypatch.setitem(PERTURBATIONS, "replace", entry)
    replace = {"name": "replace", "at": [2], "optimizer_state": "reset"}
    work = small_work([replace], dense=(12, 6), populations=4)
    for epoch in range(3):
        work.events(epoch)
        before = work.head.dense_2.linear.weight.detach().clone()
        if epoch:
            work.training.run_epoch(epoch)
    after = work.head.dense_2.linear.weight.detach()
    assert not torch.equal(before, after)
    assert work.summaries.times[-1] == work.training.updates
    assert torch.equal(work.summaries.points["dense_2"][-1]["weight_norm"], after.norm(dim=1))


def test_a_layer_that_is_replaced_by_one_of_another_kind_is_followed_without_norms_it_does_not_have(
    monkeypatch, cache_folder
):
    def replace(network, moment):
        network.dense_2 = torch.nn.Sequential(torch.nn.AdaptiveAvgPool1d(6), torch.nn.ReLU())

    monkeypatch.setitem(PERTURBATIONS, "replace", Perturbation("replace", "weights", replace, ""))
    work = small_work([{"name": "replace", "at": [1], "optimizer_state": "reset"}], dense=(12, 6), populations=4)
    work.events(1)
    work.training.run_epoch(1)
    point = work.summaries.points["dense_2"][-1]
    assert torch.isnan(point["weight_norm"]).all()
    assert point["mean_abs"].shape == (6,)


def test_new_weights_under_an_old_optimizer_are_refused_before_anything_is_trained(monkeypatch, tmp_path, cache_folder):
    from akpsim.families import train_family

    monkeypatch.setitem(PERTURBATIONS, "replace", Perturbation("replace", "weights", replace_dense_2, ""))
    families = [{"name": "a", "perturbations": [{"name": "replace", "at": [2]}]}]
    study = load_study({"members": 1, "network": {"dense": [12, 6]}, "families": families})
    message = (
        "family a: replace puts new weights into the network, which the optimizer would never train: "
        "write `optimizer_state` = 'reset', got 'keep'"
    )
    with pytest.raises(AkpsimError, match=message):
        train_family(study, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_option_of_ones_own_has_the_kind_of_its_default():
    mine = Perturbation("mine", "weights", lambda network, moment, *, by=0.1, thorough=True: None, "")
    mine.check({"by": 2, "thorough": False})
    for options, message in (
        ({"by": "wide"}, "`by` must be a number, got 'wide'"),
        ({"by": True}, "`by` must be a number, got True"),
        ({"thorough": "no"}, "`thorough` must be true or false, got 'no'"),
    ):
        with pytest.raises(AkpsimError, match=message):
            mine.check(options)


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


def test_input_noise_has_the_standard_deviation_it_says():
    inputs = 3 * torch.randn(2000, 20, generator=generator(1)) + 5
    noisy = PERTURBATIONS["input_noise"].act(inputs, moment(0.5), scale=2.0)
    assert float((noisy - inputs).std()) == pytest.approx(3.0, rel=0.02)


def test_blur_keeps_a_flat_image_and_spreads_a_point_as_a_gaussian():
    from scipy.ndimage import gaussian_filter

    act = PERTURBATIONS["blur"].act
    flat, point = torch.full((1, 2, 21, 21), 0.7), torch.zeros(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1
    assert torch.allclose(act(flat, moment()), flat)
    # scipy's filter, cut at the same radius of three standard deviations
    expected = gaussian_filter(point[0, 0].numpy(), 2.0, radius=6)
    assert act(point, moment(), sigma=2.0)[0, 0].numpy() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(AkpsimError, match=r"blur needs images .*, got features of shape \(3, 4\)"):
        act(torch.zeros(3, 4), moment())


def test_weight_noise_is_relative_to_each_matrix_and_spares_biases():
    network = Head(400, 3, dense=(300,), activation="relu", initializer="glorot_uniform", generator=generator())
    before = [p.detach().clone() for p in network.parameters()]
    PERTURBATIONS["weight_noise"].act(network, moment(0.25))
    change = [(p.detach() - old) for p, old in zip(network.parameters(), before, strict=True)]
    assert float(change[0].std() / before[0].std()) == pytest.approx(0.25, rel=0.02)
    assert not change[1].any()


def test_a_lesion_silences_its_share_of_each_hidden_layer():
    network = Head(4, 3, dense=(10, 20), activation="relu", initializer="glorot_uniform", generator=generator())
    PERTURBATIONS["lesion"].act(network, moment(0.3))
    for layer, silent in ((network.dense_1, 3), (network.dense_2, 6)):
        assert int((layer.linear.weight == 0).all(1).sum()) == silent


def test_gradient_noise_of_strength_one_is_as_long_as_the_gradient():
    network = Head(200, 3, dense=(300,), activation="relu", initializer="glorot_uniform", generator=generator())
    network(torch.randn(9, 200, generator=generator(2))).square().sum().backward()
    weight = network.dense_1.linear.weight
    before = weight.grad.clone()
    PERTURBATIONS["gradient_noise"].act(network, moment(1.0))
    noise = weight.grad - before
    assert float(noise.norm() / before.norm()) == pytest.approx(1, rel=0.02)
    cosine = torch.nn.functional.cosine_similarity(weight.grad.flatten(), before.flatten(), dim=0)
    assert float(cosine) == pytest.approx(2**-0.5, abs=0.03)


def test_a_shock_multiplies_the_learning_rate():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    PERTURBATIONS["learning_rate_shock"].act(optimizer, moment(0.5), factor=100.0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_another_initializer_reaches_its_layer_only():
    network = head()
    second = network.dense_2.linear.weight.detach().clone()
    PERTURBATIONS["initializer"].act(network, moment(), kernel="zeros", layers="dense_1")
    assert not network.dense_1.linear.weight.any()
    assert torch.equal(network.dense_2.linear.weight, second)


@pytest.mark.parametrize("when", [{"start": 2, "stop": 3}, {"at": [2, 3]}])
def test_dropout_is_off_in_epochs_that_its_schedule_does_not_name(when, cache_folder):
    work = small_work([{"name": "dropout", "strength": 0.5, **when}], epochs=6)
    dropping = []
    for epoch in range(7):
        work.events(epoch)
        dropping.append(isinstance(work.head.dense_1.dropout, Dropout))
    assert dropping == [False, False, True, True, False, False, False]


def test_dropout_that_ends_where_another_begins_leaves_the_other(cache_folder):
    first, second = ({"name": "dropout", "strength": s, "at": [e]} for s, e in ((0.2, 1), (0.4, 2)))
    for both in ([first, second], [second, first]):
        work = small_work(both)
        shares = []
        for epoch in (1, 2):
            work.events(epoch)
            shares.append(work.head.dense_1.dropout.share)
        assert shares == [0.2, 0.4]


def test_dropout_zeroes_its_share_in_training_only_and_keeps_the_mean():
    network = Head(50, 3, dense=(400,), activation="softplus", initializer="glorot_uniform", generator=generator())
    x = torch.randn(100, 50, generator=generator(1))
    whole = network.dense_1(x).detach()
    PERTURBATIONS["dropout"].act(network, moment(0.4))
    dropped = network.train().dense_1(x).detach()
    assert float((dropped == 0).float().mean()) == pytest.approx(0.4, abs=0.01)
    assert float(dropped.mean() / whole.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(network.eval().dense_1(x).detach(), whole)


def test_the_page_of_perturbations_has_every_one_with_its_options():
    page = (Path(__file__).parents[1] / "docs" / "perturbations.md").read_text()
    for name, perturbation in PERTURBATIONS.items():
        options = ", ".join(f"`{key} = {value!r}`" for key, value in perturbation.options.items()) or "-"
        assert f"| `{name}` | {perturbation.site} | {perturbation.summary} | {options} |" in page
