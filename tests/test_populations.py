"""Populations are what they are declared to be, on files made by hand and on a run that was trained."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import akpsim
from akpsim.dynamics.populations import preferred_class, reduce_neurons
from akpsim.errors import InvalidData, StoreError, UnknownName


def two_kinds(rng: np.random.Generator, samples: int = 200) -> np.ndarray:
    """Neurons 0 to 5 follow one signal, 6 to 9 another (some with the opposite sign), 10 is dead."""
    signals = rng.normal(size=(samples, 2))
    sign = np.array([1, -1, 1, 1, 1, 1, 1, 1, -1, 1])
    columns = signals[:, [0] * 6 + [1] * 4] * sign + 0.2 * rng.normal(size=(samples, 10))
    return np.concatenate([columns, np.zeros((samples, 1))], axis=1)


@pytest.mark.parametrize("method", ["kmeans", "spectral"])
def test_clusters_are_neurons_that_respond_alike_up_to_sign(method):
    found = akpsim.cluster_neurons(two_kinds(np.random.default_rng(0)), method=method)
    assert found.tolist() == [0] * 6 + [1] * 4 + [-1]  # the largest is 0, the dead neuron is in none


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_clusters_follow_neurons_wherever_they_stand(seed):
    rng = np.random.default_rng(seed)
    activations = two_kinds(rng)
    order = rng.permutation(11)
    plain = akpsim.cluster_neurons(activations)
    assert (akpsim.cluster_neurons(activations[:, order] * 3 + 1) == plain[order]).all()


def test_a_neuron_prefers_the_class_to_which_it_responds_twice_as_much():
    # (most - others) / (most + others): 1/2, 1/5, 0 / 0, and 1/2 for the absolute value.
    means = np.array([[3.0, 3.0, 0.0, -3.0], [1.0, 2.0, 0.0, 1.0], [1.0, 2.0, 0.0, 1.0]])
    assert preferred_class(means).tolist() == [0, -1, -1, 0]


def test_sizes_by_hand():
    table = xr.Dataset(
        {
            "mean_abs": (("time", "neuron"), [[1.0, 2.0, 5.0], [3.0, 4.0, 5.0]]),
            "active": (("time", "neuron"), [[0.5, 1.0, 0.0], [0.5, 0.5, 0.0]]),
            "weight_norm": (("time", "neuron"), [[1.0, 2.0, 5.0], [2.0, 2.0, 5.0]]),
        }
    )
    chosen = np.array([True, True, False])
    assert reduce_neurons(table, chosen, "clusters").tolist() == [1.5, 3.5]
    assert reduce_neurons(table, chosen, "active_share").tolist() == [0.75, 0.5]
    assert reduce_neurons(table, chosen, "weight_mass").tolist() == [3, 4]
    assert np.isnan(reduce_neurons(table, ~chosen & False, "clusters")).all()


def test_populations_of_a_run(tiny_run):
    found = akpsim.populations(tiny_run)
    assert found.dims == ("member", "time", "population")
    assert found.sizes["member"] == 4
    assert found.attrs["unit"] == "mean |activation|"
    assert found.attrs["layer"] == "dense_2"
    assert found.attrs["bounded"] == 0
    assert found.stress.values.tolist() == ["none", "none", "severe", "severe"]
    assert float(found.epoch[-1]) == pytest.approx(3, abs=0.5)
    # By hand, from the file: the mean over the neurons that the clusters name.
    member = str(found.member.values[0])
    with xr.open_dataset(tiny_run.file(member), group="populations/dense_2") as table:
        stored = table.mean_abs.values.astype(float)
    activations = tiny_run.representations(layer="dense_2").sel(member=member).values
    groups = akpsim.cluster_neurons(activations)
    assert found.sel(member=member, population="cluster_1").values == pytest.approx(stored[:, groups == 0].mean(axis=1))
    assert found.neurons.sel(member=member).values.tolist() == [np.sum(groups == 0), np.sum(groups == 1)]


def test_swaps_are_the_times_at_which_something_changed(tiny_run):
    # Swaps before epochs 2 and 3: after one and two whole epochs.
    found = akpsim.populations(tiny_run)
    per_epoch = float(found.time[-1]) / float(found.epoch[-1])
    assert json.loads(str(found.swaps.values[0])) == []
    assert json.loads(str(found.swaps.values[2])) == pytest.approx([per_epoch, 2 * per_epoch])


def test_the_jump_that_a_swap_makes_is_where_its_time_says(tmp_path, cache_folder):
    # 15 updates an epoch, a point after each; tanh replaces relu before the batches of epoch 2, after update 15.
    from akpsim.families import train_family

    swap = {"name": "swap_activation", "at": [2], "order": ["tanh"]}
    run = train_family(
        akpsim.load_study(
            {
                "name": "swap",
                "members": 1,
                "network": {"backbone": "none", "dense": [16]},
                "training": {"epochs": 3, "batch_size": 64},
                "capture": {"epochs": [-1], "populations": 45},
                "families": [{"name": "swapped", "stress": "mild", "perturbations": [swap]}],
            }
        ),
        tmp_path / "run",
    )
    found = akpsim.populations(run, count=1).isel(member=0, population=0)
    jump = int(np.argmax(np.abs(np.diff(np.log(found.values)))))
    assert [float(found.time[jump]), float(found.time[jump + 1])] == [15, 16]
    assert akpsim.swap_times(run, run.names[0]) == pytest.approx([15])


@pytest.mark.parametrize(
    ("definition", "unit", "bounded"),
    [("active_share", "share of active neurons", 1), ("weight_mass", "sum of weight norms", 0)],
)
def test_other_definitions(tiny_run, definition, unit, bounded):
    found = akpsim.populations(tiny_run, definition=definition, layer="dense_1", count=3)
    assert found.attrs["unit"] == unit
    assert found.attrs["bounded"] == bounded
    assert found.population.values.tolist() == ["cluster_1", "cluster_2", "cluster_3"]
    assert (found.values >= 0).all()
    if bounded:
        assert (found.values <= 1).all()


def test_class_selective_neurons(tiny_run):
    found = akpsim.populations(tiny_run, definition="class_selective", classes=(1, 7))
    assert found.population.values.tolist() == ["class_1", "class_7"]
    member = str(found.member.values[1])
    with xr.open_dataset(tiny_run.file(member), group="populations/dense_2") as table:
        chosen = preferred_class(table.class_mean.values[-1]) == 7
        expected = table.mean_abs.values[:, chosen].mean(axis=1) if chosen.any() else np.nan
    assert found.sel(member=member, population="class_7").values == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_groups_are_summarised_by_geometric_means():
    rates = [(0.5, 0.02, 0.8, 0.02), (0.55, 0.02, 0.8, 0.02), (0.5, 0.02, 0.9, 0.02)]
    runs = [
        akpsim.simulate_lotka_volterra(range(40), a=a, b=b, c=c, d=d, initial=(30, 5), noise=0.03, seed=index)
        for index, (a, b, c, d) in enumerate(rates)
    ]
    populations = xr.concat([run.populations for run in runs], dim="member").assign_coords(
        member=["x", "y", "z"], stress=("member", ["none", "none", "mild"])
    )
    table = akpsim.fit_members(populations, starts=2)
    a = table.a.values
    assert table.refused.values.tolist() == [False] * 3
    assert float(table.group_a.sel(group="none")) == pytest.approx(np.sqrt(a[0] * a[1]))
    # Student's t with one degree of freedom, 12.706; s / sqrt(2) = |log a1 - log a0| / 2.
    half = 12.7062 * abs(np.log(a[1] / a[0])) / 2
    assert float(table.group_a_upper.sel(group="none")) == pytest.approx(np.sqrt(a[0] * a[1]) * np.exp(half), rel=1e-4)
    assert float(table.group_a.sel(group="mild")) == pytest.approx(a[2])
    assert np.isnan(table.group_a_upper.sel(group="mild"))
    assert table.best.values.tolist() == ["lotka_volterra"] * 3
    with pytest.raises(UnknownName, match="unknown coordinate of members 'dose'"):
        akpsim.fit_members(populations, by="dose")


def test_what_a_run_does_not_have_is_said(tiny_run):
    with pytest.raises(StoreError, match=r"has no populations of 'dense_9'; there are: dense_1, dense_2"):
        akpsim.populations(tiny_run, layer="dense_9")
    with pytest.raises(UnknownName, match=r"unknown `definition` 'cluster': did you mean 'clusters'"):
        akpsim.populations(tiny_run, definition="cluster")
    with pytest.raises(InvalidData, match="20 clusters need as many neurons that respond: there are 10"):
        akpsim.cluster_neurons(two_kinds(np.random.default_rng(0)), count=20)
