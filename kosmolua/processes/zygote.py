"""The host's side of a zygote and of the workers that it forks."""

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
    """The limits of a worker before its job is known.

    Args:
        cpu: Seconds of processor time for each job.
        memory: The most bytes that Lua can hold during each job.
        jobs: How many jobs it runs.
        yields: Whether it gets a lower priority once it has computed for long.
    """

    cpu: float
    memory: int
    jobs: int = 1
    yields: bool = False


NO_TERMS = Terms(0, 0, 0)


class ZygoteProcess:
    """A zygote: a new program without this one's environment and memory, so that no fork can contain a secret.

    It ends when this object is closed or garbage-collected.
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
        """Order a worker, and return it even before its process exists; ``instead_of`` is then ended, if it is its own.

        Raises:
            WorkerLost: The zygote has died.
            OSError: Too many files are open.
        """
        with launch.PipePair() as pipes, self._ordering:
            self._next += 1
            order = WORKER_ORDER.pack(FORK, self._next, *terms)
            if instead_of and instead_of.zygote is self:  # the number of another's can be that of a running one here
                order += instead_of.last_order()
            try:
                socket.send_fds(self._control, [order], pipes.theirs)
            except OSError:
                raise WorkerLost("The process that starts sandboxes has died", hint="run the script again") from None
            return ForkedChild(self, self._next, terms, pipes)

    def order(self, order: bytes) -> None:
        """Send an order, packed with ``protocol.WORKER_ORDER``, unless the zygote and so its workers have ended."""
        with self._ordering, suppress(OSError):
            self._control.send(order)

    def status(self, number: int) -> int:
        """Wait for the exit status of the worker with this number, which has closed its pipe.

        If the zygote does not answer in time, end it, and return the status of a killed worker.
        """
        with self._asking:
            self.order(WORKER_ORDER.pack(ASK, number, *NO_TERMS))
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
        """Close this fork's copy of the socket."""
        self._end.detach()
        self._close()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote; return the socket for orders, and the process."""
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
    """A worker that a zygote forked. Only that can end it safely, since it knows that the id is still the worker's."""

    def __init__(self, zygote: ZygoteProcess, number: int, terms: Terms, pipes: launch.PipePair) -> None:
        super().__init__(pipes.incoming, pipes.outgoing)
        self.terms = terms
        self.zygote = zygote
        self._number = number
        self._jobs = terms.jobs
        self._is_killed = False

    @property
    def is_there(self) -> bool:
        """Whether the worker still runs."""
        poll = select.poll()
        poll.register(self.incoming, 0)  # no events asked for: only the end of the pipe and errors are reported
        return not poll.poll(0)

    def reuse(self) -> bool:
        """Count a job as done; return True if it ended cleanly and the worker can run another."""
        self._jobs -= 1
        is_reusable = self.is_clean and not self._is_killed and self._jobs > 0
        self.is_clean = False
        return is_reusable

    def last_order(self) -> bytes:
        """Return the order that ends the worker; empty if returned before."""
        if self._is_killed:
            return b""
        self._is_killed = True
        return WORKER_ORDER.pack(KILL, self._number, *NO_TERMS)

    def kill(self) -> None:
        if order := self.last_order():
            self.zygote.order(order)

    def insist(self) -> None:
        """End the zygote and all its workers: it did not carry out :meth:`kill`."""
        self.zygote.close()

    def status(self) -> int:
        """Wait for the exit status; only once."""
        return self.zygote.status(self._number)

    def close(self) -> None:
        self.kill()
        self.close_pipes()
