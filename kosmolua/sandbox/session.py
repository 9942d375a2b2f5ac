"""A session: chunk after chunk runs in one VM, and if one is ended, the state from before it lives on.

If the OS can fork, each chunk runs in a child, while its parent sleeps with the state from before as a checkpoint. A
child whose chunk ends takes over, and the parent exits. If a child dies, because of a limit, a crash or the host's
order, the parent writes an exit notice and waits for the next chunk. It runs no Lua meanwhile, so it notices on the
control pipe if the host is gone.

No process of a session can signal another: a script might take one over. To stop a chunk, the host signals the whole
group, in which every process but the chunk's blocks that signal.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

from kosmolua import protocol
from kosmolua.protocol import ORDER
from kosmolua.sandbox import confinement
from kosmolua.sandbox.vm import BROKEN, COMMON
from kosmolua.sandbox.worker import Worker

if sys.platform == "linux":
    from kosmolua.sandbox import linux


CAN_FORK = hasattr(os, "fork")
BEGUN, DONE = b"+", b"."
"""What a chunk's process tells its parent."""
INCOMING, OUTGOING, CONTROL = range(3)


class Session(Worker):
    """Does one job after another.

    Args:
        incoming: The descriptor that frames come from.
        outgoing: The descriptor that frames go to.
        control: The descriptor on which the host says which chunk to stop; it is closed when the host is gone.
    """

    forking = CAN_FORK

    def __init__(self, incoming: int, outgoing: int, control: int) -> None:
        super().__init__(incoming, outgoing)
        self._vm.preload((*COMMON, "session"))
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
        """Read a frame, skipping what a dead child left of its last reply, and replies that came too late."""
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
            return
        os.close(hears)
        if sys.platform == "linux":
            linux.end_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MORTAL)
        if self._was_stopped():
            os._exit(BROKEN)
        os.write(says, BEGUN)
        self._work(job)
        if sys.platform == "linux":
            linux.end_with_parent(0)
        with suppress(BrokenPipeError):
            os.write(says, DONE)
        os.close(says)

    def _was_stopped(self) -> bool:
        """Return True if the host stopped this chunk before there was a process for its signal."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while poll.poll(0):
            order = os.read(self._control, ORDER.size)
            if len(order) < ORDER.size or ORDER.unpack(order) == (protocol.KILL, self._number):
                return True
        return False

    def _watch(self, child: int, hears: int) -> None:
        """Sleep until a child ends; return only if it died.

        The host's order to stop comes over the control pipe and as a signal. A child that has begun gets the signal.
        """
        if os.read(hears, 1):
            poll = select.poll()
            poll.register(hears, select.POLLIN)
            poll.register(self._control, select.POLLIN)
            while hears not in (ready := dict(poll.poll())):
                if self._control in ready and len(os.read(self._control, ORDER.size)) < ORDER.size:
                    _end_group()
            if os.read(hears, 1):
                os._exit(0)
        os.close(hears)
        _, status = os.waitpid(child, 0)
        self._write(protocol.exit_notice(os.waitstatus_to_exitcode(status)))

    def _run(self, job: dict[str, Any], settings: bytes) -> None:
        verb, source, name = (protocol.to_bytes(text) for text in (job["args"][0], job["source"], job["name"]))
        seed = bytes.fromhex(job["seed"]) if job.get("seed") else None
        self._vm.converse(verb, source, name, settings, self._limits["memory"], seed)

    def _exit(self, fields: bytes) -> None:
        """Do nothing: the state lives on, so the chunk is left by an error that nothing catches."""

    def _end(self, fields: bytes) -> None:
        """Send the outcome of a chunk. From here on, no signal that was meant for the chunk ends this process."""
        if CAN_FORK:
            signal.pthread_sigmask(signal.SIG_BLOCK, MORTAL)
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._write_end(fields)


MORTAL = {signal.SIGTERM, signal.SIGPROF} if CAN_FORK else set()
"""The signals that end a chunk. All processes of the session get them, and only one that runs a chunk lets them in."""


def _end_group() -> NoReturn:
    """End this process and its child, since the host is gone."""
    if sys.platform != "linux":
        os.killpg(0, signal.SIGKILL)
    os._exit(0)  # on Linux the child ends with its parent


def main() -> NoReturn:
    """Serve a session on standard input and output, with the control pipe in place of standard error."""
    try:
        confinement.drop_inherited()
        if CAN_FORK:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, MORTAL)
        else:
            confinement.die_with_parent()
        Session(INCOMING, OUTGOING, CONTROL).serve()
    finally:
        os._exit(BROKEN)
