"""Streams of random numbers: one a purpose, each a function of a seed alone."""

import zlib

import numpy as np
import torch


def stream(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """Return a generator for a purpose such as ``"weights"`` or ``"batches"``, independent of all others."""
    entropy = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), index])
    return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1)))
