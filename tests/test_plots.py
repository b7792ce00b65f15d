"""Pictures draw what the result says: positions, labels and legends are read back, never pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from akpsim import AkpsimError
from akpsim.plots import PLOTS
from akpsim.plots.audit import plot_audit
from akpsim.plots.axes import PALETTE, STRESS_COLOURS, colours, origin, save_figure
from akpsim.plots.draw import draw_run
from akpsim.plots.history import plot_history


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def legend_of(axes):
    return [text.get_text() for text in axes[-1].get_legend().get_texts()]


def test_accuracy_curves_have_a_line_a_member_and_a_mean_a_family(tiny_run):
    history = tiny_run.history
    left, right = plot_history(history)
    assert (left.get_title(), right.get_title()) == ("training", "validation")
    assert (left.get_xlabel(), left.get_ylabel()) == ("epoch", "accuracy")
    thin, thick = ([line for line in right.lines[:-1] if (line.get_linewidth() > 1) == bold] for bold in (False, True))
    assert np.array_equal([line.get_ydata() for line in thin], history.validation_accuracy.values)
    mean = history.validation_accuracy.values.reshape(2, 2, -1).mean(1)
    assert np.allclose([line.get_ydata() for line in thick], mean)
    assert legend_of([right]) == ["baseline (n = 2)", "noisy (n = 2)", "majority class"]


def test_the_audit_shows_families_with_events_only_at_their_epochs(tiny_run):
    audit = tiny_run.audit
    axes = plot_audit(audit)
    (points,) = axes[0].collections
    noisy = audit.sel(member=audit.family == "noisy")
    assert np.allclose(points.get_offsets(), np.c_[noisy.epoch.values.ravel(), noisy.gradient_cosine.values.ravel()])
    assert legend_of(axes) == ["noisy"]


def test_many_families_are_dealt_to_rows_in_which_no_two_look_alike(tiny_run):
    history, audit = tiny_run.history, tiny_run.audit
    names = [f"family {number:02}" for number in range(13)]
    repeated = [xr.concat([table.isel(member=[2])] * 13, "member") for table in (history, audit)]
    for table, draw in zip(repeated, (plot_history, plot_audit), strict=True):
        axes = draw(table.assign_coords(family=("member", names)))
        assert len(axes) == 3
        shown = [[text.split(" (")[0] for text in legend_of(row) if "family" in text] for row in axes]
        assert [len(row) for row in shown] == [5, 5, 3]
        assert [name for row in shown for name in row] == names


@pytest.mark.parametrize("draw", [plot_history, plot_audit])
def test_members_can_be_grouped_by_any_of_their_coordinates_and_by_no_other(tiny_run, draw):
    table = tiny_run.history if draw is plot_history else tiny_run.audit
    labels = legend_of(draw(table, by="seed"))
    assert [label.split(" ")[0] for label in labels][:2] == ["0", "1"]
    for wrong in ("nonsense", "epoch"):
        with pytest.raises(AkpsimError, match=f"unknown coordinate of members '{wrong}': .*[tT]here are: .*family"):
            draw(table, by=wrong)


def test_stress_levels_have_their_own_colours_and_colours_differ():
    assert colours(["severe", "none"]) == {key: STRESS_COLOURS[key] for key in ("severe", "none")}
    assert len(set(colours([f"family {n}" for n in range(len(PALETTE))]).values())) == len(PALETTE)


def test_every_figure_of_a_run_is_saved_in_its_folder(tiny_run, tmp_path):
    paths = draw_run(tiny_run, tmp_path, suffix="svg")
    assert {"history.svg", "audit.svg"} <= {path.name for path in paths}
    assert all(path.read_text().startswith("<?xml") for path in paths)


def test_a_figure_of_an_unknown_format_is_refused(tiny_run, tmp_path):
    with pytest.raises(AkpsimError, match=r"a figure is saved as .png, .pdf or .svg, got 'history.bmp'"):
        draw_run(tiny_run, tmp_path, suffix="bmp")
    assert not list(tmp_path.iterdir())


def test_saving_closes_the_figure(tmp_path):
    ax = plt.subplots()[1]
    save_figure(ax, tmp_path / "a.png")
    assert not plt.get_fignums()


def test_every_plot_says_what_it_shows():
    assert all(plot.summary and callable(plot.draw) for plot in PLOTS.values())


def test_a_group_has_its_colour_whatever_the_order_it_comes_in():
    assert colours(["noisy", "baseline", "swapped"]) == colours(["swapped", "noisy", "baseline"])
    assert next(iter(colours(["noisy", "baseline"]))) == "baseline"


def test_the_figures_of_a_run_want_a_folder(tiny_run, tmp_path):
    with pytest.raises(AkpsimError, match=r"saved in a folder: got the file name 'x.gif'"):
        draw_run(tiny_run, tmp_path / "x.gif")
    assert not (tmp_path / "x.gif").exists()


def test_an_epoch_is_said_without_a_needless_point():
    result = xr.DataArray(np.zeros(2), dims="member", coords={"epoch": 21.0, "layer": "dense_1"})
    assert origin(result) == "layer dense_1, epoch 21"
    assert origin(result.assign_coords(epoch=2.5)) == "layer dense_1, epoch 2.5"


def test_the_figures_of_a_run_say_which(tiny_run):
    for drawn in (plot_history(tiny_run.history), plot_audit(tiny_run.audit)):
        assert drawn.flat[0].figure.get_suptitle() == tiny_run.path.name
