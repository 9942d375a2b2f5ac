"""Opens the executor that runs a fleet's tasks: threads of this process, a dask cluster, or any other executor."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children
from threading import Thread
from typing import Any

from kosmolua.errors import ConfigError, UsageError

DASK = "dask:"
DEFAULT_JOBS = 8
"""How many runs are active at once if they run in threads of this process."""
DEFAULT_LIMIT = 64
"""How many tasks to give at once to an executor of unknown size."""
TASKS_PER_WORKER = 4
"""How many tasks to give an executor for each of its workers, so that no worker has to wait for its next task."""
CONNECT_TIMEOUT = "10s"
RUNNING = "running"
"""The status of a client of dask that is connected."""
FETCH_TIMEOUT = 60.0
"""Seconds to wait for the result of a task that a dask worker has ended."""
CLOSE_TIMEOUT = 10.0
"""How many seconds an executor's processes have to end by themselves when a fleet has ended."""
PYTHON_3_11 = 0x030B
LOCAL_CLUSTER = {
    "distributed.scheduler.allowed-failures": 0,  # a lost worker may have written something
    "distributed.worker.profile.enabled": False,  # it samples each worker a hundred times a second
    "distributed.comm.timeouts.connect": "30s",
}


def keep_worker_alive() -> None:
    """Stop dask's profiler, if this process is a worker of dask under Python 3.11.

    The profiler asks for the frames of all threads a hundred times a second. If Python 3.11 collects garbage meanwhile
    and another thread begins or ends, all threads of the process wait for each other for ever (gh-106883 of CPython).
    """
    distributed = sys.modules.get("distributed")
    if distributed and sys.hexversion >> 16 == PYTHON_3_11:
        with suppress(ValueError):  # this process is no worker
            worker = distributed.get_worker()
            if profiler := worker.periodic_callbacks.get("profile"):
                worker.loop.add_callback(profiler.stop)


def works_here(executor: Executor) -> bool:
    """Return True if an executor runs tasks in threads of this process. Nothing then has to be pickled for it."""
    return isinstance(executor, ThreadPoolExecutor)


def limit_of(executor: Executor) -> int:
    """Return how many tasks to give an executor at once: several for each of its workers."""
    workers = getattr(executor, "_max_workers", None)
    return workers * TASKS_PER_WORKER if isinstance(workers, int) and workers > 0 else DEFAULT_LIMIT


@contextmanager
def opened(named: str | None, jobs: int | None) -> Iterator[tuple[Executor, int]]:
    """Open an executor. Yield it with the number of tasks to give it at once. Shut it down when the block ends.

    Args:
        named: ``dask://HOST:PORT`` for a dask cluster, ``dask:local`` for a new cluster on this machine,
            ``MODULE:FACTORY`` for a function without parameters that returns an executor, or None for threads of this
            process.
        jobs: How many runs are active at once. By default, this is as many as the executor has workers.

    Raises:
        UsageError: ``named`` does not name an executor.
        ConfigError: The dask cluster cannot be used, or dask is not installed.
    """
    if named is None:
        threads = ThreadPoolExecutor(jobs or DEFAULT_JOBS, thread_name_prefix="kosmolua-fleet")
        try:
            yield threads, (jobs or DEFAULT_JOBS) * 2
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    elif named.startswith(DASK):
        with _dask(named, jobs) as (client, workers):
            yield _DaskExecutor(client), jobs or workers * TASKS_PER_WORKER
    else:
        executor = _from_factory(named)
        try:
            yield executor, jobs or limit_of(executor)
        finally:
            _close(executor)


def _close(executor: Executor) -> None:
    """Shut an executor down, terminating processes that would otherwise wait for ever for work from this one."""
    ending = Thread(target=partial(executor.shutdown, cancel_futures=True), name="kosmolua-fleet-end", daemon=True)
    ending.start()
    ending.join(CLOSE_TIMEOUT)
    if ending.is_alive():
        for process in active_children():
            process.terminate()


class _DaskExecutor(Executor):
    """Gives tasks to a dask cluster.

    Unlike the executor of dask itself, it ends each future, also if the scheduler dies while a result is fetched, and
    releases each result once it was fetched.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call ``work`` once. Return the future of its result."""
        future: Future[Any] = Future()
        try:
            remote = self._client.submit(work, *args, **kwargs, pure=False)
        except Exception as error:
            if self._client.status == RUNNING:
                raise
            raise BrokenExecutor(f"the connection to dask is closed: {error}") from None
        future.add_done_callback(lambda ended: remote.cancel() if ended.cancelled() else None)
        remote.add_done_callback(partial(_hand_over, future))
        return future


def _hand_over(future: Future[Any], remote: Any) -> None:
    """End a future like the future of dask that has ended, and release that one."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = remote.result(timeout=FETCH_TIMEOUT)
    except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
        is_fetched = remote.client.status == RUNNING and not isinstance(error, (OSError, TimeoutError, FutureTimeout))
        future.set_exception(error if is_fetched else BrokenExecutor(f"the result cannot be fetched: {error}"))
    else:
        future.set_result(result)
    finally:
        remote.release()


@contextmanager
def _dask(named: str, jobs: int | None) -> Iterator[tuple[Any, int]]:
    """Yield a client of a dask cluster, and the number of the cluster's workers."""
    try:
        dask: Any = importlib.import_module("dask")
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise ConfigError("dask is not installed", hint="install kosmolua[dask]") from None
    address = named.removeprefix(DASK)
    if address == "local":
        with (
            dask.config.set(LOCAL_CLUSTER),
            distributed.LocalCluster(
                n_workers=jobs or os.cpu_count() or 1, threads_per_worker=1, dashboard_address=None, silence_logs=50
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client, sum(client.nthreads().values())
        return
    try:
        client = distributed.Client(f"tcp:{address}", timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(f"The dask cluster {named} cannot be reached: {error}") from None
    with client:
        workers = sum(client.nthreads().values())
        if not workers:
            hint = "start dask workers that connect to this scheduler"
            raise ConfigError(f"The dask cluster {named} has no workers", hint=hint)
        yield client, workers


def _from_factory(named: str) -> Executor:
    """Import the function with the name ``MODULE:FACTORY``, call it, and return the executor that it returns."""
    module, colon, factory = named.partition(":")
    if not (module and colon and factory):
        hint = "write dask://HOST:PORT, dask:local, or MODULE:FACTORY, as in concurrent.futures:ProcessPoolExecutor"
        raise UsageError(f"There is no executor {named!r}", hint=hint)
    try:
        executor = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"The executor {named} cannot be created: {error}") from None
    if not isinstance(executor, Executor):
        raise UsageError(f"{named} must return a concurrent.futures.Executor, not {executor!r}")
    return executor
