"""Threads of the host. Neither a run nor the program waits for one that is stuck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Condition, RLock, Thread, get_ident
from typing import Any, Generic, TypeVar

from kosmolua.errors import WorkerLost


def start_thread(work: Callable[[], object], name: str) -> None:
    """Have work done in a thread, which sees the context variables of this one.

    Args:
        work: What to do; nobody hears of what it raises.
        name: What debuggers show, after ``kosmolua-``.

    Raises:
        WorkerLost: The system allows no further thread.
    """
    try:
        Thread(target=copy_context().run, args=(work,), name=f"kosmolua-{name}", daemon=True).start()
    except RuntimeError as error:
        raise WorkerLost("The system allows no further thread", hint="end others, or raise its limit") from error


class Occupancy:
    """Counts threads that are at work."""

    def __init__(self) -> None:
        self._threads: Counter[int] = Counter()
        self._changed = Condition()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count this thread as at work until the ``with`` block ends."""
        thread = get_ident()
        self._count(thread, 1)
        try:
            yield
        finally:
            self._count(thread, -1)

    def wait(self, seconds: float) -> None:
        """Wait until no other thread is at work, or for so many seconds.

        This one may be: a signal handler interrupts what it was doing.
        """
        own = get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not any(thread != own for thread in +self._threads), seconds)

    def _count(self, thread: int, change: int) -> None:
        with self._changed:
            self._threads[thread] += change
            if not self._threads[thread]:
                del self._threads[thread]
            self._changed.notify_all()


_Value = TypeVar("_Value")
LOCK = "_once"
"""The attribute that an instance keeps its lock in; a fork drops it, since who held it may not be there."""


class once(Generic[_Value]):
    """Like ``functools.cached_property``, with a lock, which that lost in Python 3.12: one for each instance."""

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> _Value:
        if instance is None:
            return self  # type: ignore[return-value]  # as every descriptor that is looked at on the class
        kept: dict[str, Any] = instance.__dict__
        with kept.setdefault(LOCK, RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
        value: _Value = kept[self._name]
        return value


def computed(instance: object, name: str) -> bool:
    """Say whether a property of this name was asked for already."""
    return name in instance.__dict__
