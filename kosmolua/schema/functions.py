"""The functions of an integration: registered functions, and functions of a document, which are read on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from kosmolua.schema.function import Function

MAX_KEPT = 512
"""The number of functions that stay in memory once they are read."""


class More(Protocol):
    """Functions that are read on first use, such as those of an OpenAPI document.

    If a registered function has the same name, the registered one counts.
    """

    def names(self) -> Sequence[str]:
        """Return the short names of all functions."""

    def has(self, name: str) -> bool:
        """Return True if there is a function with this short name. It is called often, so it should read nothing."""

    def function(self, name: str) -> Function | None:
        """Return a function by its short name, or None if there is none."""

    def named(self, key: str) -> str | None:
        """Return the name of the function for a key of the service, such as ``GET /pets``, or None.

        It may be the name of a registered function that covers the service's operation.
        """

    def sketches(self) -> Mapping[str, Any]:
        """Return a short form of each function for lists and searches, by short name."""

    def records(self) -> Mapping[str, Any]:
        """Return the records that the functions take and return, by name. Each is read on first use."""

    @property
    def index(self) -> Any:
        """The search index of the functions."""

    @property
    def document(self) -> Path:
        """The document that the functions come from."""

    @property
    def overlay(self) -> Path:
        """The overlay: a file that adds to the document. It need not exist."""

    def findings(self) -> tuple[list[str], list[str]]:
        """Return the problems of the overlay, and the notes on the document."""


class Functions(Mapping[str, Function]):
    """The functions of an integration by short name, the registered ones first.

    Args:
        own: The registered functions.
        more: The functions that are read on first use, or None.
        change: Applied to each function when it is looked up.
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
        """Return the same functions, each as ``change`` returns it when it is looked up."""
        return Functions(self.own, self.more, change)

    def _looked_up(self, name: str) -> Function:
        function = self.own.get(name) or (self.more.function(name) if self.more else None)
        if function is None:
            raise KeyError(name)
        return self._change(function) if self._change else function
