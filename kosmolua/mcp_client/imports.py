"""Converts MCP servers from other programs' settings files or from options into sections of the accounts file."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kosmolua.accounts.sources import find_source
from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import MAX_SETTINGS, read_within
from kosmolua.mcp_client.settings import variables_in
from kosmolua.schema.names import objection_to_integration
from kosmolua.schema.settings import Table
from kosmolua.secret import looks_like_key

CLIENTS = {"claude": ("mcpServers",), "cursor": ("mcpServers",), "vscode": ("servers", "mcp")}
"""The other MCP clients, each with the keys under which its settings file lists servers."""
_VARIABLE = re.compile(r"\$\{([^}:]+(?::[^-}][^}]*)?|/)(?::-([^}]*))?\}")
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


def read_client(client: str, file: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Table | str]]:
    """Yield the servers in the settings file of another MCP client, a key of :data:`CLIENTS`.

    Variables in them, such as ``${NAME}`` and ``${NAME:-default}``, are those of ``environ``.

    Yields:
        A name that scripts can use, and the section for the accounts file, or the reason why KosmoLua cannot use it.

    Raises:
        ConfigError: The file cannot be read, or has no list of servers.
    """
    found = list(_lists(client, _document(file)))
    if not found:
        keys = " or ".join(CLIENTS[client])
        raise ConfigError(f"{file} has no key {keys}, so it is not a settings file of {client}")
    workspace = file.absolute().parent
    workspace = workspace.parent if workspace.name in (".vscode", ".cursor") else workspace
    for folder, servers in found:
        variables = _Variables(environ, Path(folder) if folder else workspace)
        for name, server in servers.items():
            usable = re.sub(r"[^a-z0-9_]+", "_", str(name).lower()).strip("_")
            usable = usable if usable[:1].isalpha() else f"server_{usable}"
            try:
                yield usable, _section(server, variables, folder)
            except ConfigError as reason:
                yield usable, reason.what


def _lists(client: str, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the lists of servers in a settings file, each with the folder of the project that it is for, or none."""
    for key in CLIENTS[client]:
        inner = document.get(key)
        if isinstance(inner, dict):
            yield "", inner.get("servers", inner) if key == "mcp" else inner
            break
    projects = document.get("projects")
    for folder, project in projects.items() if isinstance(projects, dict) else ():
        if isinstance(project, dict) and isinstance(servers := project.get(CLIENTS[client][0]), dict) and servers:
            yield folder, servers


def holds_credential(word: str) -> bool:
    """Return True if a program's argument contains what looks like a credential, on its own or in a URL."""
    if looks_like_key(word.rpartition("=")[2]) and "/" not in word:
        return True
    for text in (word, word.partition("=")[2]):
        try:
            parts = urlsplit(text)
        except ValueError:
            continue
        if parts.netloc and (parts.password or any(looks_like_key(value) for _, value in parse_qsl(parts.query))):
            return True
    return False


class _Variables:
    """The variables of other clients' settings: those of the environment, and folders."""

    def __init__(self, environ: Mapping[str, str], workspace: Path) -> None:
        self._environ = environ
        self._folders = {
            "workspaceFolder": str(workspace),
            "workspaceFolderBasename": workspace.name,
            "userHome": str(Path.home()),
            "pathSeparator": os.sep,
            "/": os.sep,
        }

    def expanded(self, text: str) -> str:
        """Return a text with the values of its variables; ConfigError if one has none."""
        return _VARIABLE.sub(lambda found: self._value(found[1], found[2]), text)

    def source(self, text: str) -> str | Table:
        """Return a secret as the accounts file writes it: ``${NAME}`` is ``{ env = "NAME" }``, read at each start."""
        variable = _VARIABLE.fullmatch(text)
        if variable and variable[1] not in self._folders and (variable[2] is None or variable[1] in self._environ):
            return {"env": variable[1].removeprefix("env:")}
        return self.expanded(text)

    def _value(self, name: str, default: str | None) -> str:
        if name.startswith("input:"):
            raise ConfigError(f"it asks the user for {name}, which only that client can do")
        value = self._folders.get(name, self._environ.get(name.removeprefix("env:"), default))
        if value is None:
            raise ConfigError(f"it needs the variable {name}, which is not set")
        return value


def _section(server: Any, variables: _Variables, folder: str) -> Table:
    """Return a server's section; ConfigError with the reason if it cannot be used."""
    if not isinstance(server, dict):
        raise ConfigError("it is not an object")
    if server.get("disabled") is True or server.get("enabled") is False:
        raise ConfigError("it is disabled there")
    values: Table = {key: variables.expanded(str(server[key])) for key in ("command", "cwd", "url") if server.get(key)}
    if ("command" in values) == ("url" in values):
        raise ConfigError(
            f"it has {'both' if 'url' in values else 'neither'} a command {'and' if 'url' in values else 'nor'} a url"
        )
    if server.get("type") == "sse" and "url" in values:
        values["transport"] = "sse"
    if server.get("args"):
        values["args"] = [variables.expanded(str(word)) for word in server["args"]]
    if any(map(holds_credential, values.get("args", ()))):
        raise ConfigError("one of its arguments looks like a credential, and every user of this machine can read it")
    if folder and "command" in values:
        values.setdefault("cwd", folder)
    if server.get("envFile"):
        file = Path(variables.expanded(str(server["envFile"]))).expanduser().absolute()
        dict(variables_in(file))  # refuses a file that cannot be read
        values["env_file"] = str(file)
    if given := {name: variables.source(str(value)) for name, value in (server.get("env") or {}).items()}:
        values["env"] = given
    headers = {name: str(value) for name, value in (server.get("headers") or {}).items()}
    bearer = next((name for name in headers if name.lower() == "authorization"), "")
    if headers.get(bearer, "").startswith("Bearer "):
        values["token"] = variables.source(headers.pop(bearer).removeprefix("Bearer ").strip())
    if headers:
        values["headers"] = {name: variables.source(value) for name, value in headers.items()}
    return values


def _document(file: Path) -> dict[str, Any]:
    try:
        text = read_within(file, MAX_SETTINGS).decode("utf-8-sig")
        plain = _TRAILING.sub(lambda found: found[1] or "", _COMMENT.sub(lambda found: found[1] or "", text))
        document = json.loads(plain)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file} does not contain a JSON object with a list of servers")
    return document
