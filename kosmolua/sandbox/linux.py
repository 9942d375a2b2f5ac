"""System calls of Linux for which Python has no function; they return True on success."""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Call: TypeAlias = tuple[Callable[..., int], tuple[Any, ...]]
    """A function that returns 0 on success, and its arguments. A parent prepares both, and its forks make the call."""

OOM_SCORE_ADJUSTMENT = 900
"""How readily the kernel kills a sandbox process if memory runs out, up to 1000. The usual value of a process is 0."""
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_READ = 23
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAP_KILL = 5
_CPUCLOCK_SCHED = 2
_CAPABILITY_VERSION = 0x20080522
_CLONE_NEWUSER = 0x10000000
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1

_MALLOC = {-1: 256 * 1024**2, -3: 4 * 1024**2}
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of glibc's ``mallopt``, in bytes."""

_libc = ctypes.CDLL(None)
_libc.syscall.restype = ctypes.c_long


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def keep_freed_memory() -> None:
    """Make glibc keep freed memory: a script that joins strings would cause page faults at every step."""
    if mallopt := getattr(_libc, "mallopt", None):
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def give_back_freed_memory() -> None:
    """Return freed memory to the system."""
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)


def prefer_for_oom_kill() -> None:
    """Make this process and its forks the first to be killed if memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(OOM_SCORE_ADJUSTMENT))
    except OSError:
        return


def forbid_new_privileges() -> bool:
    """Prevent programs that this process starts from gaining privileges."""
    return _control(_PR_SET_NO_NEW_PRIVS, 1)


def hide() -> bool:
    """Hide memory and environment from other processes of the user."""
    return _control(_PR_SET_DUMPABLE, 0)


def end_with_parent(signal: int) -> bool:
    """Get a signal (0: none) when the thread that started this process ends."""
    return _control(_PR_SET_PDEATHSIG, signal)


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent has ended."""
    return _control(_PR_SET_CHILD_SUBREAPER, 1)


def leave_user_namespace() -> bool:
    """Move to a user namespace of its own, without capabilities; many systems forbid it.

    The kernel counts the processes of a user in each namespace separately.
    """
    if not hasattr(_libc, "unshare") or _libc.unshare(_CLONE_NEWUSER) != 0:
        return False
    header, nothing = struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)
    return int(_libc.capset(header, nothing)) == 0


def ending_with_parent(signal: int) -> Call:
    """Return :func:`end_with_parent` prepared: a function that returns 0 on success, and its arguments."""
    return _prepared(_PR_SET_PDEATHSIG, signal)


def clock_of(pid: int) -> int:
    """Return the clock that shows how much processor time a process has used, as in ``clock_getcpuclockid``."""
    return ~pid << 3 | _CPUCLOCK_SCHED


def may_kill() -> bool:
    """Return True if root can end processes of other users, as in some containers it cannot."""
    return int(_libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(_CAP_KILL))) == 1


def filtering(program: bytes) -> Call:
    """Return the call that installs a filter, of ``struct sock_filter`` of ``linux/filter.h``."""
    pointer = ctypes.byref(_FilterProgram(len(program) // 8, program))
    return _prepared(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer)


def landlock_version() -> int:
    """Return the kernel's version of Landlock, below 1 if none."""
    return int(_libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION))


def landlock_ruleset(attributes: bytes) -> int:
    """Create a ruleset, from a ``struct landlock_ruleset_attr``, that allows nothing; -1 if refused."""
    return int(_libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))


def landlock_restrict(ruleset: int) -> bool:
    return int(_libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0)) == 0


def _control(option: int, value: int) -> bool:
    call, arguments = _prepared(option, value)
    return call(*arguments) == 0


def _prepared(option: int, value: int, pointer: object = None) -> Call:
    unused = ctypes.c_ulong(0)
    return _libc.prctl, (option, ctypes.c_ulong(value), pointer or unused, unused, unused)


_FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
_NETWORK = {4: 1 << 2}
_SCOPES = {6: 1 << 2}
"""The first unused bit for each version of Landlock that added kinds of access.

Files: 13 kinds, then moving between folders, truncating, and device control. Network: binding and connecting TCP
sockets. Scopes: sockets with abstract names, and signals.
"""


def restrict() -> bool:
    """Deny this process and its forks all that Landlock can deny."""
    version = landlock_version()
    if version < 1:
        return False
    kinds = [_known(table, version) for table in (_FILES, _NETWORK, _SCOPES)]
    ruleset = landlock_ruleset(struct.pack("=QQQ", *kinds))
    if ruleset < 0:
        return False
    try:
        return landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _known(table: dict[int, int], version: int) -> int:
    return max((bound - 1 for since, bound in table.items() if since <= version), default=0)
