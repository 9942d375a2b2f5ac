"""The host's side of the zygote, the warm process that forks workers."""

from __future__ import annotations

import select
import socket
import weakref
from contextlib import suppress
from threading import Lock, RLock
from typing import NamedTuple

from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import PolledPipes, is_readable
from kosmolua.protocol import ASK, FORK, KILL, STATUS, WORKER_ORDER

STATUS_TIMEOUT = 5.0
"""Seconds to wait for the exit status of a process once its pipe is closed."""


class Terms(NamedTuple):
    """The limits that a worker is confined to before its job is known, and how many jobs it runs.

    Args:
        cpu: Seconds of processor time for each job.
        memory: Bytes that Lua may hold during each job.
        jobs: How many jobs the worker runs.
    """

    cpu: float
    memory: int
    jobs: int = 1


class Zygote:
    """A warm worker that runs nothing itself: it forks fresh processes for scripts.

    It is started by exec, with nothing of this environment and no secret in its memory, so that its forks have none
    either. The process ends when this object is closed or garbage-collected.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self) -> None:
        self._control, self._process = _start()
        self._next = 0
        self._ordering = RLock()
        self._asking = Lock()
        self._end = weakref.finalize(self, _end, self._control, self._process)
        self._end.atexit = False  # the zygote ends by itself when the host has ended
        self._close = weakref.finalize(self, self._control.close)

    def fork(self, terms: Terms, instead_of: ForkedChild | None = None) -> ForkedChild:
        """Order a fresh worker, and return it at once. The zygote forks it in the meantime.

        Args:
            terms: The limits that the worker is confined to.
            instead_of: A worker that is to end once the new one is there.

        Raises:
            WorkerLost: The zygote has ended.
            OSError: Too many files are open.
        """
        pipes = launch.PipePair()
        with pipes.theirs() as ends, self._ordering:
            self._next += 1
            order = WORKER_ORDER.pack(FORK, self._next, *terms)
            if instead_of:
                order += instead_of.last_order()
            try:
                socket.send_fds(self._control, [order], ends)
            except OSError:
                raise WorkerLost("The process that starts sandboxes has died", hint="run the script again") from None
            return ForkedChild(self, self._next, terms, pipes)

    def order(self, order: bytes) -> None:
        """Send an order that needs no answer. If the zygote has ended, do nothing: its workers ended with it."""
        with self._ordering, suppress(OSError):
            self._control.send(order)

    def status(self, number: int) -> int:
        """Wait for the exit status of a worker whose pipe is closed, and return it. It is negative for a signal."""
        with self._asking:
            self.order(WORKER_ORDER.pack(ASK, number, 0, 0, 0))
            with suppress(OSError, ValueError):  # ValueError: the socket was closed meanwhile
                if is_readable(self._control.fileno(), STATUS_TIMEOUT):
                    answer = self._control.recv(STATUS.size, socket.MSG_WAITALL)
                    if len(answer) == STATUS.size:
                        return int(STATUS.unpack(answer)[1])
        self.close()  # a late answer would be taken for the answer to the next question
        return -launch.SIGKILL

    def close(self) -> None:
        """End the zygote, and with it all its workers."""
        self._end()

    def leave(self) -> None:
        """In a fork of the program, close the copy of the socket. The zygote keeps serving the parent."""
        self._end.detach()
        self._close()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote. Return the socket that carries its orders, and its process."""
    control, theirs = socket.socketpair()
    with theirs:
        try:
            return control, launch.start("zygote", theirs.fileno(), None)
        except OSError:
            control.close()
            raise


def _end(control: socket.socket, process: launch.Started) -> None:
    with suppress(OSError):
        control.shutdown(socket.SHUT_RDWR)
    process.kill()
    process.wait()
    control.close()


class ForkedChild(PolledPipes):
    """A worker that a zygote forked.

    ``terms`` are the limits that it is confined to.

    Args:
        zygote: Its parent, which alone can end it safely.
        number: The number by which host and zygote refer to it.
        terms: The limits that it is confined to.
        pipes: Its pipes.
    """

    def __init__(self, zygote: Zygote, number: int, terms: Terms, pipes: launch.PipePair) -> None:
        super().__init__(pipes.incoming, pipes.outgoing)
        self.terms = terms
        self._zygote = zygote
        self._number = number
        self._jobs = terms.jobs
        self._is_killed = False

    @property
    def is_there(self) -> bool:
        """Whether the process has not ended yet."""
        poll = select.poll()
        poll.register(self.incoming, 0)  # no events asked for: only the end of the pipe and errors are reported
        return not poll.poll(0)

    def reuse(self) -> bool:
        """Count a job as done. Return True if the last one ended cleanly and the process may run another."""
        self._jobs -= 1
        is_reusable = self.is_clean and not self._is_killed and self._jobs > 0
        self.is_clean = False
        return is_reusable

    def last_order(self) -> bytes:
        """Return the order that ends the process, or empty bytes if the order was given already."""
        if self._is_killed:
            return b""
        self._is_killed = True
        return WORKER_ORDER.pack(KILL, self._number, 0, 0, 0)

    def kill(self) -> None:
        """End the process at once."""
        if order := self.last_order():
            self._zygote.order(order)

    def insist(self) -> None:
        """End the zygote and all its workers, since the zygote does not respond."""
        self._zygote.close()

    def status(self) -> int:
        """Wait for the exit status of the process, which is negative for a signal. Call it only once."""
        return self._zygote.status(self._number)

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        self.close_pipes()
