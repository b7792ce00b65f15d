"""The same bits in one process, on two workers and on somebody's scheduler; a death costs one member at most."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import dask
import distributed  # noqa: F401  (its settings must be there before one of them is changed for a while)
import psutil
import pytest

from akpsim import AkpsimError, load_study, open_run
from akpsim.families import train_family
from akpsim.families.training.cluster import train_one

STUDY = {
    "name": "twelve",
    "members": 12,
    "network": {"dense": [16, 8]},
    "training": {"epochs": 40, "batch_size": 128, "learning_rate": 0.01, "checkpoint_every": 10},
    "capture": {"epochs": [0, -1], "populations": 5},
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory, cache_folder):
    """The twelve members trained in this process."""
    return train_family(load_study(STUDY), tmp_path_factory.mktemp("alone") / "run")


def same_files(run, other):
    return all(run.file(name).read_bytes() == other.file(name).read_bytes() for name in other.names)


def wait_for_members(out, count, *, driver=None, seconds=240):
    deadline = time.monotonic() + seconds
    while len(list(out.glob("members/[!.]*.nc"))) < count and time.monotonic() < deadline:
        assert driver is None or driver.poll() is None
        time.sleep(0.005)


def workers_of(process):
    """Return the processes that train: children of a nanny, or of this process, that hold a thread of work."""
    children = process.children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_a_worker_that_is_killed_costs_nothing_and_the_bits_are_those_of_one_process(alone, tmp_path):
    out, killed = tmp_path / "run", []

    def kill():
        wait_for_members(out, 1)
        victim = workers_of(psutil.Process())[0]
        killed.append(victim.pid)
        victim.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    run = train_family(load_study(STUDY), out, workers=2)
    thread.join()
    assert killed
    assert len(run.names) == 12
    assert same_files(run, alone)
    assert not list(out.rglob("*.partial*"))


POISON = """
import os, signal
from akpsim.families import PERTURBATIONS, Perturbation
from akpsim.families.training.streams import stream

def poison(gradients_of, moment):
    if moment.epoch == 2 and moment.generator.initial_seed() == stream(5, "perturbation", 0).initial_seed():
        os.kill(os.getpid(), signal.SIGKILL)

if "poison" not in PERTURBATIONS:
    PERTURBATIONS.add(Perturbation("poison", "gradients", poison, "kills"))
"""


@pytest.mark.slow
def test_a_member_that_kills_its_worker_is_named_and_the_others_finish(tmp_path, cli, monkeypatch):
    (tmp_path / "poison.py").write_text(POISON)
    monkeypatch.syspath_prepend(tmp_path)
    import poison  # noqa: F401

    study = STUDY | {"families": [{"name": "f", "perturbations": [{"name": "poison", "start": 2}]}]}
    (tmp_path / "study.toml").write_text(load_study(study, training__epochs=3).to_toml())
    with dask.config.set({"distributed.worker.preload": [str(tmp_path / "poison.py")]}):
        code, _, error = cli("train-family", tmp_path / "study.toml", "--out", tmp_path / "run", "--workers", 2)
    assert code == 1
    last = "akpsim: 1 of 12 members failed: its worker died twice, the second time alone with it (f-5)"
    assert error.splitlines()[-1] == last
    assert "Traceback" not in error
    run = open_run(tmp_path / "run")
    assert run.names == [f"f-{seed}" for seed in range(12) if seed != 5]
    assert run.manifest["members"]["f-5"]["state"] == "failed"


@contextlib.contextmanager
def scheduler(folder):
    """Start a scheduler and two workers as a user would, and give its address."""
    run = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    file = folder / "scheduler.json"
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    first = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *where]
    started = [subprocess.Popen(first, **run)]
    while not file.exists() and started[0].poll() is None:
        time.sleep(0.05)
    second = [sys.executable, "-m", "distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "1", *where]
    started.append(subprocess.Popen([*second, "--local-directory", str(folder)], **run))
    try:
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(started):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_driver_that_is_killed_is_started_again_on_the_same_scheduler_and_trains_what_is_missing(alone, tmp_path):
    (tmp_path / "twelve.toml").write_text(load_study(STUDY).to_toml())
    out = tmp_path / "run"
    with scheduler(tmp_path) as address:
        command = [sys.executable, "-m", "akpsim_cli", "train-family", str(tmp_path / "twelve.toml")]
        driver = subprocess.Popen(
            [*command, "--out", str(out), "--scheduler", address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_members(out, 2, driver=driver)
        driver.kill()
        driver.wait()
        time.sleep(1)
        before = {path: path.stat().st_mtime_ns for path in out.glob("members/[!.]*.nc")}
        said = []
        run = train_family(load_study(STUDY), out, scheduler=address, note=said.append)
    assert len(before) < 12, "the driver was too fast to be killed"
    assert f"{len(before)} of 12 members are complete" in said[0]
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
    assert len(run.names) == 12
    assert same_files(run, alone)


def test_a_scheduler_that_is_not_there_is_one_sentence(tmp_path, tiny_study, monkeypatch, cache_folder):
    monkeypatch.setattr("akpsim.cluster.WAIT", 1)
    with pytest.raises(AkpsimError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        train_family(tiny_study, tmp_path / "run", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(AkpsimError, match="no scheduler answers at nonsense"):
        train_family(tiny_study, tmp_path / "run", scheduler="nonsense")
    with pytest.raises(AkpsimError, match="give one of the two"):
        train_family(tiny_study, tmp_path / "run", scheduler="tcp://127.0.0.1:1", workers=2)
    with pytest.raises(AkpsimError, match="`workers` must be a whole number of at least 1, got 0"):
        train_family(tiny_study, tmp_path / "run", workers=0)
    with pytest.raises(AkpsimError, match=r"`workers` must be at most \d+ on this machine, got 10000"):
        train_family(tiny_study, tmp_path / "run", workers=10_000)


def test_workers_of_another_version_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("distributed.get_worker", lambda: type("Worker", (), {"address": "tcp://node7:1"}))
    found = train_one("f-0", "", "", None, "cpu", "", ("akpsim 0", "torch 0"))
    assert found["stop"] == "versions"
    assert found["reason"].startswith("worker tcp://node7:1 has akpsim ")
    assert found["reason"].endswith(
        "this process has akpsim 0 and torch 0: install the same on both, or the bits differ"
    )


def test_without_distributed_the_error_says_what_to_install(tmp_path, tiny_study, monkeypatch, cache_folder):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(AkpsimError, match=r"pip install 'akpsim\[cluster\]'"):
        train_family(tiny_study, tmp_path / "run", workers=2)


@pytest.mark.slow
def test_ctrl_c_stops_the_workers_and_leaves_whole_files(tmp_path, cache_folder):
    (tmp_path / "many.toml").write_text(load_study(STUDY, members=60).to_toml())
    out = tmp_path / "run"
    command = [sys.executable, "-m", "akpsim_cli", "train-family", str(tmp_path / "many.toml"), "--out", str(out)]
    driver = subprocess.Popen(
        [*command, "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_members(out, 2, driver=driver)
    workers = workers_of(psutil.Process(driver.pid))
    os.killpg(driver.pid, signal.SIGINT)
    error = driver.communicate(timeout=60)[1]
    assert driver.returncode == 130
    assert "Traceback" not in error
    assert not psutil.wait_procs(workers, timeout=20)[1]
    assert not list(out.rglob("*.partial*"))
    shutil.rmtree(out / "cache")
    assert 2 <= len(open_run(out).names) < 60
