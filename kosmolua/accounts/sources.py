"""Secret sources: where accounts.toml can say that a secret comes from.

:data:`SOURCES` lists those that are built in; installed packages add more.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic
from typing import IO, Any, NamedTuple

from kosmolua.concurrency import Helpers
from kosmolua.entry_points import SECRETS, EntryPoint, ask, installed, the_one
from kosmolua.errors import NotConfigured, PluginError
from kosmolua.folders import expanded
from kosmolua.limits import KIB, spell_size
from kosmolua.schema.mismatch import Mismatch
from kosmolua.secret import MIN_SECRET, Leased, Secret, looks_like_key

COMMAND_TIMEOUT = 60.0
"""Seconds that a command may take to print a secret; it may have to wait for a person."""
MAX_SECRET = 64 * KIB
"""The most bytes of a secret from a file or a command."""
PART_OF_LEASE = 2 / 3
"""After which part of its lease a secret is fetched again, so that a run that begins then has time."""
_HIDDEN = "not shown, since it looks like a key itself"


class Sources:
    """Fetches secrets from the sources that accounts.toml names.

    Relative paths start from ``folder``; ``environ`` is what ``{ env = "NAME" }`` reads.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self.folder = folder
        self.environ = environ
        self.warn = warn
        self.leases: dict[str, float] = {}
        """When each secret that was lent has to be fetched again, by its key, on the scale of ``time.monotonic``."""

    def read(
        self, where: str, given: str | Mapping[str, Any], until: float = inf, *, least: int = MIN_SECRET
    ) -> Secret:
        """Return the secret for a value that passed :func:`check_secret`: itself, or what its source provides.

        ``where`` is its key, for messages, such as ``render2.production.api_key``; ``least`` is its least length.

        Raises:
            NotConfigured: The source provides no secret, or one that is too short to be masked.
        """
        if isinstance(given, str):
            text = given.strip()
        else:
            ((source, value),) = given.items()
            fetched = (SOURCES.get(source) or all_sources()[source]).fetch(self, where, value, until)
            if isinstance(fetched, Leased) and fetched.seconds:
                self.leases[where] = monotonic() + fetched.seconds * PART_OF_LEASE
            text = fetched.strip()
        if not text:
            raise NotConfigured(f"The secret {where} is empty")
        if len(text) < least:
            raise NotConfigured(
                f"The secret {where} has fewer than {MIN_SECRET} characters",
                hint="choose a longer secret at the service: "
                "a script could print guesses, and see by the masking which guess is right",
            )
        return Secret(text)


def _from_env(sources: Sources, where: str, name: str, _: float) -> str:
    if text := sources.environ.get(name):
        return text
    raise NotConfigured(
        f"The secret {where} comes from an environment variable that is not set",
        detail=_HIDDEN if looks_like_key(name) else name,
    )


def _from_file(sources: Sources, where: str, name: str, _: float) -> str:
    path = sources.folder / expanded(name)
    try:
        with open(path, "rb") as file:
            text = _decoded(file.read(MAX_SECRET + 1))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotConfigured(
            f"The file with the secret {where} cannot be read: {reason}",
            detail=_HIDDEN if looks_like_key(name) else str(path),
        ) from None
    warn_of_readers(path, sources.warn)
    return text


def _from_command(sources: Sources, where: str, command: list[str], until: float) -> str:
    import subprocess

    seconds = min(COMMAND_TIMEOUT, max(until - monotonic(), 0))
    try:
        return _decoded(_output(command, seconds), "its output")
    except (TimeoutError, subprocess.TimeoutExpired):
        reason = f"it did not end within {seconds:.2g} s"
    except subprocess.CalledProcessError as error:
        reason = f"it ended with status {error.returncode}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise NotConfigured(
        f"The command for the secret {where} failed: {reason}",
        detail=_HIDDEN if looks_like_key(command[0]) else command[0],
    )


def _output(command: list[str], seconds: float) -> bytes:
    """Return what a command prints; of more than a secret can have, the beginning."""
    from subprocess import DEVNULL, PIPE, CalledProcessError, Popen

    ends, helpers = monotonic() + seconds, Helpers()  # Windows waits for no pipe with a timeout
    with Popen(command, bufsize=0, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL) as process:
        try:
            printed = helpers.call(partial(_beginning, process.stdout), lambda: ends)
            if len(printed) <= MAX_SECRET and (status := process.wait(max(ends - monotonic(), 0))):
                raise CalledProcessError(status, command)
        finally:
            process.kill()
            helpers.close()
    return printed


def _beginning(stream: IO[bytes] | None) -> bytes:
    assert stream
    printed = b""
    while len(printed) <= MAX_SECRET and (part := stream.read(MAX_SECRET)):
        printed += part
    return printed


def _decoded(data: bytes, subject: str = "it") -> str:
    if len(data) > MAX_SECRET:
        raise ValueError(f"{subject} is longer than {spell_size(MAX_SECRET)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{subject} is not UTF-8 text") from None


