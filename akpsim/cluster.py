"""Work in this process, in several or on several machines, by the same lines: dask.distributed is the engine."""

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from multiprocessing import resource_tracker
from typing import Any

import akpsim
from akpsim.checks import at_least
from akpsim.errors import ClusterError, shortened
from akpsim.parallel import usable_cores
from akpsim.progress import Progress

CROWD = 16
"""So many workers may be asked for on any machine, and four a core of larger ones."""
WAIT = 10
"""Seconds to wait for a scheduler; its workers may come when a queue lets them."""


@contextlib.contextmanager
def connected(workers: int | None, scheduler: str | None, **settings: Any) -> Iterator[Any]:
    """Give a client of a local cluster of some workers, or of a scheduler that runs already.

    Parameters
    ----------
    workers : int, optional
        Processes on this machine; one by default.
    scheduler : str, optional
        Address of a scheduler, such as ``tcp://node7:8786``, which is then used instead.
    **settings
        Of dask, for a local cluster, with double underscores for dots.

    Raises
    ------
    ClusterError
        If dask.distributed is not installed or no scheduler answers.
    """
    try:
        import cryptography  # noqa: F401  (dask needs it for keys of a cluster's own)
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise ClusterError(
            "workers need dask.distributed: pip install 'akpsim[cluster]', or leave out --workers and --scheduler"
        ) from None
    with contextlib.ExitStack() as stack:
        address = scheduler or stack.enter_context(local_cluster(workers or 1, **settings))
        try:
            if scheduler is not None:  # of an address that is none, a client ends, if ever, with the process
                get_address_host_port(scheduler)
            client = stack.enter_context(Client(address, timeout=WAIT, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(f"no scheduler answers at {scheduler}: {error}") from None
        yield client


@contextlib.contextmanager
def local_cluster(workers: int, **settings: Any) -> Iterator[Any]:
    """Give a cluster of processes on this machine, one thread each, that nobody outside it can reach."""
    import dask
    from distributed import LocalCluster

    with dask.config.set(**settings):
        with deaf_to_ctrl_c():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=True,  # a key of this cluster's own: a port of this machine is open to all its users
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port: there may be other clusters
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        with cluster, dask.config.set(keys(cluster.security)):  # so that its address is enough to connect to it
            yield cluster


def keys(security: Any) -> dict[str, Any]:
    """Return the settings of dask with which a client is let in."""
    client = {"cert": security.tls_client_cert, "key": security.tls_client_key}
    return {"distributed.comm.tls.ca-file": security.tls_ca_file, "distributed.comm.tls.client": client}


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Let threads and processes that start in the body not hear Ctrl-C: it is for this process, which stops them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # otherwise the first process starts it, which makes its thread hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def one_place(workers: Any, scheduler: Any) -> None:
    """Raise unless at most one of a number of workers and a scheduler's address is given, and can be meant."""
    if workers is not None and scheduler is not None:
        raise ClusterError("`workers` starts a cluster and `scheduler` uses one that runs: give one of the two")
    if scheduler is not None and not (isinstance(scheduler, str) and ":" in scheduler):
        said = scheduler if isinstance(scheduler, str) else shortened(scheduler)
        raise ClusterError(f"no scheduler answers at {said}: an address is such as tcp://node7:8786")
    if workers is not None and at_least(workers, "workers", 1) > (most := max(CROWD, 4 * usable_cores())):
        raise ClusterError(
            f"`workers` must be at most {most} on this machine, got {workers}: each is a process with one thread; "
            "use `scheduler` for more machines"
        )


@contextlib.contextmanager
def perhaps_connected(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Give a client as `connected` does, or None if neither workers nor a scheduler is asked for."""
    one_place(workers, scheduler)
    if workers is None and scheduler is None:
        yield None
    else:
        with connected(workers, scheduler) as client:
            yield client


def each(
    function: Callable[..., Any],
    tasks: Sequence[Any],
    *shared: Any,
    client: Any = None,
    label: str = "tasks",
    show: bool = False,
) -> Iterator[Any]:
    """Yield ``function(task, *shared)`` of each task, in their order.

    Parameters
    ----------
    function : callable
        Of a module, so that workers find it.
    tasks : sequence
        Small values, one a task.
    *shared
        What all tasks need; sent to each worker once.
    client : Client, optional
        As `connected` gives it; without one, tasks are done here, each when its result is asked for.
    label, show
        Of the progress.
    """
    with Progress(label, total=len(tasks), show=show) as bar:
        if client is None:
            found: Iterator[Any] = (function(task, *shared) for task in tasks)
        else:
            everywhere = [sent(client, part) for part in shared]
            found = results(client, [submit(client, function, task, *everywhere) for task in tasks])
        for result in found:
            yield result
            bar.advance()


def sent(client: Any, value: Any) -> Any:
    """Send a value to all workers; return the future that stands for it."""
    return client.scatter([value], broadcast=True, hash=False)[0]


def submit(client: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Ask for ``function(*arguments)`` on a worker, on one thread; return its future."""
    return client.submit(_alone, function, version(), *arguments, pure=False)


def results(client: Any, futures: Sequence[Any]) -> Iterator[Any]:
    """Yield results of futures in their order, forgetting each.

    Raises
    ------
    ClusterError
        If the scheduler is gone, or workers die of a task again and again.
    """
    from distributed import KilledWorker

    left = list(futures)[::-1]
    try:
        while left:
            yield left[-1].result()
            left.pop()
    except KilledWorker as error:
        raise ClusterError(f"workers died of the same task, perhaps for want of memory: {error}") from None
    except CancelledError:
        raise ClusterError("the scheduler is gone, or has lost what workers held; run the same command again") from None
    finally:
        client.cancel(left)


def _alone(function: Callable[..., Any], wanted: str, *arguments: Any) -> Any:
    """Do a task on a worker: on one thread, in the version of whoever asked."""
    import dask
    from threadpoolctl import threadpool_limits

    if version() != wanted:
        raise ClusterError(f"a worker has {version()}, this process has {wanted}: install the same on both")
    with threadpool_limits(1), dask.config.set(scheduler="synchronous"):
        return function(*arguments)


def version() -> str:
    """Return the version that numbers depend on."""
    return f"akpsim {akpsim.__version__}"
