"""Confinement: how a sandbox process gives up rights before it runs a script."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # the module signal makes enums, which takes longer
import os
import sys

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]
if sys.platform == "linux":
    from kosmolua.sandbox import linux, seccomp

LAYERS = ("rlimits", "no_new_privs", "undumpable", "unprivileged", "landlock", "seccomp")
"""The names of the layers. Every Unix has the first. Only Linux has the last, a filter of system calls."""
INTERPRETER = 128 * 1024**2
"""Bytes of address space for Python, its libraries and a message: 15 MiB idle, 100 MiB to send a result of 16 MiB."""
MAX_COPIES = 256 * 1024**2
"""Bytes of address space for the copies of Lua's values that Python functions make, at most.

Fragmentation of Lua's heap uses up a part of this space: 96 MiB of strings take 111 MiB.
"""
SIGKILL = 9
if sys.platform == "linux":
    _ENDING = linux.ending_with_parent(SIGKILL)
POLL_INTERVAL = 0.2
"""Seconds between two checks whether the parent still runs, on systems that do not report its end."""
STANDARD_DESCRIPTORS = 3
"""The number of standard descriptors: input, output and error."""
DESCRIPTORS_OF_A_SESSION = 16
MAX_FORKS = 256
"""How many threads a session's user can add. A session needs few, but the kernel counts all threads of that user."""
FORKS_OF_A_SESSION = 16
"""How many processes a session can have if the kernel counts only its own.

It needs four: one that has exit statuses dropped, a chunk's process, its parent, and one that has ended a moment ago.
"""
MAX_THREADS = 2**22
"""The largest number of threads that Linux allows."""
NOBODY = 65534
OWN_USERS = 0x70000000
"""The first of the user ids of sessions that root starts. No user has them, and each session has its own."""
MAX_CPU = 2**31
"""The largest limit on processor time that is passed to the kernel, in seconds."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Step: TypeAlias = tuple[str, Callable[..., Any], tuple[Any, ...]]
    """The name of a layer, a function that applies a part of the layer, and the function's arguments. If the system
    refuses, the function raises an error or returns a true value."""


def drop_inherited() -> None:
    """Go to the root folder, close all descriptors except the standard ones, and yield memory to the host."""
    os.chdir("/")
    close_descriptors()
    if sys.platform == "linux":
        linux.keep_freed_memory()
        linux.prefer_for_oom_kill()


def close_descriptors() -> None:
    """Close all descriptors except standard input, output and error."""
    os.closerange(STANDARD_DESCRIPTORS, 65536)


def die_with_parent(parent: int) -> None:
    """End with the parent, which has this id, even if it has ended before this call or a script is in a loop.

    On Linux, the process ends with the thread that started it, and a later change of the user id would cancel this. So
    a zygote, which outlives that thread, does not call this, but ends when its socket closes.
    """
    if sys.platform == "linux":
        request, arguments = _ENDING
        request(*arguments)
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
    """On Linux, return freed memory to the system before waiting for the next job."""
    if sys.platform == "linux":
        linux.give_back_freed_memory()


class Confinement:
    """The layers of this process. Those that the system lacks are left out.

    :meth:`settle` gives up the rights that no job needs, then :meth:`lock` restricts a job. ``forking``: the process
    still forks after that, as a session does.
    """

    def __init__(self, *, forking: bool = False) -> None:
        self._forking = forking
        self._settled: dict[str, bool] = {}
        self._refused: set[str] = set()
        self._max_threads = 0
        self._filters: dict[bool, Step | None] = {}
        self._is_filtered = False

    @property
    def in_force(self) -> list[str]:
        """The :data:`LAYERS` in force after :meth:`lock`."""
        return [name for name in LAYERS if self._settled.get(name) and name not in self._refused]

    @property
    def missing(self) -> list[str]:
        """The :data:`LAYERS` not in force after :meth:`lock`."""
        in_force = self.in_force
        return [name for name in LAYERS if name not in in_force]

    @property
    def is_refused(self) -> bool:
        """Whether the system refused a layer that was expected to work."""
        return bool(self._refused)

    def settle(self) -> None:
        """Give up rights after the last import; with Landlock, no file can be read afterwards."""
        self._settled["rlimits"] = resource is not None
        if resource:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            self.take([_limiting("CORE", 0), _limiting("FSIZE", 0)])
        is_alone = self._forking and _become_another_user()
        self._settled["unprivileged"] = _become_nobody()
        if self._forking:
            self._max_threads = FORKS_OF_A_SESSION if is_alone and _can_fork() else _max_threads()
        if sys.platform == "linux":
            self._settled["no_new_privs"] = linux.forbid_new_privileges()
            self._settled["undumpable"] = linux.hide()
            self._settled["landlock"] = linux.restrict()
            self._settled["seccomp"] = self._filter_for(1) is not None

    def lock(self, cpu: float, memory: int, jobs: int = 1) -> None:
        """Limit resources, and allow only the system calls that a job needs.

        After ``cpu`` seconds of processor time from now on, the kernel ends this process. The limit on address space is
        well above ``memory``, the most bytes that Lua can hold. Before each further job, call :meth:`rearm`.
        """
        self.take(self.steps(cpu, memory, jobs))
        self._is_filtered = True

    def steps(self, cpu: float, memory: int, jobs: int = 1) -> list[Step]:
        """Return what :meth:`lock` would do, for a fork to :meth:`take`."""
        steps: list[Step] = []
        if resource:
            steps += [
                ("rlimits", _limit_time, (cpu,)),
                _limiting("AS", memory + min(memory, MAX_COPIES) + INTERPRETER),
                _limiting("CPU", min(jobs * (int(cpu) + 2), MAX_CPU)),
                _limiting("NOFILE", DESCRIPTORS_OF_A_SESSION if self._forking else STANDARD_DESCRIPTORS),
                _limiting("NPROC", self._max_threads),
            ]
        if sys.platform == "linux" and not self._is_filtered and (filtering := self._filter_for(jobs)):
            steps.append(filtering)
        return steps

    def take(self, steps: list[Step]) -> None:
        """Carry out steps, and record the layers that the system refuses."""
        for layer, call, arguments in steps:
            try:
                is_refused = call(*arguments)
            except (OSError, ValueError):
                is_refused = True
            if is_refused:
                self._refused.add(layer)

    def rearm(self, cpu: float) -> None:
        """Limit the processor time from now on to ``cpu`` seconds; 0 for no limit."""
        signal.setitimer(signal.ITIMER_PROF, cpu)

    def _filter_for(self, jobs: int) -> Step | None:
        is_rearming = jobs > 1
        if is_rearming not in self._filters:
            chosen = seccomp.Filter(forking=self._forking, rearming=is_rearming)
            self._filters[is_rearming] = ("seccomp", *chosen.call) if chosen.call else None
        return self._filters[is_rearming]


def _limit_time(cpu: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu)


def _limiting(name: str, value: int) -> Step:
    """Return a step that limits a resource, unless a lower limit is in force."""
    kind = getattr(resource, f"RLIMIT_{name}", None)
    if kind is None:
        return "rlimits", bool, (True,)
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return "rlimits", resource.setrlimit, (kind, (value, value))


def _max_threads() -> int:
    """Return a limit on this user's threads that still lets this process fork, found by trying.

    Only the kernel knows how many there are: /proc shows no hidden processes, or those in other containers.
    """
    if resource is None:
        return 0
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    bound = MAX_FORKS
    while bound < (MAX_THREADS if hard == resource.RLIM_INFINITY else hard) and not _can_fork(bound):
        bound *= 2
    return bound + MAX_FORKS


def _can_fork(bound: int = FORKS_OF_A_SESSION) -> bool:
    """Return True if this process can fork within a bound on its user's threads."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True


def _become_another_user() -> bool:
    """Become a user with no other processes, so that the kernel can bound their number: root a nameless one.

    Other users get a user namespace of their own.
    """
    if sys.platform != "linux" or resource is None:
        return False
    if 0 not in (os.getuid(), os.geteuid()):
        return linux.leave_user_namespace()
    return linux.may_kill() and _change_user(OWN_USERS + os.getpid())


def _become_nobody() -> bool:
    """Change from root to ``nobody``, unless root lacks ``CAP_KILL``, so that it could not end the process afterwards.

    Return True if this process is not root's; on Windows, False.
    """
    if not hasattr(os, "getuid"):
        return False
    if 0 not in (os.getuid(), os.geteuid()):
        return True
    if sys.platform == "linux" and not linux.may_kill():
        return False
    return _change_user(NOBODY)


def _change_user(user: int) -> bool:
    """Change from root to another user without groups."""
    try:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(user)
    except OSError:
        return False
    return True
