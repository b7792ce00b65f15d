"""Independent pieces of work side by side, each on one thread of BLAS.

The products here are small: splitting one over threads costs more than it saves, and pieces of work are many.  Every
piece is computed alone and in the same way, so that results have the same bits for any number of threads.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_blas_thread() -> Any:
    """Return a context in which BLAS uses one thread."""
    return _libraries().limit(limits=1, user_api="blas")


def blas_threads() -> int:
    """Return how many threads BLAS may use now, and therefore how many pieces of work may go side by side."""
    found = [library["num_threads"] for library in _libraries().info() if library["user_api"] == "blas"]
    return min(usable_cores(), max(found, default=1))


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries whose threads can be limited; finding them takes milliseconds."""
    return ThreadpoolController()


def side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Result]:
    """Give the result for each item, in order.

    Parameters
    ----------
    function : callable
        Depends on its item only; most of its time is spent where Python's lock is free, as in numpy.
    items : iterable
        What to call it on.
    threads : int, optional
        By default one a core.
    """
    with one_blas_thread(), ThreadPoolExecutor(threads or usable_cores()) as pool:
        yield from pool.map(function, items)
