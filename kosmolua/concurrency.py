"""What threads share: work, time limits, attributes that are computed once, and bounds of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import Condition, Event, Lock, RLock, Thread, get_ident
from time import monotonic
from typing import Any, Generic, TypeVar

from kosmolua.errors import Interrupted, WorkerLost

_Value = TypeVar("_Value")
_LOCK = "_lazy_lock"
"""The attribute in which an instance keeps the lock of its lazy attributes."""


def start_thread(work: Callable[[], object], name: str) -> None:
    """Start a daemon thread with a copy of this thread's context variables; debuggers show ``kosmolua-NAME``.

    Raises:
        WorkerLost: The system allows no further thread.
    """
    try:
        Thread(target=copy_context().run, args=(work,), name=f"kosmolua-{name}", daemon=True).start()
    except RuntimeError as error:
        hint = "end other processes, or raise the limit on threads"
        raise WorkerLost("The system allows no further thread", hint=hint) from error


GRACE = 0.25
"""Seconds after a call's deadline before it is left behind. One that waits for an answer ends by itself meanwhile."""
LOOK_INTERVAL = 0.5
"""Seconds after which a thread that waits looks again at its deadline, which may have moved."""


class lazy(Generic[_Value]):
    """An attribute that is computed on first use, once for all threads.

    Like ``functools.cached_property``, which has had no lock since Python 3.12, but with a lock for each instance. The
    value is in the instance's ``__dict__`` once it is computed.
    """

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> _Value:
        if instance is None:
            return self  # type: ignore[return-value]  # as every descriptor that is looked at on the class
        kept: dict[str, Any] = instance.__dict__
        with kept.setdefault(_LOCK, RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
        value: _Value = kept[self._name]
        return value


def forget(instance: object, *names: str) -> None:
    """In a fork, remove lazy attributes from an object, and their lock, whose holder may not exist here."""
    for name in (*names, _LOCK):
        vars(instance).pop(name, None)


class ActiveThreads:
    """Counts the threads that use an object, so that its ``close`` can wait for them."""

    def __init__(self) -> None:
        self._threads: Counter[int] = Counter()
        self._changed = Condition()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count this thread during the block."""
        thread = get_ident()
        with self._changed:
            self._threads[thread] += 1
        try:
            yield
        finally:
            with self._changed:
                self._threads[thread] -= 1
                if not self._threads[thread]:
                    del self._threads[thread]
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait at most ``seconds`` until no thread but this, perhaps in a signal handler, is active."""
        own = get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not any(thread != own for thread in +self._threads), seconds)


class LeftBehind(BaseException):
    """Raised in the thread of a call whose function returned too late: the call was answered without it."""


class Countdown:
    """The time limit of one call, on which its thread and the thread that watches it agree.

    Python code cannot be stopped, so a call that is late is left behind in its thread.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = Lock()
        self._until: Callable[[], float] | None = None
        self._is_given_up = False
        self.expire: Callable[[], Exception] = TimeoutError
        """Records the end of the call that was given up, and returns its error."""

    def begin(self, until: Callable[[], float], expire: Callable[[], Exception]) -> None:
        """Limit the call from now on: ``until`` returns the deadline, ``expire`` becomes :attr:`expire`."""
        self._until, self.expire = until, expire

    def end(self) -> None:
        """Note that the call has returned.

        Raises:
            LeftBehind: It was given up before.
        """
        with self._lock:
            self._until = None
            if self._is_given_up:
                raise LeftBehind

    @property
    def ends(self) -> float | None:
        until = self._until
        return until() if until else None

    def give_up(self) -> bool:
        """Give up the call; return False if its function has returned, so that its thread answers."""
        with self._lock:
            if self._until is None or self._is_given_up:
                return False
            self._until, self._is_given_up = None, True
            return True


countdown: ContextVar[Countdown | None] = ContextVar("countdown", default=None)
"""The time limit of the call that the current thread makes for a script; None for calls of Python programs."""


HELPER_TIMEOUT = 10.0
"""Seconds after which a helper without work ends."""


class Helpers:
    """Threads that call functions for others, one after another: to start a thread takes three times as long."""

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Callable[[], object] | None]] = []
        self._is_closed = False

    def start(self, work: Callable[[], object]) -> None:
        """Call a function, which raises nothing, with this thread's context variables in another thread.

        Raises:
            WorkerLost: The system allows no further thread.
        """
        try:
            tasks = self._idle.pop()
        except IndexError:
            tasks = SimpleQueue()
            # In an empty context: a thread that lives on keeps no variable of its first caller.
            Context().run(start_thread, partial(self._serve, tasks), "helper")
        tasks.put(partial(copy_context().run, work))

    def call(self, work: Callable[[], _Value], until: Callable[[], float]) -> _Value:
        """Call a function as :meth:`start` does, and return its result; ``until`` returns the deadline.

        Raises:
            TimeoutError: The function did not return before the deadline. It is left behind in its thread.
            WorkerLost: The system allows no further thread.
        """
        question = _AwaitedTask(work)
        self.start(question)
        while not question.is_answered_within(min(until() - monotonic(), LOOK_INTERVAL)):
            if until() <= monotonic():
                raise TimeoutError
        return question.wait()

    def close(self) -> None:
        """End idle threads, and the others once their functions return."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().put(None)

    def _serve(self, tasks: SimpleQueue[Callable[[], object] | None]) -> None:
        while True:
            try:
                task = tasks.get(timeout=HELPER_TIMEOUT)
            except Empty:
                with suppress(ValueError):  # a function for it is on its way
                    self._idle.remove(tasks)
                    return
                continue
            if task is None:
                return
            task()
            del task
            self._idle.append(tasks)
            if self._is_closed:
                self.close()


