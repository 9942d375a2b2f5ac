"""A process in which one script runs, as the host holds it: its pipes, its end, and how one is started cold."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock, RLock
from typing import TYPE_CHECKING, Protocol, TypeAlias

from kosmolua import protocol
from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.protocol import KILL, ORDER


class Child(Protocol):
    """A process in which one script runs."""

    def send(self, line: bytes) -> None:
        """Write a frame. A process that is gone is noticed by reading, not here."""

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the process is gone."""

    def kill(self) -> None:
        """End the process at once."""

    def insist(self) -> None:
        """End a process that does not heed :meth:`kill`; others may end with it."""

    def status(self) -> int:
        """Wait for the end of a process whose pipe is closed, and return its status: negative for a signal."""

    def close(self) -> None:
        """End the process and give up its pipes."""


class Pipes:
    """The two ends of a letterbox that the host holds.

    Args:
        incoming: The descriptor to read from.
        outgoing: The descriptor to write to.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = os.fdopen(outgoing, "wb")
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
        return protocol.read_line(self._incoming, limit)

    def close_pipes(self) -> None:
        """Give up both ends."""
        with self._writing:
            for stream in (self._outgoing, self._incoming):
                try:
                    stream.close()
                except OSError:
                    continue


class ColdChild(Pipes):
    """A worker that was started directly, not forked by a zygote.

    Args:
        worker: One that was launched earlier; by default a new one.

    Raises:
        WorkerLost: It cannot be started.
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
        """Do as :meth:`kill`: the kernel knows nothing stronger."""
        self._process.kill()

    def status(self) -> int:
        """Wait for the end of the process and return its status: negative for a signal."""
        return self._process.wait()

    def close(self) -> None:
        """End the process, wait for that, and give up its pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()


if TYPE_CHECKING:
    Start: TypeAlias = Callable[[str, int, int, int], launch.Started]

CAN_FORK = hasattr(os, "fork")


class Guest(Pipes):
    """The process that a session lives in; its later ones are forks of the first, in the group that it leads.

    Args:
        start: Starts a process of the sandbox.
        forks: Whether the process can fork; else the end of a chunk that is stopped is the end of it.

    Raises:
        WorkerLost: It cannot be started.
    """

    def __init__(self, start: Start = launch.start, *, forks: bool = CAN_FORK) -> None:
        self._forks = forks
        self._control: int | None = None
        self._controlling = RLock()
        try:
            box = launch.Letterbox()
            self._process = box.hand_over(partial(self._started, start))
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(box.incoming, box.outgoing)

    def stop(self, number: int) -> None:
        """Have a chunk ended, if it still runs; where the OS cannot fork, the guest ends with it."""
        if not self._forks:
            self._process.kill()
            return
        with self._controlling, suppress(OSError):
            if self._control is not None:
                os.write(self._control, ORDER.pack(KILL, number))

    def kill(self) -> None:
        """End all processes of the session at once.

        The first is not waited for until then, so that nobody else can have got the number of its group.
        """
        if not self._forks:
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, launch.SIGKILL)

    def close(self) -> None:
        """End all processes of the session and give up the pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()
        with self._controlling:
            if self._control is not None:
                os.close(self._control)
            self._control = None

    def _started(self, start: Start, incoming: int, outgoing: int) -> launch.Started:
        control, self._control = launch.pipe()
        try:
            return start("session", incoming, outgoing, control)
        except OSError:
            os.close(self._control)
            raise
        finally:
            os.close(control)
