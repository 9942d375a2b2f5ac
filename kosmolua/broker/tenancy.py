"""Tenancy: the settings that keep the runtimes of a server's tenants apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kosmolua.accounts.permissions import Ceiling, Given
from kosmolua.concurrency import MemoryBound
from kosmolua.memory import Memory
from kosmolua.schema.effects import EFFECTS


@dataclass(frozen=True)
class Tenancy:
    """The settings of the tenant that a runtime belongs to.

    Args:
        name: The name of the tenant.
        folder: The folder of the tenant's recordings, journal and scripts.
        permissions: The most that the tenant's runs are allowed to do, by effect, function or pattern. If empty, only
            the permissions of the tenant's accounts apply.
        memory: What limits the memory for large texts, shared by all tenants of a process; None if the tenant is alone.
        calls: The bound of memory for calls that wait for an answer, shared likewise.
        max_disk: The most bytes that the tenant's recordings can use; None if only its accounts file limits them.
        flow: The mildest mode of ``[kosmolua.flow]``; None if only the tenant's accounts file says it.
        can_trust: Whether that file can trust what functions return, and not only distrust it.
    """

    name: str
    folder: str
    permissions: Mapping[str, Given]
    memory: Memory | None = None
    calls: MemoryBound | None = None
    max_disk: int | None = None
    flow: str | None = None
    can_trust: bool = True

    @property
    def section(self) -> str:
        """The section of the accounts file that describes the tenant."""
        return f"tenants.{self.name}"

    @property
    def ceiling(self) -> Ceiling:
        """The most that the tenant's runs are allowed to do, as rules about functions."""
        return Ceiling(self.section, self.permissions)

    @property
    def functions(self) -> list[str]:
        """The functions and patterns that the tenant's permissions name."""
        return [key for key in self.permissions if key not in EFFECTS]
