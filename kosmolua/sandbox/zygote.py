"""A zygote: a process with a Lua VM that runs no script, but forks workers that are ready at once.

The host sends orders, one after another, on the socket that is its standard input, and gets exit statuses there. It
handles no signals, so it polls to find out that a worker has ended.
"""

from __future__ import annotations

import gc
import os
import select  # noqa: F401 - for `Arrivals`: a confined process cannot import it
import struct
import sys
import time

from kosmolua.protocol import ASK, FORK, KILL, NO_ROOM, STATUS, WORKER_ORDER
from kosmolua.sandbox import confinement
from kosmolua.sandbox.confinement import SIGKILL
from kosmolua.sandbox.vm import BROKEN
from kosmolua.sandbox.worker import REHEARSAL, Worker

if sys.platform == "linux":
    from kosmolua.sandbox import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from kosmolua.sandbox.confinement import Step

DESCRIPTORS = struct.Struct("ii")
"""The descriptors of a new worker's pipes. They arrive with the order to fork the worker."""
MAX_ANCILLARY = 64 + DESCRIPTORS.size
INCOMING, OUTGOING = 0, 1
REHEARSAL_PAUSE = 0.005
"""Seconds without an order after which the zygote calls :meth:`Worker.rehearse`. The first scripts arrive earlier."""
FORKS_BEFORE_REHEARSAL = 6
"""The number of forks after which the zygote calls :meth:`Worker.rehearse` even without a pause between orders."""
REAP_INTERVAL = 0.002
"""While no order arrives, seconds between two checks of workers that were killed but have not ended yet."""
PATIENCE, LOOK_INTERVAL = 0.05, 0.05
"""Seconds of processor time after which a worker yields to others, and seconds between two looks at what each used."""
LOW_PRIORITY = 15
"""The nice value of a worker that yields. On two cores, a dozen of them take less than one that has just begun."""
STATUS_TIMEOUT = 1.0
"""Seconds after which a worker is killed if it has closed its pipe but does not end."""


class Zygote:
    """Forks workers, ends them, and reports their exit statuses."""

    def __init__(self, control: int) -> None:
        import _socket

        self._control: Any = _socket.socket(fileno=control)
        del sys.modules["_socket"]
        self._worker = Worker(INCOMING, OUTGOING, is_compiled=True)
        self._worker.warm()
        self._pids: dict[int, int] = {}
        self._unforked: set[int] = set()
        self._dying: set[int] = set()
        self._patient: dict[int, int] = {}
        """The clocks of the workers that will yield, by their ids."""
        self._looked = 0.0
        self._forks = 0
        self._is_rehearsed = False

    def serve(self) -> NoReturn:
        gc.freeze()
        while True:
            self._control.settimeout(self._pause())
            try:
                self._obey()
            except TimeoutError:
                if not self._dying and not self._is_rehearsed:
                    self._rehearse()
            if self._dying:
                self._reap()
            if self._patient and time.monotonic() - self._looked > LOOK_INTERVAL:
                self._look()

    def _pause(self) -> float | None:
        if self._dying:
            return REAP_INTERVAL
        if not self._is_rehearsed:
            return REHEARSAL_PAUSE
        return LOOK_INTERVAL if self._patient else None

    def _rehearse(self) -> None:
        """Run :meth:`Worker.rehearse` with pipes that no host reads."""
        kept = os.dup(INCOMING), os.dup(OUTGOING)
        (jobs, their_jobs), (frames, their_frames) = os.pipe(), os.pipe()
        os.dup2(jobs, INCOMING)
        os.dup2(their_frames, OUTGOING)
        os.write(their_jobs, REHEARSAL)
        self._worker.rehearse()
        os.dup2(kept[0], INCOMING)
        os.dup2(kept[1], OUTGOING)
        for descriptor in (*kept, jobs, their_jobs, frames, their_frames):
            os.close(descriptor)
        self._is_rehearsed = True
        gc.freeze()

    def _look(self) -> None:
        """Lower the priority of workers that have computed for long."""
        self._looked = time.monotonic()
        for pid, clock in [*self._patient.items()]:
            try:
                if time.clock_gettime(clock) > PATIENCE:
                    del self._patient[pid]
                    os.setpriority(os.PRIO_PROCESS, pid, LOW_PRIORITY)
            except OSError:  # it has ended, or the system has no such clock
                self._patient.pop(pid, None)

    def _reap(self) -> None:
        for pid in [*self._dying]:
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._dying.remove(pid)

    def _obey(self) -> None:
        order, ancillary, _, _ = self._control.recvmsg(WORKER_ORDER.size, MAX_ANCILLARY)
        if len(order) < WORKER_ORDER.size:
            os._exit(0)
        verb, number, cpu, memory, jobs, yields = WORKER_ORDER.unpack(order)
        if verb == FORK:
            [(_, _, data)] = ancillary
            incoming, outgoing = DESCRIPTORS.unpack(data)
            self._fork(number, incoming, outgoing, cpu, memory, jobs)
            if yields and sys.platform == "linux" and (pid := self._pids.get(number)):
                self._patient[pid] = linux.clock_of(pid)
        elif verb == KILL:
            self._kill(number)
        elif verb == ASK:
            self._control.send(STATUS.pack(number, self._status(number)))

    def _fork(self, number: int, incoming: int, outgoing: int, cpu: float, memory: int, jobs: int) -> None:
        self._forks += 1
        if self._forks > FORKS_BEFORE_REHEARSAL and not self._is_rehearsed:
            self._rehearse()
        steps = self._worker.foresee(cpu, memory, jobs)
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._unforked.add(number)
        else:
            if pid == 0:
                self._become_worker(zygote, incoming, outgoing, steps)
            self._pids[number] = pid
        os.close(incoming)
        os.close(outgoing)

    def _become_worker(self, zygote: int, incoming: int, outgoing: int, steps: list[Step]) -> NoReturn:
        try:
            os.dup2(incoming, INCOMING)
            os.dup2(outgoing, OUTGOING)
            confinement.close_descriptors()
            confinement.die_with_parent(zygote)
            self._worker.lock(steps)
            self._worker.serve()
        finally:
            os._exit(BROKEN)

    def _kill(self, number: int) -> None:
        """End a worker if it runs; nobody asks for its status."""
        self._unforked.discard(number)
        if pid := self._pids.pop(number, 0):
            os.kill(pid, SIGKILL)
            self._dying.add(pid)
            self._patient.pop(pid, None)

    def _status(self, number: int) -> int:
        """Return the status of a worker that closed its pipe, killing it if it lingers; ``NO_ROOM`` if it was not
        forked.
        """
        pid = self._pids.pop(number, 0)
        self._patient.pop(pid, None)
        if not pid:
            return NO_ROOM if number in self._unforked else -SIGKILL
        ends = time.monotonic() + STATUS_TIMEOUT
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > ends:
                os.kill(pid, SIGKILL)
            time.sleep(REAP_INTERVAL / 4)


def main() -> NoReturn:
    """Be a zygote."""
    try:
        confinement.drop_inherited()
        Zygote(0).serve()
    finally:
        os._exit(BROKEN)
