"""A control group with a memory limit, as a container has one; version 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.processes import eventually

MOUNTS = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A group of processes that may hold so much memory together, and no swap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def join(self) -> None:
        """Put the calling process into the group; what it starts is in it too."""
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """Return how many processes of the group the kernel has ended for lack of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                counts = dict(line.split() for line in (self._folder / name).read_text().splitlines())
                return int(counts["oom_kill"])
        raise AssertionError("the kernel counts no kills")


@contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """Make a group with a limit in bytes, and remove it in the end; skip the test where none can be made."""
    folder = _make(f"kosmolua-test-{os.getpid()}")
    try:
        _bound(folder, limit)
        yield MemoryGroup(folder)
    finally:
        assert eventually(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


def _make(name: str) -> Path:
    """Return the folder of a new group in which memory can be limited."""
    for parent in _parents():
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        if any((folder / file).exists() for file in ("memory.max", "memory.limit_in_bytes")):
            return folder
        folder.rmdir()
    pytest.skip("no control group with a memory limit can be made here: it needs root, or a group of one's own")


def _parents() -> Iterator[Path]:
    """Yield the groups that this process is in, and those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = MOUNTS / controllers if controllers else MOUNTS
        if controllers in ("", "memory"):
            own = mount / path.lstrip("/")
            yield from (each for each in (own, *own.parents) if each.is_relative_to(mount))


def _bound(folder: Path, limit: int) -> None:
    settings = {"memory.max": limit, "memory.limit_in_bytes": limit, "memory.swap.max": 0, "memory.swappiness": 0}
    for name, value in settings.items():
        if (folder / name).exists():
            (folder / name).write_text(str(value))
