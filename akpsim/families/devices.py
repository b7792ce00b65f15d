"""Where torch works, and how: one thread for each operation on a CPU, full precision on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from akpsim.checks import one_of
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
    one_of(name, "device", DEVICES)
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

    On a GPU float32 is then float32: by default torch lets convolutions round their inputs to TensorFloat-32, of ten
    bits, and choose among algorithms by chance.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
