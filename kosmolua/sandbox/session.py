"""A session: a process that runs chunks of Lua one after another in one VM, as a prompt or a notebook needs.

A chunk that is stopped has no effect on the state of the VM: the next chunk sees the previous state.

If the system can fork, each chunk runs in a child process, while its parent waits and holds the previous state as a
checkpoint. When the chunk ends by itself, the child takes the parent's place, and the parent exits. The child can also
die, because of a limit, a crash or an order of the host. The parent then sends the host an exit notice, and waits for
the next chunk. While a chunk runs, the parent polls the control pipe, which closes when the host ends. On Linux, the
first process of the session runs no chunk: it only has the system drop the exit statuses of the others.

No process of a session can send signals to another, since a script might break out of Lua in one of them. To stop a
chunk, the host sends a signal to the whole process group. All processes block that signal, except the process of the
chunk.
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
"""The messages that a chunk's process sends to its parent: the chunk has begun, and it has ended by itself."""
INCOMING, OUTGOING, CONTROL = range(3)


class SessionWorker(Worker):
    """Runs chunks one after another in one VM. The host writes to the ``control`` pipe to stop one, and it ends with
    it.
    """

    forking = CAN_FORK

    def __init__(self, incoming: int, outgoing: int, control: int) -> None:
        super().__init__(incoming, outgoing)
        self._vm.preload((*COMMON, "session"))
        self._control = control
        self._number = 0

    def serve(self) -> NoReturn:
        """Run chunks until the host has ended."""
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
        """Read the next frame; empty if a child that died has read its beginning."""
        try:
            frame = json.loads(self._receive())
        except ValueError:
            return {}
        return frame if isinstance(frame, dict) else {}

    def _work_in_child(self, job: dict[str, Any]) -> None:
        reader, writer = os.pipe()
        try:
            child = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            self._write(protocol.exit_notice(protocol.NO_ROOM))
            return
        if child:
            os.close(writer)
            self._watch(child, reader)
            return
        os.close(reader)
        if sys.platform == "linux":
            linux.end_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MORTAL)
        if self._was_stopped():
            os._exit(BROKEN)
        os.write(writer, BEGUN)
        self._work(job)
        if sys.platform == "linux":
            linux.end_with_parent(0)
        with suppress(BrokenPipeError):
            os.write(writer, DONE)
        os.close(writer)

    def _was_stopped(self) -> bool:
        """Return True if the order to stop came before the signal could be received."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while poll.poll(0):
            order = os.read(self._control, ORDER.size)
            if len(order) < ORDER.size or ORDER.unpack(order) == (protocol.KILL, self._number):
                return True
        return False

    def _watch(self, child: int, reader: int) -> None:
        """Wait for a chunk's process: exit if it takes this one's place; if it died, tell the host.

        The orders to stop in the pipe are discarded, since the signal ends the child.
        """
        if os.read(reader, 1):
            poll = select.poll()
            poll.register(reader, select.POLLIN)
            poll.register(self._control, select.POLLIN)
            while reader not in (ready := dict(poll.poll())):
                if self._control in ready and len(os.read(self._control, ORDER.size)) < ORDER.size:
                    _end_group()
            if os.read(reader, 1):
                os._exit(0)
        os.close(reader)
        _, status = os.waitpid(child, 0)
        self._write(protocol.exit_notice(os.waitstatus_to_exitcode(status)))

    def _run(self, job: dict[str, Any], settings: bytes) -> None:
        verb, source, name = (protocol.to_bytes(text) for text in (job["args"][0], job["source"], job["name"]))
        seed = bytes.fromhex(job["seed"]) if job.get("seed") else None
        self._vm.converse(verb, source, name, settings, self._limits["memory"], seed)

    def _exit(self, fields: bytes) -> None:
        """Do nothing, so that the process goes on: Lua's ``exit`` then raises an error that the chunk cannot catch."""

    def _end(self, fields: bytes) -> None:
        """Send the outcome of a chunk, whose signals no longer end this process."""
        if CAN_FORK:
            signal.pthread_sigmask(signal.SIG_BLOCK, MORTAL)
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._write_end(fields)


MORTAL = {signal.SIGTERM, signal.SIGPROF} if CAN_FORK else set()
"""The signals that end a chunk. All processes of a session get them, but only that of the chunk unblocks them."""


def _end_group() -> NoReturn:
    """End this process and its child: the host has ended."""
    if sys.platform != "linux":
        os.killpg(0, signal.SIGKILL)
    os._exit(0)  # on Linux the child ends with its parent


def _drop_statuses() -> None:
    """Fork, and return in the child; the parent has the system drop the statuses of the session's processes.

    Else they would be left to the system's first process, which in some containers collects none. A process whose
    status waits counts against the limit of processes, so that chunks would fail until this one had a turn.
    """
    if not linux.adopt_orphans():
        return
    try:
        child = os.fork()
    except OSError:
        return
    if not child:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for descriptor in (INCOMING, OUTGOING, CONTROL):
        os.close(descriptor)
    with suppress(ChildProcessError):
        os.wait()  # until all have ended
    os._exit(0)


def main() -> NoReturn:
    """Be a session; standard error is the control pipe."""
    try:
        confinement.drop_inherited()
        if CAN_FORK:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, MORTAL)
        else:
            confinement.die_with_parent(os.getppid())
        session = SessionWorker(INCOMING, OUTGOING, CONTROL)
        if sys.platform == "linux":
            _drop_statuses()
        session.serve()
    finally:
        os._exit(BROKEN)
