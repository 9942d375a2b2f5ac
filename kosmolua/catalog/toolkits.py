"""Toolkits: a part of the functions, for one agent. To it, the others do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from kosmolua.catalog.catalog import Provider
from kosmolua.catalog.plugins import Plugin
from kosmolua.errors import UnknownPath
from kosmolua.schema.names import APP, qualified


class ToolkitProvider:
    """A provider with those functions of another that patterns such as ``render2.list_*`` match."""

    def __init__(self, provider: Provider, patterns: Sequence[str]) -> None:
        self.root = provider.root
        self._provider = provider
        self._patterns = patterns
        self._kept: dict[str, tuple[Plugin, Plugin]] = {}

    def names(self) -> list[str]:
        owners = [pattern.rpartition(".")[0] for pattern in self._patterns]
        return [
            name
            for name in self._provider.names()
            if any(fnmatchcase(qualified(self.root, name), owner) for owner in owners)
        ]

    def load(self, name: str) -> Plugin:
        self._check(name)
        return self._narrowed(name, self._provider.load(name))

    def listed(self, name: str) -> Plugin:
        self._check(name)
        return self._narrowed(name, self._provider.listed(name))

    def prose(self, name: str) -> str | None:
        """Return None: the prose may tell of functions that the toolkit does not have."""

    def sources(self, name: str) -> list[str]:
        """Return nothing, so that outlines have the functions of the toolkit alone."""
        return []

    def _check(self, name: str) -> None:
        if name not in self.names():
            raise UnknownPath(f"{APP}.{self.root} has no '{name[:80]}' in this toolkit")

    def _narrowed(self, name: str, plugin: Plugin) -> Plugin:
        whole, narrowed = self._kept.get(name, (None, plugin))
        if whole is not plugin:
            integration = plugin.integration.narrowed(self._fits)
            narrowed = plugin._replace(integration=integration, prose=lambda: None)
            self._kept[name] = plugin, narrowed
        return narrowed

    def _fits(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self._patterns)
