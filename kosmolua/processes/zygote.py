"""The warm process that forks a worker for each script, as the host holds it."""

from __future__ import annotations

import socket
import weakref
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import RLock
from typing import TypeAlias
from weakref import WeakValueDictionary

from kosmolua.concurrency import start_thread
from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import Pipes
from kosmolua.protocol import FORK, KILL, ORDER, STATUS

STATUS_TIMEOUT = 5.0
"""Seconds to wait for the status of a process, once its pipe is closed."""
Ended: TypeAlias = "WeakValueDictionary[int, SimpleQueue[int]]"
"""The queue that gets a worker's status when it has ended, by its number, for as long as the worker is in use."""


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
        self._ended: Ended = WeakValueDictionary()
        self._end = weakref.finalize(self, _end, self._control, self._process)
        self._end.atexit = False  # it ends with the host anyway
        listen = partial(_listen, self._control, self._lock, self._ended)  # a thread with no reference to this
        try:
            start_thread(listen, "zygote")
        except WorkerLost:
            self.close()
            self._control.close()
            raise

    def fork(self) -> ForkedChild:
        """Return a fresh worker.

        Raises:
            WorkerLost: The zygote is gone.
            OSError: There are too many open files.
        """
        pipes = launch.PipePair()
        ended: SimpleQueue[int] = SimpleQueue()
        with pipes.theirs() as ends, self._lock:
            self._next += 1
            self._ended[self._next] = ended
            try:
                socket.send_fds(self._control, [ORDER.pack(FORK, self._next)], ends)
            except OSError:
                raise WorkerLost("The sandbox's warm process is gone", hint="run the script again") from None
            return ForkedChild(self, self._next, ended, pipes)

    def kill(self, number: int) -> None:
        """End a worker, if it still runs."""
        with self._lock, suppress(OSError):
            self._control.send(ORDER.pack(KILL, number))

    def close(self) -> None:
        """End the zygote, and with it all its workers."""
        self._end()

    def leave(self) -> None:
        """Close a fork's copies of the pipes. The zygote keeps serving the host."""
        self._end.detach()
        self._control.close()
        self._lock = RLock()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote, and return the socket that carries its orders, and its process."""
    control, theirs = socket.socketpair()
    with theirs:
        try:
            return control, launch.start("zygote", theirs.fileno(), None)
        except OSError:
            control.close()
            raise


def _listen(control: socket.socket, lock: RLock, ended: Ended) -> None:
    """Report the end of each worker until the zygote ends, which takes them all with it; then close the socket."""
    with suppress(OSError):
        while len(message := control.recv(STATUS.size, socket.MSG_WAITALL)) == STATUS.size:
            number, status = STATUS.unpack(message)
            if worker := ended.get(number):
                worker.put(status)
    with lock:
        control.close()
        for worker in list(ended.values()):
            worker.put(-launch.SIGKILL)


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
        ended: Gets its status when it has ended.
        pipes: Its pipes.
    """

    def __init__(self, zygote: Zygote, number: int, ended: SimpleQueue[int], pipes: launch.PipePair) -> None:
        super().__init__(pipes.incoming, pipes.outgoing)
        self._zygote = zygote
        self._number = number
        self._ended = ended

    def kill(self) -> None:
        """End the process at once."""
        self._zygote.kill(self._number)

    def insist(self) -> None:
        """End the zygote, which does not seem to respond, and with it all its workers."""
        self._zygote.close()

    def status(self) -> int:
        """Wait for the status of the process, once: negative for a signal."""
        try:
            return self._ended.get(timeout=STATUS_TIMEOUT)
        except Empty:
            return -launch.SIGKILL

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        self.close_pipes()
