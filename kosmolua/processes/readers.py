"""Processes that call functions for a server, such as checks of scripts, so that its own threads go on."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from threading import Lock
from time import monotonic
from typing import Any, TypeVar

from kosmolua.errors import Interrupted, KosmoError, WorkerLost
from kosmolua.limits import MIB
from kosmolua.processes import launch
from kosmolua.processes.pool import Places

COUNT = 2
"""How many processes a server has, if several clients need some at once."""
SECONDS = 20.0
"""How long one call may take."""
START_TIMEOUT = 30.0
"""Seconds that a process may take to start."""
MEMORY = 512 * MIB
"""How many bytes one process may use."""
IDLE, SPARE = 60.0, 5.0
"""Seconds after which a process ends that has nothing to do; for the last of them it gets no call that it may miss."""
BOOT = "import sys; sys.path[:] = sys.argv[1:]; from kosmolua.processes.readers import main; main()"
VARIABLES = ("HOME", "LANG", "PATH", "TMPDIR", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""The environment variables that a process gets. Others could contain secrets."""

_Value = TypeVar("_Value")


class Readers:
    """Calls functions in other processes, which start when they are needed. Any thread may use it.

    Clients take turns, and no client uses all processes. One call may take ``seconds``; then its process is ended.
    """

    def __init__(self, count: int = COUNT, seconds: float = SECONDS) -> None:
        self._places = Places(count)
        self._seconds = seconds
        self._idle: list[_Reader] = []
        self._all: set[_Reader] = set()
        self._is_closed = False
        self._lock = Lock()

    def call(
        self, client: str | None, work: Callable[..., _Value], *given: Any, seconds: float | None = None
    ) -> _Value:
        """Call a function in another process, and return its result, or raise its KosmoError.

        ``work`` is a function at the top of a module; its arguments and the result must be picklable. ``client`` is
        None for somebody who may use all processes.

        Raises:
            Busy: Too many calls are waiting already.
            WorkerLost: The process could not be started, took too long, or has ended. Or the function failed.
            Interrupted: The processes were closed.
        """
        turn = self._places.queue(client)
        try:
            turn.over.wait()
            with self._taken() as reader:
                answer, error = reader.ask((work, given), seconds or self._seconds)
        finally:
            turn.end()
        if isinstance(error, KosmoError):
            raise error
        if error:
            raise WorkerLost(f"It failed: {error!r}")
        result: _Value = answer
        return result

    def close(self) -> None:
        """End the processes. What they are doing fails with WorkerLost."""
        with self._lock:
            self._is_closed = True
            for reader in self._all:
                reader.kill()
        self._places.open()

    @contextmanager
    def _taken(self) -> Iterator[_Reader]:
        """Yield a process, and keep it for later unless the block fails."""
        reader = self._kept() or _Reader()
        with self._lock:
            self._all.add(reader)
            if self._is_closed:
                reader.kill()
        try:
            yield reader
        except BaseException:
            self._discard(reader)
            raise
        with self._lock:
            self._idle.append(reader)

    def _kept(self) -> _Reader | None:
        """Return a process that has nothing to do, or None."""
        while True:
            with self._lock:
                if self._is_closed:
                    raise Interrupted("The server stops")
                if not self._idle:
                    return None
                reader = self._idle.pop()
            if reader.is_there:
                return reader
            self._discard(reader)

    def _discard(self, reader: _Reader) -> None:
        with self._lock:
            self._all.discard(reader)
        reader.close()


class _Reader:
    """One process."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", BOOT, *filter(None, sys.path)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in VARIABLES if name in os.environ},
                    start_new_session=True,
                )
            except OSError as error:
                self._connection.close()
                raise WorkerLost.unstartable(error) from None
        self._is_started = False
        self._asked = monotonic()

    @property
    def is_there(self) -> bool:
        return self._process.poll() is None and monotonic() - self._asked < IDLE - SPARE

    def ask(self, question: tuple[Callable[..., Any], tuple[Any, ...]], seconds: float) -> tuple[Any, Exception | None]:
        """Return what a function returned, and the error that it raised or None."""
        try:
            if not self._is_started:
                self._receive(START_TIMEOUT)
                self._is_started = True
            self._asked = monotonic()
            self._connection.send(question)
            answer: tuple[Any, Exception | None] = self._receive(seconds)
        except (EOFError, OSError):
            raise WorkerLost("Its process has ended, which may have needed too much memory") from None
        return answer

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _receive(self, seconds: float) -> Any:
        if not self._connection.poll(seconds):
            raise WorkerLost(f"It took longer than {seconds:g} s, so it was ended")
        return self._connection.recv()


def main() -> None:
    """Answer questions as the program of one process, until there are none for a while."""
    launch.hide()
    _limit_memory()
    with Connection(sys.stdin.fileno()) as connection, suppress(EOFError, OSError, MemoryError):
        connection.send(None)
        while connection.poll(IDLE):
            work, given = connection.recv()
            connection.send_bytes(_answer(work, given))


def _answer(work: Callable[..., Any], given: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((work(*given), None))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - raised in the thread that asked
        return pickle.dumps((None, error))


def _limit_memory() -> None:
    """Bound the memory, and let the kernel end this process before the server if a container has no more."""
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
