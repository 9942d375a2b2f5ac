"""The bytes that all runs of a server's process hold together: large texts on their way, sources, and waiting calls."""

from __future__ import annotations

from dataclasses import dataclass

from kosmolua.concurrency import MemoryBound
from kosmolua.limits import MIB
from kosmolua.memory import Memory, memory_of_server
from kosmolua.runs.supervisor import FREE_CALLS, call_memory
from kosmolua.serve.shares import Shares

MIN_SOURCES = 8 * MIB
"""Bytes of sources that a tenant can always have, so that the largest script fits."""


@dataclass(frozen=True)
class Held:
    """What bounds the bytes that all tenants' runs hold, and each tenant's part of them.

    Args:
        memory: For large texts on their way: requests, answers of services, outputs, results. Who needs more waits.
        calls: For calls that wait for an answer. A run that needs more is ended.
        sources: For the sources and inputs of runs that wait or are active. A run that needs more is refused.
        shares: For the time of the interpreter.
    """

    memory: Memory
    calls: MemoryBound
    sources: MemoryBound
    shares: Shares

    @classmethod
    def within(cls, bytes_: int | None, processes: int = 1) -> Held:
        """Return what bounds one of a server's processes; without ``bytes_``, a part of the memory that there is."""
        memory = Memory(bytes_, most=bytes_) if bytes_ else memory_of_server(processes)
        total = memory.total
        sources = MemoryBound(max(total // 2, MIN_SOURCES), max(total // 4, MIN_SOURCES), MIN_SOURCES // 8)
        return cls(memory, call_memory(total, min(FREE_CALLS, total // 32)), sources, Shares())
