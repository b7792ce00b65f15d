"""All pairs of 60 representations (512 samples, 1,024 neurons): the floor, ours, and the fastest published library.

The floor is the bare products, 60 Gram matrices and one product of 60 rows of 512 x 512.  Figures are CPU-seconds of
the process, by turns, the fastest of each and the median of the ratios; the peak is of the resident memory over what
was there with the inputs.  ``AKPSIM_BENCH_LARGE=1`` adds the sizes that take minutes.
"""

import ctypes
import gc
import os
import sys
import time

import numpy as np
import pytest

import akpsim
from akpsim.comparing.align import align
from akpsim.comparing.engine import linear_products

K, N, D = 60, 512, 1024
LIMITS = {"float32": 1.2, "float64": 1.05}
PEAK_MB = 50
TURNS = 7


def say(line):
    sys.stdout.write(line + "\n")


def representations(count, n, width, dtype):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((n, width), dtype=dtype)
    return [shared + rng.standard_normal((n, width), dtype=dtype) for _ in range(count)]


def floor(xs):
    buffer = np.empty((len(xs), len(xs[0]) ** 2), xs[0].dtype)
    for row, x in zip(buffer, xs, strict=True):
        np.matmul(x, x.T, out=row.reshape(len(x), len(x)))
    return buffer @ buffer.T


def ours(xs, metric):
    return akpsim.compare(xs, metric=metric).to_numpy()


def peer(xs):
    """pytorch-cka, debiased: the only estimator that it has."""
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("cka", reason="the peer is an extra: pip install pytorch-cka")
    tensors = [torch.from_numpy(x) for x in xs]
    return library.cka_from_features(tensors, tensors)


def cpu_seconds(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def peak_mb(function):
    """Return by how much the resident memory rose at most, in MB; NaN where the system does not tell."""
    try:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier runs left free would hide a rise
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = status("VmRSS")
        function()
        return (status("VmHWM") - before) / 1e6
    except OSError:
        return float("nan")


def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


def reference(xs, metric):
    return akpsim.compare([x.astype(np.float64) for x in xs], metric=metric).to_numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ratio_to_the_floor(dtype):
    xs = representations(K, N, D, np.dtype(dtype).type)
    rivals = {metric: lambda metric=metric: ours(xs, metric) for metric in ("cka", "cka_debiased")}
    try:
        import cka  # noqa: F401

        rivals["pytorch-cka"] = lambda: peer(xs)
    except ImportError:
        say("pytorch-cka is not installed; `make bench` installs it")
    times = {name: [] for name in ("floor", *rivals)}
    floor(xs)
    for rival in rivals.values():
        rival()
    for _ in range(TURNS):
        times["floor"].append(cpu_seconds(lambda: floor(xs)))
        for name, rival in rivals.items():
            times[name].append(cpu_seconds(rival))
    say(f"\n{dtype}: floor {min(times['floor']):.3f} CPU-s")
    for name, rival in rivals.items():
        ratio = np.median(np.divide(times[name], times["floor"]))
        peak = peak_mb(rival)
        error = np.nanmax(
            np.abs(np.asarray(rival()) - reference(xs, name if name in akpsim.METRICS else "cka_debiased"))
        )
        fastest = min(times[name])
        lowest = fastest / min(times["floor"])
        say(
            f"{name:14} {fastest:.3f} CPU-s, {lowest:.2f} of the floor (median of ratios {ratio:.2f}), "
            f"peak {peak:.0f} MB, largest error {error:.1e}"
        )
        if name in akpsim.METRICS:
            assert error <= 1e-6
            assert not peak > PEAK_MB
            assert min(ratio, lowest) <= LIMITS[dtype]


@pytest.mark.parametrize("count", [60, 240, 960])
def test_growth_with_the_number_of_representations(count):
    if count > 240 and not os.environ.get("AKPSIM_BENCH_LARGE"):
        pytest.skip("takes minutes: AKPSIM_BENCH_LARGE=1")
    xs = representations(count, N, 256, np.float32)
    seconds, peak = cpu_seconds(lambda: ours(xs, "cka")), peak_mb(lambda: ours(xs, "cka"))
    each = 1e6 * seconds / count**2
    say(f"\nK = {count}, N = {N}, D = 256: {seconds:.2f} CPU-s, {each:.0f} us a pair, peak {peak:.0f} MB")


@pytest.mark.parametrize("n", [512, 2048, 8192])
def test_growth_with_the_number_of_samples_within_1_gib(n):
    if n > 2048 and not os.environ.get("AKPSIM_BENCH_LARGE"):
        pytest.skip("takes minutes: AKPSIM_BENCH_LARGE=1")
    xs = representations(K, n, 256, np.float32)
    whole = align(xs)
    seconds = cpu_seconds(lambda: linear_products(whole, memory=2**30))
    peak = peak_mb(lambda: linear_products(whole, memory=2**30))
    say(f"\nK = {K}, N = {n}, D = 256, at most 1 GiB: {seconds:.2f} CPU-s, peak {peak:.0f} MB")
    assert not peak > 2**30 / 1e6
