"""The child processes that scripts run in, from the host's side: their pipes, exit statuses, and how to end them.

Host and child exchange messages, called frames, which are lines of JSON. ``kosmolua/protocol.py`` describes them.
"""

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
    """What the host can do with a child process in which a script runs."""

    def send(self, line: bytes) -> None:
        """Send a frame, a line of JSON, to the child process. Do nothing if it has ended: :meth:`read` reports that."""

    def read(self, limit: int) -> bytes | None:
        """Wait for the next frame of the child process. Return its line, or None if the process has ended.

        Args:
            limit: The largest number of bytes of a line.

        Raises:
            BadFrame: The line is longer than ``limit`` bytes.
        """

    def kill(self) -> None:
        """End the process at once."""

    def insist(self) -> None:
        """End the process by stronger means, because :meth:`kill` did not end it. This can also end other workers."""

    def status(self) -> int:
        """Wait for the end of the process after :meth:`read` returned None, and return its exit status.

        The status is negative if a signal ended the process.
        """

    def close(self) -> None:
        """End the process and close its pipes."""


class Pipes:
    """Sends frames to a child process, and reads frames from it, over two pipes.

    Args:
        incoming: The descriptor to read the child's frames from.
        outgoing: The descriptor to write frames for the child to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = os.fdopen(outgoing, "wb")
        self._writing = Lock()

    def send(self, line: bytes) -> None:
        """Send a frame, a line of JSON, to the child process. Do nothing if it has ended: :meth:`read` reports that."""
        try:
            with self._writing:
                self._outgoing.write(line)
                self._outgoing.flush()
        except (OSError, ValueError):
            return

    def read(self, limit: int) -> bytes | None:
        """Wait for the next frame of the child process. Return its line, or None if the process has ended.

        Args:
            limit: The largest number of bytes of a line.

        Raises:
            BadFrame: The line is longer than ``limit`` bytes.
        """
        return protocol.read_line(self._incoming, limit)

    def close_pipes(self) -> None:
        """Close the host's ends of both pipes."""
        with self._writing:
            for stream in (self._outgoing, self._incoming):
                try:
                    stream.close()
                except OSError:
                    continue


class PolledPipes(Pipes):
    """Sends and reads frames as :class:`Pipes` does. Reading can have a timeout.

    ``is_clean`` is True if the last script ended by itself and left no work unfinished. The host sets it after each
    script. ``room`` is called before more of a large frame is read, with the bytes that were read; None if nothing has
    to be done then.

    Args:
        incoming: The descriptor to read the child's frames from.
        outgoing: The descriptor to write frames for the child to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self._reading, self._writing = Lock(), Lock()
        self._read = bytearray()
        self._searched = 0
        self._arrivals = protocol.Arrivals(incoming)
        self._is_open = True
        self.is_clean = False
        self.room: Callable[[int], None] | None = None

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._is_open:
            close(self.incoming)
            close(self.outgoing)

    def send(self, line: bytes) -> None:
        """Send a frame, a line of JSON, to the child process. Do nothing if it has ended: :meth:`read` reports that."""
        try:
            with self._writing:
                rest = memoryview(line)
                while rest and self._is_open:
                    rest = rest[os.write(self.outgoing, rest) :]
        except OSError:
            return

    def read(self, limit: int, seconds: float = inf) -> bytes | None:
        """Wait for the next frame of the child process. Return its line, or None if the process has ended.

        Args:
            limit: The largest number of bytes of a line.
            seconds: How long to wait for the frame.

        Raises:
            TimeoutError: The frame did not arrive within ``seconds``. The part that has arrived is kept for the next
                read.
            BadFrame: The line is longer than ``limit`` bytes.
        """
        ends = monotonic() + seconds
        with self._reading:
            while (end := self._read.find(b"\n", self._searched)) < 0:
                self._searched = len(self._read)
                if self._searched > limit:
                    raise protocol.BadFrame(f"a frame is longer than {limit} bytes")
                if self._searched > LARGE and self.room:
                    self.room(self._searched)
                if self._is_open and not self._arrivals.wait(max(ends - monotonic(), 0.0)):
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
        """Close the host's ends of both pipes when no thread reads or writes any more.

        A thread that still used a closed descriptor could access another file, since the system reuses the numbers.
        """
        with self._reading, self._writing:
            if self._is_open:
                self._is_open = False
                os.close(self.incoming)
                os.close(self.outgoing)

    def leave(self) -> None:
        """Close this process's copies of the pipes. A fork of the program calls this; the parent keeps its pipes."""
        self._is_open = False
        os.close(self.incoming)
        os.close(self.outgoing)


class ColdChild(Pipes):
    """A child process that is started as a new Python interpreter.

    The class :class:`kosmolua.processes.zygote.ForkedChild` is for a child that a zygote forks. A zygote is a process
    that is kept to fork workers.

    Args:
        worker: A worker that was launched earlier. By default, a new one is launched.

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
        """Do the same as :meth:`kill`, since there is no stronger signal."""
        self._process.kill()

    def status(self) -> int:
        """Wait for the end of the process and return its exit status, which is negative if a signal ended it."""
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
    """The processes of a session, in which chunks of Lua run one after another.

    The first process forks for each chunk, and leads the process group that all these processes belong to.

    Args:
        start: The function that starts a sandbox process. It has the signature of :func:`launch.start`.
        forks: True if the first process can fork. Otherwise, stopping a chunk ends the whole session.

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
        """Send a frame, a line of JSON, to the child process. Do nothing if it has ended: :meth:`read` reports that."""
        if line.startswith(JOB):
            with self._controlling:
                self._jobs += 1
        super().send(line)

    def stop(self, number: int) -> None:
        """Stop a chunk if it still runs. If the system cannot fork, end the whole session instead.

        The order to stop is sent twice. It is first sent over the control pipe, a third pipe that carries only such
        orders, since the first process may not have forked the chunk's process yet. Then the order is sent as a signal
        to the process group. Processes that do not run a chunk block this signal.

        Args:
            number: The number of the chunk, counted from 1 in the order in which chunks were sent to this session.
                Nothing happens if a later chunk was sent already.
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

        The exit status of the first process is not collected here, so that no other process group can get its number in
        the meantime.
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
