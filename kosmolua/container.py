"""The limits of the container that this process is in, which are those of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from kosmolua.limits import MIB

MAX_MACHINE = 8 * 1024 * MIB
"""The memory of a machine that does not say how much it has."""
MEMBERSHIP, GROUPS = "/proc/self/cgroup", "/sys/fs/cgroup"
"""The file that names the control groups of this process, and the folder of all control groups."""


def memory() -> int:
    """Return how many bytes of memory the processes of this container, or of this machine, can use together."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else MAX_MACHINE
    return min([machine, *(limit for limit, *_ in _limits("memory", "memory.max", "memory.limit_in_bytes"))])


def processors() -> float | None:
    """Return how many processors this container can use at once; None if it has no such limit."""
    shares = [given for given in _limits("cpu", "cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us") if given[0] > 0]
    return min((quota / period for quota, period in shares), default=None)


def processes() -> int | None:
    """Return how many processes and threads this container can have; None if it has no such limit."""
    return min((limit for limit, *_ in _limits("pids", "pids.max", "pids.max")), default=None)


def _limits(controller: str, file: str, *old_files: str) -> Iterator[list[int]]:
    """Yield the numbers that ``file``, or ``old_files`` of version 1, have for each group of this process, if any."""
    try:
        with open(MEMBERSHIP, encoding="utf-8") as listed:
            groups = [line.rstrip("\n").split(":", 2) for line in listed]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers == "":
            folder, names = GROUPS, [file]
        elif controller in controllers.split(","):
            folder, names = f"{GROUPS}/{controller}", [*old_files]
        else:
            continue
        parts = path.strip("/").split("/")
        for count in range(len(parts) + 1):
            with suppress(OSError, ValueError):  # no such file, or the word "max"
                yield [number for name in names for number in _numbers("/".join([folder, *parts[:count], name]))]


def _numbers(path: str) -> list[int]:
    with open(path, encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
