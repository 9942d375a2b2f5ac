"""Child processes in which scripts run: their pipes, exit statuses, and how to end them."""

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
LARGE = 256 * 1024
"""Bytes of a frame beyond which memory is reserved for it, if the host reserves any."""


class Child(Protocol):
    """A process in which a script runs."""

    def send(self, line: bytes) -> None:
        """Send a frame; nothing happens if the process has ended, which :meth:`read` reports."""

    def read(self, limit: int) -> bytes | None:
        """Wait for the next frame, and return its line, or None if the process has ended.

        Raises:
            BadFrame: The line is longer than ``limit`` bytes.
        """

    def kill(self) -> None:
        """End the process at once."""

    def insist(self) -> None:
        """End the process by stronger means, as :meth:`kill` did not. This can also end other workers."""

    def status(self) -> int:
        """Wait for the end after :meth:`read` returned None, and return the exit status."""

    def close(self) -> None:
        """End the process and close its pipes."""


class Pipes:
    """Frames to and from a child, over two pipes."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb", buffering=0)
        self._read = protocol.Lines()
        self._outgoing = os.fdopen(outgoing, "wb")
        self._writing = Lock()

    def send(self, line: bytes) -> None:
        try:
            with self._writing:
                self._outgoing.write(line)
                self._outgoing.flush()
        except (OSError, ValueError):
            return

    def read(self, limit: int) -> bytes | None:
        while (line := self._read.take(limit)) is None:
            piece = self._incoming.read(PIECE)
            if not piece:
                return None
            self._read += piece
        return line

    def close_pipes(self) -> None:
        """Close the host's ends of both pipes."""
        with self._writing:
            for stream in (self._outgoing, self._incoming):
                try:
                    stream.close()
                except OSError:
                    continue


class PolledPipes(Pipes):
    """Pipes whose reading can have a timeout.

    ``is_clean``, set by the host, says that the last script ended by itself and left no work unfinished. ``room`` is
    called with the bytes of a large frame before more of it is read, if it is not None.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self._reading, self._writing = Lock(), Lock()
        self._read = protocol.Lines()
        self._arrivals = protocol.Arrivals(incoming)
        self._is_open = True
        self.is_clean = False
        self.room: Callable[[int], None] | None = None

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._is_open:
            close(self.incoming)
            close(self.outgoing)

    def send(self, line: bytes) -> None:
        try:
            with self._writing:
                rest = memoryview(line)
                while rest and self._is_open:
                    rest = rest[os.write(self.outgoing, rest) :]
        except OSError:
            return

    def read(self, limit: int, seconds: float = inf) -> bytes | None:
        """Wait at most ``seconds`` for the next frame.

        Raises:
            TimeoutError: The frame did not arrive in time. The part that has arrived is kept for the next read.
            BadFrame: The line is longer than ``limit`` bytes.
        """
        ends = monotonic() + seconds
        with self._reading:
            while (line := self._read.take(limit)) is None:
                size = len(self._read)
                if size > LARGE and self.room:
                    self.room(size)
                if self._is_open and not self._arrivals.wait(max(ends - monotonic(), 0.0)):
                    raise TimeoutError
                piece = os.read(self.incoming, PIECE) if self._is_open else b""
                if not piece:
                    return None
                self._read += piece
            return line

    def close_pipes(self) -> None:
        """Close the host's ends when no thread uses them: else it could reach another file, as the system reuses
        numbers.
        """
        with self._reading, self._writing:
            if self._is_open:
                self._is_open, self.room = False, None
                os.close(self.incoming)
                os.close(self.outgoing)

    def leave(self) -> None:
        """Close this fork's copies of the pipes."""
        self._is_open = False
        os.close(self.incoming)
        os.close(self.outgoing)


class ColdChild(Pipes):
    """A child that is a new Python interpreter: ``worker``, launched earlier, or one launched now."""

    def __init__(self, worker: launch.WorkerProcess | None = None) -> None:
        try:
            worker = worker or launch.WorkerProcess()
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(worker.incoming, worker.outgoing)
        self._process = worker.process

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def insist(self) -> None:
        """Do the same as :meth:`kill`: there is no stronger signal."""
        self._process.kill()

    def status(self) -> int:
        return self._process.wait()

    def close(self) -> None:
        self.kill()
        self._process.wait()
        self.close_pipes()


if TYPE_CHECKING:
    Start: TypeAlias = Callable[[str, int, int, int], launch.Started]

CAN_FORK = hasattr(os, "fork")


JOB = b'{"kind":"job"'


class SessionProcess(Pipes):
    """The processes of a session, one process group.

    The first forks for each chunk. If it cannot (``forks``), stopping a chunk ends the whole session. ``start`` is
    :func:`launch.start` or the like.
    """

    def __init__(self, start: Start = launch.start, *, forks: bool = CAN_FORK) -> None:
        self._forks = forks
        self._jobs = 0
        self._control: int | None = None
        self._controlling = RLock()
        try:
            with launch.PipePair() as pipes:
                self._process = self._started(start, *pipes.theirs)
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(pipes.incoming, pipes.outgoing)

    @property
    def pid(self) -> int:
        """The id of the first process and of the group."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        if line.startswith(JOB):
            with self._controlling:
                self._jobs += 1
        super().send(line)

    def stop(self, number: int) -> None:
        """Stop a chunk, counted from 1, if it still runs and no later one was sent.

        The order is sent twice: over the control pipe, since the first process may not have forked the chunk's process
        yet; and as a signal to the group, which processes that run no chunk block. Without forks, the session ends.
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
        """End all processes at once.

        The first one's status is not collected here, so that no other group can get its number meanwhile.
        """
        if self._forks:
            self._signal(launch.SIGKILL)
        else:
            self._process.kill()

    def close(self) -> None:
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
