"""Session variables: local variables at the top level of a chunk, which later chunks of the session can use."""

from __future__ import annotations

from collections.abc import Iterator

from kosmolua.lua.syntax import Node, parse

_CLOSE = "close"
"""The attribute ``<close>`` closes a variable when its chunk ends. Such a variable stays local."""


def with_session_variables(source: str) -> str:
    """Return the text of a chunk whose top-level local variables are turned into globals, for later chunks to use.

    Lines and columns stay the same, so that errors name the right place. Variables inside blocks, ``_ENV`` and
    variables with ``<close>`` stay local. ``<const>`` is removed. A chunk that is not Lua is returned unchanged.
    """
    script = parse(source)
    if script is None or script.problems:
        return source
    text = bytearray(source.encode("utf-8", "surrogateescape"))
    for statement in reversed(script.root.children):
        if statement.field == "local_declaration" and not _stays_local(statement):
            for start, end, replacement in reversed(list(_changes(statement))):
                text[start:end] = replacement.ljust(end - start)
    return text.decode("utf-8", "surrogateescape")


def _stays_local(statement: Node) -> bool:
    declared = _variables(statement).children
    return any(node.text == "_ENV" or (node.field == "attribute" and _CLOSE in node.text) for node in declared)


def _variables(statement: Node) -> Node:
    """Return the node that lists the variables of a declaration."""
    inner = statement.first("assignment_statement") or statement
    return inner.first("variable_list") or statement


def _changes(statement: Node) -> Iterator[tuple[int, int, bytes]]:
    """Yield the edits that turn a declaration of locals into an assignment of globals, in the order of the source.

    An edit consists of the offset of the first byte to replace, the offset after the last one, and the new text.
    """
    yield statement.start, statement.start + len("local"), b""
    if statement.kind == "function_declaration":
        return
    variables = _variables(statement)
    for attribute in variables.all("attribute"):
        yield attribute.start, attribute.end, b""
    if statement.first("assignment_statement") is None:
        yield variables.end, variables.end, b" = nil"
