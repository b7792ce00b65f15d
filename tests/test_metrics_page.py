"""The page of metrics is made from the registry and is current."""

from pathlib import Path

from akpsim import METRICS
from akpsim.metrics.page import metrics_page

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
