"""Which of several names comes next in a series of swaps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from akpsim.checks import listed
from akpsim.errors import InvalidStudy, shortened
from akpsim.families.perturbations.perturbation import Moment


def name_at(
    moment: Moment, *, order: Sequence[str] | str, choices: Sequence[str], finally_: str | None, current: str
) -> str:
    """Return the name that an event swaps to.

    Parameters
    ----------
    moment : Moment
        The event; its generator draws when the order is random.
    order : sequence of str, or "random"
        Names in turn, starting again at the end; ``"random"`` draws one of `choices` other than the current.
    choices : sequence of str
        What a random order draws from.
    finally_ : str, optional
        The name at the last of several events; a single event follows `order`.
    current : str
        The name now.
    """
    if moment.last and moment.event > 0 and finally_ is not None:
        return finally_
    if order == "random":
        others = [name for name in choices if name != current]
        if not others:
            raise InvalidStudy(f"`choices` must hold a name other than {current!r}, got {list(choices)}")
        return others[int(torch.randint(len(others), (), generator=moment.generator))]
    return order[moment.event % len(order)]


def check_order(known: Callable[[Any], Any], *, order: Any, choices: Any, finally_: Any) -> None:
    """Refuse an order, choices or a last name that no event could follow, also where a draw would find it late.

    Parameters
    ----------
    known : callable
        Raises for a name that does not exist.
    order, choices, finally_ : Any
        As a study gives them.
    """
    drawn = isinstance(order, str)
    if drawn and order != "random":
        raise InvalidStudy(f"`order` must be a list of names or 'random', got {order!r}")
    in_turn = [] if drawn else listed(order, "order", "names, or 'random'")
    if not drawn and not in_turn:
        raise InvalidStudy("`order` must hold at least one name, got an empty list")
    named = listed(choices, "choices", "names")
    for name in (*in_turn, *named, *(() if finally_ is None else (finally_,))):
        known(name)
    if drawn and len(set(named)) < 2:
        other = f" other than {named[0]!r}" if named else ""
        raise InvalidStudy(f"`choices` must hold a name{other}, got {named}")


def check_layers(layers: Any) -> None:
    """Refuse what cannot be names or patterns of layers."""
    patterns = [layers] if isinstance(layers, str) else layers
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(p, str) for p in patterns):
        raise InvalidStudy(f"`layers` must be a name, a pattern or a list of them, got {shortened(layers)}")
