"""What a perturbation is: a named function that acts at one site of training, and the moment at which it acts."""

import inspect
import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from akpsim.checks import instance, is_number
from akpsim.errors import InvalidStudy, shortened, unknown_name
from akpsim.study import PerturbationSpec, Schedule

Site = Literal["initializer", "activation", "loss", "labels", "inputs", "weights", "gradients", "optimizer"]

EVENTS: tuple[Site, ...] = ("initializer", "activation", "loss", "weights", "optimizer")
"""Sites where acting is an event at the start of an epoch: the network or its objective is another afterwards."""

GRADIENT_SITES: tuple[Site, ...] = ("activation", "loss", "labels")
"""Sites whose whole effect shows in the gradient on a fixed batch, so that an unchanged gradient means no effect."""

STEP_SITES: tuple[Site, ...] = ("inputs", "gradients")
"""Sites where acting is part of each training step."""


@dataclass(frozen=True)
class Moment:
    """When a perturbation acts.

    Parameters
    ----------
    epoch : int
        Counted from 1; 0 for initializers, which act before training.
    event : int
        How many times it has acted before at this site.
    last : bool
        True at the last event of the schedule.
    strength : float
        In [0, 1]; at 0 nothing may change, bit for bit.
    classes : int
        Number of classes.
    generator : torch.Generator
        The perturbation's own stream of random numbers.
    """

    epoch: int
    event: int
    last: bool
    strength: float
    classes: int
    generator: torch.Generator


def largest(strengths: Sequence[float], **options: Any) -> float:
    """Return the largest strength: the dose of what acts at each epoch or step."""
    return max(strengths)


def total(strengths: Sequence[float], **options: Any) -> float:
    """Return the sum of the strengths, events times strength: the dose of swaps."""
    return sum(strengths)


@dataclass(frozen=True)
class Perturbation:
    """A named thing done to a member in training.

    Parameters
    ----------
    name : str
        The word in a study file.
    site : str
        Where it acts, which fixes what `act` gets and returns:

        ============== ======================================= =========================================
        site           called                                  ``act(target, moment, **options)``
        ============== ======================================= =========================================
        initializer    once, before the first epoch            network -> None
        activation     at each event                           network -> None
        loss           at each event                           (logits, labels) -> losses, gives another
        labels         at each epoch, with the true labels     labels -> labels
        inputs         for each batch                          inputs -> inputs
        weights        at each event                           network -> None
        gradients      after each backward pass                network -> None
        optimizer      at each event                           optimizer -> None
        ============== ======================================= =========================================
    act : callable
        Its keyword-only arguments are the options a study file may give.
    summary : str
        One line for `akpsim list perturbations`, with the unit of its dose.
    dose : callable
        The strengths at its epochs, and its options -> how much it does to a member, as one number.
    audited : bool
        False if its events do not show where a network is evaluated, as dropout's: they are neither audited nor
        captured around.
    lift : callable, optional
        ``lift(network, **options)``, called before the events of the first epoch at which it no longer acts; without
        it, what acting left behind stays.
    allow : callable, optional
        ``allow(**options)`` raises if the options given have values that `act` cannot use, before any network is there;
        numbers and truth values are told from others without it, by the defaults.
    """

    name: str
    site: Site
    act: Callable[..., Any]
    summary: str
    dose: Callable[..., float] = largest
    audited: bool = True
    lift: Callable[..., None] | None = None
    allow: Callable[..., Any] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options and their defaults; an underscore that keeps a name from being a keyword (`finally_`) is dropped."""
        parameters = inspect.signature(self.act).parameters.values()
        return {p.name.rstrip("_"): p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def swaps(self) -> bool:
        """Whether acting is an event after which the network, or its objective, is another."""
        return self.site in EVENTS and self.audited

    def check(self, options: dict[str, Any]) -> None:
        """Refuse options it does not have, values it cannot use, and the lack of one without a default."""
        for key in options:
            if key not in self.options:
                raise unknown_name(f"option of {self.name}", key, (*self.options, *Schedule.model_fields))
        missing = [
            key for key, value in self.options.items() if value is inspect.Parameter.empty and key not in options
        ]
        if missing:
            raise InvalidStudy(f"perturbation {self.name} needs the option {missing[0]!r}")
        if self.allow is not None:
            self.allow(**for_python(options))
        for key, value in options.items():
            check_kind(value, key, self.options[key])


def for_python(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as Python takes them: `finally` is a keyword."""
    return {key + "_" * keyword.iskeyword(key): value for key, value in options.items()}


