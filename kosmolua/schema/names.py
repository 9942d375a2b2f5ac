"""Names: how paths are spelled and read, and which names an integration or a function cannot have."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

APP, ROOT = "app", "integrations"
"""The first two names in the path of an installed integration. Other roots have another second name: ``app.mcp``."""
SERVERS = "mcp"
"""The root of MCP servers. A server has one account, which is its section of the accounts file."""
SCRIPTS = "scripts"
"""The root of the user's own scripts, which are functions directly under it: ``app.scripts.report``."""


def parts_of(path: str) -> list[str]:
    """Return the names in a path below ``app.integrations``, as in ``["render2", "list_services"]``.

    Args:
        path: A path such as ``render2.list_services``, which may begin with ``integrations.`` or
            ``app.integrations.``. Any other root is kept: ``app.mcp.files.read`` is ``["mcp", "files", "read"]``.
    """
    parts = path.strip().split(".")
    for beginning in (APP, ROOT):
        if parts[:1] == [beginning]:
            del parts[0]
    return parts


def qualified(root: str, name: str) -> str:
    """Return an integration's name in the catalog: ``render2``, or with another root ``mcp.files``."""
    return name if root in (ROOT, name) else f"{root}.{name}"


def root_and_name(integration: str) -> tuple[str, str]:
    """Return the root and the short name of an integration, given its name in the catalog."""
    root, _, name = integration.rpartition(".")
    return root or (SCRIPTS if name == SCRIPTS else ROOT), name


def section_of(integration: str, account: str) -> str:
    """Return the section of the accounts file that holds an account: ``render2.production``, or ``mcp.files``."""
    return integration if root_and_name(integration)[0] == SERVERS else f"{integration}.{account}"


def integration_in(parts: Sequence[str], names: Collection[str]) -> tuple[str, list[str]]:
    """Return the name of the integration at the beginning of a path, and the names after it.

    Args:
        parts: The path, as :func:`parts_of` returns it.
        names: The names of all integrations; under another root they have two parts.
    """
    longer = ".".join(parts[:2])
    return (longer, [*parts[2:]]) if longer in names else (parts[0], [*parts[1:]])


def page_of(*names: str) -> str:
    """Return the name of a documentation page, such as ``integrations.render2``.

    Args:
        names: The name of an integration, and of a function of it, if the page is about them; none for the page of the
            root. A name with a root of its own, such as ``mcp.files``, keeps that root.
    """
    is_rooted = bool(names) and ("." in names[0] or names[0] == SCRIPTS)
    return ".".join(names if is_rooted else (ROOT, *names))


def lua_path(*names: str) -> str:
    """Return the path of an integration, an account or a function in Lua, such as ``app.integrations.render2``."""
    return f"{APP}.{page_of(*names)}"


_RESERVED = """
and break do else elseif end false for function goto if in local nil not or repeat return then true until while
"""
KEYWORDS = frozenset(_RESERVED.split())
"""The reserved words of Lua."""

_INTEGRATION = re.compile(r"[a-z][a-z0-9_]*")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def objection_to_integration(name: str, root: str = ROOT) -> str:
    """Return a hint why an integration under a root cannot have a name, or an empty string if it can."""
    if not _INTEGRATION.fullmatch(name):
        return "use a-z, 0-9 and _, a letter first"
    if name in (APP, ROOT):
        return f"paths such as {lua_path('NAME')} begin with it"
    if name == SCRIPTS and root != SCRIPTS:
        return f"{APP}.{SCRIPTS} has your own scripts"
    return _word_of_lua(name)


def objection_to_function(name: str) -> str:
    """Return a hint why a function cannot have a name, or an empty string if it can."""
    if not _FUNCTION.fullmatch(name):
        return "use A-Z, a-z, 0-9 and _, a letter first"
    if name == "default":
        return "it stands for the default account"
    return _word_of_lua(name)


def _word_of_lua(name: str) -> str:
    return "it is a word of Lua itself" if name in KEYWORDS else ""