class Mailbox:
    """A queue of functions from any thread, which its owner, the thread that created it, calls in order."""

    def __init__(self) -> None:
        self._owner = get_ident()
        self._work: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._questions: set[_AwaitedTask[Any]] = set()
        self._is_closed = False
        self._lock = Lock()
        self.put = self._work.put
        """Adds a function, which the owner will call. The result of the function is ignored."""
        self.is_empty = self._work.empty

    def ask(self, work: Callable[[], _Value]) -> _Value:
        """Have the owner call a function, and return its result.

        Raises:
            Interrupted: The mailbox was closed, since the run is over.
        """
        if get_ident() == self._owner:
            return work()
        question = _AwaitedTask(work)
        with self._lock:
            if self._is_closed:
                raise Interrupted("The run is over")
            self._questions.add(question)
        self.put(question)
        try:
            return question.wait()
        finally:
            with self._lock:
                self._questions.discard(question)

    def do_next(self, seconds: float = 0.0) -> None:
        """Wait at most ``seconds`` for a function, and call it. For the owner."""
        try:
            work = self._work.get(timeout=seconds) if seconds > 0 else self._work.get_nowait()
        except Empty:
            return
        work()

    def close(self) -> None:
        """Make waiting and later calls of :meth:`ask` raise Interrupted."""
        with self._lock:
            self._is_closed, questions = True, list(self._questions)
        for question in questions:
            question.fail(Interrupted("The run is over"))


class _AwaitedTask(Generic[_Value]):
    """A function that the owner calls for a waiting thread. (Importing ``concurrent.futures`` would take 15 ms.)"""

    def __init__(self, work: Callable[[], _Value]) -> None:
        self._work = work
        self._done = Event()
        self._answers: list[_Value] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        """Call the function for the waiting thread; a KeyboardInterrupt ends the run, and is Interrupted there."""
        try:
            self._answers.append(self._work())
        except KeyboardInterrupt:
            self.fail(Interrupted("The script was interrupted"))
            raise
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            self.fail(error)
        else:
            self._done.set()

    def fail(self, error: BaseException) -> None:
        """Make :meth:`wait` raise ``error``, unless the function was called."""
        if not self._done.is_set():
            self._error = error
            self._done.set()

    def is_answered_within(self, seconds: float) -> bool:
        return self._done.wait(max(seconds, 0.0))

    def wait(self) -> _Value:
        self._done.wait()
        if self._error:
            raise self._error
        return self._answers[0]


class MemoryBound:
    """Bounds how many bytes of memory several users take, such as runs. Many threads may use it.

    Args:
        total: The most that all users can take together. All amounts count, but ``free`` makes an exception.
        share: The most that one user can take.
        free: How much each user can always take, even beyond the total. With a total of 100 that is used up and 10
            free, a user who holds nothing can still take 10, so that 110 are taken.
    """

    def __init__(self, total: int, share: int, free: int) -> None:
        self.share = share
        self._total = total
        self._free = free
        self._taken = 0
        self._lock = Lock()

    def take(self, size: int, held: int) -> bool:
        """Take ``size`` more for a user who holds ``held`` already. Return False if that would be too much."""
        with self._lock:
            is_spent = self._taken + size > self._total and held + size > self._free
            if is_spent or held + size > self.share:
                return False
            self._taken += size
            return True

    def give_back(self, size: int) -> None:
        """Give back an amount that a user has taken."""
        with self._lock:
            self._taken -= size
