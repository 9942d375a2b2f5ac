"""The token that clients of the HTTP server send: from the environment, or from a file that only the user can read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping

from kosmolua.errors import ConfigError
from kosmolua.folders import state_folder

VARIABLE = "KOSMOLUA_MCP_TOKEN"
MAX_TOKEN = 4_096


def find_token(environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the token, and the file that it is in, which is made if there is none; None if the environment has it.

    Raises:
        ConfigError: The variable is blank, or the file cannot be made or read, or others can read it.
    """
    given = environ.get(VARIABLE)
    if given is None:
        path = os.path.join(state_folder(), "mcp-token")
        return _kept_in(path), path
    token = given.strip()
    if not token:
        raise ConfigError(
            f"{VARIABLE} is blank", hint="set it to a long random string, or unset it to have a token made"
        )
    return token, None


def _kept_in(path: str) -> str:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            return _make(path)
        except FileExistsError:
            return _read(path)
    except OSError as error:
        raise ConfigError(
            f"The token for clients cannot be kept in {path}: {error.strerror}", hint=f"set {VARIABLE}"
        ) from None


def _make(path: str) -> str:
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
    return token


def _read(path: str) -> str:
    with os.fdopen(
        os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), encoding="ascii", errors="replace"
    ) as file:
        found = os.fstat(file.fileno())
        token = file.read(MAX_TOKEN).strip()
    if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise ConfigError(f"Others can read or write the token in {path}", hint="remove the file; a new one is made")
    if not token:
        raise ConfigError(f"There is no token in {path}", hint="remove the file; a new one is made")
    return token
