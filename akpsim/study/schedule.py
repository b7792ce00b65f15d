"""When a perturbation acts, and how strongly."""

from typing import Any, Literal

from pydantic import Field, model_validator

from akpsim.errors import InvalidStudy
from akpsim.study.section import Count, Fraction, Section


class Schedule(Section):
    """At which epochs a perturbation acts, and how strongly.

    Epochs count from 1; an action at epoch `e` happens before the batches of epoch `e`.  With neither `at` nor
    `every` it acts at every epoch from `start` to `stop` (the last).
    """

    at: tuple[Count, ...] | None = None
    every: Count | None = None
    start: Count = 1
    stop: Count | None = None
    strength: Fraction = 1.0
    probability: Fraction = 1.0
    ramp: Literal["constant", "linear"] = "constant"
    ramp_epochs: Count = 1

    @model_validator(mode="after")
    def _one_way_of_saying_when(self) -> "Schedule":
        if self.at is not None and (self.every is not None or self.stop is not None or self.start != 1):
            raise ValueError("`at` says all epochs by itself; give either `at` or `every` with `start` and `stop`")
        return self

    def epochs(self, total: int, name: str = "the perturbation") -> tuple[int, ...]:
        """Return the epochs at which it acts in a training of `total` epochs.

        Raises
        ------
        InvalidStudy
            If an epoch lies past the end, or none is left.
        """
        if self.at is not None:
            late = [epoch for epoch in self.at if epoch > total]
            if late:
                raise InvalidStudy(f"{name} acts at epoch {late[0]}, but training ends after epoch {total}")
            return tuple(sorted(set(self.at)))
        stop = total if self.stop is None else min(self.stop, total)
        step = self.every or 1
        first = self.start if self.every is None else max(step, -(-self.start // step) * step)
        found = tuple(range(first, stop + 1, step))
        if not found:
            raise InvalidStudy(
                f"{name} never acts: no epoch from {self.start} to {stop} of {total} fits every = {step}"
            )
        return found

    def strength_at(self, epoch: int) -> float:
        """Return the strength in an epoch: constant, or growing linearly over the first `ramp_epochs`."""
        if self.ramp == "constant":
            return self.strength
        return self.strength * min(1.0, epoch / self.ramp_epochs)


class PerturbationSpec(Section):
    """A perturbation by name, its schedule and the options of its own."""

    name: str
    optimizer_state: Literal["keep", "reset"] = "keep"
    schedule: Schedule = Schedule()
    options: dict[str, Any] = Field(default_factory=dict)

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
