"""The warm process that forks workers, as the host holds it."""

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
"""Seconds to wait for the status of a process, once its pipe is closed."""


class Terms(NamedTuple):
    """What a worker is confined to before its job is known, and how many jobs it does.

    Args:
        cpu: Seconds of processor time for each job.
        memory: Bytes that Lua may hold in each.
        jobs: How many jobs.
    """

    cpu: float
    memory: int
    jobs: int = 1


class Zygote:
    """A warm worker that runs nothing itself: it forks fresh processes for scripts.

    It is started by exec, with nothing of this environment and no secret in its memory, so that its forks have none either. It
    ends when it is closed, or when nothing refers to this any more.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        self._control, self._process = _start()
        self._next = 0
        self._ordering = RLock()
        self._asking = Lock()
        self._end = weakref.finalize(self, _end, self._control, self._process)
        self._end.atexit = False  # it ends by itself when the host has
        self._close = weakref.finalize(self, self._control.close)

    def fork(self, terms: Terms, instead_of: ForkedChild | None = None) -> ForkedChild:
        """Order a fresh worker, and return it. The zygote forks it while the host goes on.

        Args:
            terms: What it is confined to.
            instead_of: A worker that is to end once the new one is there.

        Raises:
            WorkerLost: The zygote is gone.
            OSError: There are too many open files.
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
                raise WorkerLost("The sandbox's warm process is gone", hint="run the script again") from None
            return ForkedChild(self, self._next, terms, pipes)

    def order(self, order: bytes) -> None:
        """Send an order that needs no answer. A zygote that is gone has taken its workers along."""
        with self._ordering, suppress(OSError):
            self._control.send(order)

    def status(self, number: int) -> int:
        """Wait for the status of a worker whose pipe is closed, and return it: negative for a signal."""
        with self._asking:
            self.order(WORKER_ORDER.pack(ASK, number, 0, 0, 0))
            with suppress(OSError, ValueError):  # ValueError: it was closed meanwhile
                if is_readable(self._control.fileno(), STATUS_TIMEOUT):
                    answer = self._control.recv(STATUS.size, socket.MSG_WAITALL)
                    if len(answer) == STATUS.size:
                        return int(STATUS.unpack(answer)[1])
        self.close()  # its answers could not be told apart any more
        return -launch.SIGKILL

    def close(self) -> None:
        """End the zygote, and with it all its workers."""
        self._end()

    def leave(self) -> None:
        """Close a fork's copies of the pipes. The zygote keeps serving the host."""
        self._end.detach()
        self._close()


def _start() -> tuple[socket.socket, launch.Started]:
    """Start a zygote, and return the socket that carries its orders, and its process."""
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

    ``terms`` is what it is confined to.

    Args:
        zygote: Its parent, which alone can end it safely.
        number: Its name between host and zygote.
        terms: What it is confined to.
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
        """Whether it has not ended yet."""
        poll = select.poll()
        poll.register(self.incoming, 0)  # which leaves the end of the pipe, and errors
        return not poll.poll(0)

    def reuse(self) -> bool:
        """Return True if it can do another job: the last one ended well, and it has some left."""
        self._jobs -= 1
        is_reusable = self.is_clean and not self._is_killed and self._jobs > 0
        self.is_clean = False
        return is_reusable

    def last_order(self) -> bytes:
        """Return the order that ends it, once; nothing if it was given."""
        if self._is_killed:
            return b""
        self._is_killed = True
        return WORKER_ORDER.pack(KILL, self._number, 0, 0, 0)

    def kill(self) -> None:
        """End the process at once."""
        if order := self.last_order():
            self._zygote.order(order)

    def insist(self) -> None:
        """End the zygote, which does not seem to respond, and with it all its workers."""
        self._zygote.close()

    def status(self) -> int:
        """Wait for the status of the process, once: negative for a signal."""
        return self._zygote.status(self._number)

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        self.close_pipes()
