"""The shelf: what the docs need to know about the integrations that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kosmolua.spec.integration import Integration


class Shelf(Protocol):
    """Installed integrations, of which only :meth:`integration` runs a plugin's code."""

    def names(self) -> Sequence[str]:
        """Return the name of every installed integration."""

    def integration(self, name: str) -> Integration:
        """Return an integration, loaded.

        Raises:
            PluginError: It cannot be loaded.
            UnknownPath: There is none of this name.
        """

    def accounts(self, name: str) -> Sequence[str]:
        """Return the names of an integration's accounts."""

    def prose(self, name: str) -> str | None:
        """Return the text of the NAME.md beside a plugin, or None."""

    def sources(self, name: str) -> Sequence[str]:
        """Return the text of each Python file of a plugin, without running it; none where they cannot be had."""
