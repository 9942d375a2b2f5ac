"""The warm process that forks a worker for each script, as the host holds it."""

from __future__ import annotations

import socket
import weakref
from contextlib import suppress
from functools import partial
from threading import Event, RLock

from kosmolua.concurrency import start_thread
from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import Pipes
from kosmolua.protocol import FORK, KILL, ORDER, STATUS

STATUS_TIMEOUT = 5.0
"""Seconds to wait for the status of a process, once its pipe is closed."""


class Zygote:
    """A warm worker that runs nothing itself: it forks a fresh process for each script.

    It is started by exec, with an empty environment and no secret in its memory, so that its forks have none either. It
    ends when it is closed, or when nothing refers to this any more.

    Raises:
        OSError: It cannot be started.
        WorkerLost: The system allows no thread that listens to it.
    """

    def __init__(self) -> None:
        self._control, self._process = _start()
        self._next = 0
        self._lock = RLock()
        self._statuses = _Statuses()
        self._end = weakref.finalize(self, _end, self._control, self._process)
        self._end.atexit = False  # it ends with the host anyway
        listen = partial(_listen, self._control, self._lock, self._statuses)  # a thread with no reference to this
        try:
            start_thread(listen, "zygote")
        except WorkerLost:
            self.close()
            self._control.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def fork(self) -> ForkedChild:
        """Return a fresh worker.

        Raises:
            WorkerLost: The zygote is gone.
            OSError: There are too many open files.
        """
        pipes = launch.PipePair()
        with self._lock:
            self._next += 1
            number = self._next
        self._statuses.expect(number)
        pipes.hand_over(partial(self._order_fork, number))
        return ForkedChild(self, number, pipes.incoming, pipes.outgoing)

    def kill(self, number: int) -> None:
        """End a worker, if it still runs."""
        with self._lock, suppress(OSError):
            self._control.send(ORDER.pack(KILL, number))

    def status(self, number: int) -> int:
        """Wait for the status of a worker: negative for a signal. A zygote that ends takes its workers with it."""
        return self._statuses.wait(number)

    def forget(self, number: int) -> None:
        """Drop the status of a worker."""
        self._statuses.forget(number)

    def close(self) -> None:
        """End the zygote, and with it all its workers."""
        self._end()

    def leave(self) -> None:
        """Close a fork's copies of the pipes. The zygote keeps serving the host."""
        self._end.detach()
        self._control.close()
        self._lock = RLock()

    def _order_fork(self, number: int, incoming: int, outgoing: int) -> None:
        try:
            with self._lock:
                socket.send_fds(self._control, [ORDER.pack(FORK, number)], [incoming, outgoing])
        except OSError:
            self._statuses.forget(number)
            raise WorkerLost("The sandbox's warm process is gone", hint="run the script again") from None


class _Statuses:
    """The statuses of workers that ended, as the zygote reports them."""

    def __init__(self) -> None:
        self._ended: dict[int, Event] = {}
        self._known: dict[int, int] = {}

    def expect(self, number: int) -> None:
        self._ended[number] = Event()

    def note(self, number: int, status: int) -> None:
        ended = self._ended.get(number)
        if ended:
            self._known[number] = status
            ended.set()

    def wait(self, number: int) -> int:
        self._ended[number].wait(STATUS_TIMEOUT)
        return self._known.get(number, -launch.SIGKILL)

    def forget(self, number: int) -> None:
        self._ended.pop(number, None)
        self._known.pop(number, None)

    def expect_no_more(self) -> None:
        for ended in list(self._ended.values()):
            ended.set()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote, and return the socket that carries its orders, and its process."""
    control, theirs = socket.socketpair()
    with theirs:
        try:
            return control, launch.start("zygote", theirs.fileno(), None)
        except OSError:
            control.close()
            raise


def _listen(control: socket.socket, lock: RLock, statuses: _Statuses) -> None:
    """Note the status of each worker until the zygote ends; then close the socket, which no thread may be reading."""
    with suppress(OSError):
        while len(message := control.recv(STATUS.size, socket.MSG_WAITALL)) == STATUS.size:
            statuses.note(*STATUS.unpack(message))
    with lock:
        control.close()
    statuses.expect_no_more()


def _end(control: socket.socket, process: launch.Started) -> None:
    with suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)
    process.kill()
    process.wait()


class ForkedChild(Pipes):
    """A worker that a zygote forked.

    Args:
        zygote: Its parent, which alone can end it safely.
        number: Its name between host and zygote.
        incoming: The descriptor to read from.
        outgoing: The descriptor to write to.
    """

    def __init__(self, zygote: Zygote, number: int, incoming: int, outgoing: int) -> None:
        super().__init__(incoming, outgoing)
        self._zygote = zygote
        self._number = number

    def kill(self) -> None:
        """End the process at once."""
        self._zygote.kill(self._number)

    def insist(self) -> None:
        """End the zygote, which does not seem to respond, and with it all its workers."""
        self._zygote.close()

    def status(self) -> int:
        """Wait for the status of the process: negative for a signal."""
        return self._zygote.status(self._number)

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        self.close_pipes()
        self._zygote.forget(self._number)
