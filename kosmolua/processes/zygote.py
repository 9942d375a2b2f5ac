"""The host's side of the zygote, a warm process that forks workers, and of these workers."""

from __future__ import annotations

import select
import socket
import weakref
from contextlib import suppress
from threading import Lock, RLock
from typing import NamedTuple

from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import PolledPipes
from kosmolua.protocol import ASK, FORK, KILL, STATUS, WORKER_ORDER

STATUS_TIMEOUT = 5.0
"""Seconds to wait for the exit status of a worker that has closed its pipe."""


class Terms(NamedTuple):
    """The limits that apply to a worker before its job is known, and how many jobs it runs.

    Args:
        cpu: Seconds of processor time that each job can take.
        memory: The largest number of bytes that Lua can hold during each job.
        jobs: How many jobs the worker runs.
    """

    cpu: float
    memory: int
    jobs: int = 1


class Zygote:
    """Starts a zygote: a process that has a Lua VM but runs no script, and forks workers that are ready for scripts.

    The zygote is a new program without the environment variables and memory of this process. So neither the zygote nor
    its forks can contain a secret. The zygote ends when this object is closed or garbage-collected.

    Raises:
        OSError: The zygote cannot be started.
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
        """Order the zygote to fork a worker. Return the worker at once, even before its process exists.

        Args:
            terms: The limits that apply to the worker.
            instead_of: A worker that the zygote ends after it has forked the new one, or None.

        Raises:
            WorkerLost: The zygote has died.
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
        """Send an order to the zygote. Do nothing if the zygote has ended, since its workers ended with it.

        Args:
            order: The order, packed with ``protocol.WORKER_ORDER``.
        """
        with self._ordering, suppress(OSError):
            self._control.send(order)

    def status(self, number: int) -> int:
        """Wait for the exit status of a worker that has closed its pipe, and return it.

        The status is negative if a signal ended the worker. If the zygote does not answer in time, end the zygote, and
        return the status of a killed worker.

        Args:
            number: The number of the worker, counted from 1 in the order in which the workers were ordered.
        """
        with self._asking:
            self.order(WORKER_ORDER.pack(ASK, number, 0, 0, 0))
            with suppress(OSError, ValueError):  # ValueError: the socket was closed meanwhile
                poll = select.poll()
                poll.register(self._control, select.POLLIN)
                if poll.poll(STATUS_TIMEOUT * 1000):
                    answer = self._control.recv(STATUS.size, socket.MSG_WAITALL)
                    if len(answer) == STATUS.size:
                        return int(STATUS.unpack(answer)[1])
        self.close()  # a late answer would be taken for the answer to the next question
        return -launch.SIGKILL

    def close(self) -> None:
        """End the zygote and all its workers."""
        self._end()

    def leave(self) -> None:
        """Close this process's copy of the socket. A fork of the program calls this; the parent keeps the zygote."""
        self._end.detach()
        self._close()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote. Return the socket on which to send orders, and the process."""
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
    """The host's side of a worker that a zygote forked: the pipes to it, and the orders to the zygote about it.

    Args:
        zygote: The worker's parent. Only the parent can end the worker safely, since only the parent knows that the
            process id still belongs to the worker.
        number: The number that host and zygote use for the worker.
        terms: The limits that apply to the worker.
        pipes: The pipes to and from the worker.
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
        """True if the worker still runs."""
        poll = select.poll()
        poll.register(self.incoming, 0)  # no events asked for: only the end of the pipe and errors are reported
        return not poll.poll(0)

    def reuse(self) -> bool:
        """Count a job as done. Return True if this job ended cleanly and the worker can run another one."""
        self._jobs -= 1
        is_reusable = self.is_clean and not self._is_killed and self._jobs > 0
        self.is_clean = False
        return is_reusable

    def last_order(self) -> bytes:
        """Return the order that makes the zygote end the worker, or empty bytes if it was returned before."""
        if self._is_killed:
            return b""
        self._is_killed = True
        return WORKER_ORDER.pack(KILL, self._number, 0, 0, 0)

    def kill(self) -> None:
        """Order the zygote to end the worker at once."""
        if order := self.last_order():
            self._zygote.order(order)

    def insist(self) -> None:
        """End the zygote and all its workers, since the zygote did not carry out :meth:`kill`."""
        self._zygote.close()

    def status(self) -> int:
        """Wait for the worker's exit status and return it; it is negative for a signal. Call this only once."""
        return self._zygote.status(self._number)

    def close(self) -> None:
        """End the worker and close its pipes."""
        self.kill()
        self.close_pipes()
