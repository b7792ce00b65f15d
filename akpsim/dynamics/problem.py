"""What is fitted to what: trajectories in scaled units, their cost, its slope and curvature."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from akpsim.dynamics.forms import Array, System
from akpsim.dynamics.integrate import exact, runge_kutta
from akpsim.dynamics.marquardt import Minimum, minimise
from akpsim.dynamics.noise import Noise

LOWEST, HIGHEST = -16.0, 9.0
"""Bounds of the logarithm of scaled rates."""
EXPLODED = 1e100
"""Trajectories that reach this are as good as infinite; their squares would overflow."""


@dataclass
class Problem:
    """Trajectories to fit, in scaled units: time in spans from 0 to 1, populations in their means."""

    system: System
    noise: Noise
    time: Float[Array, " time"]
    populations: Float[Array, "batch time species"]
    length: Array
    fixed_start: bool = False

    def __post_init__(self) -> None:
        observed = np.arange(len(self.time)) < self.length[:, None]
        self.observed = observed[..., None] & np.ones(self.system.species, dtype=bool)
        self.span = float(self.time[-1] - self.time[0])
        safe = np.where(self.observed, self.populations, 1.0)
        sums = np.where(self.observed, self.populations, 0.0).sum(axis=1)
        self.mean = sums / self.length[:, None]
        # Normal noise on the natural scale is not invariant to the units of each population: one unit for all.
        if self.noise.name != "lognormal":
            scale = 1.0 if self.noise.known_scale else self.mean.mean(axis=1, keepdims=True)
            self.mean = np.broadcast_to(scale, self.mean.shape)
        self.scaled = np.where(self.observed, safe / self.mean[:, None], 1.0)
        self.elapsed = (self.time - self.time[0]) / self.span

    @cached_property
    def unit(self) -> Float[Array, "batch rate"]:
        """What a scaled rate of one is worth."""
        units = [
            np.ones(len(self.mean)) if rate.column is None else 1 / self.mean[:, rate.column]
            for rate in self.system.rates
        ]
        return np.stack(units, axis=1) / self.span if units else np.ones((len(self.mean), 0))

    @cached_property
    def floor(self) -> Float[Array, "batch rate"]:
        """A rate of one over the span, against the mean population, in scaled units: what bounds are measured in."""
        average = np.where(self.observed, self.scaled, 0.0).sum(axis=1) / self.length[:, None]
        units = [
            np.ones(len(average)) if rate.column is None else 1 / average[:, rate.column] for rate in self.system.rates
        ]
        return np.stack(units, axis=1) if units else np.ones((len(average), 0))

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of rates and of parameters."""
        return len(self.system.rates), len(self.system.rates) + self.system.species

    def path(self, parameters: Array, *, substeps: int, polish: bool = False, sensitivities: bool = True) -> Array:
        """Return log states and sensitivities (time, species, column, problem)."""
        rates = self.sizes[0]
        values, start = self.system.values(parameters[:, :rates]), parameters[:, rates:]
        if not polish:
            return runge_kutta(
                self.system, values, start, time=self.elapsed, substeps=substeps, sensitivities=sensitivities
            )
        paths = [
            exact(self.system, value, first, time=self.elapsed, sensitivities=sensitivities)
            for value, first in zip(values, start, strict=True)
        ]
        return np.concatenate(paths, axis=-1)

    def evaluate(
        self, parameters: Array, owner: Array, *, substeps: int, polish: bool = False
    ) -> tuple[Array, Array, Array]:
        """Return cost, gradient and Gauss-Newton curvature of problems that belong to trajectories `owner`."""
        rates, _ = self.sizes
        path = self.path(parameters, substeps=substeps, polish=polish)
        state = np.moveaxis(path[:, :, 0], -1, 0)
        with np.errstate(all="ignore"):
            residual, slope, share = self.noise.residual(self.scaled[owner], state)
            cost = np.where(self.observed[owner], share, 0.0).sum(axis=(1, 2))
            jacobian = np.moveaxis(path[:, :, 1:], -1, 0) * slope[..., None]
            chain = np.where(self.system.signs != 0, self.system.values(parameters[:, :rates]), 1.0)
            jacobian[..., :rates] *= chain[:, None, None]
        observed, size = self.observed[owner], len(self.time) * self.system.species
        jacobian = np.where(observed[..., None], jacobian, 0.0).reshape(len(parameters), size, jacobian.shape[-1])
        residual = np.where(observed, residual, 0.0).reshape(len(parameters), size)
        # Comparisons with NaN are false: what is not a number is bad too.
        small = (np.abs(jacobian).max(axis=(1, 2), initial=0.0) < EXPLODED) & (np.abs(residual).max(axis=1) < EXPLODED)
        bad = ~(small & (cost < EXPLODED))
        cost[bad], jacobian[bad], residual[bad] = np.inf, 0.0, 0.0
        transposed = jacobian.transpose(0, 2, 1)
        return cost, -2 * (transposed @ residual[..., None])[..., 0], 2 * transposed @ jacobian

    def substeps(self, parameters: Array, owner: Array) -> int:
        """Return how many Runge-Kutta steps an interval needs at these starts: half an e-fold or less in a step."""
        values = self.system.values(parameters[:, : self.sizes[0]])
        growth, interaction = self.system.matrices(values)
        with np.errstate(all="ignore"):
            speed = np.abs(growth.T[:, None] + np.einsum("ijk,ktj->kti", interaction, self.scaled[owner]))
        fastest = np.nan_to_num(speed.max(axis=(1, 2), initial=0.0), posinf=0.0)
        typical = np.quantile(fastest, 0.9) if len(fastest) else 0.0
        return int(np.clip(np.ceil(2 * typical * np.diff(self.elapsed).max()), 2, 16))

    def minimise(
        self, parameters: Array, owner: Array, *, substeps: int, polish: bool = False, tolerance: float,
        fixed: Array | None = None, iterations: int = 40,
    ) -> Minimum:  # fmt: skip
        """Minimise from `parameters`, one row a problem, `owner` saying which trajectory each belongs to."""
        rates, total = self.sizes
        signed = np.concatenate([self.system.signs != 0, np.zeros(total - rates, dtype=bool)])
        scale = np.concatenate([np.log(self.floor), np.zeros((len(self.floor), total - rates))], axis=1)[owner]
        if self.fixed_start:
            held = np.broadcast_to(np.arange(total) >= rates, parameters.shape)
            fixed = held if fixed is None else fixed | held
        return minimise(
            lambda trial, index: self.evaluate(trial, owner[index], substeps=substeps, polish=polish),
            parameters,
            lower=np.where(signed, LOWEST + scale, -np.inf),
            upper=np.where(signed, HIGHEST + scale, np.inf),
            fixed=fixed,
            tolerance=tolerance,
            iterations=iterations,
        )
