"""The runs of a runtime: each is prepared, waits for a worker, is executed, and is forgotten at its end."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kosmolua import protocol
from kosmolua.concurrency import ActiveThreads, forget, lazy
from kosmolua.errors import Busy, ConfigError, Interrupted, KosmoError, WorkerLost
from kosmolua.protocol import NotJson
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runs.run import Run
from kosmolua.runs.supervisor import call_memory

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from concurrent.futures import ThreadPoolExecutor
    from typing import TypeAlias

    from kosmolua.broker.host import Host
    from kosmolua.broker.tenancy import Tenancy
    from kosmolua.limits import Limits
    from kosmolua.memory import Memory
    from kosmolua.processes.pool import Turn, WorkerPool
    from kosmolua.runs.recorded import RunRecording

    _Result = TypeVar("_Result")
    Steps: TypeAlias = Generator[Run, Outcome, _Result]
    """What takes several runs: each is yielded when it is prepared, and its outcome is sent back."""

CLOSED = "this runtime is closed"
NEEDED_BY_RUNS = (
    "concurrent.futures.thread",
    "kosmolua.broker.broker",
    "kosmolua.broker.guards",
    "kosmolua.calls.approvals",
    "kosmolua.catalog.kept",
    "kosmolua.check.checker",
    "kosmolua.flow.judge",
    "kosmolua.lua.header",
    "kosmolua.processes.spares",
)
"""Modules that a run needs. They are imported late, since many programs with a runtime run no script."""


class _End(NamedTuple):
    result: Any


class Runs:
    """The runs of a runtime. Any number of threads may use it."""

    def __init__(self, host: Host, pool: WorkerPool, tenancy: Tenancy | None) -> None:
        self.host = host
        self.active = ActiveThreads()
        self._pool = pool
        self._tenancy = tenancy
        self._memory = (tenancy and tenancy.calls) or call_memory()
        self._runs: set[Run] = set()
        self._is_closed = False
        self._lock = RLock()

    @property
    def is_running(self) -> bool:
        """True if a run is executed or waits for a worker."""
        with self._lock:
            return bool(self._runs)

    def check_open(self) -> None:
        """Raise :class:`RuntimeError` if the runtime is closed."""
        if self._is_closed:
            raise RuntimeError(CLOSED)

    def prepare(
        self,
        source: str | bytes | os.PathLike[str],
        options: RunOptions,
        recording: RunRecording | None = None,
        limits: Limits | None = None,
    ) -> Run:
        """Prepare the run of a script, which is executed or forgotten next.

        ``recording`` is what the run replays or resumes. Without ``limits``, those of the host hold.

        Raises:
            ConfigError: A limit is out of bounds, a pattern matches no function, or the file cannot be read.
            TypeError: An option is unknown or has a value of the wrong type.
            RuntimeError: The runtime is closed.
        """
        try:
            if isinstance(source, os.PathLike):
                options = {"name": os.path.basename(source), **options}
                source = _read_script(source)
            _validate(options)
            run = Run(
                self.host,
                source,
                options,
                limits or self.host.limits,
                memory=self._memory,
                in_flight=lambda: self._in_flight,
                recording=recording,
            )
        except KosmoError as error:
            self.host.tell(error)
            raise
        with self._lock:
            if self._is_closed:
                raise RuntimeError(CLOSED)
            self._runs.add(run)
        return run

    def execute(self, run: Run, turn: Turn | None = None) -> Outcome:
        """Execute a run in this thread, and return its outcome. ``turn`` is its place in the queue if it has one."""
        try:
            with self.active.one_more():
                outcome = run.execute(self._pool, turn)
        finally:
            self.forget(run)
        return self.told(outcome) if outcome.error else outcome

    async def execute_async(self, run: Run) -> Outcome:
        """Execute a run in another thread once a worker is free. If the task is cancelled, the script ends."""
        import asyncio

        _import_what_runs_need()
        loop, has_come, thread = asyncio.get_running_loop(), asyncio.Event(), get_ident()

        def tell() -> None:
            if get_ident() == thread:
                has_come.set()
                return
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for it
                loop.call_soon_threadsafe(has_come.set)

        try:
            turn = self._pool.queue(run.client, tell)
        except Busy as error:
            self.forget(run)
            return Outcome([], "", error, [])
        run.queued(turn)
        try:
            await has_come.wait()
            work = loop.run_in_executor(self._threads, self.execute, run, turn)
        except asyncio.CancelledError:
            turn.end()
            self.forget(run)
            raise
        except RuntimeError as error:
            turn.end()
            self.forget(run)
            closed = Interrupted("The runtime was closed before the script began")
            return Outcome([], "", closed if self._is_closed else WorkerLost.unstartable(error), [])
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            run.stop()
            raise

    def carry_out(self, steps: Steps[_Result]) -> _Result:
        """Execute the runs that the steps yield one after another, and return what the steps return."""
        step = self._next(steps)
        while isinstance(step, Run):
            step = self._next(steps, self.execute(step))
        result: _Result = step.result
        return result

    async def carry_out_async(self, steps: Steps[_Result]) -> _Result:
        """Carry out steps like :meth:`carry_out`, but without blocking the event loop."""
        step = await self._next_async(steps)
        while isinstance(step, Run):
            step = await self._next_async(steps, await self.execute_async(step))
        result: _Result = step.result
        return result

    def _next(self, steps: Steps[Any], outcome: Outcome | None = None) -> Run | _End:
        try:
            return next(steps) if outcome is None else steps.send(outcome)
        except StopIteration as end:
            return _End(end.value)
        except KosmoError as error:
            self.host.tell(error)
            raise

    async def _next_async(self, steps: Steps[Any], outcome: Outcome | None = None) -> Run | _End:
        import asyncio

        ahead = asyncio.ensure_future(asyncio.to_thread(self._next, steps, outcome))
        try:
            return await asyncio.shield(ahead)
        except asyncio.CancelledError:
            ahead.add_done_callback(self._drop)
            raise

    def _drop(self, ahead: asyncio.Future[Run | _End]) -> None:
        """Forget a run that was prepared for nobody."""
        if not ahead.cancelled() and not ahead.exception() and isinstance(run := ahead.result(), Run):
            self.forget(run)

    def told(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose error names parameters of Python, unless a command line reads it."""
        if outcome.error:
            self.host.tell(outcome.error)
        return outcome

    def forget(self, run: Run) -> None:
        """Close the recording of a run that has ended or will not be executed."""
        if run.recording:
            run.recording.close()
        with self._lock:
            self._runs.discard(run)

    def interrupt(self, run: str) -> None:
        """End the script of the run with this id, if it is executed or waits for a worker."""
        with self._lock:
            found = [each for each in self._runs if each.id == run]
        for each in found:
            each.stop()

    def close(self) -> None:
        """End all scripts, and prepare no more."""
        with self._lock:
            self._is_closed, runs = True, list(self._runs)
        for run in runs:
            run.stop()
        if threads := vars(self).get("_threads"):
            threads.shutdown(wait=False)

    def start_anew(self) -> None:
        """Replace locks and memory in the child process after a fork: they belong to threads of the parent process."""
        self._lock = RLock()
        self._memory = call_memory()
        self._runs = set()
        self.active = ActiveThreads()
        forget(self, "_threads", "_in_flight")

    @lazy
    def _in_flight(self) -> Memory:
        from kosmolua.memory import Memory

        return (self._tenancy and self._tenancy.memory) or Memory()

    @lazy
    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self._pool.max_runs, thread_name_prefix="kosmolua-run")


