"""The run folder while it is written: whose it is, which members are there, what a fresh start removes."""

import shutil
from pathlib import Path
from typing import Any

import akpsim
from akpsim.errors import StoreError
from akpsim.families.training.checkpoints import Checkpoints
from akpsim.families.training.lock import LOCK
from akpsim.files import TEMPORARY, remove_leftovers, write_json
from akpsim.store import Run, open_member
from akpsim.study import Member, Study


def is_complete(study: Study, out: Path, member: Member) -> bool:
    """Say whether a member's file is there and complete; one that is damaged or of another study counts as missing."""
    try:
        with open_member(out / "members" / f"{member.name}.nc") as file:
            return getattr(file, "study", None) == study.hash
    except StoreError:
        return False


def check_is_run(out: Path) -> None:
    """Refuse a folder that exists and is something else than a run."""
    try:
        ours = not out.exists() or any((out / name).exists() for name in ("manifest.json", "study.toml"))
        if not ours and not (out.is_dir() and all(_is_trace(path) for path in out.iterdir())):
            raise StoreError(f"{out} exists and is no run folder; choose another with --out")
    except OSError as error:
        raise StoreError(f"cannot use {out}: {error.strerror or error}") from error


def _is_trace(path: Path) -> bool:
    """Say whether a file may be all that is left of a run that was killed at its very beginning."""
    return path.name == LOCK or TEMPORARY in path.name


def check_same_study(study: Study, out: Path) -> None:
    """Refuse a run folder that holds another study."""
    if not (out / "manifest.json").exists():
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
        state = "complete" if is_complete(study, out, member) else "failed" if member.name in failures else "missing"
        states[member.name] = {"state": state} | ({"reason": failures[member.name]} if member.name in failures else {})
    manifest = {"name": study.name, "study": study.hash, "akpsim_version": akpsim.__version__, "members": states}
    write_json(out / "manifest.json", manifest)


def clean(out: Path, complete: list[Member]) -> None:
    """Remove what killed processes left in a run folder, and checkpoints of members that are complete."""
    for folder in (out, *(out / name for name in ("members", "analysis", "figures")), *out.glob("weights/*")):
        remove_leftovers(folder)
    for member in complete:
        Checkpoints(out / "weights" / member.name, identity={}).remove()


def remove_run(out: Path) -> None:
    """Remove what akpsim wrote into a run folder, and nothing else."""
    for folder in ("members", "weights", "analysis", "figures", "cache"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for file in ("manifest.json", "study.toml"):
        (out / file).unlink(missing_ok=True)
