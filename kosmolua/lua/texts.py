"""Finds values that make a useless text when a script puts them into one: tables, and values that may be nil."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kosmolua.lua.builtins import verbs_in
from kosmolua.lua.findings import Findings
from kosmolua.lua.syntax import Node, key_of, operator_of
from kosmolua.lua.values import Missing, Result, Value, is_list, kind_of


class Texts:
    """Checks what a script puts into texts.

    Args:
        findings: The collection to which findings are added.
        root: The node of the whole script.
        value: Returns what is known about the value of an expression.
    """

    def __init__(self, findings: Findings, root: Node, value: Callable[[Node | None], Value]) -> None:
        self._findings = findings
        self._root = root
        self._value = value
        self._tests: list[str] | None = None

    def check_shown(self, node: Node, value: Value, *, joined: bool = False) -> None:
        """Note a table, or a value that may be nil, that becomes part of a text, in case a change uses the text.

        Args:
            node: The expression of the value.
            value: What is known about the value.
            joined: True if the value is joined with ``..``, which makes no text of a table.
        """
        text = node.text[:60]
        if isinstance(value, Result) and kind_of(value) == "table" and not joined:
            hint = f"json.encode({text})" if is_list(value.type) else f"{text}.NAME is one field of it"
            self._findings.suspect(node, f"{value.source} is a table, and its text says nothing", hint)
        elif isinstance(value, Result) and value.is_optional and not self.may_be_tested(node):
            self._findings.suspect(node, f"{value.source} may be nil, which the text would show", f'{text} or ""')
        elif isinstance(value, Missing) and value.what != "nil" and not joined:
            self._findings.suspect(node, f"there is no {value.what}: the text would be 'nil'", value.hint)

    def may_be_tested(self, node: Node) -> bool:
        """Return True if a condition anywhere in the script contains an expression, or the field that it looks up."""
        if self._tests is None:
            tests = (each.get("condition") or each.get("left") for each in self._root.walk() if _is_test(each))
            self._tests = [each.text for each in tests if each]
        ending = node.text if node.kind == "identifier" else f".{key_of(node)}"
        whole = re.compile(rf"{re.escape(ending)}(?!\w)")
        return any(map(whole.search, self._tests))

    def check_format(self, template: Node, given: Sequence[Node]) -> None:
        """Check the values that ``%s`` puts into a text, and that the text has places for values at all.

        Args:
            template: The expression of the text with ``%``.
            given: The expressions of the values.
        """
        text = template.text
        if template.kind == "parenthesized_expression" and template.children:
            template = template.children[0]
        if template.kind == "string" and given and "%" not in text and "{" in text:
            self._findings.mistake(template, "format replaces %s, not braces", 'as in ("%s: %d"):format(name, count)')
        for verb, node in zip(verbs_in(text), given, strict=False):
            if verb in "sq":
                self.check_shown(node, self._value(node))


def _is_test(node: Node) -> bool:
    """Return True if a node has a condition, or is an expression whose left side is one."""
    return node.get("condition") is not None or operator_of(node) in ("and", "or", "==", "~=")
