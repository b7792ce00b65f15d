"""The engine of all pairs: the same values by every way, in any chunks, at any scale, within its memory."""

import tracemalloc

import numpy as np
import pytest
import torch
import xarray as xr
from threadpoolctl import threadpool_limits

import akpsim
from akpsim.comparing.align import align
from akpsim.comparing.compare import in_bytes
from akpsim.comparing.engine import cheaper, linear_products
from akpsim.comparing.tiles import entries, plan_tiles
from akpsim.errors import AkpsimError, AkpsimWarning
from akpsim.parallel import blas_threads, usable_cores

METRICS = ("cka", "cka_debiased")


def by_definition(arrays, metric):
    """All pairs from centred Gram matrices, written out in float64."""
    grams = []
    for x in arrays:
        x = np.asarray(x, dtype=np.longdouble)
        x = x - x.mean(axis=0)
        k = (x / np.abs(x).max()) @ (x / np.abs(x).max()).T
        n = len(k)
        if metric == "cka_debiased":
            k = k - np.diag(np.diag(k))
            r = k.sum(axis=1)
            k = k - (r[:, None] + r) / (n - 2) + r.sum() / ((n - 1) * (n - 2))
            k = k - np.diag(np.diag(k))
        grams.append(k / np.sqrt((k * k).sum()))
    return np.array([[float((k * m).sum()) for m in grams] for k in grams])


