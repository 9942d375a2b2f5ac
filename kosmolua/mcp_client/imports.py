"""Converts MCP servers from other programs' settings files or from options into sections of the accounts file."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kosmolua.accounts.sources import find_source
from kosmolua.errors import ConfigError, UsageError
from kosmolua.schema.names import objection_to_integration
from kosmolua.schema.settings import Table

CLIENTS = {"claude": ("mcpServers",), "cursor": ("mcpServers",), "vscode": ("servers", "mcp")}
"""The other MCP clients, each with the keys under which its settings file lists servers."""
_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def read_given(text: str) -> tuple[str, Table]:
    """Read a ``--server``, ``NAME=URL`` or ``NAME=COMMAND ARGUMENT...``; return its name and its section.

    Raises:
        UsageError: The text does not have this form.
    """
    name, equals, how = text.partition("=")
    if not equals or not how.strip() or objection_to_integration(name):
        raise UsageError(f"--server {text!r} must look like notes=https://... or 'files=npx -y PACKAGE FOLDER'")
    if how.startswith(("http://", "https://")):
        return name, {"url": how}
    try:
        command, *arguments = shlex.split(how)
    except ValueError as error:
        raise UsageError(
            f"The command in --server {name}=... cannot be read: {error}", hint="check its quotes"
        ) from None
    return name, {"command": command, "args": arguments}


def read_source(text: str) -> tuple[str, Any]:
    """Read an option for an environment variable or header: ``NAME=TEXT`` or ``NAME=SOURCE:REST``, as in
    ``KEY=env:VAR``.

    Return the name, and the value as the accounts file writes it, such as ``{"env": "VAR"}``.

    Raises:
        UsageError: The text does not have this form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        what = f"{text.partition('=')[0]!r} has no value"
        raise UsageError(what, hint="write NAME=env:VARIABLE for a secret, or NAME=TEXT")
    source, colon, rest = value.partition(":")
    if not colon or not find_source(source):
        return name, value
    return name, {source: shlex.split(rest) if source == "command" else rest}


def read_client(client: str, file: Path) -> Iterator[tuple[str, Table | str]]:
    """Yield the servers in the settings file of another MCP client, a key of :data:`CLIENTS`.

    Yields:
        A name that scripts can use, and the section for the accounts file, or the reason why KosmoLua cannot use it.

    Raises:
        ConfigError: The file cannot be read, or has no list of servers.
    """
    found = _document(file)
    for key in CLIENTS[client]:
        inner = found.get(key)
        if isinstance(inner, dict):
            found = inner.get("servers", inner) if key == "mcp" else inner
            break
    else:
        keys = " or ".join(CLIENTS[client])
        raise ConfigError(f"{file} has no key {keys}, so it is not a settings file of {client}")
    for name, server in found.items():
        usable = re.sub(r"[^a-z0-9_]+", "_", str(name).lower()).strip("_")
        usable = usable if usable[:1].isalpha() else f"server_{usable}"
        yield usable, _section(server) if isinstance(server, dict) else "it is not an object"


def _section(server: Mapping[str, Any]) -> Table | str:
    if server.get("type") == "sse":
        return "it uses the older HTTP transport, SSE, which is not supported"
    values = {key: server[key] for key in ("command", "args", "cwd", "url") if server.get(key)}
    if ("command" in values) == ("url" in values):
        return "it has neither a command nor a url" if "command" not in values else "it has both a command and a url"
    if asked := re.search(r"\$\{(input:[^}]*)\}", json.dumps(server)):
        return f"it asks the user for {asked[1]}, which only that client can do"
    for key in ("env", "headers"):
        if isinstance(named := server.get(key), dict) and named:
            values[key] = {name: _value(str(value)) for name, value in named.items()}
    return values


def _value(text: str) -> str | Table:
    """Return a value as the accounts file writes it: ``${NAME}`` is ``{ env = "NAME" }``."""
    variable = _VARIABLE.fullmatch(text)
    return {"env": variable[1]} if variable else text


def _document(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        plain = _TRAILING.sub(lambda found: found[1] or "", _COMMENT.sub(lambda found: found[1] or "", text))
        document = json.loads(plain)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file} does not contain a JSON object with a list of servers")
    return document
