"""When a perturbation acts, and how strongly."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from akpsim.errors import InvalidStudy
from akpsim.study.section import Count, Fraction, Real, Section

Strength = Annotated[
    Annotated[Fraction, Tag("number")]
    | Annotated[tuple[tuple[Real, Fraction], ...], Field(min_length=1), Tag("points")],
    Discriminator(lambda value: "points" if isinstance(value, list | tuple) else "number"),
]


class Schedule(Section):
    """At which epochs a perturbation acts, and how strongly.

    Epochs count from 1; an action at epoch `e` happens before the batches of epoch `e`.  With neither `at` nor
    `every` it acts at every epoch from `start` to `stop` (the last); `every = k` leaves the multiples of k among these
    (k = 3 from 4: 6, 9, ...), wherever they start.  `strength` is a number, or a function of the
    epoch given by points (epoch, strength): straight lines between them, constant before the first and after the last.
    """

    at: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """All epochs at which it acts; without `every`, `start` and `stop`."""
    every: Count | None = None
    """The multiples of this from `start` to `stop`."""
    start: Count = 1
    """First epoch at which it may act."""
    stop: Count | None = None
    """Last; by default that of the training."""
    strength: Strength = 1.0
    """A number, or points `[[epoch, strength], ...]` with straight lines between them."""
    probability: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """Of each epoch, drawn for each member."""

    @model_validator(mode="after")
    def _one_way_of_saying_when(self) -> "Schedule":
        if self.at is not None and (self.every is not None or self.stop is not None or self.start != 1):
            raise ValueError("`at` says all epochs by itself; give either `at` or `every` with `start` and `stop`")
        if isinstance(self.strength, tuple):
            epochs = [epoch for epoch, _ in self.strength]
            if epochs != sorted(set(epochs)):
                raise ValueError(f"the epochs of `strength` must increase, got {', '.join(f'{e:g}' for e in epochs)}")
        return self

    def epochs(self, total: int, name: str = "the perturbation") -> tuple[int, ...]:
        """Return the epochs at which it acts in a training of `total` epochs.

        Raises
        ------
        InvalidStudy
            If an epoch lies past the end, or none is left.
        """
        end = f"but training ends after epoch {total}"
        if isinstance(self.strength, tuple) and self.strength[0][0] > total:
            raise InvalidStudy(f"the `strength` of {name} begins at epoch {self.strength[0][0]:g}, {end}")
        if self.at is not None:
            late = [epoch for epoch in self.at if epoch > total]
            if late:
                enough = f"give {max(late)} epochs or more (--epochs {max(late)}), or earlier ones in `at`"
                raise InvalidStudy(f"{name} acts at epoch {late[0]}, {end}: {enough}")
            return tuple(sorted(set(self.at)))
        if self.start > total:
            raise InvalidStudy(f"{name} never acts: it starts at epoch {self.start}, {end}")
        if self.stop is not None and self.stop < self.start:
            raise InvalidStudy(f"{name} never acts: `start` = {self.start} comes after `stop` = {self.stop}")
        stop = total if self.stop is None else min(self.stop, total)
        step = self.every or 1
        found = tuple(range(-(-self.start // step) * step, stop + 1, step))
        if not found:
            between = f"from epoch {self.start} to {stop}, the last"
            raise InvalidStudy(f"{name} never acts: every = {step} means its multiples, and none lies {between}")
        return found

    def strength_at(self, epoch: int) -> float:
        """Return the strength in an epoch: the number, or what lies between the points."""
        if not isinstance(self.strength, tuple):
            return self.strength
        points = self.strength
        for (left, low), (right, high) in pairwise(points):
            if left <= epoch <= right:
                return low + (high - low) * (epoch - left) / (right - left)
        return points[0][1] if epoch < points[0][0] else points[-1][1]


class PerturbationSpec(Section):
    """A perturbation by name, its schedule and the options of its own."""

    name: str
    """A name of `akpsim list perturbations`."""
    optimizer_state: Literal["keep", "reset"] = "keep"
    """Whether the optimizer starts afresh at its events."""
    schedule: Schedule = Schedule()
    """Its keys stand beside the name."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The perturbation's own, likewise."""

    @model_validator(mode="before")
    @classmethod
    def _sort_keys(cls, value: Any) -> Any:
        """Sort a flat TOML table into schedule and options."""
        if not isinstance(value, dict) or not all(
            isinstance(value.get(key, {}), dict) for key in ("schedule", "options")
        ):
            return value  # which pydantic refuses, saying what it should be
        flat = {**value, **value.get("schedule", {}), **value.get("options", {})}
        schedule = {key: flat.pop(key) for key in Schedule.model_fields if key in flat}
        own = {key: flat.pop(key) for key in ("name", "optimizer_state") if key in flat}
        options = {key: flat[key] for key in flat if key not in ("schedule", "options")}
        return {"schedule": schedule, "options": options} | own
