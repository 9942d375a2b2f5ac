"""seccomp: a filter that allows only the system calls of a warm VM. All others fail with "operation not permitted".

So whatever code runs, it opens no file or socket, starts no program and sees no other process. The
filter is a program of the kernel's packet filter. See https://docs.kernel.org/userspace-api/seccomp_filter.html for
what it is given, and the tables ``arch/*/entry/syscalls`` of the kernel's source for the numbers.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator, Sequence

from kosmolua.sandbox import linux

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""For each machine its column below, and its name in ``linux/audit.h``. Others, and 32-bit programs, have no filter."""
_RUNNING = {
    # The pipes to the host
    "read": (0, 63),
    "write": (1, 64),
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
    "poll": (7, None),
    "ppoll": (271, 73),
    "wait4": (61, 260),
    "prlimit64": (302, 261),
    "setitimer": (38, 103),
    "prctl": (157, 167),
}
"""What a session needs too: a fork for each chunk, with limits of its own, which ends with its parent or reports to it.

There is no ``kill``: the host alone ends a chunk.
"""
_REARMING = {"setitimer": (38, 103)}
"""What a worker of several jobs needs too: each has its own CPU time."""
_CLEAR = {
    "mmap": (2, 0x4),
    "mprotect": (2, 0x4),
    "clone": (0, 0x7E020000),
    "prlimit64": (0, 0xFFFFFFFF),
    "prctl": (0, 0xFFFFFFFE),
}
"""Bits of one argument, counted from 0, that have to be 0.

They stand for memory that can be executed, namespaces, other processes, and all that ``prctl`` does beside ending a
process with its parent.
"""

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


class Filter:
    """The filter for this machine, assembled once.

    ``call`` is the function and the arguments that put it in force for this process and all that it forks, and that
    return 0 if that worked; None if there is no filter for this machine.

    Args:
        forking: Whether the calls with which a session forks for each chunk are allowed as well.
        rearming: Whether the call that limits processor time is allowed as well.
    """

    def __init__(self, *, forking: bool = False, rearming: bool = False) -> None:
        calls = _RUNNING | (_FORKING if forking else {}) | (_REARMING if rearming else {})
        machine = os.uname().machine if sys.maxsize > 2**32 else ""
        program = assemble(calls, *_MACHINES[machine]) if machine in _MACHINES else None
        self.call = linux.filtering(program) if program else None


def assemble(calls: dict[str, tuple[int, int | None]], column: int, machine: int) -> bytes:
    """Return the filter that allows some system calls, as the kernel wants it.

    Args:
        calls: Their numbers by name, a column a machine.
        column: The column of the machine.
        machine: Its name in ``linux/audit.h``; a process that changes to another is killed.
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
