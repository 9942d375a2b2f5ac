"""Confinement: the rights that a process of the sandbox gives up. Each set of rights is an isolation layer."""

from __future__ import annotations

import os
import signal
import sys

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]
if sys.platform == "linux":
    from kosmolua.sandbox import linux, seccomp

LAYERS = ("rlimits", "no_new_privs", "undumpable", "unprivileged", "landlock", "seccomp")
"""The names of the layers. Every Unix has the first; only Linux has the last, a filter of system calls."""
INTERPRETER = 128 * 1024**2
"""Bytes of address space for Python, its libraries and a frame: idle 15 MiB, and 100 MiB to send a result of 16 MiB."""
MAX_COPIES = 256 * 1024**2
"""The largest number of bytes of address space for copies that verbs make of Lua's values.

The fragmentation of Lua's heap takes a part of it: 96 MiB of strings take 111 MiB.
"""
POLL_INTERVAL = 0.2
"""Seconds between two checks whether the parent lives, on systems that do not report its end."""
STANDARD_DESCRIPTORS = 3
"""The number of standard descriptors: input, output and error."""
DESCRIPTORS_OF_A_SESSION = 16
MAX_FORKS = 256
"""How many more threads a session's user may have. A session needs two, but the kernel counts all of the user."""
MAX_THREADS = 2**22
"""The largest number of threads that Linux allows."""
NOBODY = 65534
MAX_CPU = 2**31
"""The largest limit of processor time that is passed to the kernel, in seconds."""


def drop_inherited() -> None:
    """Leave the inherited working folder and close the inherited descriptors."""
    os.chdir("/")
    close_descriptors()


def close_descriptors() -> None:
    """Close everything but standard input, output and error."""
    os.closerange(STANDARD_DESCRIPTORS, 65536)


def die_with_parent() -> None:
    """Make this process end when its parent ends, even if a script is in a loop.

    On Linux the parent is the thread that started the process, and a later change of user cancels this. A zygote must
    outlive that thread, so it does not call this; it ends when its socket closes.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        linux.end_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        return
    import threading
    import time

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_INTERVAL)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def give_back_memory() -> None:
    """Give freed memory back to the system, before this process waits for its next job."""
    if sys.platform == "linux":
        linux.give_back_freed_memory()


class Confinement:
    """The isolation layers of this process. They are applied in two steps, as far as the system has them.

    Args:
        forking: Whether the process still forks after :meth:`lock`, as a session does.
    """

    def __init__(self, *, forking: bool = False) -> None:
        self._forking = forking
        self._in_force: dict[str, bool] = {}
        self._max_threads = 0
        self._filter = seccomp.Filter(forking=forking) if sys.platform == "linux" else None

    @property
    def in_force(self) -> list[str]:
        """The names of the layers that are in force, out of :data:`LAYERS`."""
        return [name for name in LAYERS if self._in_force.get(name)]

    @property
    def missing(self) -> list[str]:
        """The names of the layers that are not in force."""
        return [name for name in LAYERS if not self._in_force.get(name)]

    def settle(self) -> None:
        """Give up the rights that neither this process nor its forks need once all modules are loaded.

        Afterwards nothing can be imported.
        """
        if sys.platform == "linux":
            linux.keep_freed_memory()
            linux.prefer_for_oom_kill()
        self._in_force["unprivileged"] = _become_nobody()
        self._max_threads = _max_threads() if self._forking else 0
        if sys.platform == "linux":
            self._in_force["no_new_privs"] = linux.forbid_new_privileges()
            self._in_force["undumpable"] = linux.hide()
            self._in_force["landlock"] = linux.restrict()

    def lock(self, cpu: float, memory: int, jobs: int = 1) -> None:
        """Limit the resources of a job, and allow only the system calls that it needs.

        Args:
            cpu: Seconds of processor time from now on, after which the kernel ends this process.
            memory: Bytes that Lua may hold; the limit of address space is well above that.
            jobs: How many jobs this process runs. :meth:`rearm` gives each further job its time.
        """
        self._in_force["rlimits"] = self._limit_resources(cpu, memory, jobs)
        if self._filter and not self._in_force.get("seccomp"):
            chosen = self._filter if jobs == 1 else seccomp.Filter(rearming=True)
            self._in_force["seccomp"] = chosen.apply()

    def rearm(self, cpu: float) -> None:
        """Limit the processor time from now on to ``cpu`` seconds; 0 removes the limit."""
        signal.setitimer(signal.ITIMER_PROF, cpu)

    def _limit_resources(self, cpu: float, memory: int, jobs: int) -> bool:
        if resource is None:
            return False
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, cpu)
        bounds = {
            "AS": memory + min(memory, MAX_COPIES) + INTERPRETER,
            "CPU": min(jobs * (int(cpu) + 2), MAX_CPU),
            "CORE": 0,
            "FSIZE": 0,
            "NOFILE": DESCRIPTORS_OF_A_SESSION if self._forking else STANDARD_DESCRIPTORS,
            "NPROC": self._max_threads,
        }
        in_force = [_bound(name, value) for name, value in bounds.items()]
        return all(in_force)


def _max_threads() -> int:
    """Return a limit of threads for this user with which it can still fork.

    It is found by trying, since only the kernel knows how many threads the user has: /proc does not show processes that
    are hidden or in other containers.
    """
    if resource is None:
        return 0
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    bound = MAX_FORKS
    while bound < (MAX_THREADS if hard == resource.RLIM_INFINITY else hard):
        resource.setrlimit(resource.RLIMIT_NPROC, (bound, hard))
        try:
            pid = os.fork()
        except OSError:
            bound *= 2
            continue
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        break
    return bound + MAX_FORKS


def _bound(name: str, value: int) -> bool:
    kind = getattr(resource, f"RLIMIT_{name}", None)
    if kind is None:
        return False
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (OSError, ValueError):
        return False
    return True


def _become_nobody() -> bool:
    """Change to a user without rights if this process runs as root. Return True if it has no rights then.

    Do not change if root could not end the process afterwards.
    """
    if not hasattr(os, "getuid"):
        return False
    if 0 not in (os.getuid(), os.geteuid()):
        return True
    if sys.platform == "linux" and not linux.may_kill():
        return False
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    except OSError:
        return False
    return True
