"""The only exceptions that akpsim raises on purpose; the command line prints them as one sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class AkpsimError(ValueError):
    """Something the caller can mend: what was asked, what is allowed, what came, in one line.

    What came may be a name out of somebody's file, so line ends and codes that terminals obey are shown escaped.
    """

    def __str__(self) -> str:
        """Return the message, in characters that can be printed."""
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().__str__())


class UnknownName(AkpsimError):
    """A name that no registry entry, layer, family or key has."""


class UndefinedMetric(AkpsimError):
    """A metric has no value for this input, and the message says why."""


class MisalignedSamples(AkpsimError):
    """Representations that do not answer to the same samples."""


class InvalidStudy(AkpsimError):
    """A study file or an option that cannot be run as it stands."""


class InvalidData(AkpsimError):
    """Images, labels, tables or feature files that cannot be used as they stand."""


class StoreError(AkpsimError):
    """A run folder or a file in it that is missing, incomplete or of another study."""


class ClusterError(AkpsimError):
    """A scheduler or workers that are missing, cannot be reached or have other versions."""


class AkpsimWarning(UserWarning):
    """A result that holds but must not be read without care, and the message says why."""


class InvalidTrajectory(AkpsimError):
    """Times or populations that no model of dynamics can be fitted to."""


class InsufficientTrajectory(InvalidTrajectory):
    """A trajectory too short or too monotone to tell a cycle from two exponentials."""


class DivergedFit(AkpsimError):
    """No start led to a trajectory that stays finite."""


class MultipleOptima(AkpsimError):
    """Starts that disagree: the best optimum was found by one start alone."""


class AtBound(AkpsimError):
    """A rate that the data push to zero."""


class NotIdentifiable(AkpsimError):
    """Rates that the data do not determine, however well the curve fits."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownName:
    """Return the error for a name that is not among those known: the nearest first, then all."""
    known = list(known)
    near = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    hint = f"did you mean {near[0]!r}? There are" if near else "there are"
    return UnknownName(f"unknown {kind} {shortened(name)}: {hint}: {', '.join(known)}")


def shortened(value: object) -> str:
    """Return what a value looks like, for a message: all of a word or a number, the kind of anything large."""
    said = repr(value) if isinstance(value, str | bytes | int | float | complex | None) else type(value).__name__
    return said if len(said) <= 200 else f"{said[:200]}..."
