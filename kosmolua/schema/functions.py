"""The functions of an integration: its plugin registers some, and others are read from a document on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from kosmolua.schema.function import Function

MAX_KEPT = 512
"""The largest number of functions that are kept in memory after they were read."""


class More(Protocol):
    """Functions of an integration that are read on first use, such as those of an OpenAPI document.

    If the plugin itself registers a function of the same name, that function takes precedence.
    """

    def names(self) -> Sequence[str]:
        """Return the short names of all functions."""

    def has(self, name: str) -> bool:
        """Return True if there is a function with this short name.

        The method is called often, so it should not read the function.
        """

    def function(self, name: str) -> Function | None:
        """Return a function by its short name, or None if there is none."""

    def named(self, key: str) -> str | None:
        """Return the short name of the function for a service's operation, such as ``GET /pets``, or None.

        If the plugin registers a function that does the same, the name of that function is returned.
        """

    def sketches(self) -> Mapping[str, Any]:
        """Return what lists and searches show of each function, keyed by the function's short name.

        Each value is a :class:`kosmolua.docs.outline.Sketch`.
        """

    def records(self) -> Mapping[str, Any]:
        """Return the record types of arguments and results, keyed by name. Each is read on first use."""

    @property
    def index(self) -> Any:
        """The :class:`kosmolua.docs.search.Index` that searches the documentation of the functions."""

    @property
    def document(self) -> Path:
        """The path of the document that describes the functions."""

    @property
    def overlay(self) -> Path:
        """The path of the overlay, a file that changes the document. The file need not exist."""

    def findings(self) -> tuple[list[str], list[str]]:
        """Return the problems in the overlay, and notes on parts of the document that cannot be used."""


class Functions(Mapping[str, Function]):
    """An integration's functions by short name: first those that the plugin registers, then those read on first use.

    Args:
        own: The functions that the plugin registers.
        more: The functions that are read on first use, or None.
        change: Called with each function that is looked up. The result is used in place of that function.
    """

    def __init__(
        self,
        own: Mapping[str, Function] | None = None,
        more: More | None = None,
        change: Callable[[Function], Function] | None = None,
    ) -> None:
        self.own: dict[str, Function] = dict(own or {})
        self.more = more
        self._change = change
        self._read = lru_cache(MAX_KEPT)(self._looked_up)

    def __getitem__(self, name: str) -> Function:
        if self._change is None and name in self.own:
            return self.own[name]
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        if self.more:
            yield from (name for name in self.more.names() if name not in self.own)

    def __len__(self) -> int:
        return len(self.own) + (sum(name not in self.own for name in self.more.names()) if self.more else 0)

    def __contains__(self, name: object) -> bool:
        return name in self.own or (self.more is not None and isinstance(name, str) and self.more.has(name))

    def changed(self, change: Callable[[Function], Function]) -> Functions:
        """Return a copy in which ``change`` is applied to each function when it is looked up."""
        return Functions(self.own, self.more, change)

    def _looked_up(self, name: str) -> Function:
        function = self.own.get(name) or (self.more.function(name) if self.more else None)
        if function is None:
            raise KeyError(name)
        return self._change(function) if self._change else function
