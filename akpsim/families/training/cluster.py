"""Members in several processes or on several machines: dask.distributed is the engine.

A task is one member: it uses one thread, writes its own file, and is done again without harm.  It returns a small
dictionary, and what it needs it reads from the run folder, which all machines must see under the same path.
"""

import contextlib
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import torch

from akpsim.cluster import connected, version
from akpsim.errors import ClusterError, StoreError
from akpsim.families.training.member import train_member
from akpsim.families.training.prepared import Prepared
from akpsim.families.training.shared import receive, share
from akpsim.progress import Progress
from akpsim.store import open_member
from akpsim.study import Member, Study

REPORT = 0.5
"""Seconds between two reports of a member's progress."""
SETTINGS = {
    "distributed__scheduler__allowed_failures": 0,  # `train_on_cluster` tries again, knowing what it does
    "distributed__scheduler__worker_saturation": 1.0,  # a worker holds one member, so that its death costs one
}
"""Of dask, for workers on this machine."""


def train_on_cluster(
    study: Study,
    missing: list[Member],
    prepared: Prepared,
    out: Path,
    failures: dict[str, str],
    *,
    workers: int | None,
    scheduler: str | None,
    device: str,
    show: bool,
) -> None:
    """Train members on the workers of a cluster; add the reasons of those that fail to `failures`.

    A member whose worker died is trained once more when the others are done, alone: if its worker dies again it is the
    member's fault, and it is reported.
    """
    path = share(prepared, out)
    text = study.model_dump_json()
    epochs = sum(member.family.epochs or study.training.epochs for member in missing)
    with connected(workers, scheduler, **SETTINGS) as client, Progress("epochs", total=epochs, show=show) as progress:
        pool = Pool(
            client, (text, str(out.resolve()), None if path is None else str(path), device), Watch(progress, missing)
        )
        for name in pool.train([member.name for member in missing], failures):
            dead = pool.train([name], failures)
            failures |= dict.fromkeys(dead, "its worker died twice, the second time alone with it")


class Pool:
    """Workers, and what every task gets."""

    def __init__(self, client: Any, arguments: tuple[str, str, str | None, str], watch: "Watch") -> None:
        self.client, self.arguments, self.watch = client, arguments, watch
        self.topic = f"akpsim-{secrets.token_hex(4)}"
        client.subscribe_topic(self.topic, watch)

    def train(self, names: list[str], failures: dict[str, str]) -> list[str]:
        """Train members, add the reasons of those that fail to `failures`; return those whose worker died."""
        from distributed import KilledWorker, as_completed

        futures = {self._submit(name): name for name in names}
        dead = []
        try:
            for future in as_completed(futures, loop=self.client.loop):
                name = futures[future]
                if future.status == "finished":
                    result = future.result()
                    if result["stop"]:
                        raise {"store": StoreError, "versions": ClusterError}[result["stop"]](result["reason"])
                    if result["reason"] is not None:
                        failures[name] = result["reason"]
                    self.watch.finish(name)
                elif future.status != "error":
                    raise ClusterError("the scheduler is gone; run the same command again to train what is missing")
                elif isinstance(error := future.exception(), KilledWorker):
                    dead.append(name)
                else:
                    failures[name] = f"{type(error).__name__}: {error}"
        finally:
            self.client.cancel(list(futures))
        return dead

    def _submit(self, name: str) -> Any:
        key = f"{self.topic}-{name}-{secrets.token_hex(2)}"
        return self.client.submit(train_one, name, *self.arguments, self.topic, versions(), key=key, pure=False)


class Watch:
    """Turn the workers' reports into progress."""

    def __init__(self, progress: Progress, members: list[Member]) -> None:
        self.progress, self.count = progress, len(members)
        self.epochs = {member.name: member.family.epochs or 0 for member in members}
        self.done = dict.fromkeys(self.epochs, 0)
        self.ready = 0
        self.lock = threading.Lock()

    def __call__(self, event: tuple[float, Any]) -> None:
        """Take a report: a member's name and the epochs it has done."""
        name, epoch = event[1]
        self._reach(name, epoch)

    def finish(self, name: str) -> None:
        """Count a member as done."""
        self.ready += 1
        self._reach(name, self.epochs[name])

    def _reach(self, name: str, epoch: int) -> None:
        with self.lock:
            steps = epoch - self.done[name]
            if steps > 0:
                self.done[name] = epoch
                self.progress.advance(steps, note=f"members {self.ready}/{self.count}, {name}")


def train_one(
    name: str, study: str, out: str, shared: str | None, device: str, topic: str, wanted: tuple[str, str]
) -> dict[str, str | None]:
    """Train one member on a worker, if it is not complete by now.

    Returns
    -------
    dict
        ``reason`` is None, or why it failed; ``stop`` is what would make the others fail too, if anything.
    """
    from distributed import get_worker

    worker, said = get_worker(), time.monotonic()
    if tuple(wanted) != versions():
        reason = f"worker {worker.address} has {' and '.join(versions())}, this process has {' and '.join(wanted)}"
        return {"reason": f"{reason}: install the same on both, or the bits differ", "stop": "versions"}

    design = Study.model_validate_json(study)
    (member,) = (member for member in design.design() if member.name == name)
    with contextlib.suppress(StoreError), open_member(Path(out) / "members" / f"{name}.nc") as file:
        if file.study == design.hash:
            return {"reason": None, "stop": None}
    try:
        for epoch in train_member(design, member, receive(study, shared, device), Path(out), device=device):
            if time.monotonic() - said > REPORT:
                said = time.monotonic()
                worker.log_event(topic, (name, epoch))
    except StoreError as error:
        return {"reason": str(error), "stop": "store"}
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {error}", "stop": None}
    return {"reason": None, "stop": None}


def versions() -> tuple[str, str]:
    """Return the versions that the bits of a member depend on."""
    return version(), f"torch {torch.__version__}"
