"""A session: chunk after chunk runs in one VM. If a chunk is stopped, the state from before it is kept.

If the system can fork, each chunk runs in a child, while its parent waits and holds the state from before as a
checkpoint. When the chunk ends by itself, the child replaces the parent, which exits. If the child dies, because of a
limit, a crash or the host's order, the parent writes an exit notice and waits for the next chunk. While a chunk runs,
the parent polls the control pipe, which closes when the host ends.

No process of a session may signal another, since a script might break out in one of them. To stop a chunk, the host
signals the whole group. All processes block that signal, except the process of the chunk.
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
"""The messages of a chunk's process to its parent."""
INCOMING, OUTGOING, CONTROL = range(3)


class Session(Worker):
    """Runs one chunk after another.

    Args:
        incoming: The descriptor that frames are read from.
        outgoing: The descriptor that frames are written to.
        control: The descriptor of the control pipe, on which the host orders a chunk to stop. It closes when the host
            ends.
    """

    forking = CAN_FORK

    def __init__(self, incoming: int, outgoing: int, control: int) -> None:
        super().__init__(incoming, outgoing)
        self._vm.preload((*COMMON, "session"))
        self._control = control
        self._number = 0

    def serve(self) -> NoReturn:
        """Run jobs until the host has ended."""
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
        """Read a frame. Return an empty dict for the rest of a reply that a dead child has read only in part."""
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
        """Return True if the host ordered this chunk to stop before its process could get the signal."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while poll.poll(0):
            order = os.read(self._control, ORDER.size)
            if len(order) < ORDER.size or ORDER.unpack(order) == (protocol.KILL, self._number):
                return True
        return False

    def _watch(self, child: int, hears: int) -> None:
        """Wait for the child of a chunk. If its chunk ended by itself, exit; if it died, report that and return.

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
        """Do nothing: the process has to keep running, so the prelude leaves the chunk by an error."""

    def _end(self, fields: bytes) -> None:
        """Send the outcome of a chunk. From here on, a signal that is meant for the chunk does not end this process."""
        if CAN_FORK:
            signal.pthread_sigmask(signal.SIG_BLOCK, MORTAL)
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._write_end(fields)


MORTAL = {signal.SIGTERM, signal.SIGPROF} if CAN_FORK else set()
"""The signals that end a chunk. All processes of the session get them, but only one that runs a chunk unblocks them."""


def _end_group() -> NoReturn:
    """End this process and its child, since the host has ended."""
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
