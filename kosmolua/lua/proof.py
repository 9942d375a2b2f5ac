"""Proves that a script only reads: each use of ``app`` has to lead to a function that is known before the script runs.

``app`` is the table of the integrations' functions. Whether a function only reads is known from its declaration, so
this can be said of the whole script if all functions that it uses are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Branch, Callee, Value

_INDEXED = ("dot_index_expression", "bracket_index_expression")


def leads_to_known_functions(root: Node, scopes: Scopes, known: Callable[[Node], Value | None]) -> bool:
    """Return True if a script uses ``app`` only in paths that lead to functions, as ``app.integrations.NAME.FUNCTION``.

    These functions have to be known.

    Args:
        root: The node of the whole script.
        scopes: The variables of the script.
        known: A function that returns the value which the check of the script has found for an expression, such as a
            certain function or a list; None for an expression that the check has not reached.
    """
    if scopes.is_dynamic:
        return False
    return all(_is_followed(node, around, scopes, known) for node, around in _with_parents(root))


def _with_parents(root: Node) -> Iterable[tuple[Node, tuple[Node, ...]]]:
    """Yield each node of the tree with up to three nodes that contain it, the innermost first."""
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(root, ())]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        waiting.extend((child, (node, *around[:2])) for child in node.children)


def _is_followed(node: Node, around: tuple[Node, ...], scopes: Scopes, known: Callable[[Node], Value | None]) -> bool:
    """Return False if a node is ``app`` or a table inside it, and the script might use that table in an unknown way."""
    value = known(node)
    if value is None and node.kind == "identifier" and node.text == "app" and scopes.variable(node) is None:
        return around[0].kind in ("field", *_INDEXED) and node.field != "table"  # a field's name, not the global
    if not isinstance(value, Branch) or not around:
        return True
    if around[0].kind in _INDEXED and node.field == "table":
        return isinstance(known(around[0]), (Branch, Callee))
    return _is_declared(node, around, scopes)


def _is_declared(node: Node, around: tuple[Node, ...], scopes: Scopes) -> bool:
    """Return True if a node is the initial value or the name of a local variable that is never changed."""
    if len(around) < 3 or [each.kind for each in around[:2]] != ["expression_list", "assignment_statement"]:
        return len(around) > 1 and around[0].kind == "variable_list"
    if around[2].kind != "variable_declaration":
        return False
    names = around[1].first("variable_list")
    index = around[0].children.index(node)
    targets = names.all("name") if names else []
    variable = scopes.variable(targets[index]) if index < len(targets) else None
    return variable is not None and variable.changes == 0
