"""The warm process that forks a worker for each script, as the host holds it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, BinaryIO

from kosmolua import launch
from kosmolua.children import Pipes
from kosmolua.errors import WorkerLost
from kosmolua.wire import FORK, KILL, ORDER, STATUS

if TYPE_CHECKING:
    import subprocess

LONGEST_WAIT_FOR_STATUS = 5.0
"""Seconds to wait for word of how a process ended, once its pipe is closed."""


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
