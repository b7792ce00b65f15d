"""All members of a study: what is missing is trained, what is complete is left alone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import akpsim
from akpsim.errors import AkpsimError, InvalidStudy, StoreError
from akpsim.families.perturbations import PERTURBATIONS
from akpsim.families.perturbations.perturbation import GRADIENT_SITES
from akpsim.families.training.audit import NULL_COSINE
from akpsim.families.training.member import Work, train_member
from akpsim.families.training.prepared import Prepared, prepare
from akpsim.files import write_json, write_text
from akpsim.progress import Progress
from akpsim.store import Run, open_member
from akpsim.study import Member, Study


class MemberFailed(AkpsimError):
    """Some members could not be trained; the others are complete."""


def train_family(
    study: Study,
    out: Path | str | None = None,
    *,
    fresh: bool = False,
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
        If the folder holds another study or cannot be written.
    MemberFailed
        If members failed: their names and reasons; the others are complete.
    """
    out = Path(out) if out is not None else Path("runs") / study.name
    if fresh:
        remove_run(out)
    check_same_study(study, out)
    members = list(study.design())
    for member in members:
        for spec in member.family.perturbations:
            PERTURBATIONS[spec.name].check(spec.options)
    missing = [member for member in members if not is_complete(out, member)]
    if not missing:
        note(f"{out}: all {len(members)} members are complete")
        return Run(out)
    prepared = prepare(study, show=show)
    rehearse(study, prepared)
    write_text(out / "study.toml", study.to_toml())
    write_manifest(study, out, failures={})
    if len(missing) < len(members):
        note(f"{out}: {len(members) - len(missing)} of {len(members)} members are complete, training the rest")
    failures = train_missing(study, missing, prepared, out, show=show)
    write_manifest(study, out, failures=failures)
    if failures:
        raise MemberFailed(f"{len(failures)} of {len(members)} members failed: {by_reason(failures)}")
    return Run(out)


def train_missing(study: Study, missing: list[Member], prepared: Prepared, out: Path, *, show: bool) -> dict[str, str]:
    """Train members one by one; return the reasons of those that failed."""
    failures: dict[str, str] = {}
    epochs = sum(member.family.epochs or study.training.epochs for member in missing)
    with Progress("epochs", total=epochs, show=show) as progress:
        for number, member in enumerate(missing, start=1):
            label = f"member {number}/{len(missing)} {member.name}"
            done = 0
            try:
                for epoch in train_member(study, member, prepared, out):
                    label += f" from epoch {epoch}" if epoch - done > 1 else ""
                    progress.advance(epoch - done, note=label)
                    done = epoch
            except StoreError:
                raise
            except Exception as error:
                failures[member.name] = f"{type(error).__name__}: {error}"
    return failures


def by_reason(failures: dict[str, str]) -> str:
    """Say each reason once, with the members it befell."""
    befell: dict[str, list[str]] = {}
    for name, reason in failures.items():
        befell.setdefault(reason, []).append(name)
    return "; ".join(f"{reason} ({', '.join(names)})" for reason, names in befell.items())


def rehearse(study: Study, prepared: Prepared) -> None:
    """Go through the events of one member a family and initializer; say which family cannot be trained, and why."""
    for member in {(member.family.name, member.family.initializer): member for member in study.design()}.values():
        try:
            Work(study, member, prepared).rehearse()
        except AkpsimError as error:
            raise type(error)(f"family {member.family.name}: {error}") from None
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidStudy(f"family {member.family.name} cannot be trained: {error}") from error


def is_complete(out: Path, member: Member) -> bool:
    """Say whether a member's file is there and complete; one that is damaged counts as missing."""
    try:
        open_member(out / "members" / f"{member.name}.nc").close()
    except StoreError:
        return False
    return True


def check_same_study(study: Study, out: Path) -> None:
    """Refuse a run folder that holds another study, or a folder that is something else."""
    if out.exists() and not (out / "manifest.json").exists():
        if not out.is_dir() or (any(out.iterdir()) and not (out / "study.toml").exists()):
            raise StoreError(f"{out} exists and is no run folder; choose another with --out")
        return
    if not out.exists():
        return
    run = Run(out)
    if run.manifest["study"] != study.hash:
        difference = first_difference(run.study.model_dump(mode="json"), study.model_dump(mode="json"))
        raise StoreError(
            f"{out} holds another study ({difference}); choose another folder with --out, or start again with --fresh"
        )


def first_difference(old: Any, new: Any, where: str = "") -> str:
    """Say the first value in which two studies differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if (key != "name" or where) and old[key] != new.get(key):
                return first_difference(old[key], new.get(key), f"{where}.{key}".lstrip("."))
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            if left != right:
                return first_difference(left, right, f"{where}.{index}")
    if isinstance(old, dict | list):
        return f"`{where}` differs"
    return f"`{where}` is {old!r} there and {new!r} now"


def write_manifest(study: Study, out: Path, *, failures: dict[str, str]) -> None:
    """Write which members there are, and the state of each."""
    states: dict[str, dict[str, str]] = {}
    for member in study.design():
        state = "complete" if is_complete(out, member) else "failed" if member.name in failures else "missing"
        states[member.name] = {"state": state} | ({"reason": failures[member.name]} if member.name in failures else {})
    manifest = {"name": study.name, "study": study.hash, "akpsim_version": akpsim.__version__, "members": states}
    write_json(out / "manifest.json", manifest)


def remove_run(out: Path) -> None:
    """Remove what akpsim wrote into a run folder, and nothing else."""
    if not (out / "manifest.json").exists():
        return
    for folder in ("members", "weights", "analysis", "figures", "cache"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for file in ("manifest.json", "study.toml"):
        (out / file).unlink(missing_ok=True)


def null_perturbations(run: Run) -> list[str]:
    """Say in one line each which perturbations of a run left the gradient where it pointed, at all their events."""
    cosines: dict[tuple[str, str], list[float]] = {}
    for name, family in zip(run.names, run.members.family.values, strict=True):
        with open_member(run.file(name)) as file:
            audit = file["audit"]
            if "gradient_cosine" not in audit.variables:
                continue
            for perturbation, cosine in zip(audit["acting"][:], audit["gradient_cosine"][:], strict=True):
                entry = PERTURBATIONS.get(str(perturbation))
                if entry is not None and entry.site in GRADIENT_SITES:
                    cosines.setdefault((str(family), entry.name), []).append(float(cosine))
    lowest = {key: np.min(values) for key, values in cosines.items()}  # NaN, a gradient of zero, is not null
    return [
        f"{family}: {perturbation} is no perturbation: the gradient's cosine before and after is at least "
        f"{lowest[family, perturbation]:.6f} at all {len(values)} events"
        for (family, perturbation), values in cosines.items()
        if lowest[family, perturbation] > NULL_COSINE
    ]
