"""All members of a study: what is missing is trained, what is complete is left alone."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from akpsim.checks import one_of
from akpsim.cluster import one_place
from akpsim.errors import AkpsimError, InvalidStudy
from akpsim.families.devices import DEVICES, device_for
from akpsim.families.training.estimate import Size, room_for, size_of
from akpsim.families.training.fingerprint import check_same_data, trained_on
from akpsim.families.training.folder import (
    check_is_run,
    check_same_study,
    clean,
    is_complete,
    remove_run,
    write_manifest,
)
from akpsim.families.training.in_process import check_stack, train_in_process
from akpsim.families.training.lock import locked
from akpsim.families.training.prepared import Prepared, prepare
from akpsim.families.training.streams import perturbations_of
from akpsim.families.training.work import Work
from akpsim.files import write_text
from akpsim.store import Run
from akpsim.study import Study


class MemberFailed(AkpsimError):
    """Some members could not be trained; the others are complete."""


def train_family(
    study: Study,
    out: Path | str | None = None,
    *,
    fresh: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "auto",
    stack: int = 1,
    show: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train every member of a study that is not yet complete in a run folder.

    Parameters
    ----------
    study : Study
        The design.
    out : path, optional
        The run folder; ``runs/NAME`` by default.  A folder with the same study is continued.
    fresh : bool
        Remove what the run folder holds and start again.
    workers : int, optional
        Processes on this machine, one member and one thread each; without it, and without `scheduler`, members are
        trained in this process.  The bits are the same.
    scheduler : str, optional
        Address of a running dask scheduler, such as ``tcp://node7:8786``.
    device : {"auto", "cpu", "cuda"}
        Where the trunk works and the network is trained: ``auto`` is where members that are complete were trained, or
        else a GPU if there is one and a trunk.  The numbers of two devices differ by rounding, and a run holds to one.
    stack : int
        Members of which the heads are trained as one, in this process: for GPUs.  On a CPU it is slower, and the bits
        are the same where features and hidden widths are multiples of 16.
    show : bool
        Show a progress bar on standard error.
    note : callable
        Gets lines for the user: what is skipped, which perturbations are null.

    Returns
    -------
    Run
        The open run folder.

    Raises
    ------
    InvalidStudy
        If the study asks for what does not exist; nothing is trained then.
    StoreError
        If the folder holds another study, or members trained on other data than there are now, or cannot be written.
    ClusterError
        If the scheduler or its workers cannot be used.
    MemberFailed
        If members failed: their names and reasons; the others are complete.
    """
    one_of(device, "device", DEVICES)
    one_place(workers, scheduler)
    elsewhere = workers is not None or scheduler is not None
    check_stack(stack, frozen=study.network.frozen or study.network.backbone == "none", elsewhere=elsewhere)
    out = Path(out) if out is not None else Path("runs") / study.name
    check_is_run(out)
    members = list(study.design())
    check_schedules(study)
    if not fresh:
        check_same_study(study, out)
    if not fresh and all(is_complete(study, out, member) for member in members):
        note(f"{out}: all {len(members)} members are complete")
        return Run(out)
    before = None if fresh else trained_on(study, out, members)
    device = device_for(device, backbone=study.network.backbone, before=before)
    prepared = prepare(study, device=device, show=show)
    sizes = rehearse(study, prepared, device=device)
    with locked(out):
        if fresh:
            remove_run(out)
        check_same_study(study, out)
        missing = [member for member in members if not is_complete(study, out, member)]
        complete = [member for member in members if member not in missing]
        check_same_data(study, out, complete, prepared, device=device)
        clean(out, complete)
        if len(missing) < len(members):
            note(f"{out}: {len(complete)} of {len(members)} members are complete, training the rest")
        note(room_for(out, [sizes[member.family.name] for member in missing], at_once=workers or stack))
        write_text(out / "study.toml", study.to_toml())
        write_manifest(study, out, failures={})
        failures: dict[str, str] = {}
        try:
            if not elsewhere:
                train_in_process(study, missing, prepared, out, failures, stack=stack, device=device, show=show)
            else:
                from akpsim.families.training.cluster import train_on_cluster

                train_on_cluster(
                    study,
                    missing,
                    prepared,
                    out,
                    failures,
                    workers=workers,
                    scheduler=scheduler,
                    device=device,
                    show=show,
                )
        finally:
            write_manifest(study, out, failures=failures)
            with contextlib.suppress(OSError):  # it holds what is to be kept
                (out / "weights").rmdir()
    if failures:
        raise MemberFailed(f"{len(failures)} of {len(members)} members failed: {by_reason(failures)}")
    return Run(out)


def check_schedules(study: Study) -> None:
    """Say what is wrong with options, schedules and captured epochs before images are read and a trunk has worked."""
    for member in {member.family.name: member for member in study.design()}.values():
        try:
            study.capture.epochs_of(member.family.epochs or study.training.epochs)
            for active in perturbations_of(study, member, classes=2):
                _ = active.dose  # which looks at the options
        except AkpsimError as error:
            raise type(error)(f"family {member.family.name}: {error}") from None


def by_reason(failures: dict[str, str]) -> str:
    """Say each reason once, with the members it befell."""
    befell: dict[str, list[str]] = {}
    for name, reason in failures.items():
        befell.setdefault(reason, []).append(name)
    return "; ".join(f"{reason} ({', '.join(names)})" for reason, names in befell.items())


def rehearse(study: Study, prepared: Prepared, *, device: str = "cpu") -> dict[str, Size]:
    """Go through the events of one member a family; say which family cannot be trained, and why.

    Returns the size of a member of each family, by its name.
    """
    sizes = {}
    for member in {member.family.name: member for member in study.design()}.values():
        try:
            work = Work(study, member, prepared, device=device)
            sizes[member.family.name] = size_of(work)
            work.rehearse()
        except AkpsimError as error:
            raise type(error)(f"family {member.family.name}: {error}") from None
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidStudy(f"family {member.family.name} cannot be trained: {error}") from error
    return sizes
