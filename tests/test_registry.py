"""Registries, validators and progress: what a user sees when a name or a number is wrong, or work is long."""

import io
import sys
from dataclasses import dataclass

import pytest

from akpsim import AkpsimError
from akpsim.checks import at_least, in_range, one_of
from akpsim.progress import Progress
from akpsim.registry import Registry


@dataclass(frozen=True)
class Entry:
    """Something with a name."""

    name: str


def test_a_registry_lists_its_entries_in_order_and_takes_new_ones():
    registry = Registry("fruit", [Entry("pear"), Entry("apple")])
    registry.add(Entry("fig"))
    assert list(registry) == ["pear", "apple", "fig"]
    assert registry["fig"] == Entry("fig")


def test_a_name_is_given_once():
    registry = Registry("fruit", [Entry("pear")])
    with pytest.raises(AkpsimError, match="a fruit named 'pear' exists already"):
        registry.add(Entry("pear"))


def test_an_unknown_name_suggests_the_nearest_and_lists_the_rest():
    with pytest.raises(AkpsimError) as error:
        Registry("fruit", [Entry("pear"), Entry("apple")])["aple"]
    assert str(error.value) == "unknown fruit 'aple': did you mean 'apple'? There are: pear, apple"


def test_validators_give_the_value_back_or_say_what_is_allowed():
    assert in_range(0.5, "share", 0, 1) == 0.5
    assert at_least(3, "starts", 1) == 3
    assert one_of("max", "pool", ["avg", "max"]) == "max"
    with pytest.raises(AkpsimError, match=r"`strength` must lie in \[0, 1\], got 1.4"):
        in_range(1.4, "strength", 0, 1)
    with pytest.raises(AkpsimError, match="`share` must lie in"):
        in_range(float("nan"), "share", 0, 1)
    with pytest.raises(AkpsimError, match="`starts` must be a whole number of at least 1, got 0"):
        at_least(0, "starts", 1)
    with pytest.raises(AkpsimError, match="unknown `pool` 'mx': did you mean 'max'"):
        one_of("mx", "pool", ["avg", "max"])


def test_progress_writes_plain_lines_where_there_is_no_terminal(monkeypatch):
    assert lines_of_two_steps(monkeypatch, seconds=0) == "members: 1/2  (0 s)\nmembers: 2/2 last (0 s)\n"


def test_progress_of_quick_work_or_unasked_writes_nothing(monkeypatch):
    assert lines_of_two_steps(monkeypatch, seconds=60) == ""
    assert lines_of_two_steps(monkeypatch, seconds=0, show=False) == ""


def lines_of_two_steps(monkeypatch, *, seconds, show=True):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr("akpsim.progress.LINE_EVERY", seconds)
    with Progress("members", total=2, show=show) as progress:
        progress.advance()
        progress.advance(note="last")
    return written.getvalue()


def test_progress_draws_a_bar_on_a_terminal(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", written)
    with Progress("members", total=2, show=True) as progress:
        progress.advance(2, note="baseline-0")
    assert "members" in written.getvalue()
    assert "2/2" in written.getvalue()
