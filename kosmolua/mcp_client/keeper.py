"""A small program that runs an MCP server and makes sure that no process of the server outlives KosmoLua.

The host, which is the process that runs KosmoLua, starts this program as ``keeper.py HOST_PID COMMAND ARGUMENT...``,
isolated and without site-packages. The program starts the server in a new process group. It ends this group when it
gets SIGTERM, when the host has ended in any way, or when the server itself has ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE = 1.0
"""Seconds that a server gets to end after SIGTERM."""
POLL_INTERVAL = 0.5
"""Seconds between two checks that the host is alive, on systems that do not report its end."""
_PR_SET_PDEATHSIG = 1
UNSTARTABLE = 127


def signal_if_parent_ends(number: int) -> None:
    """Make the system send this process a signal when its parent ends; only on Linux."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def run(command: list[str]) -> None:
    """Become the server's program, in a new process group."""
    os.setpgid(0, 0)
    signal_if_parent_ends(signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"cannot be started: {error.strerror}\n".encode())
    os._exit(UNSTARTABLE)


def main(host: int, command: list[str]) -> int:
    """Run a server until it or its host ends, and return its exit status. The host is the parent of this process."""
    server = os.fork()
    if server == 0:
        run(command)

    def end(*_: object) -> None:
        kill(server, signal.SIGTERM)
        ends = time.monotonic() + GRACE
        while time.monotonic() < ends and status_of(server) is None:
            time.sleep(0.01)
        kill(server, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR1, end)
    signal_if_parent_ends(signal.SIGUSR1)
    for descriptor in (0, 1, 2):
        os.close(descriptor)  # only the server keeps them, so that the pipes end when it does
    while (status := status_of(server, wait=sys.platform == "linux")) is None:
        if os.getppid() != host:
            end()
        time.sleep(POLL_INTERVAL)
    kill(server, signal.SIGKILL)
    return status


def status_of(server: int, *, wait: bool = False) -> int | None:
    """Return the exit status of a server, or None if it runs and ``wait`` is false."""
    try:
        pid, status = os.waitpid(server, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if pid else None


def kill(server: int, number: int) -> None:
    """Send a signal to all processes of the server's group."""
    try:
        os.killpg(server, number)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    parent = int(sys.argv[1])
    sys.exit(main(parent, sys.argv[2:]) if os.getppid() == parent else 0)
