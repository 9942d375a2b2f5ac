"""What a worker takes away from itself before it runs a script, by operating system."""

from __future__ import annotations

import os
import signal
import sys

ROOM_BESIDE_LUA = 512 * 1024**2
"""Bytes of address space beyond Lua's own limit: the interpreter, its libraries, and copies of frames."""
HIGHEST_DESCRIPTOR = 3
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def leave_the_house() -> None:
    """Give up what was inherited: the folder and open descriptors."""
    os.chdir("/")
    close_descriptors()


def close_descriptors() -> None:
    """Close everything but standard input, output and error."""
    os.closerange(HIGHEST_DESCRIPTOR, 65536)


def die_with_parent() -> None:
    """Have this process end when its parent does, also in the middle of a loop.

    On Linux that is the thread which started it. A zygote must outlive that one, and ends when its socket closes.
    """
    if sys.platform == "linux":
        _ask_the_kernel()
    else:
        _watch()


def _ask_the_kernel() -> None:
    import ctypes

    parent = os.getppid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _watch() -> None:
    import threading
    import time

    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def limit_resources(cpu: float, memory: int) -> None:
    """Have the kernel end this process after its processor time, and bound what it can take.

    Args:
        cpu: Seconds from now on.
        memory: Bytes that Lua may hold; the address space is bounded well above that.
    """
    try:
        import resource
    except ImportError:
        return
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, cpu)
    _bound(resource.RLIMIT_AS, memory + ROOM_BESIDE_LUA)
    _bound(resource.RLIMIT_CPU, int(cpu) + 2)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, 0)


def _bound(kind: int, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
