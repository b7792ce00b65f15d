"""Streams of random numbers: one a purpose, each a function of a seed alone."""

import contextlib
import zlib
from collections.abc import Iterator

import numpy as np
import torch

from akpsim.families.perturbations import PERTURBATIONS
from akpsim.families.perturbations.perturbation import Active
from akpsim.study import Member, Study


def stream(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Return a generator for a purpose such as ``"weights"`` or ``"batches"``, independent of all others."""
    entropy = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), index])
    return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1)))


def stream_of(study: Study, member: Member, purpose: str, index: int = 0) -> torch.Generator:
    """Return a stream that depends on the member's seed if its family varies it, and on the study's otherwise."""
    return stream(member.seed if purpose in member.family.vary else study.seed, purpose, index)


def perturbations_of(study: Study, member: Member, *, classes: int) -> list[Active]:
    """Return a member's perturbations, each with a stream of its own."""
    return [
        Active(
            PERTURBATIONS[spec.name],
            spec,
            epochs=member.family.epochs or study.training.epochs,
            classes=classes,
            generator=stream_of(study, member, "perturbation", index),
        )
        for index, spec in enumerate(member.family.perturbations)
    ]


class GlobalStream:
    """A stream for what draws from torch's global generator whether one likes it or not: dropout in a trunk.

    Parameters
    ----------
    generator : torch.Generator
        Where it starts, on the CPU.
    device : torch.device
        Where it draws: each device has a global generator of its own.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.device = device
        self.states = {"cpu": generator.get_state()}
        if device.type == "cuda":
            self.states["cuda"] = torch.Generator(device).manual_seed(generator.initial_seed()).get_state()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Put this stream in the global generator's place, and the global one back afterwards."""
        gpu = "cuda" in self.states
        with torch.random.fork_rng(devices=[self.device] if gpu else []):
            torch.set_rng_state(self.states["cpu"])
            if gpu:
                torch.cuda.set_rng_state(self.states["cuda"], self.device)
            yield
            self.states["cpu"] = torch.get_rng_state()
            if gpu:
                self.states["cuda"] = torch.cuda.get_rng_state(self.device)
