"""The peers that KosmoLua is measured against, as far as they are installed: ``pip install kosmolua[bench]``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

VERSIONS = ("kosmolua", "pydantic-monty", "lupa", "requests", "mcp")


def is_there(module: str) -> bool:
    """Return True if a peer can be imported."""
    return find_spec(module) is not None


def versions() -> str:
    """Return a line with the versions of all that is measured."""
    return ", ".join(f"{name} {_version(name)}" for name in VERSIONS)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


@contextmanager
def monty(processes: int = 1, *, checkouts: int | None = None) -> Iterator[Callable[..., Any]]:
    """Yield a function that runs Python in a session of its own, in one of so many warm processes of Monty's.

    It takes the code, and by name what :meth:`pydantic_monty.MontySession.feed_run` takes. Each process ends after
    ``checkouts`` sessions, or never.
    """
    import pydantic_monty

    options = {} if checkouts is None else {"max_checkouts_per_worker": checkouts}
    with pydantic_monty.Monty(min_processes=processes, max_processes=processes, **options) as pool:

        def run(code: str, limits: Any = None, **options: Any) -> Any:
            with pool.checkout(limits=limits) as session:
                return session.feed_run(code, **options)

        yield run


def fork_exit_and_reap() -> None:
    """Fork a process that does nothing, and wait for it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def from_threads(work: Callable[[], object], threads: ThreadPoolExecutor, count: int) -> Callable[[], object]:
    """Return a function that does the work so many times from the threads of a pool, and waits for all."""

    def do_all() -> None:
        for done in [threads.submit(work) for _ in range(count)]:
            done.result()

    return do_all
