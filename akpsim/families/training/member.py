"""One member: a function of the study and the member alone, that leaves one complete file."""

from collections.abc import Generator, Iterator
from pathlib import Path

import torch

from akpsim.families.devices import reproducible
from akpsim.families.training.checkpoints import Checkpoints
from akpsim.families.training.prepared import Prepared
from akpsim.families.training.stack import EXACT, shape_of
from akpsim.families.training.work import Work
from akpsim.files import atomic
from akpsim.store import MemberWriter
from akpsim.study import Member, Study


def train_member(study: Study, member: Member, prepared: Prepared, out: Path, *, device: str = "cpu") -> Iterator[int]:
    """Train one member and write its file, from its last checkpoint if there is one.

    The same arguments give the same bits: one thread, random numbers from streams of the seeds alone.

    Parameters
    ----------
    study, member : Study, Member
        What to train.
    prepared : Prepared
        The images, as `prepare` gives them for the study.
    out : Path
        The run folder.  ``members/NAME.nc`` appears in it only when it is complete.
    device : str
        Of torch, where the network is trained.

    Yields
    ------
    int
        Each epoch that is done; the first is that of the checkpoint if it goes on from one.
    """
    with reproducible():
        for work, epoch in epochs_of(study, member, prepared, out, device=device):
            if epoch > 1:
                yield epoch - 1
            work.run(epoch)
        yield work.epochs


def epochs_of(
    study: Study, member: Member, prepared: Prepared, out: Path, *, device: str = "cpu", stacked: int = 1
) -> Generator[tuple[Work, int]]:
    """Go through the training of a member, all but the epochs themselves: yield each one for the caller to run.

    Parameters
    ----------
    study, member, prepared, out, device
        As `train_member` takes them.
    stacked : int
        How many members are trained at once, which is recorded where the bits may depend on it.

    Yields
    ------
    Work, int
        The member in training and the epoch that is next.  When there is none left the file is complete.
    """
    with atomic(out / "members" / f"{member.name}.nc") as temporary:
        work = Work(study, member, prepared, device=device)
        attributes = work.attributes()
        folder = out / "weights" / member.name
        checkpoints = Checkpoints(folder, identity=attributes, every=study.training.checkpoint_every)
        machine = machine_of(work, stacked=stacked)
        writer = MemberWriter(temporary, attributes | machine, compression=study.capture.compression)
        try:
            for epoch in work.epochs_to_run(writer, checkpoints):
                yield work, epoch
            work.finish(writer)
        finally:
            writer.close()
    checkpoints.remove()


def machine_of(work: Work, *, stacked: int) -> dict[str, int | str]:
    """Return what the bits of a member depend on besides the study, the device and the versions."""
    machine: dict[str, int | str] = {"threads": 1, "cpu": torch.backends.cpu.get_cpu_capability()}
    exact = work.device.type == "cpu" and all(p.shape[1] % EXACT == 0 for p in work.head.parameters() if p.ndim > 1)
    alone = stacked == 1 or shape_of(work.training) is None
    return machine if exact or alone else machine | {"stacked": stacked}
