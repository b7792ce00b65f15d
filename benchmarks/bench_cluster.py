"""What training through dask costs beyond training in one process: processor time, start apart."""

import os
import time

import psutil
import pytest

from akpsim import load_study
from akpsim.cluster import local_cluster
from akpsim.families import train_family

STUDY = {
    "name": "overhead",
    "members": 12,
    "network": {"dense": [256, 64]},
    "training": {"epochs": 30, "batch_size": 32},
    "capture": {"populations": 0},
}


def processor_time():
    """Return the processor seconds of this process and all its descendants that are alive."""
    times = [process.cpu_times() for process in (psutil.Process(), *psutil.Process().children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def cost(study, out, **where):
    before, started = processor_time(), time.monotonic()
    train_family(study, out, **where)
    return processor_time() - before, time.monotonic() - started


def test_twelve_members_through_dask_cost_at_most_a_tenth_more_than_in_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("AKPSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    study, warm = load_study(STUDY), load_study(STUDY, training__epochs=1)
    cost(warm, tmp_path / "warm")
    with local_cluster(2) as cluster:
        cost(warm, tmp_path / "warm-dask", scheduler=cluster.scheduler_address)
        alone, alone_wall = cost(study, tmp_path / "alone")
        spread, spread_wall = cost(study, tmp_path / "dask", scheduler=cluster.scheduler_address)
    print(
        f"\n12 members: {alone:.1f} CPU-s in process ({alone_wall:.1f} s), {spread:.1f} CPU-s through dask "
        f"({spread_wall:.1f} s): ratio {spread / alone:.2f}"
    )
    assert spread < 1.10 * alone


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__, "-n", "0", "-s", "-m", ""]))
