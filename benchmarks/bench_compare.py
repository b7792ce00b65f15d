"""All pairs of 60 representations (512 samples, 1,024 neurons): the floor, ours, and the fastest published library.

The floor is the bare products, 60 Gram matrices and one product of 60 rows of 512 x 512.  Figures are CPU-seconds of
the process, floor and rivals by turns; what is held against the limit is the median of the turns' ratios.  Errors are
against the definition, written out below in float64 without a line of ours.  The peak is of the resident memory over
what was there with the inputs.  ``AKPSIM_BENCH_LARGE=1`` adds the sizes that take minutes.
"""

import ctypes
import gc
import os
import sys
import time

import numpy as np
import pytest
import xarray as xr
from threadpoolctl import threadpool_limits

import akpsim
from akpsim.comparing.align import align
from akpsim.comparing.compare import valued
from akpsim.comparing.engine import linear_products
from akpsim.comparing.null import permutation_null
from akpsim.comparing.significance import z_of

K, N, D = 60, 512, 1024
LIMITS = {"float32": 1.2, "float64": 1.05}
ERRORS = {"float32": 1e-6, "float64": 1e-12}
PEAK_MB = 50
Z_SHARE = 0.05
TURNS = 7
LARGE = bool(os.environ.get("AKPSIM_BENCH_LARGE"))


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


def definition(xs, *, debiased):
    """CKA by its definition: tr(KHLH), or HSIC_1 of Song et al. (2012), equation 5, with K = X X', in float64."""
    n = len(xs[0])
    rows = []
    for x in xs:
        gram = np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64)
        gram = gram @ gram.T
        if debiased:
            np.fill_diagonal(gram, 0)
        rows.append(gram)
    hsic = np.empty((len(xs), len(xs)))
    for i, one in enumerate(rows):
        for j, two in enumerate(rows[: i + 1]):
            value = np.vdot(one, two)
            if debiased:
                value += one.sum() * two.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * one.sum(axis=0) @ two.sum(axis=0)
            hsic[i, j] = hsic[j, i] = value
    scale = np.sqrt(np.diagonal(hsic))
    return hsic / np.outer(scale, scale)


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


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ratio_to_the_floor(dtype, threads):
    xs = representations(K, N, D, np.dtype(dtype).type)
    rivals = {metric: lambda metric=metric: ours(xs, metric) for metric in ("cka", "cka_debiased")}
    try:
        import cka  # noqa: F401

        rivals["pytorch-cka"] = lambda: peer(xs)
    except ImportError:
        say("pytorch-cka is not installed; `make bench` installs it")
    expected = {debiased: definition(xs, debiased=debiased) for debiased in (False, True)}
    times = {name: [] for name in ("floor", *rivals)}
    with threadpool_limits(threads):
        floor(xs)
        for rival in rivals.values():
            rival()
        for _ in range(TURNS):
            times["floor"].append(cpu_seconds(lambda: floor(xs)))
            for name, rival in rivals.items():
                times[name].append(cpu_seconds(rival))
        plural = "" if threads == 1 else "s"
        say(
            f"\n{dtype}, {threads} thread{plural}: floor {np.median(times['floor']):.3f} CPU-s, median of {TURNS} turns"
        )
        for name, rival in rivals.items():
            ratio = np.median(np.divide(times[name], times["floor"]))
            peak = peak_mb(rival)
            error = np.nanmax(np.abs(np.asarray(rival()) - expected[name != "cka"]))
            say(
                f"{name:14} {np.median(times[name]):.3f} CPU-s, {ratio:.2f} of the floor, peak {peak:.0f} MB, "
                f"largest error {error:.1e}"
            )
            if name in akpsim.METRICS:
                assert error <= ERRORS[dtype]
                assert not peak > PEAK_MB
                assert ratio <= LIMITS[dtype]


def test_z_of_all_cells_costs_little():
    aligned = align(representations(K, N, D, np.float32))
    metric = akpsim.METRICS["cka"]

    def score():
        products, absent = linear_products(aligned)
        return products, valued(metric, aligned, products, absent)

    products, scores = score()
    with threadpool_limits(1):
        share = np.median(
            [
                cpu_seconds(lambda: z_of(metric, scores.values, permutation_null(products, "biased")))
                / cpu_seconds(score)
                for _ in range(TURNS)
            ]
        )
    say(f"\nz of all {K}^2 cells: {share:.2%} on top of their values")
    assert share <= Z_SHARE


@pytest.fixture
def stored(tmp_path):
    """Make a function that writes representations to disk one by one and gives them back unread."""
    import dask.array as da

    def store(count, n, width):
        rng = np.random.default_rng(0)
        shared = rng.standard_normal((n, width), dtype=np.float32)
        paths = [tmp_path / f"{index}.npy" for index in range(count)]
        for path in paths:
            np.save(path, shared + rng.standard_normal((n, width), dtype=np.float32))
        blocks = [da.from_array(Stored(path, (n, width)), chunks=-1, asarray=False) for path in paths]
        return xr.DataArray(da.stack(blocks), dims=("member", "sample", "neuron"), coords={"member": np.arange(count)})

    return store


class Stored:
    """An array in a file, read when sliced and then forgotten."""

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, path, shape):
        self.path, self.shape = path, shape

    def __getitem__(self, key):
        return np.array(np.load(self.path, mmap_mode="r")[key])


GROWTH = [(60, 512), (240, 512), (960, 512), (60, 2048), (60, 8192)]


@pytest.mark.parametrize(("count", "n"), GROWTH)
def test_growth_streamed_within_1_gib(count, n, stored):
    if (count > 240 or n > 2048) and not LARGE:
        pytest.skip("takes minutes and gigabytes of disk: AKPSIM_BENCH_LARGE=1")
    aligned = align(stored(count, n, D))
    found = []
    began = time.perf_counter()
    peak = peak_mb(lambda: found.append(cpu_seconds(lambda: linear_products(aligned, memory=2**30))))
    wall = time.perf_counter() - began
    each = 1e6 * found[0] / count**2
    say(
        f"\nK = {count}, N = {n}, D = {D}, float32, from disk, at most 1 GiB: {found[0]:.1f} CPU-s ({wall:.1f} s), "
        f"{each:.0f} us a pair, peak {peak:.0f} MB"
    )
    assert not peak > 2**30 / 1e6
