"""Names of integrations and functions: builds and splits paths, and checks which names are allowed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kosmolua.expressions import regex

APP, ROOT = "app", "integrations"
"""The first two names in the path of an installed integration, ``app.integrations.NAME``.

The second name is called the root. MCP servers and scripts have other roots: ``app.mcp`` and ``app.scripts``.
"""
SERVERS = "mcp"
"""The root of MCP servers. A server has one account, and its settings are in the server's section."""
SCRIPTS = "scripts"
"""The root of the user's own scripts, which other scripts call as functions: ``app.scripts.report``."""
FLAT = frozenset({SCRIPTS})
"""The roots that are themselves one integration, which has functions, but no accounts."""
BEGIN = "session"
"""The function that begins a session, of an integration that has sessions."""


def parts_of(path: str) -> list[str]:
    """Split a path into its names, without ``app`` and ``integrations``; another root is kept: ``["mcp", "files"]``."""
    parts = path.strip().split(".")
    for beginning in (APP, ROOT):
        if parts[:1] == [beginning]:
            del parts[0]
    return parts


def qualified(root: str, name: str) -> str:
    """Return the unique name of the integration ``name`` under ``root``."""
    return name if root in (ROOT, name) else f"{root}.{name}"


def root_and_name(integration: str) -> tuple[str, str]:
    """Return root and name of a unique name: ``mcp`` and ``files`` for ``mcp.files``."""
    root, _, name = integration.rpartition(".")
    return root or (name if name in FLAT else ROOT), name


def section_of(integration: str, account: str) -> str:
    """Return the section of an account in the accounts file: ``render2.production``, or ``mcp.files`` for an MCP
    server.
    """
    return integration if root_and_name(integration)[0] == SERVERS else f"{integration}.{account}"


def holder_of(account: str) -> str:
    """Return the account in the accounts file: ``work`` for its session ``work/ann``."""
    return account.partition("/")[0]


def integration_in(parts: Sequence[str], names: Collection[str]) -> tuple[str, list[str]]:
    """Return the unique name at the beginning of the parts of a path, and the remaining parts.

    ``names`` are the unique names of all integrations.
    """
    longer = ".".join(parts[:2])
    return (longer, [*parts[2:]]) if longer in names else (parts[0], [*parts[1:]])


def page_of(*names: str) -> str:
    """Return the name of the page of an integration and, if given, a function; without names, of all integrations."""
    is_rooted = bool(names) and ("." in names[0] or names[0] in FLAT)
    return ".".join(names if is_rooted else (ROOT, *names))


def lua_path(*names: str) -> str:
    """Return a path in Lua, such as ``app.integrations.render2``, from a unique name and further names."""
    return f"{APP}.{page_of(*names)}"


_RESERVED = """
and break do else elseif end false for function goto if in local nil not or repeat return then true until while
"""
KEYWORDS = frozenset(_RESERVED.split())
"""The reserved words of Lua."""

_INTEGRATION = regex(r"[a-z][a-z0-9_]*")
_FUNCTION = regex(r"[A-Za-z_][A-Za-z0-9_]*")


def objection_to_integration(name: str, root: str = ROOT) -> str:
    """Return why an integration cannot have this name, as a hint; empty if it can."""
    if not _INTEGRATION.fullmatch(name):
        return "use a-z, 0-9 and _, a letter first"
    if name in (APP, ROOT):
        return f"paths such as {lua_path('NAME')} begin with it"
    if name in FLAT and root != name:
        return f"{APP}.{name} is a root of its own"
    return _word_of_lua(name)


def objection_to_function(name: str) -> str:
    """Return why a function cannot have this name, as a hint; empty if it can."""
    if not _FUNCTION.fullmatch(name):
        return "use A-Z, a-z, 0-9 and _, a letter first"
    if name == "default":
        return "it stands for the default account"
    return _word_of_lua(name)


def _word_of_lua(name: str) -> str:
    return "it is a word of Lua itself" if name in KEYWORDS else ""