def arrays(count=5, n=40, widths=(7, 30, 64), dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, widths[index % len(widths)])).astype(dtype) for index in range(count)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mean", [0, 1, 10, 100, 1000])
@pytest.mark.parametrize("scale", [1e-10, 1, 1e10])
@pytest.mark.parametrize(("dtype", "within"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_means_and_scales_cost_no_accuracy(metric, mean, scale, dtype, within):
    rng = np.random.default_rng(0)
    xs = [((rng.normal(size=(48, width)) + mean) * scale).astype(dtype) for width in (5, 64, 200)]
    np.testing.assert_allclose(akpsim.compare(xs, metric=metric), by_definition(xs, metric), atol=within, rtol=0)
    for row, x in enumerate(xs):
        assert akpsim.METRICS[metric](x, xs[1]) == pytest.approx(by_definition(xs, metric)[row, 1], abs=within)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("way", ["gram", "feature"])
def test_both_ways_give_the_definition(metric, way):
    xs = arrays()
    products, _ = linear_products(align(xs), way=way)
    inner = products.inner("biased" if metric == "cka" else "debiased")
    norm = np.sqrt(np.diagonal(inner))
    np.testing.assert_allclose(inner / np.outer(norm, norm), by_definition(xs, metric), atol=1e-13)


def test_the_way_with_fewer_multiplications_is_taken():
    assert cheaper(512, [1024] * 60) == "gram"
    assert cheaper(100_000, [64] * 60) == "feature"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("memory", [60_000, 100_000, 200_000, 10**7])
@pytest.mark.parametrize("way", ["gram", "feature"])
def test_any_chunking_gives_the_value_of_one_piece(metric, memory, way):
    xs = arrays(count=4, n=101, widths=(33,))
    products, _ = linear_products(align(xs), way=way, memory=memory)
    inner = products.inner("biased" if metric == "cka" else "debiased")
    norm = np.sqrt(np.diagonal(inner))
    np.testing.assert_allclose(inner / np.outer(norm, norm), by_definition(xs, metric), atol=1e-13)


@pytest.mark.parametrize("way", ["gram", "feature"])
def test_the_memory_cap_is_kept(way):
    xs = arrays(count=12, n=700, widths=(40,))
    aligned = align(xs)
    linear_products(aligned, way=way, memory=3 * 10**6)  # imports and caches are not counted
    tracemalloc.start()
    linear_products(aligned, way=way, memory=3 * 10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3 * 10**6


def test_too_little_memory_says_how_much_is_needed():
    with pytest.raises(AkpsimError, match=r"`memory` must be at least \d+ bytes for these representations, got 1000"):
        akpsim.compare(arrays(), memory=1000)


@pytest.mark.parametrize(("text", "size"), [("2GiB", 2 * 1024**3), ("500MB", 5 * 10**8), ("1.5k", 1500), ("7", 7)])
def test_sizes_are_read_as_people_write_them(text, size):
    assert in_bytes(text) == size


def test_a_size_that_is_none_is_answered():
    with pytest.raises(AkpsimError, match="`memory` is a size such as 2GiB or 500MB, got 'lots'"):
        in_bytes("lots")


@pytest.mark.parametrize("memory", [None, 10**6, 10**8])
def test_tiles_cover_the_lower_triangle_once(memory):
    plan = plan_tiles(10, 300, 50, 8, memory)
    seen = np.zeros((300, 300), dtype=int)
    for group in plan.groups:
        for tile in group:
            seen[tile.rows, tile.columns] += 1
            seen[tile.columns, tile.rows] += not tile.diagonal
    assert (seen == 1).all()
    if memory:
        assert all(entries(group) * 10 * 8 <= memory for group in plan.groups)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(monkeypatch, dtype):
    xs = arrays(count=9, n=301, widths=(700,), dtype=dtype)
    found = []
    for threads in (1, 2, 5):
        for module in ("engine", "work"):
            monkeypatch.setattr(f"akpsim.comparing.{module}.blas_threads", lambda threads=threads: threads)
        with threadpool_limits(1):
            found.append(linear_products(align(xs), way="gram")[0])
    for products in found[1:]:
        assert np.array_equal(products.off, found[0].off)
        assert np.array_equal(products.diagonal, found[0].diagonal)


def test_a_limit_on_the_threads_of_blas_is_kept():
    with threadpool_limits(1):
        assert blas_threads() == 1
    assert 1 <= blas_threads() <= usable_cores()


def test_representations_of_a_store_are_read_as_they_are_needed():
    xs = np.stack(arrays(count=4, n=50, widths=(20,)))
    lazy = xr.DataArray(xs, dims=("member", "sample", "neuron"), coords={"member": list("abcd")})
    lazy = lazy.chunk({"member": 1, "sample": 13})
    np.testing.assert_allclose(akpsim.compare(lazy, memory=40_000), by_definition(xs, "cka"), atol=1e-12)


def test_torch_tensors_go_through_the_same_lines():
    xs = arrays()
    tensors = [torch.from_numpy(x) for x in xs]
    for metric in METRICS:
        np.testing.assert_allclose(akpsim.compare(tensors, metric=metric), by_definition(xs, metric), atol=1e-13)


def test_dead_neurons_and_a_constant_offset_change_nothing():
    xs = arrays()
    more = [np.concatenate([x, np.full((len(x), 3), 12.3)], axis=1) for x in xs]
    for metric in METRICS:
        np.testing.assert_allclose(akpsim.compare(more, metric=metric), by_definition(xs, metric), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1234.5678, 1e-30])
def test_constant_representations_are_undefined_at_any_value(dtype, value):
    xs = [*arrays(count=3, dtype=dtype), np.full((40, 6), value, dtype=dtype)]
    found = akpsim.compare(xs)
    assert np.isnan(found[3]).all()
    assert np.isfinite(found[:3, :3]).all()


def test_few_samples_are_right_or_refused():
    x, y = np.array([[0.0], [1.0]]), np.array([[3.0], [1.0]])
    with pytest.warns(AkpsimWarning, match="of 2 samples any two representations have the value 1"):
        assert akpsim.compare([x, y])[0, 1].item() == pytest.approx(1)
    with pytest.raises(AkpsimError, match="cka is undefined below 2 samples, got 1"):
        akpsim.compare([x[:1], y[:1]])
    with pytest.raises(AkpsimError, match="cka_debiased is undefined below 4 samples, got 3"):
        akpsim.compare(arrays(n=3), metric="cka_debiased")
    xs = arrays(n=4)
    np.testing.assert_allclose(akpsim.compare(xs, metric="cka_debiased"), by_definition(xs, "cka_debiased"), atol=1e-9)


def test_equally_alike_samples_leave_nothing_to_the_debiased_form():
    simplex = np.eye(6)
    found = akpsim.compare([*arrays(count=2, n=6), simplex], metric="cka_debiased")
    assert "all pairs of samples are equally alike" in found.attrs["undefined"]
    with pytest.raises(AkpsimError, match="all pairs of samples are equally alike"):
        akpsim.METRICS["cka_debiased"](simplex, simplex)


def test_independent_data_of_very_different_widths_are_unrelated_on_average():
    rng = np.random.default_rng(5)
    values = [akpsim.METRICS["cka_debiased"](rng.normal(size=(32, 3)), rng.normal(size=(32, 2000))) for _ in range(150)]
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / np.sqrt(len(values))
