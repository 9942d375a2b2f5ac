"""The host's side of the child processes that scripts run in: their pipes, their exit status, and ending them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock, RLock
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kosmolua import protocol
from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.protocol import KILL, ORDER

SIGTERM = 15
PIECE = 64 * 1024
"""Bytes to read from a pipe at a time."""


class Child(Protocol):
    """A process in which one script runs."""

    def send(self, line: bytes) -> None:
        """Write a frame. Do nothing if the process has ended: reading reports that."""

    def read(self, limit: int) -> bytes | None:
        """Return the line of the next frame, at most ``limit`` bytes, or None if the process has ended."""

    def kill(self) -> None:
        """End the process at once."""

    def insist(self) -> None:
        """End a process that :meth:`kill` did not end; others may end with it."""

    def status(self) -> int:
        """Wait for the end of a process whose pipe is closed. Return its exit status, negative for a signal."""

    def close(self) -> None:
        """End the process and close its pipes."""


class Pipes:
    """The host's ends of the two pipes of a child.

    Args:
        incoming: The descriptor to read from.
        outgoing: The descriptor to write to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = os.fdopen(outgoing, "wb")
        self._writing = Lock()

    def send(self, line: bytes) -> None:
        """Write a frame. Do nothing if the process has ended: reading reports that."""
        try:
            with self._writing:
                self._outgoing.write(line)
                self._outgoing.flush()
        except (OSError, ValueError):
            return

    def read(self, limit: int) -> bytes | None:
        """Return the line of the next frame, at most ``limit`` bytes, or None if the process has ended."""
        return protocol.read_line(self._incoming, limit)

    def close_pipes(self) -> None:
        """Close both ends."""
        with self._writing:
            for stream in (self._outgoing, self._incoming):
                try:
                    stream.close()
                except OSError:
                    continue


class PolledPipes(Pipes):
    """The host's ends of two pipes, where waiting for a frame can have a timeout.

    ``is_clean`` is True if the last script ended by itself and left no work unfinished.

    Args:
        incoming: The descriptor to read from.
        outgoing: The descriptor to write to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self._reading, self._writing = Lock(), Lock()
        self._read = bytearray()
        self._searched = 0
        self._is_open = True
        self.is_clean = False

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._is_open:
            close(self.incoming)
            close(self.outgoing)

    def send(self, line: bytes) -> None:
        """Write a frame. Do nothing if the process has ended: reading reports that."""
        try:
            with self._writing:
                rest = memoryview(line)
                while rest and self._is_open:
                    rest = rest[os.write(self.outgoing, rest) :]
        except OSError:
            return

    def read(self, limit: int, seconds: float = inf) -> bytes | None:
        """Return the line of the next frame, or None if the process has ended.

        Args:
            limit: The largest number of bytes of a line.
            seconds: How long to wait for it.

        Raises:
            TimeoutError: The frame did not arrive in ``seconds``. The part that arrived is kept for the next read.
            BadFrame: The line is longer than ``limit`` bytes.
        """
        ends = monotonic() + seconds
        with self._reading:
            while (end := self._read.find(b"\n", self._searched)) < 0:
                self._searched = len(self._read)
                if self._searched > limit:
                    raise protocol.BadFrame(f"a frame is longer than {limit} bytes")
                if self._is_open and ends < inf and not is_readable(self.incoming, max(ends - monotonic(), 0.0)):
                    raise TimeoutError
                piece = os.read(self.incoming, PIECE) if self._is_open else b""
                if not piece:
                    return None
                self._read += piece
            if end > limit:
                raise protocol.BadFrame(f"a frame is longer than {limit} bytes")
            line = bytes(memoryview(self._read)[:end])
            del self._read[: end + 1]
            self._searched = 0
            return line

    def close_pipes(self) -> None:
        """Close both ends once no thread reads or writes, since the system reuses the numbers of the descriptors."""
        with self._reading, self._writing:
            if self._is_open:
                self._is_open = False
                os.close(self.incoming)
                os.close(self.outgoing)

    def leave(self) -> None:
        """In a fork of the program, close the copies of the pipes."""
        self._is_open = False
        os.close(self.incoming)
        os.close(self.outgoing)


def is_readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read or the other side has ended. Return False after ``seconds``."""
    from select import POLLIN, poll  # imported here, since a cold start does not need it

    poller = poll()
    poller.register(descriptor, POLLIN)
    return bool(poller.poll(seconds * 1000))


class ColdChild(Pipes):
    """A worker that was started directly, not forked by a zygote.

    Args:
        worker: A worker that was launched earlier; by default a new one.

    Raises:
        WorkerLost: The worker cannot be started.
    """

    def __init__(self, worker: launch.Worker | None = None) -> None:
        try:
            worker = worker or launch.Worker()
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(worker.incoming, worker.outgoing)
        self._process = worker.process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def insist(self) -> None:
        """Do the same as :meth:`kill`; no stronger signal exists."""
        self._process.kill()

    def status(self) -> int:
        """Wait for the end of the process and return its exit status, which is negative for a signal."""
        return self._process.wait()

    def close(self) -> None:
        """End the process, wait for it, and close its pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()


if TYPE_CHECKING:
    Start: TypeAlias = Callable[[str, int, int, int], launch.Started]

CAN_FORK = hasattr(os, "fork")


JOB = b'{"kind":"job"'


class SessionProcess(Pipes):
    """The processes of a session: the first one, and its forks, which are in the process group that it leads.

    Args:
        start: Starts a process of the sandbox.
        forks: Whether the process can fork. If not, stopping a chunk ends the whole process.

    Raises:
        WorkerLost: The process cannot be started.
    """

    def __init__(self, start: Start = launch.start, *, forks: bool = CAN_FORK) -> None:
        self._forks = forks
        self._jobs = 0
        self._control: int | None = None
        self._controlling = RLock()
        try:
            pipes = launch.PipePair()
            with pipes.theirs() as (incoming, outgoing):
                self._process = self._started(start, incoming, outgoing)
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(pipes.incoming, pipes.outgoing)

    @property
    def pid(self) -> int:
        """The id of the first process, which is also the id of the process group."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Write a frame. Do nothing if the process has ended: reading reports that."""
        if line.startswith(JOB):
            with self._controlling:
                self._jobs += 1
        super().send(line)

    def stop(self, number: int) -> None:
        """Stop a chunk if it is the last that was sent and still runs. If the system cannot fork, end the process.

        The order is sent over the control pipe, in case the chunk has no process yet, and then as a signal. Processes
        that run no chunk block the signal. No process of the session has the right to signal another.

        Args:
            number: The number of the chunk, counted from 1 in the order of sending.
        """
        if not self._forks:
            self._process.kill()
            return
        with self._controlling:
            if number == self._jobs and self._control is not None:
                with suppress(OSError):
                    os.write(self._control, ORDER.pack(KILL, number))
                self._signal(SIGTERM)

    def kill(self) -> None:
        """End all processes of the session at once.

        The first process is reaped only afterwards, so that no other process group can have its number.
        """
        if self._forks:
            self._signal(launch.SIGKILL)
        else:
            self._process.kill()

    def close(self) -> None:
        """End all processes of the session and close the pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()
        with self._controlling:
            if self._control is not None:
                os.close(self._control)
            self._control = None

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _started(self, start: Start, incoming: int, outgoing: int) -> launch.Started:
        control, self._control = launch.pipe()
        try:
            return start("session", incoming, outgoing, control)
        except OSError:
            os.close(self._control)
            raise
        finally:
            os.close(control)
