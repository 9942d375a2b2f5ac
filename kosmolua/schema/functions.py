"""The functions of an integration: those that are registered, and those that are read when one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from kosmolua.schema.function import Function

MAX_KEPT = 512
"""Functions that stay in memory once read."""


class More(Protocol):
    """Functions that are read when one is asked for, such as those of an OpenAPI document.

    None of them is called like a registered one: where both are, the registered one is meant.
    """

    def names(self) -> Sequence[str]:
        """Return the short name of each."""

    def has(self, name: str) -> bool:
        """Return True if there is one of this short name. It is asked often, and need not read anything."""

    def function(self, name: str) -> Function | None:
        """Return a function by its short name, or None."""

    def named(self, key: str) -> str | None:
        """Return the function that the service knows by another key, such as ``GET /pets``, or None.

        It may be a registered one, if that stands for what the service calls so.
        """

    def sketches(self) -> Mapping[str, Any]:
        """Return what lists and searches show of each, by short name."""

    def records(self) -> Mapping[str, Any]:
        """Return the types of tables that they take and return, by name, each read on first use."""

    @property
    def index(self) -> Any:
        """The search in them."""

    @property
    def document(self) -> Path:
        """The document that the functions come from."""

    @property
    def overlay(self) -> Path:
        """The file that says what the document does not; it need not exist."""

    def findings(self) -> tuple[list[str], list[str]]:
        """Return what is wrong with the overlay, and what is worth knowing of the document."""


class Functions(Mapping[str, Function]):
    """The functions of an integration by short name, the registered ones first.

    Args:
        own: The registered ones.
        more: Those that are read when one is asked for, or None.
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
