"""The page of metrics is made from the registry and is current."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest

from akpsim import METRICS
from akpsim.errors import AkpsimWarning, UndefinedMetric
from akpsim.metrics.page import fewest, metrics_page, section

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


def test_the_page_of_metrics_is_current():
    made = metrics_page(METRICS.values())
    assert PAGE.read_text(encoding="utf-8") == made, "write docs/metrics.md again with akpsim.metrics.page.metrics_page"


def test_the_command_lists_metrics_with_their_arguments(cli):
    code, out, _ = cli("list", "metrics", "--verbose")
    assert code == 0
    assert "`components = none`: number of components instead; a whole number from 1 or none" in out


def test_every_metric_has_its_section_with_formula_source_and_warning():
    text = PAGE.read_text(encoding="utf-8")
    for name, metric in METRICS.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for part in (metric.formula, metric.source, metric.beware, *metric.parameters):
            assert part in section


def has_a_value(metric, n):
    """Whether a metric has a value for n samples of some width, at its defaults."""
    rng = np.random.default_rng(n)
    for width in range(1, 6):
        x, y = rng.normal(size=(2, n, width)) ** 2
        labels = {"labels": [0] * n} if metric.name == "accuracy_difference" else {}
        if metric.data == "outputs":
            x, y = (z / z.sum(axis=1, keepdims=True) for z in (x, y))
        with contextlib.suppress(UndefinedMetric), warnings.catch_warnings():
            warnings.simplefilter("ignore", AkpsimWarning)
            metric(x, y, **labels)
            return True
    return False


@pytest.mark.parametrize("name", METRICS)
def test_the_page_says_how_many_samples_are_needed_at_the_defaults(name):
    count, parameter = fewest(METRICS[name])
    assert has_a_value(METRICS[name], count)
    assert not any(has_a_value(METRICS[name], n) for n in range(1, count))
    said = section(METRICS[name])
    assert f"- at least {count} sample" in said
    assert parameter is None or f" at the default `{parameter}`, and {METRICS[name].smallest} at any" in said


def test_the_page_says_how_many_samples_neighbours_and_folds_need():
    assert fewest(METRICS["mutual_knn"]) == (12, "k")  # ten neighbours, the sample itself, and one that is none
    assert fewest(METRICS["ridge_cv"]) == (10, "folds")  # two a fold
    assert fewest(METRICS["magnitude"]) == (1, None)
    assert "- at least 1 sample\n" in section(METRICS["magnitude"])


def test_the_page_says_which_numbers_of_neurons_go_together():
    assert "- equal numbers of neurons with `match = identity`, else any\n" in section(METRICS["correlation"])
    assert "- equal numbers of columns\n" in section(METRICS["disagreement"])
    assert "- any numbers of neurons\n" in section(METRICS["cka"])
    assert "- equal numbers of neurons\n" in section(METRICS["permutation_procrustes"])


def test_uniformity_is_at_most_twice_its_temperature():
    # Squared distances of unit vectors have mean 2 - 2 |mean|^2 <= 2 over all pairs, so that by Jensen u >= -2 t; and
    # u <= 0, which equal responses reach.  Orthogonal ones: log(1 / n + (1 - 1 / n) exp(-2 t)).
    uniformity, n = METRICS["uniformity"], 500
    assert uniformity.range == (0, 4)
    found = uniformity(np.ones((n, 1)), np.eye(n, dtype=np.float32))
    assert found == pytest.approx(-np.log(1 / n + (1 - 1 / n) * np.exp(-4)), abs=1e-9)
    assert found < 4
