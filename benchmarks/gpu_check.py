"""Run every metric on a GPU and on the CPU: largest differences to float64 numpy, and times.

    python benchmarks/gpu_check.py [K N D]

Needs numpy, scipy, array-api-compat and torch; not the rest of the package.
"""

import importlib
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]


def metrics():
    """Return METRICS without importing what the package's top needs."""
    for name, folder in (("akpsim", ROOT / "akpsim"),):
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(folder)]
            sys.modules[name] = package
    return importlib.import_module("akpsim.metrics").METRICS


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def main(count=60, n=512, width=1024):
    torch.backends.cuda.matmul.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{torch.__version__} on {torch.cuda.get_device_name() if device == 'cuda' else 'the CPU: no GPU was found'}")
    rng = np.random.default_rng(0)
    worst = 0.0
    for name, metric in metrics().items():
        # Canonical correlations need more samples than neurons.
        columns = 8 if metric.data == "outputs" else min(width, 24)
        x, y = rng.normal(size=(2, 128, columns)) + rng.normal(size=columns)
        if metric.data == "outputs":
            x, y = (np.exp(a) / np.exp(a).sum(axis=1, keepdims=True) for a in (x, y))
        extra = {"labels": list(np.arange(128) % columns)} if name == "accuracy_difference" else {}
        expected = metric(x, y, **extra)
        found = []
        for dtype in (torch.float64, torch.float32):
            tensors = [torch.as_tensor(a, dtype=dtype, device=device) for a in (x, y)]
            reference = metric(*(t.double().cpu().numpy() for t in tensors), **extra)
            found.append(abs(metric(*tensors, **extra) - reference))
        worst = max(worst, found[0])
        print(f"{name:24} {expected: .6f}  float64 differs by {found[0]:.1e}, float32 by {found[1]:.1e}")
    print(f"largest difference in float64: {worst:.1e}")
    all_pairs(device, count, n, width)


def all_pairs(device, count, n, width):
    """Time the engine of all pairs; needs xarray as well, and says so if it is not there."""
    try:
        engine = importlib.import_module("akpsim.comparing.engine")
        aligning = importlib.import_module("akpsim.comparing.align")
    except ImportError as error:
        print(f"all pairs are not timed: {error}")
        return
    for dtype in (torch.float32, torch.float64):
        generator = torch.Generator(device).manual_seed(0)
        xs = [torch.randn(n, width, generator=generator, device=device, dtype=dtype) for _ in range(count)]
        best, products = float("inf"), None
        for _ in range(3):
            wait(device)
            began = time.perf_counter()
            products, _ = engine.linear_products(aligning.align(xs))
            wait(device)
            best = min(best, time.perf_counter() - began)
        exact, _ = engine.linear_products(aligning.align([x.double().cpu().numpy() for x in xs[:6]]))
        differences = []
        for estimator in ("biased", "debiased"):
            one, two = products.inner(estimator)[:6, :6], exact.inner(estimator)
            one, two = (a / np.sqrt(np.outer(np.diagonal(a), np.diagonal(a))) for a in (one, two))
            differences.append(np.abs(one - two).max())
        print(
            f"all pairs, K = {count}, N = {n}, D = {width}, {dtype}: {best * 1000:.1f} ms, "
            f"largest difference {differences[0]:.1e} biased, {differences[1]:.1e} debiased"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
