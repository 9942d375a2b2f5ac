"""The fleet: hands tasks to an executor, a bounded number at a time, and yields the outcomes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from itertools import count
from queue import SimpleQueue

from kosmolua.errors import WorkerLost
from kosmolua.fleet.executors import works_here
from kosmolua.fleet.tasks import Runtime, Script, Task, may_repeat, pack, perform, perform_apart, unpack
from kosmolua.runs.run import Outcome

_LOST = ("KilledWorker", "FutureCancelledError", "FuturesCancelledError")
"""Errors of dask that say that the process of a task is gone."""


class Fleet:
    """Runs a script once for each task.

    Tasks are taken as they are needed, so that any number of them takes little memory. Whoever stops to take outcomes
    has the tasks cancelled that have not begun.

    Args:
        runtime: Runs the script in this process. In others it is opened anew, from its options.
        script: The script.
        executor: Where tasks are done.
        limit: Tasks that are handed to the executor at once.
        retries: How many times a task is done again whose failure may pass, if it has written nothing.
        ordered: Yield the outcomes in the order of the tasks, not in that of completion.
    """

    def __init__(
        self,
        runtime: Runtime,
        script: Script,
        executor: Executor,
        limit: int,
        *,
        retries: int = 0,
        ordered: bool = False,
    ) -> None:
        self._runtime = runtime
        self._script = script
        self._executor = executor
        self._limit = limit
        self._retries = retries
        self._ordered = ordered
        self._is_here = works_here(executor)

    def run(self, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """Do the tasks, and yield an outcome for each.

        Raises:
            TypeError: The runtime or a task cannot travel to another process.
            WorkerLost: The executor is broken.
        """
        done: SimpleQueue[_Attempt] = SimpleQueue()
        under_way: set[_Attempt] = set()
        early: dict[int, Outcome] = {}
        numbers, following = count(), 0
        left = iter(tasks)
        is_over = False
        try:
            while under_way or not is_over:
                while not is_over and len(under_way) + len(early) < self._limit:
                    task = next(left, None)
                    is_over = task is None
                    if task is not None:
                        under_way.add(self._begin(task, next(numbers), done))
                if not under_way:
                    break
                attempt = done.get()
                under_way.discard(attempt)
                outcome = self._outcome(attempt)
                if attempt.repeats < self._retries and not attempt.is_lost and may_repeat(outcome):
                    under_way.add(self._begin(attempt.task, attempt.number, done, attempt.repeats + 1))
                elif self._ordered:
                    early[attempt.number] = outcome
                    while following in early:
                        yield early.pop(following)
                        following += 1
                else:
                    yield outcome
        finally:
            for attempt in under_way:
                attempt.future.cancel()

    def _begin(self, task: Task, number: int, done: SimpleQueue[_Attempt], repeats: int = 0) -> _Attempt:
        try:
            return self._submit(task, number, done, repeats)
        except BrokenExecutor as error:
            raise WorkerLost(f"The executor takes no further run: {error}") from None

    def _submit(self, task: Task, number: int, done: SimpleQueue[_Attempt], repeats: int) -> _Attempt:
        if self._is_here:
            future: Future[Outcome | bytes] = self._executor.submit(perform, self._runtime, self._script, task)
        else:
            future = self._executor.submit(perform_apart, pack(self._runtime, self._script, task))
        attempt = _Attempt(task, number, future, repeats)
        future.add_done_callback(lambda _: done.put(attempt))
        return attempt

    def _outcome(self, attempt: _Attempt) -> Outcome:
        """Return the outcome of an attempt that is over; of one whose process was lost, the error."""
        try:
            result = attempt.future.result()
            return unpack(result, self._runtime) if isinstance(result, bytes) else result
        except Exception as error:
            if not (isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__name__ in _LOST):
                raise
            said = str(error) or type(error).__name__
            lost = WorkerLost(f"The process of the run was lost: {said}", hint="what it did until then is not known")
        attempt.is_lost = True
        outcome = Outcome([], "", lost, [])
        outcome.key, outcome.account = attempt.task.key, attempt.task.account
        return outcome


class _Attempt:
    """A task that was handed to the executor."""

    def __init__(self, task: Task, number: int, future: Future[Outcome | bytes], repeats: int) -> None:
        self.task = task
        self.number = number
        self.future = future
        self.repeats = repeats
        self.is_lost = False