@cache
def _import_what_runs_need() -> None:
    """Import the modules for runs now. Later an import could fail if many scripts have used up the file descriptors."""
    from importlib import import_module

    for name in NEEDED_BY_RUNS:
        import_module(name)


def _read_script(path: os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"The script {os.fspath(path)} cannot be read: {error.strerror}") from None


def _validate(options: RunOptions) -> None:
    """Raise TypeError if the options of a run include an unknown one, or a value of a wrong type."""
    for option in options:
        if option not in RunOptions.__annotations__:
            raise TypeError(f"a run has no option {option!r}; kosmolua.runs.RunOptions lists the options")
    name, arguments = options.get("name", ""), options.get("args", ())
    if not isinstance(name, str):
        raise TypeError(f"the name of a script must be a string, not {name!r}")
    if isinstance(arguments, str) or not all(isinstance(argument, str) for argument in arguments):
        raise TypeError(f"the arguments of a script must be a list of strings, not {arguments!r}")
    params = options.get("params")
    try:
        protocol.encode(params)
    except NotJson as error:
        raise TypeError(f"the parameters of a script must be values that JSON can represent: {error}") from None
    if params is not None and not (isinstance(params, dict) and all(isinstance(name, str) for name in params)):
        raise TypeError(f"the parameters of a script must be a dict with string keys, not {params!r}")
