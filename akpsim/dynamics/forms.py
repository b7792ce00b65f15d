r"""Forms of dynamics: which rates of a Lotka-Volterra system are free, and what sign they have.

Every form is a case of the generalized Lotka-Volterra system of :math:`n` populations,

.. math:: W_i' = W_i \, \bigl( r_i + \textstyle\sum_j A_{ij} W_j \bigr),

with growth rates :math:`r` and interactions :math:`A`.  Lotka and Volterra's prey and predator have
:math:`r = (a, -c)` and :math:`A = ((0, -b), (d, 0))`; equation 4 of the paper, two exponentials, has :math:`A = 0`.
A rate with a declared sign is followed by its logarithm, so that it keeps the sign for free.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from akpsim.registry import Registry

Array = np.ndarray
Sign = Literal[-1, 0, 1]


@dataclass(frozen=True)
class Rate:
    """One free rate.  `column` is None for a growth rate; `sign` 0 leaves the sign free."""

    name: str
    row: int
    column: int | None
    sign: Sign


@dataclass(frozen=True)
class Form:
    """A form of dynamics: its name, what it says, and its free rates for `n` populations."""

    name: str
    summary: str
    rates: Callable[[int], tuple[Rate, ...]]
    species: int | None = None

    def system(self, species: int) -> "System":
        """Return the form for a number of populations."""
        return System(self.rates(species), species)


@dataclass(frozen=True)
class System:
    """The free rates of `species` populations, and their places in growth and interaction."""

    rates: tuple[Rate, ...]
    species: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rates."""
        return tuple(rate.name for rate in self.rates)

    @cached_property
    def signs(self) -> Array:
        """Declared signs (rate,)."""
        return np.array([rate.sign for rate in self.rates], dtype=float)

    @cached_property
    def growth_places(self) -> tuple[Array, Array]:
        """Indices of the growth rates, and the populations they belong to."""
        found = [(index, rate.row) for index, rate in enumerate(self.rates) if rate.column is None]
        index, row = _columns(found, 2)
        return index, row

    @cached_property
    def interaction_places(self) -> tuple[Array, Array, Array]:
        """Indices of the interactions, and the row and column of each."""
        found = [(index, rate.row, rate.column) for index, rate in enumerate(self.rates) if rate.column is not None]
        index, row, column = _columns(found, 3)
        return index, row, column

    def values(self, free: Float[Array, "batch rate"]) -> Float[Array, "batch rate"]:
        """Return rates from what is fitted: the logarithm where a sign is declared, the rate itself elsewhere."""
        return np.where(self.signs != 0, self.signs * np.exp(np.where(self.signs != 0, free, 0.0)), free)

    def free(self, values: Float[Array, "batch rate"]) -> Float[Array, "batch rate"]:
        """Return what is fitted from rates; a rate of zero becomes minus infinity."""
        with np.errstate(divide="ignore"):
            return np.where(self.signs != 0, np.log(np.abs(values)), values)

    def matrices(
        self, values: Float[Array, "batch rate"]
    ) -> tuple[Float[Array, "species batch"], Float[Array, "species species batch"]]:
        """Return growth and interaction, the batch last."""
        growth = np.zeros((self.species, len(values)))
        interaction = np.zeros((self.species, self.species, len(values)))
        index, row = self.growth_places
        growth[row] = values[:, index].T
        index, row, column = self.interaction_places
        interaction[row, column] = values[:, index].T
        return growth, interaction


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> tuple[Array, ...]:
    return tuple(np.array(rows, dtype=int).reshape(-1, width).T)


def _constant(species: int) -> tuple[Rate, ...]:
    return ()


def _exponential(species: int) -> tuple[Rate, ...]:
    return tuple(Rate(f"growth_{i + 1}", i, None, 0) for i in range(species))


def _logistic(species: int) -> tuple[Rate, ...]:
    return tuple(
        rate
        for i in range(species)
        for rate in (Rate(f"growth_{i + 1}", i, None, 1), Rate(f"crowding_{i + 1}", i, i, -1))
    )


def _competitive(species: int) -> tuple[Rate, ...]:
    growth = tuple(Rate(f"growth_{i + 1}", i, None, 1) for i in range(species))
    return growth + tuple(Rate(f"compete_{i + 1}{j + 1}", i, j, -1) for i in range(species) for j in range(species))


def _generalized(species: int) -> tuple[Rate, ...]:
    growth = tuple(Rate(f"growth_{i + 1}", i, None, 0) for i in range(species))
    return growth + tuple(Rate(f"effect_{i + 1}{j + 1}", i, j, 0) for i in range(species) for j in range(species))


def _lotka_volterra(species: int) -> tuple[Rate, ...]:
    return (Rate("a", 0, None, 1), Rate("b", 0, 1, -1), Rate("c", 1, None, -1), Rate("d", 1, 0, 1))


CYCLING = ("lotka_volterra",)
"""Forms of which a monotone trajectory says nothing."""

FORMS: Registry[Form] = Registry(
    "form of dynamics",
    [
        Form("constant", "nothing changes", _constant),
        Form("exponential", "each population grows or decays at its own rate (equation 4 of the paper)", _exponential),
        Form("logistic", "each population grows to its own limit, without regard to the others", _logistic),
        Form("competitive", "each population limits itself and every other", _competitive),
        Form("generalized", "any growth and any interaction, self-limitation included", _generalized),
        Form("lotka_volterra", "prey W1' = W1 (a - b W2), predator W2' = W2 (-c + d W1)", _lotka_volterra, 2),
    ],
)
