"""Sandbox processes as forks of one that has imported what they run, which is most of the time of their start.

Each is a child of the process that asks for it, has its own descriptors, and runs the program that it was asked to run.
With KOSMOLUA_LONG in the environment, or where the system cannot fork for a parent, each one is a new interpreter.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter

sys.path += sys.argv[1:] if __name__ == "__main__" else []

from kosmolua.processes import launch

CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine) if sys.platform == "linux" else None
CLONE_PARENT = 0x8000
ROLES = ("zygote", "session", "worker")


class Prepared:
    """Starts sandbox processes in place of ``os.posix_spawn``."""

    def __init__(self) -> None:
        self.is_used = True
        self._spawn = os.posix_spawn
        self._asking = threading.Lock()
        self._owner = os.getpid()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = [sys.executable, "-I", "-S", __file__, *launch.command("zygote")[5:]]
            self._pid = self._spawn(
                sys.executable,
                program,
                launch.ENVIRONMENTS["zygote"],
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            )

    def spawn(self, path: str, command: list[str], environment: dict[str, str], **options: object) -> int:
        """Do what ``os.posix_spawn`` does, by a fork if the command is that of a sandbox and this is its parent."""
        roles = {role for role in ROLES if launch.command(role) == command}
        if not (self.is_used and roles and os.getpid() == self._owner):
            return self._spawn(path, command, environment, **options)  # type: ignore[arg-type]
        descriptors = [each[1] for each in sorted(options["file_actions"], key=itemgetter(2))]  # type: ignore[call-overload]
        words = [roles.pop(), *(str(int(each)) for each in options["setsigmask"])]  # type: ignore[attr-defined]
        with self._asking:
            socket.send_fds(self._requests, [" ".join(words).encode()], descriptors)
            pid = int(self._requests.recv(10))
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def close(self) -> None:
        """End the process that forks."""
        self._requests.close()
        os.waitpid(self._pid, 0)


@contextmanager
def preparing() -> Iterator[Prepared | None]:
    """Start sandboxes as forks during the block, where this can be done."""
    if CLONE is None or os.environ.get("KOSMOLUA_LONG"):
        yield None
        return
    prepared = Prepared()
    os.posix_spawn, usual = prepared.spawn, os.posix_spawn
    yield prepared
    os.posix_spawn = usual
    prepared.close()


def serve() -> None:
    """Fork a sandbox for each request: the role, the signals to block, and the descriptors of the standard streams."""
    import ctypes
    import gc
    import importlib

    mains = {role: importlib.import_module(f"kosmolua.sandbox.{role}").main for role in ROLES}
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    with socket.socket(fileno=0) as requests:
        gc.freeze()
        while True:
            request, streams, _, _ = socket.recv_fds(requests, 100, 3)
            if not request:
                return
            role, *blocked = request.decode().split()
            pid = syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
            if pid == 0:
                os.setsid()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_BLOCK, [int(number) for number in blocked])
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                mains[role]()
            for stream in streams:
                os.close(stream)
            requests.send(b"%d" % (pid if pid > 0 else -ctypes.get_errno()))


if __name__ == "__main__":
    serve()
