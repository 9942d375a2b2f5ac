"""Threads of the host. Neither a run nor the program waits for one that is stuck."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread

from kosmolua.errors import WorkerLost


def start(work: Callable[[], object], name: str) -> None:
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