def _from_keyring(sources: Sources, where: str, name: str, _: float) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise NotConfigured(
            f"The secret {where} is in the keyring, but the library for it is not installed",
            hint="pip install 'kosmolua[keyring]'",
        ) from None
    try:
        password = keyring.get_password("kosmolua", name)
    except KeyringError as error:
        raise NotConfigured(f"The secret {where} cannot be read from the keyring: {error}") from None
    if password is None:
        hint = f"store it with: keyring set kosmolua {'NAME' if looks_like_key(name) else name}"
        raise NotConfigured(f"The secret {where} is not in the keyring", hint=hint)
    return password


def _from_package(points: list[EntryPoint], _: Sources, where: str, reference: str, until: float) -> str:
    """Return what an installed package's function returns for a reference."""
    try:
        text = ask(point := the_one(points), reference)
        if not isinstance(text, str):
            raise point.failed("has to return a string")
    except PluginError as error:
        what = f"The secret {where} cannot be fetched from its source {points[0].name}"
        raise NotConfigured(what, hint=error.hint, detail=error.message) from None
    return text


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_command(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)


class Source(NamedTuple):
    """One kind of source for a secret, such as an environment variable.

    Args:
        example: An example of the source's value in TOML, for messages.
        short: What follows ``KIND:`` on the command line, for messages.
        takes: A phrase for messages that says what the value must be.
        accepts: A function that returns True if a value has the right type.
        fetch: A function that returns the secret's text. Its parameters are the :class:`Sources`, the secret's key for
            messages, the source's value, and the time by which it must return.
    """

    example: str
    short: str
    takes: str
    accepts: Callable[[object], bool]
    fetch: Callable[[Sources, str, Any, float], str]


_NAME = 'a string, such as "NAME"'
_COMMAND = 'a list of strings, such as ["PROGRAM", "ARGUMENT"]'
SOURCES = {
    "env": Source('"NAME"', "VARIABLE", _NAME, _is_name, _from_env),
    "file": Source('"PATH"', "PATH", _NAME, _is_name, _from_file),
    "command": Source('["PROGRAM"]', "PROGRAM ARGUMENT...", _COMMAND, _is_command, _from_command),
    "keyring": Source('"NAME"', "NAME", _NAME, _is_name, _from_keyring),
}
"""The kinds of sources that are built in, each under its key in accounts.toml."""


def all_sources() -> dict[str, Source]:
    """Return the kinds of sources that are built in, and those of installed packages."""
    others = {
        kind: Source('"REFERENCE"', "REFERENCE", _NAME, _is_name, partial(_from_package, points))
        for kind, points in installed(SECRETS).items()
    }
    return SOURCES | {kind: source for kind, source in others.items() if kind not in SOURCES}


def find_source(kind: str) -> Source | None:
    """Return the source of a kind; None if there is none."""
    return SOURCES.get(kind) or all_sources().get(kind)


def source_of(text: str) -> dict[str, Any]:
    """Convert ``env:NAME``, as on the command line, to ``{"env": "NAME"}``.

    Raises:
        ValueError: The text is not a source.
    """
    kind, colon, rest = text.partition(":")
    source = find_source(kind)
    if not source or not colon or not rest.strip():
        known = ", ".join(f"{name}:{source.short}" for name, source in all_sources().items())
        raise ValueError(f"name one source of {known}; --secret also takes the word ask, for a prompt")
    if source.accepts is not _is_command:
        return {kind: rest}
    from shlex import split

    return {kind: split(rest)}


def check_secret(given: object) -> Any:
    """Return a value if it is a string, the secret itself, or a table with one source.

    Raises:
        Mismatch: It is neither.
    """
    if isinstance(given, str):
        return given
    name, value = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else ("", None)
    source = find_source(name)
    if not source:
        examples = [f"{{ {name} = {source.example} }}" for name, source in all_sources().items()]
        listed = f"{', '.join(examples[:-1])} or {examples[-1]}"
        raise Mismatch(f"must be a string or one secret source, such as {listed}")
    if not source.accepts(value):
        raise Mismatch(f"must be {source.takes}", where=f".{name}")
    return given


def check_secrets(given: object) -> None:
    """Check that a value is a table of secrets; raise Mismatch if it is not."""
    if not isinstance(given, dict):
        raise Mismatch('must be a table, such as { NAME = { env = "NAME" } }')
    for name, value in given.items():
        try:
            check_secret(value)
        except Mismatch as mismatch:
            raise mismatch.inside(place=f".{name}") from None


def warn_of_readers(path: Path, warn: Callable[[str], None]) -> None:
    """Warn if users other than the owner can read a file with a secret."""
    if sys.platform != "win32" and path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        warn(f"The secret file {path} can be read by others; run: chmod 600 {path}")
