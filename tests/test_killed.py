"""Killed at any moment (SIGKILL), a run loses nothing that was whole, and ends as if it had never been interrupted."""

import json
import multiprocessing
import time

import numpy as np
import pytest

from akpsim import compare, load_study, open_result, open_run, save
from akpsim.families import train_family
from akpsim.store import open_member

STUDY = {
    "name": "killed",
    "members": 3,
    "network": {"dense": [32, 16]},
    "training": {"epochs": 12, "batch_size": 64, "learning_rate": 0.01, "checkpoint_every": 2},
    "capture": {"epochs": [0, -1], "every": 1},
    "families": [
        {"name": "calm"},
        {"name": "swaps", "perturbations": [{"name": "swap_activation", "every": 3, "order": "random"}]},
    ],
}


def train(out):
    train_family(load_study(STUDY), out)


def keep_comparing(out, path):
    while True:
        similarity = compare(open_run(out).representations())
        for _ in range(50):  # so that most kills find it writing
            save(similarity, path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache_folder):
    """The run that nobody interrupts, and the seconds it takes in a process of its own."""
    out = tmp_path_factory.mktemp("whole") / "run"
    process = starter().Process(target=train, args=(out,))
    started = time.monotonic()
    process.start()
    process.join()
    return open_run(out), time.monotonic() - started


def starter():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["akpsim.families.training.family", "akpsim.families.training.checkpoints"])
    return context


def killed_after(seconds, function, *arguments):
    """Start a function in a process of its own and kill it; say whether it had ended before."""
    process = starter().Process(target=function, args=arguments)
    process.start()
    process.join(seconds)
    ended = process.exitcode is not None
    process.kill()
    process.join()
    return ended


def kill_training(whole, folder, kills, rng):
    """Kill a run again and again; return how many kills hit a write, and how many members were kept over a kill."""
    reference, seconds = whole
    hits = kept = done = number = 0
    while done < kills:
        out = folder / f"run-{number}"
        before = {path: path.stat().st_mtime_ns for path in out.glob("members/[!.]*.nc")}
        if killed_after(rng.uniform(0.02, 0.8) * seconds, train, out):
            number += 1
            continue
        done += 1
        hits += bool(list(out.rglob("*.partial*")))
        for path, changed in before.items():
            assert path.stat().st_mtime_ns == changed, "a member that was complete was trained again"
        for path in out.glob("members/[!.]*.nc"):
            with open_member(path):
                pass
            assert path.read_bytes() == reference.file(path.stem).read_bytes()
            kept += 1
        if (out / "manifest.json").exists():
            json.loads((out / "manifest.json").read_text())
            assert load_study(out / "study.toml").hash == reference.study.hash
    for out in folder.iterdir():
        run = train_family(load_study(STUDY), out)
        assert run.names == reference.names
        assert all(run.file(name).read_bytes() == reference.file(name).read_bytes() for name in run.names)
        assert not list(out.rglob("*.partial*"))
        assert not (out / ".lock").exists()
    return hits, kept


def kill_comparison(whole, folder, kills, rng):
    """Kill comparisons that write one file over and over; return how many kills hit a write."""
    path = folder / "similarity.nc"
    expected = compare(whole[0].representations())
    save(expected, path)
    hits = 0
    for _ in range(kills):
        before = path.stat().st_mtime_ns
        process = starter().Process(target=keep_comparing, args=(whole[0].path, path))
        process.start()
        while path.stat().st_mtime_ns == before:
            assert process.exitcode is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.join()
        hits += bool(list(folder.glob("*.partial*")))
        assert np.array_equal(open_result(path).similarity.values, expected.values)
    save(expected, path)
    assert [file.name for file in folder.iterdir()] == ["similarity.nc"]
    return hits


def test_a_run_killed_at_random_times_ends_as_if_it_had_not_been(whole, tmp_path):
    kill_training(whole, tmp_path, 3, np.random.default_rng(0))


@pytest.mark.slow
def test_twenty_kills_of_a_run_and_ten_of_a_comparison(whole, tmp_path):
    rng = np.random.default_rng(1)
    (tmp_path / "train").mkdir()
    (tmp_path / "compare").mkdir()
    hits, kept = kill_training(whole, tmp_path / "train", 20, rng)
    print(f"\n20 kills of a training run: {hits} hit a write, {kept} times a complete member was found whole")  # noqa: T201
    assert hits > 5
    hits = kill_comparison(whole, tmp_path / "compare", 10, rng)
    print(f"10 kills of a comparison: {hits} hit a write")  # noqa: T201
