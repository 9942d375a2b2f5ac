"""Confinement: what a process of the sandbox gives up, by operating system, and the layers that this puts around it."""

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

    _end_with_parent = linux.ending_with_parent(signal.SIGKILL)

LAYERS = ("rlimits", "no_new_privs", "undumpable", "unprivileged", "landlock", "seccomp")
"""The layers, from the resource limits of every Unix to the filter of system calls that only Linux has."""
INTERPRETER = 128 * 1024**2
"""Bytes of address space for Python, its libraries and a frame: 15 MiB when idle, 100 to send a result of 16 MiB."""
MAX_COPIES = 256 * 1024**2
"""Bytes of address space at most for what verbs copy out of Lua, which is never more than Lua may hold itself.

Also the holes in Lua's heap have to find room here: without them, 96 MiB of strings take 111 MiB.
"""
POLL_INTERVAL = 0.2
"""Seconds between two checks whether the parent lives, on systems that do not report its end."""
STANDARD_DESCRIPTORS = 3
"""Input, output and error."""
DESCRIPTORS_OF_A_SESSION = 16
MAX_FORKS = 256
"""Room for further threads of a session's user; the session needs two. The kernel counts all of a user's together."""
MAX_THREADS = 2**22
"""The most that Linux has room for."""
NOBODY = 65534
KINDS: dict[str, int | None] = {
    name: getattr(resource, f"RLIMIT_{name}", None) for name in ("AS", "CPU", "CORE", "FSIZE", "NOFILE", "NPROC")
}
"""The resources that are limited, with the system's number for each that it has."""
MAX_CPU = 2**31
"""The largest number of seconds that is passed as a limit."""


def drop_inherited() -> None:
    """Give up the inherited folder and descriptors."""
    os.chdir("/")
    close_descriptors()


def close_descriptors() -> None:
    """Close everything but standard input, output and error."""
    os.closerange(STANDARD_DESCRIPTORS, 65536)


def die_with_parent() -> None:
    """End this process when its parent ends, even in the middle of a loop.

    On Linux that is the thread which started it, and a change of user undoes it. A zygote must outlive that thread, and
    ends when its socket closes.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        _end_with_parent()
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
    """Give memory that was freed back to the system, before this process waits."""
    if sys.platform == "linux":
        linux.give_back_freed_memory()


class Confinement:
    """The layers around this process, which are applied in two steps, each if the system has it.

    Args:
        forking: Whether the process goes on forking when it is locked, as a session does.
    """

    def __init__(self, *, forking: bool = False) -> None:
        self._forking = forking
        self._in_force: dict[str, bool] = {}
        self._max_threads = 0
        self._filters: dict[bool, seccomp.Filter] = {}

    @property
    def in_force(self) -> list[str]:
        """The names of the layers that are in force, out of :data:`LAYERS`."""
        return [name for name in LAYERS if self._in_force.get(name)]

    @property
    def missing(self) -> list[str]:
        """The names of the layers that are not in force."""
        return [name for name in LAYERS if not self._in_force.get(name)]

    def settle(self) -> None:
        """Drop for ever the rights that neither this process nor its forks need once everything is loaded.

        From here on nothing can be imported.
        """
        if sys.platform == "linux":
            linux.keep_freed_memory()
            linux.prefer_for_oom_kill()
        self._in_force["rlimits"] = self._limit_files()
        self._in_force["unprivileged"] = _become_nobody()
        self._max_threads = _max_threads() if self._forking else 0
        if sys.platform == "linux":
            self._in_force["no_new_privs"] = linux.forbid_new_privileges()
            self._in_force["undumpable"] = linux.hide()
            self._in_force["landlock"] = linux.restrict()

    def foresee(self, jobs: int) -> list[str]:
        """Prepare what a fork of this process needs for :meth:`lock`, and return the layers that it is to report."""
        self._filter_for(jobs)
        return [name for name in LAYERS if name == "seccomp" or self._in_force.get(name)]

    def lock(self, cpu: float, memory: int, jobs: int = 1) -> None:
        """Limit the resources of a job, and allow only the system calls that it needs.

        Args:
            cpu: Seconds of processor time from now on, at the end of which the kernel ends this process.
            memory: Bytes that Lua may hold; the address space is bounded well above that.
            jobs: How many jobs this process does, each after :meth:`rearm` with as much time.
        """
        self._in_force["rlimits"] = self._limit_resources(cpu, memory, jobs) and self._in_force["rlimits"]
        if sys.platform == "linux" and not self._in_force.get("seccomp"):
            self._in_force["seccomp"] = self._filter_for(jobs).apply()

    def rearm(self, cpu: float) -> None:
        """Limit the processor time from now on, in seconds; 0 for no limit."""
        signal.setitimer(signal.ITIMER_PROF, cpu)

    def _filter_for(self, jobs: int) -> seccomp.Filter:
        is_rearming = jobs > 1
        if is_rearming not in self._filters:
            self._filters[is_rearming] = seccomp.Filter(forking=self._forking, rearming=is_rearming)
        return self._filters[is_rearming]

    def _limit_files(self) -> bool:
        """Allow no files to be written, neither by this process nor by the system about its end."""
        if resource is None:
            return False
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        in_force = [_bound("CORE", 0), _bound("FSIZE", 0)]
        return all(in_force)

    def _limit_resources(self, cpu: float, memory: int, jobs: int) -> bool:
        if resource is None:
            return False
        signal.setitimer(signal.ITIMER_PROF, cpu)
        in_force = [
            _bound("AS", memory + min(memory, MAX_COPIES) + INTERPRETER),
            _bound("CPU", min(jobs * (int(cpu) + 2), MAX_CPU)),
            _bound("NOFILE", DESCRIPTORS_OF_A_SESSION if self._forking else STANDARD_DESCRIPTORS),
            _bound("NPROC", self._max_threads),
        ]
        return False not in in_force


def _max_threads() -> int:
    """Return a bound on the threads of this user that still lets it fork.

    Only the kernel knows how many there are: /proc does not show those that hide, or that run in other containers.
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
    kind = KINDS[name]
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
    """Change to a user without rights if this process runs as root, unless root could not end it afterwards."""
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
