"""Where a secret comes from: the file itself, the environment, another file, a command, or the keyring."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from kosmolua.errors import NotConfigured
from kosmolua.folders import expanded
from kosmolua.schema.types import Mismatch
from kosmolua.secret import Secret

LONGEST_COMMAND = 60.0
"""Seconds that a command may take to print a secret, which may mean to wait for a person."""
_SOURCES = ("env", "file", "command", "keyring")
_EXAMPLES = 'such as { env = "NAME" }, { file = "PATH" }, { command = ["PROGRAM"] } or { keyring = "NAME" }'


class Sources:
    """Fetches secrets.

    Args:
        folder: What a relative file name starts from.
        environ: The environment that ``{ env = "NAME" }`` reads.
        warn: Told of a file that others can read, as one sentence.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._environ = environ
        self._warn = warn

    def read(self, where: str, given: str | Mapping[str, Any], until: float = inf) -> Secret:
        """Return the secret that a value of accounts.toml stands for, which :func:`check_secret` has let pass.

        Args:
            where: The key, for messages, such as ``render2.production.api_key``.
            given: The secret itself, or a table with one source.
            until: When a command has to have printed it, in terms of :func:`time.monotonic`.

        Raises:
            NotConfigured: The source does not give a secret.
        """
        text = given if isinstance(given, str) else self._fetch(where, given, until)
        if not text.strip():
            raise NotConfigured(f"The secret {where} is empty")
        return Secret(text.strip())

    def _fetch(self, where: str, given: Mapping[str, Any], until: float) -> str:
        ((source, value),) = given.items()
        if source == "env":
            return self._from_env(where, value)
        if source == "file":
            return self._from_file(where, value)
        if source == "command":
            return _from_command(where, value, min(LONGEST_COMMAND, max(until - monotonic(), 0)))
        return _from_keyring(where, value)

    def _from_env(self, where: str, name: str) -> str:
        if not self._environ.get(name):
            raise NotConfigured(f"The secret {where} comes from an environment variable that is not set", detail=name)
        return self._environ[name]

    def _from_file(self, where: str, name: str) -> str:
        path = self._folder / expanded(name)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise NotConfigured(f"The file of the secret {where} cannot be read: {reason}", detail=str(path)) from None
        warn_of_readers(path, self._warn)
        return text


def warn_of_readers(path: Path, warn: Callable[[str], None]) -> None:
    """Say of a file that holds a secret that others can read it, if they can."""
    if sys.platform != "win32" and path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        warn(f"The secret file {path} can be read by others; run: chmod 600 {path}")


def check_secret(given: object) -> None:
    """Raise a Mismatch unless a value of accounts.toml is a secret, or a table that says where one comes from."""
    if isinstance(given, str):
        return
    if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in _SOURCES:
        raise Mismatch(f"must be a string or one secret source, {_EXAMPLES}")
    ((source, value),) = given.items()
    words = isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
    if not (words if source == "command" else isinstance(value, str) and value):
        kind = (
            'a list of strings, such as ["PROGRAM", "ARGUMENT"]' if source == "command" else 'a string, such as "NAME"'
        )
        raise Mismatch(f"must be {kind}", f".{source}")


def _from_command(where: str, command: list[str], seconds: float) -> str:
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=True)
        return done.stdout.decode("utf-8-sig")
    except subprocess.TimeoutExpired:
        reason = f"it gave no text within {seconds:.2g} s"
    except subprocess.CalledProcessError as error:
        reason = f"it ended with status {error.returncode}"
    except UnicodeDecodeError:
        reason = "what it printed is not text"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise NotConfigured(f"The command for the secret {where} failed: {reason}", detail=command[0])


def _from_keyring(where: str, name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise NotConfigured(
            f"The secret {where} is in the keyring, which needs a library", hint="pip install 'kosmolua[keyring]'"
        ) from None
    try:
        password = keyring.get_password("kosmolua", name)
    except KeyringError as error:
        raise NotConfigured(f"The secret {where} cannot be had from the keyring: {error}") from None
    if password is None:
        hint = f"store it with: keyring set kosmolua {name}"
        raise NotConfigured(f"The secret {where} is not in the keyring", hint=hint)
    return password
