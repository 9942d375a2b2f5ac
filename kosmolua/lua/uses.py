"""Which results of calls a script uses."""

from __future__ import annotations

from collections.abc import Sequence

from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Callee, Value


class Uses:
    """The calls of integrations' functions whose results a script uses, and those whose results it ignores."""

    def __init__(self) -> None:
        self._dropped: set[str] = set()
        self._kept: set[str] = set()
        self._statements: set[Node] = set()
        self._peeked: set[Node] = set()

    @property
    def dropped(self) -> frozenset[str]:
        """The functions whose results are never used, or only for single items."""
        return frozenset(self._dropped - self._kept)

    def is_statement(self, call: Node) -> bool:
        """Return True if a call is a statement, so that nothing uses its result."""
        return call in self._statements

    def note_statement(self, statement: Node) -> None:
        self._statements.add(statement)

    def note_single_item(self, items: Node | None) -> None:
        """Record that the script takes a single item from the list in a call's result, as in ``f().items[1]``.

        A warning about unread pages of that list is then not needed.
        """
        call = items.get("table") if items and items.kind == "dot_index_expression" else None
        if call and call.kind == "function_call":
            self._peeked.add(call)

    def note(self, call: Node, values: Sequence[Value]) -> None:
        """Record whether the result of a call is used, for the called function and for functions among the arguments.

        The result of ``parallel.map(list, f)`` consists of the results of ``f``, so using one uses the other.
        """
        uses = self._dropped if call in self._statements or call in self._peeked else self._kept
        uses.update(value.path for value in values if isinstance(value, Callee))
