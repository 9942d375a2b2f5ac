"""A zygote: a warm process with the VM built and nothing run, which forks a worker for each script.

Its standard input is a socket for the host's orders and the statuses of workers.
"""

from __future__ import annotations

import array
import gc
import os
import select
import signal
import sys
from typing import Any, NoReturn

from kosmolua.protocol import FORK, KILL, NO_ROOM, ORDER, STATUS
from kosmolua.sandbox import confinement
from kosmolua.sandbox.vm import BROKEN
from kosmolua.sandbox.worker import Worker

DESCRIPTORS_OF_A_WORKER = 2


class Zygote:
    """Forks workers, ends them on order, and reports their statuses.

    Args:
        control: The descriptor of the socket to the host.
    """

    def __init__(self, control: int) -> None:
        import _socket

        self._control: Any = _socket.socket(fileno=control)
        self._worker = Worker(0, 1)
        self._numbers: dict[int, int] = {}
        self._wakeup, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> NoReturn:
        """Serve the host until it is gone."""
        gc.freeze()
        while True:
            ready, _, _ = select.select([self._control, self._wakeup], [], [])
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._report()
            if self._control in ready:
                self._obey()

    def _obey(self) -> None:
        room = DESCRIPTORS_OF_A_WORKER * array.array("i").itemsize
        order, ancillary, _, _ = self._control.recvmsg(ORDER.size, 64 + room)
        if len(order) < ORDER.size:
            os._exit(0)
        verb, number = ORDER.unpack(order)
        if verb == FORK:
            descriptors = array.array("i")
            for _, _, data in ancillary:
                descriptors.frombytes(data)
            self._fork(number, *descriptors)
        elif verb == KILL:
            self._kill(number)

    def _fork(self, number: int, incoming: int, outgoing: int) -> None:
        try:
            pid = os.fork()
        except OSError:
            self._tell(number, NO_ROOM)
        else:
            if pid == 0:
                self._become_worker(incoming, outgoing)
            self._numbers[pid] = number
        os.close(incoming)
        os.close(outgoing)

    def _become_worker(self, incoming: int, outgoing: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(incoming, 0)
            os.dup2(outgoing, 1)
            self._control.detach()
            sys.modules.pop("_socket", None)
            confinement.close_descriptors()
            confinement.die_with_parent()
            self._worker.serve()
        finally:
            os._exit(BROKEN)

    def _kill(self, number: int) -> None:
        for pid, each in self._numbers.items():
            if each == number:
                os.kill(pid, signal.SIGKILL)

    def _report(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)
            if number is not None:
                self._tell(number, os.waitstatus_to_exitcode(status))

    def _tell(self, number: int, status: int) -> None:
        self._control.send(STATUS.pack(number, status))


def main() -> NoReturn:
    """Serve as a zygote on standard input."""
    try:
        confinement.drop_inherited()
        Zygote(0).serve()
    finally:
        os._exit(BROKEN)