def check_kind(value: Any, name: str, default: Any) -> None:
    """Refuse what is no truth value or no number where the default is one."""
    if isinstance(default, bool):
        instance(value, name, bool, "true or false")
    elif is_number(default) and not is_number(value):
        raise InvalidStudy(f"`{name}` must be a number, got {shortened(value)}")


def check_schedule(perturbation: Perturbation, spec: PerturbationSpec) -> None:
    """Refuse what a study says and the site cannot follow, so that nothing is passed over in silence."""
    when = spec.schedule
    if perturbation.site == "initializer" and (when.at, when.every, when.start, when.stop) != (None, None, 1, None):
        raise InvalidStudy(f"{spec.name} acts before the first epoch; it takes no `at`, `every`, `start` or `stop`")
    if perturbation.site not in EVENTS and spec.optimizer_state == "reset":
        raise InvalidStudy(
            f"`optimizer_state` = 'reset' is for swaps and other events; {spec.name} acts on {perturbation.site} "
            "all along"
        )


class Active:
    """A perturbation of one member: its entry, its schedule and its random stream.

    Parameters
    ----------
    perturbation : Perturbation
        The registry's entry.
    spec : PerturbationSpec
        Schedule and options from the study.
    epochs, classes : int
        Of the member.
    generator : torch.Generator
        Its stream.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        spec: PerturbationSpec,
        *,
        epochs: int,
        classes: int,
        generator: torch.Generator,
    ) -> None:
        perturbation.check(spec.options)
        check_schedule(perturbation, spec)
        self.perturbation, self.spec = perturbation, spec
        self.classes, self.generator = classes, generator
        scheduled = (0,) if perturbation.site == "initializer" else spec.schedule.epochs(epochs, spec.name)
        lots = torch.rand(len(scheduled), generator=generator).tolist()
        chance = spec.schedule.probability
        self.epochs = tuple(epoch for epoch, lot in zip(scheduled, lots, strict=True) if lot < chance)
        self.options = for_python(spec.options)
        self.event = 0

    @property
    def dose(self) -> float:
        """How much it does to the member, in the unit that the entry's summary names."""
        strengths = [self.strength_at(epoch) for epoch in self.epochs]
        return float(self.perturbation.dose(strengths, **self.options)) if strengths else 0.0

    @property
    def null(self) -> bool:
        """Whether it does nothing to the member: strength 0 whenever it acts, or a factor of 1."""
        return not any(map(self.strength_at, self.epochs)) or (self.perturbation.site == "optimizer" and self.dose == 1)

    @property
    def telling(self) -> set[int]:
        """The epochs at which what acts all along is worth an audit: its first, and its first at full strength."""
        return {self.epochs[0], max(self.epochs, key=self.strength_at)}

    def strength_at(self, epoch: int) -> float:
        """Return how strongly it acts in an epoch."""
        return self.spec.schedule.strength_at(epoch)

    def acts_at(self, epoch: int) -> bool:
        """Say whether it acts in an epoch."""
        return epoch in self.epochs

    def moment(self, epoch: int) -> Moment:
        """Return the moment of acting in an epoch."""
        return Moment(
            epoch=epoch,
            event=self.event,
            last=epoch in self.epochs[-1:],
            strength=self.strength_at(epoch),
            classes=self.classes,
            generator=self.generator,
        )

    def act(self, target: Any, epoch: int) -> Any:
        """Act on the target and count the event."""
        result = self.perturbation.act(target, self.moment(epoch), **self.options)
        self.event += 1
        return result
