"""A zygote: a warm process with the VM built and nothing run, which forks workers.

Its standard input is a socket for the host's orders and the statuses of workers that the host asks for. It does one
order after another and learns of a worker's end only when it looks: no signal interrupts it.
"""

from __future__ import annotations

import array
import gc
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

from kosmolua.protocol import ASK, FORK, KILL, NO_ROOM, STATUS, WORKER_ORDER
from kosmolua.sandbox import confinement
from kosmolua.sandbox.vm import BROKEN
from kosmolua.sandbox.worker import Worker

DESCRIPTORS_OF_A_WORKER = 2
REAP_INTERVAL = 0.002
"""Seconds between two looks at workers that were killed and are not gone yet, while no order comes."""
STATUS_TIMEOUT = 1.0
"""Seconds in which a worker that has closed its pipe must be gone before it is killed."""


class Zygote:
    """Forks workers, ends them on order, and tells how they ended.

    Args:
        control: The descriptor of the socket to the host.
    """

    def __init__(self, control: int) -> None:
        import _socket

        self._control: Any = _socket.socket(fileno=control)
        self._worker = Worker(0, 1, is_compiled=True)
        self._jobs = 0
        self._pids: dict[int, int] = {}
        self._unforked: set[int] = set()
        self._dying: set[int] = set()

    def serve(self) -> NoReturn:
        """Serve the host until it is gone."""
        gc.freeze()
        self._obey()
        self._worker.rehearse()
        gc.freeze()
        while True:
            if not self._dying or select.select([self._control], [], [], REAP_INTERVAL)[0]:
                self._obey()
            self._dying = {pid for pid in self._dying if not os.waitpid(pid, os.WNOHANG)[0]}

    def _obey(self) -> None:
        room = DESCRIPTORS_OF_A_WORKER * array.array("i").itemsize
        order, ancillary, _, _ = self._control.recvmsg(WORKER_ORDER.size, 64 + room)
        if len(order) < WORKER_ORDER.size:
            os._exit(0)
        verb, number, cpu, memory, jobs = WORKER_ORDER.unpack(order)
        if verb == FORK:
            descriptors = array.array("i")
            for _, _, data in ancillary:
                descriptors.frombytes(data)
            incoming, outgoing = descriptors
            self._fork(number, incoming, outgoing, cpu, memory, jobs)
        elif verb == KILL:
            self._kill(number)
        elif verb == ASK:
            self._control.send(STATUS.pack(number, self._status(number)))

    def _fork(self, number: int, incoming: int, outgoing: int, cpu: float, memory: int, jobs: int) -> None:
        if jobs != self._jobs:
            self._worker.foresee(jobs)
            self._jobs = jobs
        try:
            pid = os.fork()
        except OSError:
            self._unforked.add(number)
        else:
            if pid == 0:
                self._become_worker(incoming, outgoing, cpu, memory, jobs)
            self._pids[number] = pid
        os.close(incoming)
        os.close(outgoing)

    def _become_worker(self, incoming: int, outgoing: int, cpu: float, memory: int, jobs: int) -> NoReturn:
        try:
            os.dup2(incoming, 0)
            os.dup2(outgoing, 1)
            self._control.detach()
            sys.modules.pop("_socket", None)
            confinement.close_descriptors()
            confinement.die_with_parent()
            self._worker.lock(cpu, memory, jobs)
            self._worker.serve()
        finally:
            os._exit(BROKEN)

    def _kill(self, number: int) -> None:
        """End a worker, if it still runs. The host will not ask for its status any more."""
        self._unforked.discard(number)
        if pid := self._pids.pop(number, 0):
            os.kill(pid, signal.SIGKILL)
            self._dying.add(pid)

    def _status(self, number: int) -> int:
        """Return the status of a worker whose pipe is closed, once, and NO_ROOM for one that could not be forked."""
        pid = self._pids.pop(number, 0)
        if not pid:
            return NO_ROOM if number in self._unforked else -signal.SIGKILL
        ends = time.monotonic() + STATUS_TIMEOUT
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > ends:
                os.kill(pid, signal.SIGKILL)
            time.sleep(REAP_INTERVAL / 4)


def main() -> NoReturn:
    """Serve as a zygote on standard input."""
    try:
        confinement.drop_inherited()
        Zygote(0).serve()
    finally:
        os._exit(BROKEN)
