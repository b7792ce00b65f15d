"""Which of several names comes next in a series of swaps."""

from collections.abc import Sequence

import torch

from akpsim.errors import InvalidStudy
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
    if isinstance(order, str):
        if order != "random":
            raise InvalidStudy(f"`order` must be a list of names or 'random', got {order!r}")
        others = [name for name in choices if name != current]
        if not others:
            raise InvalidStudy(f"`choices` must hold a name other than {current!r}, got {list(choices)}")
        return others[int(torch.randint(len(others), (), generator=moment.generator))]
    if not order:
        raise InvalidStudy("`order` must hold at least one name, got an empty list")
    return order[moment.event % len(order)]
