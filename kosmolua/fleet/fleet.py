"""The fleet: gives tasks to an executor, a limited number at a time, and yields the outcomes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextvars import copy_context
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TypeAlias

from kosmolua.errors import WorkerLost
from kosmolua.fleet.executors import works_here
from kosmolua.fleet.tasks import (
    MARGIN,
    MAX_BATCH_SECONDS,
    FleetScript,
    ScriptRunner,
    Task,
    may_repeat,
    pack,
    perform,
    perform_apart,
    unpack,
)
from kosmolua.runs import Outcome
from kosmolua.runs.telemetry import carried

BATCH_SECONDS = 1.0
"""Tasks that take about this many seconds are sent to another process together, since sending takes milliseconds."""
MAX_BATCH = 64
_LOST = ("KilledWorker", "FutureCancelledError", "FuturesCancelledError")
"""The names of the dask errors that mean that the process of a task was lost."""
MAX_NAMED = 10
_Numbered = tuple[int, Task]
_Future: TypeAlias = "Future[Outcome | bytes]"


class Fleet:
    """Runs a script once for each task, in an executor.

    The iterator of tasks is read only as tasks are needed, so that even very many tasks take little memory. Short tasks
    for another process are sent in batches, which that process runs one after another. If the caller stops reading
    outcomes, tasks that have not begun are cancelled.

    The fleet does not trust other processes to answer. As some task must end within the limits of the runs, the fleet
    gives up all tasks if none has ended for longer than that.

    Args:
        runtime: The runtime that runs the script in this process. Other processes open a runtime with the same options.
        script: The script.
        executor: The executor that runs the tasks, in this process or in others.
        limit: How many tasks, or batches of short tasks, to give the executor at once.
        retries: How many times to repeat a task that failed for a temporary reason and wrote nothing.
        ordered: True to yield the outcomes in the order of the tasks. By default, they are yielded as tasks end.
        warn: Called with a sentence that names the tasks for which the fleet has waited for suspiciously long.
        margin: Seconds beyond the limits of a run that starting and ending it may take in another process.
    """

    def __init__(
        self,
        runtime: ScriptRunner,
        script: FleetScript,
        executor: Executor,
        limit: int,
        *,
        retries: int = 0,
        ordered: bool = False,
        warn: Callable[[str], None] = lambda _: None,
        margin: float = MARGIN,
    ) -> None:
        self._runtime = runtime
        self._script = script
        self._executor = executor
        self._limit = limit
        self._retries = retries
        self._ordered = ordered
        self._warn = warn
        self._is_here = works_here(executor)
        # What is current where the fleet is started, such as a span, is current for its tasks too.
        self._context = copy_context()
        self._trace = carried()
        self._done: SimpleQueue[_Future] = SimpleQueue()
        self._under_way: dict[_Future, _Batch] = {}
        self._mean_seconds = BATCH_SECONDS
        longest = runtime.limits.timeout + margin
        self._silence = longest
        # The last task of a batch may first wait for another copy of itself.
        self._patience = 2 * longest + min(MAX_BATCH_SECONDS, margin)

    def run(self, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Run the tasks, and yield the outcome of each.

        Raises:
            TypeError: The runtime or a task cannot be sent to another process.
            WorkerLost: The executor is broken and accepts no further tasks, or it does not do what it has accepted.
        """
        try:
            outcomes = self._numbered(enumerate(tasks))
            yield from self._in_order(outcomes) if self._ordered else (outcome for _, outcome in outcomes)
        finally:
            self._cancel()

    def _numbered(self, tasks: Iterator[_Numbered]) -> Iterator[tuple[int, Outcome]]:
        self._fill(tasks)
        while self._under_way:
            batch, outcomes = self._next()
            if batch is None:
                yield from self._given_up()
                raise WorkerLost(f"The executor is taken for dead: no run has ended for {self._patience:.0f} s")
            if left := batch.tasks[len(outcomes) :]:
                self._begin(left, batch.repeats)
            for (number, task), outcome in zip(batch.tasks, outcomes, strict=False):
                if batch.repeats < self._retries and not batch.is_lost and may_repeat(outcome):
                    self._begin([(number, task)], batch.repeats + 1)
                else:
                    yield number, outcome
            self._fill(tasks)

    def _next(self) -> tuple[_Batch | None, Sequence[Outcome]]:
        """Wait until a batch has ended, and return it with the outcomes of the tasks that it has run.

        Return None instead of a batch if none has ended for too long.

        No reference to the future is left. A cluster would compute the result of a future that is still referred to
        again when the worker that holds the result dies.
        """
        if self._is_here:
            future = self._done.get()
        else:
            try:
                future = self._done.get(timeout=self._silence)
            except Empty:
                self._warn(f"no run has ended for {self._silence:.0f} s: waiting for {self._keys()}")
                try:
                    future = self._done.get(timeout=self._patience - self._silence)
                except Empty:
                    return None, ()
        batch = self._under_way.pop(future)
        return batch, self._outcomes(batch, future)

    def _keys(self) -> str:
        keys = [str(task.key) for batch in self._under_way.values() for _, task in batch.tasks]
        return ", ".join(keys[:MAX_NAMED]) + (f" and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else "")

    def _given_up(self) -> Iterator[tuple[int, Outcome]]:
        """Yield an error for each task that the executor has accepted, and cancel all of them."""
        numbered = [each for batch in self._under_way.values() for each in batch.tasks]
        self._cancel()
        for number, task in numbered:
            yield number, _lost(task, TimeoutError(f"no run has ended for {self._patience:.0f} s"))

    def _cancel(self) -> None:
        for future in self._under_way:
            future.cancel()
        self._under_way.clear()

    def _in_order(self, outcomes: Iterable[tuple[int, Outcome]]) -> Iterator[Outcome]:
        early: dict[int, Outcome] = {}
        following = 0
        for number, outcome in outcomes:
            early[number] = outcome
            while following in early:
                yield early.pop(following)
                following += 1

    def _fill(self, tasks: Iterator[_Numbered]) -> None:
        """Give the executor tasks until it has as many as the limit allows or no tasks are left."""
        while len(self._under_way) < self._limit:
            size = 1 if self._is_here else max(1, min(int(BATCH_SECONDS / self._mean_seconds), MAX_BATCH))
            batch = list(islice(tasks, size))
            if not batch:
                return
            self._begin(batch)

    def _begin(self, tasks: Sequence[_Numbered], repeats: int = 0) -> None:
        try:
            if self._is_here:
                ((_, task),) = tasks
                within = self._context.copy()  # one context cannot be that of two threads
                future: _Future = self._executor.submit(within.run, perform, self._runtime, self._script, task)
            else:
                packed = pack(self._runtime, self._script, [task for _, task in tasks], self._trace)
                future = self._executor.submit(perform_apart, packed)
        except BrokenExecutor as error:
            raise WorkerLost(f"The executor is broken and accepts no further runs: {error}") from None
        self._under_way[future] = _Batch(tasks, repeats)
        future.add_done_callback(self._done.put)

    def _outcomes(self, batch: _Batch, future: _Future) -> Sequence[Outcome]:
        """Return the outcomes of a batch that has ended. If its process was lost, these outcomes are errors."""
        try:
            result = future.result()
        except Exception as error:
            if not (isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__name__ in _LOST):
                raise
            batch.is_lost = True
            return [_lost(task, error) for _, task in batch.tasks]
        if not isinstance(result, bytes):
            return [result]
        outcomes = unpack(result, self._runtime)
        seconds = sum((outcome.usage.wall_ms or 0.0) for outcome in outcomes) / 1000 / len(outcomes)
        self._mean_seconds += (max(seconds, 0.001) - self._mean_seconds) / 4
        return outcomes


class _Batch:
    """Tasks given to the executor together, after ``repeats`` earlier tries; ``is_lost``: their process was lost."""

    def __init__(self, tasks: Sequence[_Numbered], repeats: int) -> None:
        self.tasks = tasks
        self.repeats = repeats
        self.is_lost = False


def _lost(task: Task, error: BaseException) -> Outcome:
    said = str(error) or type(error).__name__
    lost = WorkerLost(f"The process of the run was lost: {said}", hint="it is not known what the run had done by then")
    outcome = Outcome([], "", lost, [])
    outcome.key, outcome.account = task.key, task.account
    return outcome
