"""The settings of an MCP server: the section ``[mcp.NAME]`` of the accounts file."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from kosmolua.errors import ConfigError, NetworkError
from kosmolua.folders import MAX_SETTINGS, read_within
from kosmolua.http.auth import OAuth2
from kosmolua.http.messages import Send
from kosmolua.schema.effects import Effect
from kosmolua.schema.settings import Table
from kosmolua.secret import Secret

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP")
PASSED_ON_BY_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "PATHEXT", "COMSPEC", "PROGRAMDATA", "PROGRAMFILES")
KEEPER = Path(__file__).with_name("keeper.py")


@dataclass(frozen=True)
class Server:
    """A command that starts the server, or its URL; and its credentials."""

    command: Annotated[str | None, "The server's program. A relative path starts from the accounts file's folder."] = (
        None
    )
    args: Annotated[list[str], "The program's arguments, which every user of the machine can read."] = field(
        default_factory=list
    )
    env: Annotated[
        dict[str, Secret], "Environment variables of the program, which inherits only a few such as HOME."
    ] = field(default_factory=dict)
    env_file: Annotated[str | None, "A file with more of them, in lines NAME=VALUE, read at each start."] = None
    cwd: Annotated[str | None, "The folder in which the program is started; by default that of the accounts file."] = (
        None
    )
    tools: Annotated[dict[str, Effect], "What tools do, where their server says it wrongly or not at all."] = field(
        default_factory=dict
    )
    url: Annotated[str | None, "The address of a server that is reached over HTTP."] = None
    transport: Annotated[
        Literal["http", "sse"] | None,
        "How a server with a URL is reached: http, or sse for a server of the first version.",
    ] = None
    protocol: Annotated[
        Literal["2025-11-25", "2026-07-28"] | None,
        "The version of the protocol to speak, or the next older one; by default the newest that the server knows.",
    ] = None
    timeout: Annotated[float, "The most seconds that a call takes whose server says how far it is."] = 300.0
    headers: Annotated[dict[str, Secret], "Headers of each HTTP request."] = field(default_factory=dict)
    token: Annotated[Secret | None, "Sent as Authorization: Bearer; by default the token of a login.", OAuth2()] = None
    client_id: Annotated[
        str | None, "The client id for logins, if clients cannot register themselves; or the URL of its document."
    ] = None
    client_secret: Annotated[Secret | None, "The client secret, if there is one."] = None
    private_key: Annotated[Secret | None, "The client's key as PEM, which signs a login without a person."] = None
    signing_algorithm: Annotated[str | None, "The algorithm of private_key; ES256 by default."] = None
    assertion: Annotated[Secret | None, "A token that vouches for this workload, which logs in without a person."] = (
        None
    )
    idp: Annotated[
        dict[str, Secret], "An identity provider that vouches for its user: token_endpoint, client_id, id_token."
    ] = field(default_factory=dict)
    scopes: Annotated[list[str] | None, "The scopes of a login; by default those that the server names."] = None

    @property
    def mode(self) -> str:
        """How the SDK greets the server: by the older handshake, in one version, or by asking for its versions."""
        is_old = self.transport == "sse" or self.protocol == "2025-11-25"
        return "legacy" if is_old else self.protocol or "auto"

    def open(self, send: Send) -> Send:
        """Return ``send``: the settings serve as an account, which must have ``open``."""
        return send

    def command_line(self, folder: Path, environ: Mapping[str, str]) -> list[str]:
        """Return the absolute path of the program, looked up in ``folder`` or in ``PATH``, and its arguments.

        Raises:
            NetworkError: There is no such program.
        """
        named = os.path.expanduser(str(self.command))
        if os.path.dirname(named):
            found = shutil.which(str(folder / named))
        else:
            found = shutil.which(named, path=_search_path(environ))
        if found is None:
            what = f"the program {self.command} was not found"
            raise NetworkError(what, retryable=False, hint="install the program, or add its folder to the PATH")
        return [found, *self.args]

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the server's environment: ``PATH`` and a few of ours, and those of its section."""
        names = PASSED_ON + (PASSED_ON_BY_WINDOWS if sys.platform == "win32" else ())
        needed = {name: environ[name] for name in names if name in environ}
        own = {name: value.reveal() for name, value in self.env.items()}
        return {"PATH": _search_path(environ), **needed, **own}


def identity(table: Table) -> dict[str, object]:
    """Return the settings in a section that identify the server, without secrets."""
    parts = {key: table.get(key) for key in ("command", "args", "cwd", "url")}
    parts |= {key: table[key] for key in ("env_file",) if key in table}
    return parts | {key: sorted(table.get(key, ())) for key in ("env", "headers")}


def variables_in(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the variables of a file with lines such as ``NAME="value"``.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        lines = read_within(file.expanduser(), MAX_SETTINGS).decode("utf-8-sig").splitlines()
    except (OSError, ValueError):
        raise ConfigError(f"the file of variables {file} cannot be read") from None
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            yield name.strip(), value.strip().strip("'\"")


def reached(table: Table) -> str:
    """Return the URL or command line in a section, as one line for the user."""
    return str(table["url"]) if "url" in table else shlex.join([str(table.get("command")), *table.get("args", ())])


def kept(command: list[str]) -> list[str]:
    """Return a command line that runs ``command`` and ends its processes with this one; the same on Windows."""
    if sys.platform == "win32":
        return command
    return [sys.executable, "-I", "-S", str(KEEPER), str(os.getpid()), *command]


def _search_path(environ: Mapping[str, str]) -> str:
    """Return ``PATH`` without relative folders, so that no program in the current folder is started."""
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if os.path.isabs(folder))
