"""Where torch works, and how: one thread for each operation on a CPU, full precision on a GPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from akpsim.errors import InvalidStudy

DEVICES = ("auto", "cpu", "cuda")


def device_for(name: str, *, backbone: str, before: str | None = None) -> str:
    """Return the device that a name stands for.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``auto`` is the GPU if there is one and a trunk to work for; dense layers alone are trained as fast by a CPU.
    backbone : str
        Of the study.
    before : str, optional
        Where members of the run were trained, which ``auto`` holds to where it can.

    Raises
    ------
    InvalidStudy
        If ``cuda`` is asked for and torch sees no GPU.
    """
    if name == "auto":
        wanted = before or ("cpu" if backbone == "none" else "cuda")
        return wanted if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidStudy(
            f"`device` is cuda, but torch {torch.__version__} sees no GPU on this machine: write cpu or auto"
        )
    return name


@contextmanager
def reproducible() -> Iterator[None]:
    """Let each operation use one thread, so that sums are taken in the same order, and as many as before afterwards.

    On a GPU see `full_precision`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with full_precision() if torch.cuda.is_available() else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def full_precision() -> Iterator[None]:
    """Let float32 be float32 on a GPU, and algorithms be chosen the same way each time.

    By default torch lets convolutions round their inputs to TensorFloat-32, of ten bits, and try what is fastest.  The
    settings are the process's: of several threads within, the last that leaves puts back what the first found.
    """
    with _LOCK:
        _FOUND.append(_FOUND[0] if _FOUND else [(owner, name, getattr(owner, name)) for owner, name, _ in settings()])
        for owner, name, value in settings():
            setattr(owner, name, value)
    try:
        yield
    finally:
        with _LOCK:
            found = _FOUND.pop()
            for owner, name, value in () if _FOUND else found:
                setattr(owner, name, value)


_LOCK = threading.Lock()
_FOUND: list[list[tuple[Any, str, Any]]] = []


def settings() -> list[tuple[Any, str, Any]]:
    """Return what says the precision and the choice of algorithms, and how it has to be: owner, name, value."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    choice = [(cudnn, "deterministic", True), (cudnn, "benchmark", False)]
    if hasattr(cudnn, "conv"):  # since torch 2.9, which refuses the older names once these are used
        return [*choice, *((owner, "fp32_precision", "ieee") for owner in (cudnn.conv, cudnn.rnn, products))]
    return [*choice, (cudnn, "allow_tf32", False), (products, "allow_tf32", False)]


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's weights are; the CPU for one without."""
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


def gpu_of(device: torch.device) -> str:
    """Return the name of a GPU, whose kind the last digits depend on; "" for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
