"""The thread that called a run: it alone calls back, and does what others want told or asked, one after another."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Lock, get_ident
from typing import Any, Generic, TypeVar

from kosmolua.errors import Interrupted

_Answer = TypeVar("_Answer")


class Caller:
    """Work that the threads of a run hand to the thread that called it. Make it in that thread."""

    def __init__(self) -> None:
        self._thread = get_ident()
        self._wanted: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._open: set[_Question[Any]] = set()
        self._has_left = False
        self._lock = Lock()

    def tell(self, work: Callable[[], object]) -> None:
        """Have something done, and go on meanwhile. What it raises is raised in the caller."""
        self._wanted.put(work)

    def wake(self) -> None:
        """Have the caller look at what has become of the run."""
        self.tell(_nothing)

    def ask(self, work: Callable[[], _Answer]) -> _Answer:
        """Have something done, and return what comes of it, or raise that.

        Raises:
            Interrupted: The caller has left.
        """
        if get_ident() == self._thread:
            return work()
        question = _Question(work)
        with self._lock:
            if self._has_left:
                raise Interrupted("The run is over")
            self._open.add(question)
        self._wanted.put(question)
        try:
            return question.wait()
        finally:
            with self._lock:
                self._open.discard(question)

    def attend(self, seconds: float) -> bool:
        """Do what is wanted next, and say whether there was anything within so many seconds."""
        try:
            work = self._wanted.get(timeout=seconds)
        except Empty:
            return False
        work()
        return True

    def leave(self) -> None:
        """Attend to nothing more. Who still waits for an answer is told so, also where a signal has cut it short."""
        with self._lock:
            self._has_left = True
            questions = list(self._open)
        for question in questions:
            question.fail(Interrupted("The run is over"))


def _nothing() -> None:
    return


class _Question(Generic[_Answer]):
    """Work whose end another thread waits for."""

    def __init__(self, work: Callable[[], _Answer]) -> None:
        self._work = work
        self._done = Event()
        self._answers: list[_Answer] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        try:
            answer = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            self.fail(error)
        else:
            self._answers.append(answer)
            self._done.set()

    def fail(self, error: BaseException) -> None:
        if not self._done.is_set():
            self._error = error
            self._done.set()

    def wait(self) -> _Answer:
        self._done.wait()
        if self._error:
            raise self._error
        return self._answers[0]
