"""The functions of an integration: its plugin registers some, and others are read from a document on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from kosmolua.schema.function import Function
from kosmolua.schema.types import Record

MAX_KEPT = 512
"""The largest number of functions that are kept in memory after they were read."""


class More(Protocol):
    """Functions that are read on first use, such as those of an OpenAPI document.

    A function of the same name that the plugin registers takes precedence.
    """

    @property
    def is_compiled(self) -> bool:
        """True if to read them takes no compilation."""

    def names(self) -> Sequence[str]: ...

    def has(self, name: str) -> bool:
        """Return True if there is a function, without reading it."""

    def function(self, name: str) -> Function | None:
        """Return a function, or None."""

    def named(self, key: str) -> str | None:
        """Return the short name, which may be of a registered function, for an operation such as ``GET /pets``, or
        None.
        """

    def sketches(self) -> Mapping[str, Any]:
        """Return a :class:`kosmolua.docs.outline.Sketch` of each function."""

    def record(self, name: str) -> Record | None:
        """Return a record of arguments or results by its name, or None."""

    @property
    def index(self) -> Any:
        """The :class:`kosmolua.docs.search.Index` of the functions."""

    @property
    def document(self) -> Path:
        """The path of the document."""

    @property
    def overlay(self) -> Path:
        """The path of the overlay, which need not exist."""

    def findings(self) -> tuple[list[str], list[str]]:
        """Return the problems in the overlay, and notes on what of the document cannot be used."""


class Functions(Mapping[str, Function]):
    """An integration's functions by short name: ``own``, which the plugin registers, then those of ``more``.

    ``change`` is called with each function that is looked up, and returns the one to use.
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
