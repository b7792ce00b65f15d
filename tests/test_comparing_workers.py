"""The same numbers in this process, on one worker, and on two."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster
from threadpoolctl import threadpool_limits

import akpsim
from akpsim.cluster import _alone, connected, each, version
from akpsim.comparing.align import align
from akpsim.comparing.engine import linear_products
from akpsim.comparing.points import by_points
from akpsim.errors import AkpsimError, ClusterError, UndefinedMetric

METRICS = ["cka", "cka_rbf", "procrustes", "linear_regression"]


def arrays(count=9, n=48, width=12):
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, width))
    made = [shared + rng.normal(size=(n, width)) for _ in range(count)]
    if count > 5:
        made[3] = np.ones((n, width))
        made[5] = made[5] * 1e-200  # no square of it is a number
    return made


@pytest.fixture(scope="module")
def addresses():
    """Two schedulers that run already: one with one worker, one with two."""
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "threads_per_worker": 1}
    with LocalCluster(n_workers=1, **where) as one, LocalCluster(n_workers=2, **where) as two:
        yield one.scheduler_address, two.scheduler_address


@pytest.mark.parametrize("metric", METRICS)
def test_any_number_of_workers_gives_the_same_bits_and_those_of_one_process_to_rounding(addresses, metric):
    xs = arrays()
    here = akpsim.compare(xs, metric=metric)
    one, two = (akpsim.compare(xs, metric=metric, scheduler=address) for address in addresses)
    assert one.to_numpy().tobytes() == two.to_numpy().tobytes()
    np.testing.assert_allclose(one, here, rtol=0, atol=1e-12)
    assert np.isnan(one[3]).all()
    assert one.attrs["undefined"] == two.attrs["undefined"] == here.attrs["undefined"]


@pytest.mark.parametrize("way", ["gram", "feature"])
def test_both_ways_of_the_engine_are_split_among_workers(addresses, way):
    aligned = align(arrays())
    here, reasons = linear_products(aligned, way=way)
    with connected(None, addresses[1]) as client:
        there, same = linear_products(aligned, way=way, client=client)
    np.testing.assert_allclose(there.inner("debiased"), here.inner("debiased"), rtol=1e-12, atol=1e-12)
    assert reasons == same


def test_permutations_and_halves_are_the_same_on_workers(addresses):
    xs = arrays(count=4)
    here = akpsim.significance(xs, permutations=9, resamples=6)
    xr.testing.assert_allclose(here, akpsim.significance(xs, permutations=9, resamples=6, scheduler=addresses[1]))


def test_members_of_a_store_are_read_by_the_workers(addresses, tmp_path, monkeypatch):
    import dask.array as da

    xs = np.stack(arrays())
    np.save(tmp_path / "xs.npy", xs)
    lazy = xr.DataArray(da.from_array(np.load(tmp_path / "xs.npy", mmap_mode="r"), chunks=(1, 48, 12)))
    lazy = lazy.rename(dict(zip(lazy.dims, ("member", "sample", "neuron"), strict=True)))
    lazy = lazy.assign_coords(member=[str(index) for index in range(9)])
    found = akpsim.compare(lazy, scheduler=addresses[0])
    np.testing.assert_allclose(found, akpsim.compare(xs), atol=1e-12)


def test_workers_are_started_when_a_number_is_given():
    xs = arrays(count=3)
    np.testing.assert_allclose(akpsim.compare(xs, workers=1), akpsim.compare(xs), atol=1e-12)


def threads(task, _):
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return max(pool["num_threads"] for pool in threadpool_info())


def fail(task):
    raise UndefinedMetric(f"task {task} has no value")


def test_a_task_uses_one_thread_and_its_error_comes_back_as_it_is(addresses):
    with threadpool_limits(2):  # as on a worker that was started without limits
        assert _alone(threads, version(), 0, None) == 1
    with connected(None, addresses[1]) as client:
        assert list(each(threads, [0, 1], None, client=client)) == [1, 1]
        with pytest.raises(UndefinedMetric, match="task 1 has no value"):
            list(each(fail, [1], client=client))


def test_workers_of_another_version_are_refused(addresses, monkeypatch):
    monkeypatch.setattr("akpsim.cluster.version", lambda: "akpsim 0")
    with pytest.raises(ClusterError, match=r"a worker has akpsim .*, this process has akpsim 0: install the same"):
        akpsim.compare(arrays(), scheduler=addresses[0])


@pytest.mark.parametrize("address", ["nowhere", "nowhere://a:1", "tcp://127.0.0.1:x", "tcp://127.0.0.1:9"])
def test_a_process_ends_where_no_scheduler_answers(tmp_path, address):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(9, 3)))
    program = "import akpsim.cluster, akpsim_cli.main as m; akpsim.cluster.WAIT = 1; m.app()"
    command = [sys.executable, "-c", program, "compare", "a.npy", "b.npy", "--scheduler", address]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"no scheduler answers at {address}: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_mistakes_about_workers_are_one_sentence(monkeypatch):
    monkeypatch.setattr("akpsim.cluster.WAIT", 1)
    xs = arrays(count=2)
    with pytest.raises(ClusterError, match="give one of the two"):
        akpsim.compare(xs, workers=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(AkpsimError, match="`workers` must be a whole number of at least 1, got 0"):
        akpsim.compare(xs, workers=0)
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        akpsim.compare(xs, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(AkpsimError, match="`memory` is of one process; with workers, these hold all points of rsa"):
        by_points(akpsim.METRICS["rsa"], align(xs), {}, memory=1000, client=object())
