"""A session's guest: chunk after chunk runs in one VM, and where one is ended, the state from before it lives on.

Where the OS can fork, each chunk runs in a child, while its parent sleeps with the state from before as a checkpoint. A
child whose chunk came to its end is the guest from then on, and the parent leaves. Where a child died, because of a
limit, a crash or the host's word, the parent writes its epitaph and waits for the next chunk. It runs no Lua meanwhile,
so it can hear the host, and the host's death, on the control pipe.
"""

from __future__ import annotations

import json
import os
import select
import signal
from contextlib import suppress
from typing import Any, NoReturn

from kosmolua import protocol
from kosmolua.protocol import ORDER
from kosmolua.sandbox import confinement
from kosmolua.sandbox.vm import BROKEN, PRELUDE
from kosmolua.sandbox.worker import Worker

CAN_FORK = hasattr(os, "fork")
DONE = b"."
INCOMING, OUTGOING, CONTROL = range(3)


class Session(Worker):
    """Does one job after another.

    Args:
        incoming: The descriptor that frames come from.
        outgoing: The descriptor that frames go to.
        control: The descriptor on which the host says which chunk to end; it is closed when the host is gone.
    """

    prelude = (*PRELUDE, "session")
    forking = CAN_FORK

    def __init__(self, incoming: int, outgoing: int, control: int) -> None:
        super().__init__(incoming, outgoing)
        self._control = control
        self._number = 0

    def serve(self) -> NoReturn:
        """Do jobs until the host is gone."""
        while True:
            job = self._next_job()
            self._number += 1
            if CAN_FORK:
                self._work_in_child(job)
            else:
                self._work(job)

    def _next_job(self) -> dict[str, Any]:
        while True:
            frame = self._whole_frame()
            if frame.get("kind") == "job":
                return frame

    def _whole_frame(self) -> dict[str, Any]:
        """Read a frame; what a dead child left of its last reply is no frame, nor are replies that came too late."""
        try:
            frame = json.loads(self._receive())
        except ValueError:
            return {}
        return frame if isinstance(frame, dict) else {}

    def _work_in_child(self, job: dict[str, Any]) -> None:
        hears, says = os.pipe()
        try:
            child = os.fork()
        except OSError:
            os.close(hears)
            os.close(says)
            self._write(protocol.exit_notice(protocol.NO_ROOM))
            return
        if child:
            os.close(says)
            self._watch(child, hears)
        else:
            os.close(hears)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _MORTAL)
            self._work(job)
            self._tell_parent(says)

    def _watch(self, child: int, hears: int) -> None:
        """Sleep until a child ends; return only where it died."""
        poll = select.poll()
        poll.register(hears, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        while hears not in (ready := dict(poll.poll())):
            if self._control in ready and self._must_end():
                os.kill(child, signal.SIGTERM)
        if os.read(hears, 1):
            os._exit(0)
        os.close(hears)
        _, status = os.waitpid(child, 0)
        self._write(protocol.exit_notice(os.waitstatus_to_exitcode(status)))

    def _must_end(self) -> bool:
        order = os.read(self._control, ORDER.size)
        if len(order) < ORDER.size:
            os.killpg(0, signal.SIGKILL)
        return ORDER.unpack(order) == (protocol.KILL, self._number)

    def _tell_parent(self, says: int) -> None:
        with suppress(BrokenPipeError):
            os.write(says, DONE)
        os.close(says)

    def _run(self, job: dict[str, Any], limits: bytes) -> None:
        verb, source, name = (protocol.to_bytes(text) for text in (job["args"][0], job["source"], job["name"]))
        self._vm.converse(verb, source, name, limits, self._limits["memory"])

    def _end(self, fields: bytes) -> None:
        """Send what came of a chunk. From here on, nothing that was meant for the chunk ends this process."""
        if CAN_FORK:
            signal.pthread_sigmask(signal.SIG_BLOCK, _MORTAL)
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._write_end(fields)


_MORTAL = {signal.SIGTERM, signal.SIGPROF} if CAN_FORK else set()
"""The signals that end a chunk, and that only a process which runs one can get."""


def main() -> NoReturn:
    """Be a session's guest on standard input and output, with the control pipe in place of standard error."""
    try:
        confinement.drop_inherited()
        if CAN_FORK:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, _MORTAL)
        else:
            confinement.die_with_parent()
        Session(INCOMING, OUTGOING, CONTROL).serve()
    finally:
        os._exit(BROKEN)
