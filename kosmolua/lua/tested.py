"""Which expressions the conditions of a script ask about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import BRANCHES, Node, key_of

_TESTING = frozenset({"and", "or", "==", "~="})


class Tested:
    """The conditions under which the code runs that is being evaluated, and what they and others ask about."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._conditions: list[str] = []
        self._nodes: set[Node | None] = set()

    def add(self, node: Node | None) -> None:
        """Record that a condition asks whether an expression is nil."""
        self._nodes.add(node)

    @contextmanager
    def under(self, condition: Node | None) -> Iterator[None]:
        """Let the code of the ``with`` block run only under a condition."""
        self._conditions.append(condition.text if condition else "")
        yield
        self._conditions.pop()

    def is_guarded(self, node: Node) -> bool:
        """Return True if an expression runs only under a condition in which the same expression occurs."""
        return any(has_word(condition, node.text, is_whole=True) for condition in self._conditions)

    def is_tested(self, node: Node) -> bool:
        """Return True if an expression is part of a condition that asks whether it is nil."""
        return node in self._nodes or self.is_guarded(node)

    def may_be_tested(self, node: Node) -> bool:
        """Return True if a condition anywhere in the script contains an expression, or the field that it looks up."""
        ending = node.text if node.kind == "identifier" else f".{key_of(node)}"
        return any(has_word(test, ending) for test in self._everywhere)

    @cached_property
    def _everywhere(self) -> list[str]:
        compared = (each.get("left") for each in self._scopes.of("binary_expression") if each.operator in _TESTING)
        tests = [*compared, *(each.get("condition") for each in self._scopes.of(*BRANCHES, "repeat_statement"))]
        return [each.text for each in tests if each]


def has_word(text: str, word: str, *, is_whole: bool = False) -> bool:
    """Return True if a text contains a word that no letter follows and, if ``is_whole``, that no name leads to."""
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        before = text[place - 1 : place] if is_whole and place else ""
        if not (_is_letter(text[end : end + 1]) or _is_letter(before) or before == "."):
            return True
        place = text.find(word, end)
    return False


def _is_letter(text: str) -> bool:
    return text.isalnum() or text == "_"
