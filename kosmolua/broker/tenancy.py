"""Tenancy: what sets the runtimes of a server's tenants apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kosmolua.accounts.permissions import Ceiling, Permission
from kosmolua.schema.function import EFFECTS


@dataclass(frozen=True)
class Tenancy:
    """Whose runtime one is.

    Args:
        name: The tenant.
        folder: What is kept for it alone: recordings, the journal, its scripts.
        permissions: What it may do at most, by effect, function or pattern. An empty table leaves all to its accounts.
    """

    name: str
    folder: str
    permissions: Mapping[str, Permission]

    @property
    def section(self) -> str:
        """The section of the accounts file that describes it."""
        return f"tenants.{self.name}"

    @property
    def ceiling(self) -> Ceiling:
        """What it may do at most."""
        return Ceiling(self.section, self.permissions)

    @property
    def functions(self) -> list[str]:
        """The functions and patterns that its permissions name."""
        return [key for key in self.permissions if key not in EFFECTS]
