"""Names: those that an integration or a function cannot have, and why."""

from __future__ import annotations

import re

APP, ROOT = "app", "integrations"
"""What a path begins with, in full."""


def parts_of(path: str) -> list[str]:
    """Return the names in a path without what it begins with: ``["render2", "list_services"]``.

    Args:
        path: ``render2.list_services``, with ``integrations.`` or ``app.integrations.`` before it or not.
    """
    parts = path.strip().split(".")
    for beginning in (APP, ROOT):
        if parts[:1] == [beginning]:
            del parts[0]
    return parts


def page_of(*names: str) -> str:
    """Return the name of the page of an integration, or of one of its functions: ``integrations.render2``."""
    return ".".join((ROOT, *names))


_RESERVED = """
and break do else elseif end false for function goto if in local nil not or repeat return then true until while
"""
KEYWORDS = frozenset(_RESERVED.split())
"""The words of Lua."""

_INTEGRATION = re.compile(r"[a-z][a-z0-9_]*")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def objection_to_integration(name: str) -> str:
    """Return what speaks against calling an integration by a name, as a clause and what to do, or nothing."""
    if not _INTEGRATION.fullmatch(name):
        return "use a-z, 0-9 and _, a letter first"
    if name in (APP, ROOT):
        return "paths such as app.integrations.NAME begin with it"
    return _word_of_lua(name)


def objection_to_function(name: str) -> str:
    """Return what speaks against calling a function by a name, or nothing."""
    if not _FUNCTION.fullmatch(name):
        return "use A-Z, a-z, 0-9 and _, a letter first"
    if name == "default":
        return "it stands for the default account"
    return _word_of_lua(name)


def _word_of_lua(name: str) -> str:
    return "it is a word of Lua itself" if name in KEYWORDS else ""
