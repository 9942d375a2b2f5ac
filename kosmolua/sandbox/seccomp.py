"""seccomp: a filter that allows only the system calls that a VM needs once it is built.

All other calls fail with "operation not permitted".

So no code in the process can open a file or a socket, start a program or see another process. The filter is a program
for the kernel's packet filter. See https://docs.kernel.org/userspace-api/seccomp_filter.html for its input, and the
tables ``arch/*/entry/syscalls`` in the kernel's source for the numbers.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterator, Sequence

from kosmolua.sandbox import linux

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""For each machine its column in the tables below, and its number in ``linux/audit.h``.

Other machines, and 32-bit programs, have no filter.
"""
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
"""The further calls of a session. It forks for each chunk; the fork has its own limits, and ends with its parent.

There is no ``kill``, since only the host ends a chunk.
"""
_REARMING = {"setitimer": (38, 103)}
"""The further calls of a worker of several jobs: each job has its own limit of CPU time."""
_CLEAR = {
    "mmap": (2, 0x4),
    "mprotect": (2, 0x4),
    "clone": (0, 0x7E020000),
    "prlimit64": (0, 0xFFFFFFFF),
    "prctl": (0, 0xFFFFFFFE),
}
"""For some calls, the index of an argument, and the bits of it that have to be 0.

The bits ask for executable memory, new namespaces and other processes. ``prctl`` may only set the signal that a process
gets when its parent ends.
"""

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


class Filter:
    """The filter for this machine, assembled once.

    ``call`` is the prepared call that applies the filter to the process and all its forks, and returns 0 on success. It
    is None if there is no filter for this machine.

    Args:
        forking: Whether the calls that a session needs to fork for each chunk are allowed as well.
        rearming: Whether the call that limits processor time is allowed as well.
    """

    def __init__(self, *, forking: bool = False, rearming: bool = False) -> None:
        calls = _RUNNING | (_FORKING if forking else {}) | (_REARMING if rearming else {})
        machine = os.uname().machine if sys.maxsize > 2**32 else ""
        program = assemble(calls, *_MACHINES[machine]) if machine in _MACHINES else None
        self.call = linux.filtering(program) if program else None


def assemble(calls: dict[str, tuple[int, int | None]], column: int, machine: int) -> bytes:
    """Return a filter that allows the given system calls, in the kernel's format.

    Args:
        calls: The numbers of the calls by name, with a column for each machine.
        column: The column of the machine.
        machine: The number of the machine in ``linux/audit.h``. A process that changes to another one is killed.
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
