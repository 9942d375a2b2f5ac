"""Where the processes that run scripts come from: started cold, or forked from a warm process that holds no secret."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, BinaryIO, Protocol

from kosmolua import launch, wire
from kosmolua.errors import WorkerLost
from kosmolua.wire import FORK, KILL, ORDER, STATUS

if TYPE_CHECKING:
    import subprocess

LONGEST_WAIT_FOR_STATUS = 5.0
"""Seconds to wait for word of how a process ended, once its pipe is closed."""


class Child(Protocol):
    """A process in which one script runs."""

    def send(self, line: bytes) -> None:
        """Write a frame. A process that is gone is noticed by reading, not here."""

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the process is gone."""

    def kill(self) -> None:
        """End the process at once."""

    def status(self) -> int:
        """Wait for the end of a process whose pipe is closed, and return its status: negative for a signal."""

    def close(self) -> None:
        """End the process and give up its pipes."""


class Pipes:
    """The two ends of a letterbox that the host holds."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._writing = Lock()

    def send(self, line: bytes) -> None:
        """Write a frame. A process that is gone is noticed by reading, not here."""
        try:
            with self._writing:
                self._outgoing.write(line)
                self._outgoing.flush()
        except (OSError, ValueError):
            return

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the process is gone."""
        return wire.read_line(self._incoming, limit)

    def close_pipes(self) -> None:
        """Give up both ends."""
        with self._writing:
            for stream in (self._outgoing, self._incoming):
                try:
                    stream.close()
                except OSError:
                    continue


class ColdChild(Pipes):
    """A worker that was started by itself.

    Args:
        worker: One that was launched earlier; by default a new one.

    Raises:
        WorkerLost: It cannot be started.
    """

    def __init__(self, worker: launch.Worker | None = None) -> None:
        try:
            worker = worker or launch.Worker()
        except OSError as error:
            raise WorkerLost(f"The sandbox cannot be started: {error.strerror}") from None
        super().__init__(os.fdopen(worker.incoming, "rb"), os.fdopen(worker.outgoing, "wb"))
        self._process = worker.process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def status(self) -> int:
        """Wait for the end of the process and return its status: negative for a signal."""
        return self._process.wait()

    def close(self) -> None:
        """End the process, wait for that, and give up its pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()


class Zygote:
    """A warm worker that runs nothing itself: it forks a fresh process for each script.

    It is started by exec, with an empty environment and no secret in its memory, so that its forks have none either.
    """

    def __init__(self) -> None:
        import socket

        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = _start_zygote(theirs.fileno())
        self._next = 0
        self._lock = Lock()
        self._ended: dict[int, Event] = {}
        self._statuses: dict[int, int] = {}
        Thread(target=self._listen, args=(self._control.dup(),), name="kosmolua-zygote", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def fork(self) -> ForkedChild:
        """Return a fresh worker.

        Raises:
            WorkerLost: The zygote is gone.
        """
        import socket

        their_incoming, our_outgoing = launch.pipe()
        our_incoming, their_outgoing = launch.pipe()
        try:
            with self._lock:
                self._next += 1
                number = self._next
                self._ended[number] = Event()
                socket.send_fds(self._control, [ORDER.pack(FORK, number)], [their_incoming, their_outgoing])
        except OSError:
            os.close(our_outgoing)
            os.close(our_incoming)
            raise WorkerLost("The sandbox's warm process is gone", hint="run the script again") from None
        finally:
            os.close(their_incoming)
            os.close(their_outgoing)
        return ForkedChild(self, number, os.fdopen(our_incoming, "rb"), os.fdopen(our_outgoing, "wb"))

    def kill(self, number: int) -> None:
        """End a worker, if it still runs."""
        try:
            with self._lock:
                self._control.send(ORDER.pack(KILL, number))
        except OSError:
            return

    def status(self, number: int) -> int:
        """Wait for word of how a worker ended; a zygote that is gone took its workers with it."""
        self._ended[number].wait(LONGEST_WAIT_FOR_STATUS)
        return self._statuses.get(number, -int(getattr(signal, "SIGKILL", 9)))

    def forget(self, number: int) -> None:
        """Keep nothing more of a worker."""
        self._ended.pop(number, None)
        self._statuses.pop(number, None)

    def close(self) -> None:
        """End the zygote, and with it all its workers."""
        self._control.close()
        self._process.kill()
        self._process.wait()

    def _listen(self, control: object) -> None:
        for number, status in _statuses(control):
            ended = self._ended.get(number)
            if ended:
                self._statuses[number] = status
                ended.set()
        for ended in list(self._ended.values()):
            ended.set()


def _start_zygote(control: int) -> launch.Process | subprocess.Popen[bytes]:
    try:
        return launch.start("zygote", control, None)
    except OSError as error:
        raise WorkerLost(f"The sandbox cannot be started: {error.strerror}") from None


def _statuses(control: object) -> Iterator[tuple[int, int]]:
    with control.makefile("rb") as stream, suppress(ConnectionError):  # type: ignore[attr-defined]
        while len(message := stream.read(STATUS.size)) == STATUS.size:
            yield STATUS.unpack(message)


class ForkedChild(Pipes):
    """A worker that a zygote forked.

    Args:
        zygote: Its parent, which alone can end it safely.
        number: Its name between host and zygote.
    """

    def __init__(self, zygote: Zygote, number: int, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        super().__init__(incoming, outgoing)
        self._zygote = zygote
        self._number = number

    def kill(self) -> None:
        """End the process at once."""
        self._zygote.kill(self._number)

    def status(self) -> int:
        """Wait for word of how the process ended: negative for a signal."""
        return self._zygote.status(self._number)

    def close(self) -> None:
        """End the process and give up its pipes."""
        self.kill()
        self.close_pipes()
        self._zygote.forget(self._number)


class Workers:
    """Gives each run a process that ran no other script, and bounds how many there are at once.

    Where the OS can fork they come from a zygote; elsewhere one spare worker is kept warm.

    Args:
        most: How many may be at work; more wait in the order in which they came.
    """

    def __init__(self, most: int) -> None:
        self._gate = _Gate(most)
        self._lock = Lock()
        self._zygote: Zygote | None = None
        self._spare: ColdChild | None = None

    @contextmanager
    def take(self) -> Iterator[Child]:
        """Yield a fresh worker, and end it afterwards."""
        with self._gate.passage():
            child = self._fresh()
            try:
                yield child
            finally:
                child.close()

    def close(self) -> None:
        """End everything that is kept warm."""
        with self._lock:
            for warm in (self._zygote, self._spare):
                if warm:
                    warm.close()
            self._zygote = self._spare = None

    def _fresh(self) -> Child:
        with self._lock:
            if not hasattr(os, "fork"):
                ready, self._spare = self._spare or ColdChild(), ColdChild()
                return ready
            if self._zygote and self._zygote.alive:
                with suppress(WorkerLost):  # it may have died since it was looked at
                    return self._zygote.fork()
            self._zygote = Zygote()
            return self._zygote.fork()


class _Gate:
    """Lets a bounded number of threads pass, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Wait for a turn, and give it on afterwards."""
        turn = Event()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                turn.set()
            else:
                self._waiting.append(turn)
        try:
            turn.wait()
            yield
        finally:
            self._leave(turn)

    def _leave(self, turn: Event) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
