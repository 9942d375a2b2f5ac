"""The processes of this machine, as Linux shows them in /proc, where each may end while one looks; and patience."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
NOBODY = 54321
"""A user id without a passwd entry."""


class Seen(NamedTuple):
    """What /proc says of a process: its state (``Z`` is dead but not reaped), its parent and its group."""

    state: str
    parent: int
    group: int


def look(pid: int) -> Seen | None:
    """Return what a process is, or None where there is none."""
    try:
        state, parent, group, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Seen(state, int(parent), int(group))


def is_running(pid: int) -> bool:
    """Say whether a process exists and is not dead."""
    seen = look(pid)
    return seen is not None and seen.state != "Z"


def can_become_nobody() -> bool:
    """Return True if this is root, and the interpreter is where other users can run it."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return False
    python = Path(sys.executable).resolve()
    return all(each.stat().st_mode & 0o001 for each in [python, *python.parents])


def children(pid: int) -> set[int]:
    """Return the children of a process, dead ones that were not reaped among them."""
    return {child for child, seen in everyone() if seen.parent == pid}


def zygotes() -> set[int]:
    """Return the processes of this one that the sandboxes of its runtimes are forked from."""
    return {pid for pid in children(os.getpid()) if b"kosmolua.sandbox.zygote" in command_of(pid)}


def command_of(pid: int) -> bytes:
    """Return the command line of a process, each word with a NUL behind it; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> set[int]:
    """Return the processes below a process."""
    parents = {child: seen.parent for child, seen in everyone()}
    found, frontier = set(), {pid}
    while frontier := {child for child, parent in parents.items() if parent in frontier}:
        found |= frontier
    return found


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def running_in_group(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    return [pid for pid, seen in everyone() if seen.group == group and seen.state != "Z"]


def eventually(holds: Callable[[], object], seconds: float = 60.0) -> bool:
    """Wait until something holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def in_time(attempt: Callable[[float], object], seconds: float) -> bool:
    """Attempt something under a limit in seconds; return whether it holds.

    The limit is short first, and longer only where that was too short for a machine that is slow, or stood still.
    """
    return any(attempt(seconds * factor) for factor in (1, 8, 64))


def everyone() -> Iterator[tuple[int, Seen]]:
    """Yield all processes of the system."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (seen := look(int(entry.name))):
            yield int(entry.name), seen
