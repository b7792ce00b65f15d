"""The paper's Figures 3 to 5: eight panels, a line a member, the swaps marked."""

import matplotlib as mpl
import numpy as np
import pytest

from akpsim import load_study, training_curves
from akpsim.families import train_family
from akpsim.plots import PLOTS

mpl.use("Agg")


def family(name, perturbation, optimizer, **more):
    swap = {"name": perturbation, "at": [2, 3]}
    return {"name": name, "group": "g", "optimizer": optimizer, "perturbations": [swap], **more}


@pytest.fixture(scope="module")
def grid(tmp_path_factory, cache_folder):
    """Two perturbations by two optimizers, two members each, and a family of another length outside the group."""
    design = {
        "name": "grid",
        "members": 2,
        "network": {"dense": [8, 4]},
        "training": {"epochs": 3, "batch_size": 256},
        "capture": {"epochs": [-1], "populations": 0},
        "families": [
            family("a_s", "swap_activation", "sgd"),
            family("a_r", "swap_activation", "rmsprop"),
            family("l_s", "swap_loss", "sgd"),
            family("l_r", "swap_loss", "rmsprop"),
            {"name": "alone", "epochs": 5},
        ],
    }
    return train_family(load_study(design), tmp_path_factory.mktemp("runs") / "grid")


def test_a_group_has_its_members_their_epochs_and_their_swaps(grid):
    (curves,) = training_curves(grid).values()
    assert curves.sizes == {"member": 8, "epoch": 4}
    assert np.array_equal(curves.swapped.values, np.tile([False, False, True, True], (8, 1)))
    assert curves.train_accuracy.notnull().all()
    assert set(curves.perturbation.values) == {"swap_activation", "swap_loss"}
    assert curves.attrs["group"] == "g"


def test_a_run_without_groups_has_no_such_figure(tiny_run):
    assert training_curves(tiny_run) == {}


def test_eight_panels_show_every_member_and_every_swap(grid):
    curves = training_curves(grid)["g"]
    axes = PLOTS[curves.attrs["result"]].draw(curves)
    assert axes.shape == (2, 4)
    assert [ax.get_title() for ax in axes[0]] == [
        "sgd, swap_activation: training",
        "sgd, swap_activation: validation",
        "rmsprop, swap_activation: training",
        "rmsprop, swap_activation: validation",
    ]
    for ax in axes.flat:
        drawn = [line for line in ax.lines if len(line.get_xdata()) == 4]
        marks = [line.get_xdata()[0] for line in ax.lines if list(line.get_ydata()) == [0, 1]]
        assert len(drawn) == 2
        assert marks == [2, 3]
    shown = axes[1, 3].lines[2].get_ydata()
    expected = curves.validation_accuracy.sel(member="l_r-0")
    np.testing.assert_array_equal(shown, expected)


def test_the_figures_of_the_papers_presets_say_which_of_the_papers_they_are(grid, monkeypatch):
    assert "figure" not in training_curves(grid)["g"].attrs
    families = [family.model_copy(update={"group": "a"}) for family in grid.study.families]
    monkeypatch.setattr(grid, "study", grid.study.model_copy(update={"name": "paper-a", "families": families}))
    axes = PLOTS["training_curves"].draw(training_curves(grid)["a"])
    assert axes.flat[0].figure.get_suptitle() == "as Fig. 3 of the paper: group A"


def test_lines_are_coloured_by_the_initializer_where_it_differs(grid):
    curves = training_curves(grid)["g"]
    assert legend_title(curves) == "seed"
    curves["initializer"] = ("member", ["zeros", "he_uniform"] * 4)
    assert legend_title(curves) == "initializer"
    assert legend_title(curves, by="family") == "family"


def legend_title(curves, **options):
    axes = PLOTS["training_curves"].draw(curves, **options)
    return axes.flat[0].figure.legends[0].get_title().get_text()


def test_the_command_draws_a_figure_a_group(grid, cli, tmp_path):
    code, out, _ = cli("plot", grid.path, "-o", tmp_path, "--format", "svg")
    assert code == 0
    assert (tmp_path / "training_curves-g.svg").exists()
    assert "training_curves-g.svg" in out
