"""Nothing is lost: locks, leftovers, full disks, folders that cannot be written, damage."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import netCDF4
import numpy as np
import pytest

from akpsim import AkpsimError, load_study, open_run
from akpsim.families import train_family
from akpsim.families.training.lock import LOCK, SILENT, locked
from akpsim.families.training.work import Work
from akpsim.files import atomic, machine, remove_leftovers


@pytest.fixture(autouse=True)
def _cache(cache_folder):
    pass


def dead_process():
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return process.pid


def holder(**changes):
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "machine": machine(), "started": None, "token": "x"}
    return json.dumps(mine | changes)


def test_a_second_process_on_a_run_folder_is_refused_by_name(tiny_study, tmp_path):
    with locked(tmp_path / "run"):
        with pytest.raises(AkpsimError, match=rf"run is being trained by process {os.getpid()} on .*; wait for it, or"):
            train_family(tiny_study, tmp_path / "run")
        assert os.listdir(tmp_path / "run") == [LOCK]
    assert not list((tmp_path / "run").iterdir())
    with locked(tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    ("changes", "age", "gone"),
    [
        ({"pid": None}, 0, True),  # a process that has ended
        ({"started": "1"}, 0, True),  # its number was given to another
        ({"machine": "00000000"}, 0, False),
        ({"machine": "00000000"}, SILENT + 10, True),
        ({"machine": "00000000"}, SILENT - 60, False),
    ],
)
def test_a_lock_is_taken_over_when_its_holder_is_gone_and_only_then(changes, age, gone, tmp_path):
    path = tmp_path / LOCK
    path.write_text(holder(**{key: value or dead_process() for key, value in changes.items()}))
    then = time.time() - age
    os.utime(path, (then, then))
    if gone:
        with locked(tmp_path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
        assert not path.exists()
    else:
        with pytest.raises(AkpsimError, match="is being trained by process"), locked(tmp_path):
            pass
        assert '"token": "x"' in path.read_text()
    assert set(os.listdir(tmp_path)) <= {LOCK}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_that_says_nothing_counts_for_a_moment(text, tmp_path):
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(AkpsimError, match="is being trained by another process"), locked(tmp_path):
        pass
    os.utime(tmp_path / LOCK, (0, 0))
    with locked(tmp_path):
        pass


def hold(folder, ready, count):
    ready.wait()
    for _ in range(20):
        try:
            with locked(folder):
                descriptor = os.open(folder / "alone", os.O_CREAT | os.O_EXCL)
                os.close(descriptor)
                with count.get_lock():
                    count.value += 1
                os.unlink(folder / "alone")
        except AkpsimError:
            time.sleep(0.001)


def test_of_several_processes_that_find_a_dead_lock_one_gets_it(tmp_path):
    (tmp_path / LOCK).write_text(holder(pid=dead_process()))
    context = multiprocessing.get_context("fork")
    ready, count = context.Event(), context.Value("i", 0)
    processes = [context.Process(target=hold, args=(tmp_path, ready, count)) for _ in range(4)]
    for process in processes:
        process.start()
    ready.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4  # "alone" was there twice for nobody
    assert count.value > 0
    assert not list(tmp_path.iterdir())


def test_leftovers_of_dead_writers_are_removed_and_those_of_living_ones_are_not(tmp_path):
    dead = tmp_path / f".a.{machine()}-{dead_process()}-0123abcd.partial.nc"
    living = tmp_path / f".a.{machine()}-{os.getpid()}-0123abcd.partial.nc"
    elsewhere = tmp_path / ".a.00000000-1-0123abcd.partial.nc"
    old = tmp_path / ".a.00000000-2-0123abcd.partial.nc"
    foreign = tmp_path / ".a.partial.nc"
    other = tmp_path / f".ab.{machine()}-{dead_process()}-0123abcd.partial.nc"
    for path in (dead, living, elsewhere, old, foreign, other):
        path.touch()
    os.utime(old, (0, 0))
    with atomic(tmp_path / "a.nc") as temporary:
        temporary.touch()
    assert set(tmp_path.iterdir()) == {living, elsewhere, foreign, other, tmp_path / "a.nc"}
    assert remove_leftovers(tmp_path) == 1


def test_a_fresh_start_removes_nothing_when_the_new_study_cannot_be_trained(tiny_run, tiny_study, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    bad = load_study(tiny_study.model_dump(mode="json"), training__loss="nonsense")
    with pytest.raises(AkpsimError, match="nonsense"):
        train_family(bad, tmp_path / "run", fresh=True)
    assert open_run(tmp_path / "run").names == tiny_run.names


def test_what_will_be_written_is_said_and_is_no_less_than_what_is_written(tiny_study, tmp_path):
    said = []
    run = train_family(tiny_study, tmp_path / "run", note=said.append)
    (line,) = [line for line in said if "to write" in line]
    assert "4 members to train, up to " in line
    written = sum(file.stat().st_size for file in run.path.glob("members/[!.]*.nc"))
    number, unit = line.split("up to ")[1].split()[:2]
    promised = float(number) * {"kB": 1e3, "MB": 1e6}[unit]
    assert written < promised < 4 * written


def test_a_study_that_the_disk_cannot_hold_is_refused_before_it_starts(tiny_study, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("akpsim.families.training.estimate.shutil.disk_usage", lambda path: usage)
    with pytest.raises(AkpsimError, match=r"4 members would write up to .* but .* has 1 kB free; choose another disk"):
        train_family(tiny_study, tmp_path / "run")
    assert not list(tmp_path.glob("run/*"))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip(f"a small disk cannot be made here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_is_one_sentence_and_earlier_members_are_intact(
    tiny_study, tmp_path, small_disk, monkeypatch, cli
):
    monkeypatch.setattr("akpsim.families.training.estimate.OVERHEAD", -(10**6))  # somebody else fills it meanwhile
    study = tmp_path / "tiny.toml"
    study.write_text(load_study(tiny_study.model_dump(mode="json"), members=8).to_toml())
    code, _, error = cli("train-family", study, "--out", small_disk / "run")
    assert code == 1
    assert error.splitlines()[-1].endswith("the disk is full")
    assert "Traceback" not in error
    complete = open_run(small_disk / "run").names
    assert 1 < len(complete) < 16
    for name in complete:
        assert np.isfinite(open_run(small_disk / "run").representations().sel(member=name).values).all()
    shutil.copytree(small_disk / "run", tmp_path / "larger")
    said = []
    run = train_family(load_study(study), tmp_path / "larger", note=said.append)
    assert f"{len(complete)} of 16 members are complete" in said[0]
    assert len(run.names) == 16


def test_a_folder_that_cannot_be_written_is_one_sentence(tiny_run, tiny_study, tmp_path, cli):
    folder = tmp_path / "readonly"
    shutil.copytree(tiny_run.path, folder / "run")
    (folder / "run" / "members" / "noisy-1.nc").unlink()
    bound = ["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,ro,bind", str(folder)]
    for command in bound:
        made = subprocess.run(command, capture_output=True)
        if made.returncode:
            pytest.skip(f"a read-only folder cannot be made for this user: {made.stderr.decode().strip()}")
    try:
        study = tmp_path / "tiny.toml"
        study.write_text(tiny_study.to_toml())
        for out in (folder / "run", folder / "new" / "run"):
            code, _, error = cli("train-family", study, "--out", out)
            assert (code, len(error.splitlines())) == (1, 1)
            assert "Read-only file system" in error
        code, _, error = cli("compare", folder / "run", "--out", folder / "similarity.nc")
        assert code == 1
        assert error.splitlines()[-1].endswith(("Read-only file system", "Permission denied"))  # netCDF's word for it
        assert len(open_run(folder / "run").names) == 3
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_file_that_another_program_or_version_wrote_is_refused_and_trained_again(tiny_run, tiny_study, tmp_path):
    path = tmp_path / "run" / "members" / "noisy-0.nc"
    shutil.copytree(tiny_run.path, tmp_path / "run")
    with netCDF4.Dataset(path, "a") as file:
        file.dose = 1.0
    with pytest.raises(AkpsimError) as caught:
        open_run(tmp_path / "run").representations()
    again = "run `akpsim train-family` again to train what is missing"
    assert str(caught.value) == f"{path} is not complete, or an older version of akpsim wrote it; {again}"
    run = train_family(tiny_study, tmp_path / "run")
    assert run.file("noisy-0").read_bytes() == tiny_run.file("noisy-0").read_bytes()


def test_ctrl_c_leaves_whole_files_and_no_temporary_ones(tiny_study, tmp_path):
    study = load_study(tiny_study.model_dump(mode="json"), members=50)
    (tmp_path / "tiny.toml").write_text(study.to_toml())
    out = tmp_path / "run"
    command = [sys.executable, "-m", "akpsim_cli", "train-family", str(tmp_path / "tiny.toml"), "--out", str(out)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell ignores it
    )
    while process.poll() is None and not list(out.glob("members/[!.]*.nc")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    error = process.communicate()[1]
    assert process.returncode in (1, 130)
    assert "Traceback" not in error
    assert not list(out.rglob("*.partial*"))
    assert not (out / LOCK).exists()
    assert len(open_run(out).names) > 0


def test_a_ctrl_c_that_a_library_swallows_stops_at_the_next_epoch(tiny_study, tmp_path, monkeypatch):
    run_epoch = Work.run

    def swallowing(self, epoch):
        run_epoch(self, epoch)
        with contextlib.suppress(KeyboardInterrupt):  # as a bare `except` does
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Work, "run", swallowing)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_family(tiny_study, tmp_path / "run")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
