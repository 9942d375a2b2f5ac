"""The settings of a server: a section ``[mcp.NAME]`` of the accounts file."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from kosmolua.accounts.toml import Table
from kosmolua.errors import NetworkError
from kosmolua.http.auth import OAuth2
from kosmolua.http.messages import Send
from kosmolua.secret import Secret

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP")
PASSED_ON_BY_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "PATHEXT", "COMSPEC", "PROGRAMDATA", "PROGRAMFILES")
KEEPER = Path(__file__).with_name("keeper.py")


@dataclass(frozen=True)
class Server:
    """The settings of an MCP server: a command that is started, or a URL."""

    command: Annotated[str | None, "The program to start; a relative path starts at the accounts file."] = None
    args: Annotated[list[str], "Its arguments, which every user of the machine can read."] = field(default_factory=list)
    env: Annotated[dict[str, Secret], "Its environment variables; it inherits none."] = field(default_factory=dict)
    cwd: Annotated[str | None, "The folder to start it in; by default that of the accounts file."] = None
    url: Annotated[str | None, "The address of a server that is reached over HTTP."] = None
    headers: Annotated[dict[str, Secret], "Headers of each request."] = field(default_factory=dict)
    token: Annotated[Secret | None, "Sent as Authorization: Bearer; by default the token of a login.", OAuth2()] = None
    client_id: Annotated[str | None, "The client id of a login, if clients cannot register themselves."] = None
    client_secret: Annotated[Secret | None, "The client's password, if it has one."] = None
    scopes: Annotated[list[str] | None, "The scopes of a login; by default those that the server names."] = None

    def open(self, send: Send) -> Send:
        """Return the function that sends the requests of the protocol."""
        return send

    def command_line(self, folder: Path, environ: Mapping[str, str]) -> list[str]:
        """Return the program, by its absolute path, and its arguments.

        Args:
            folder: The folder from which relative paths start.
            environ: The environment, whose ``PATH`` is searched.

        Raises:
            NetworkError: There is no such program.
        """
        named = os.path.expanduser(str(self.command))
        if os.path.dirname(named):
            found = shutil.which(str(folder / named))
        else:
            found = shutil.which(named, path=_search_path(environ))
        if found is None:
            raise NetworkError("its command was not found", retryable=False, hint="install it, or put it on the PATH")
        return [found, *self.args]

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment to start it with: variables that interpreters need, and those of the section."""
        names = PASSED_ON + (PASSED_ON_BY_WINDOWS if sys.platform == "win32" else ())
        needed = {name: environ[name] for name in names if name in environ}
        own = {name: value.reveal() for name, value in self.env.items()}
        return {"PATH": _search_path(environ), **needed, **own}


def identity(table: Table) -> dict[str, object]:
    """Return the settings that identify the server of a section, without secrets."""
    parts = {key: table.get(key) for key in ("command", "args", "cwd", "url")}
    return parts | {key: sorted(table.get(key, ())) for key in ("env", "headers")}


def reached(table: Table) -> str:
    """Return the URL or the command of a section on one line."""
    return str(table["url"]) if "url" in table else shlex.join([str(table.get("command")), *table.get("args", ())])


def kept(command: list[str]) -> list[str]:
    """Return a command line that starts a server and ends it when this process ends in any way."""
    if sys.platform == "win32":
        return command
    return [sys.executable, "-I", "-S", str(KEEPER), str(os.getpid()), *command]


def _search_path(environ: Mapping[str, str]) -> str:
    """Return ``PATH`` without folders relative to the current one, since anybody may have put a program there."""
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if os.path.isabs(folder))
