"""seccomp: a filter that allows only the system calls that a running Lua VM needs.

All other system calls fail with "operation not permitted", so no code in the process can open a file or a socket, start
a program or see another process.

The filter is a program for the kernel's packet filter (BPF). The program's input is described at
https://docs.kernel.org/userspace-api/seccomp_filter.html. The numbers of the system calls are in the tables
``arch/*/entry/syscalls`` in the kernel's source.
"""

from __future__ import annotations

import errno
import os
import struct
import sys

from kosmolua.sandbox import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""For each kind of machine, its column in the tables below and its number in ``linux/audit.h``.

There is no filter for other machines and for 32-bit programs.
"""
_RUNNING = {
    # The pipes to the host
    "read": (0, 63),
    "write": (1, 64),
    "poll": (7, None),
    "ppoll": (271, 73),
    # Memory
    "brk": (12, 214),
    "mmap": (9, 222),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    # Clocks and random numbers
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "getrandom": (318, 278),
    # The interpreter's locks, signals to itself, and the end
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_FORKING = {
    "clone": (56, 220),
    "fork": (57, None),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "pipe2": (293, 59),
    "pipe": (22, None),
    "close": (3, 57),
    "wait4": (61, 260),
    "prlimit64": (302, 261),
    "setitimer": (38, 103),
    "prctl": (157, 167),
}
"""The additional system calls of a session, which forks for each chunk of Lua. A fork sets its own limits,
and asks to end with its parent.

``kill`` is not among them, since only the host ends a chunk.
"""
_REARMING = {"setitimer": (38, 103)}
"""The additional system call of a worker that runs several jobs, since each job has its own limit on processor time."""
_CLEAR = {
    "mmap": (2, 0x4),
    "mprotect": (2, 0x4),
    "clone": (0, 0x7E020000),
    "prlimit64": (0, 0xFFFFFFFF),
    "prctl": (0, 0xFFFFFFFE),
}
"""For some system calls, the index of an argument, and the bits of that argument that have to be 0.

These bits would ask for executable memory or new namespaces, or refer to another process. ``prctl`` is allowed only to
set the signal that a process gets when its parent ends.
"""

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


class Filter:
    """The filter for this machine; ``call``, None if there is none, installs it in a process and its forks.

    ``forking`` allows forks, as for a session; ``rearming`` allows limiting processor time.
    """

    def __init__(self, *, forking: bool = False, rearming: bool = False) -> None:
        calls = _RUNNING | (_FORKING if forking else {}) | (_REARMING if rearming else {})
        machine = os.uname().machine if sys.maxsize > 2**32 else ""
        program = assemble(calls, *_MACHINES[machine]) if machine in _MACHINES else None
        self.call = linux.filtering(program) if program else None


def assemble(calls: dict[str, tuple[int, int | None]], column: int, machine: int) -> bytes:
    """Return a filter that allows only these calls, in the kernel's format.

    ``calls`` has the number of each call on each kind of machine, of which this is the one at ``column``; None where it
    does not exist. ``machine`` is its number in ``linux/audit.h``: calls for another kind, as of a 32-bit program, kill
    the process.
    """
    numbers = {name: number for name, columns in calls.items() if (number := columns[column]) is not None}
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in _instructions(numbers, machine))


def _instructions(numbers: dict[str, int], machine: int) -> Iterator[tuple[int, int, int, int]]:
    yield _LOAD, 0, 0, _MACHINE
    yield _IF_EQUAL, 1, 0, machine
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    for name, number in numbers.items():
        verdict = list(_verdict(name))
        yield _IF_EQUAL, 0, len(verdict), number
        yield from verdict
    yield _RETURN, 0, 0, _REFUSE


def _verdict(name: str) -> Sequence[tuple[int, int, int, int]]:
    if name not in _CLEAR:
        return [(_RETURN, 0, 0, _ALLOW)]
    argument, bits = _CLEAR[name]
    return [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (_IF_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
