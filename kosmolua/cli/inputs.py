"""Reads the input of a script (``--input``) in the format that the file's name states, and secrets (``--secret``)."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kosmolua import protocol
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError
from kosmolua.limits import spell_size
from kosmolua.secret import MIN_SECRET, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO


def read_input(path: str, limit: int) -> object:
    """Return the value of the global ``input`` of a script, read from a file.

    Args:
        path: The file, or ``-`` for standard input. If standard input is not valid JSON, it is returned as text.
        limit: The most bytes that the input may have.

    Raises:
        UsageError: The file or standard input cannot be read, is too large, or does not have the format that the
            file's name states.
    """
    if path == "-":
        with standard.reading("there is no input to read") as stream:
            text = _text("Standard input", stream, limit)
        try:
            return protocol.decode(text)
        except (ValueError, RecursionError):
            return text
    subject = f"The input {path}"
    try:
        with open(path, "rb") as stream:
            text = _text(subject, stream, limit)
    except OSError as error:
        raise UsageError(f"{subject} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{subject} cannot be read: {error}") from None
    decode = _FORMATS.get(Path(path).suffix.lower())
    try:
        return decode(text) if decode else text
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{subject} cannot be read: {error}") from None


def read_lines(limit: int) -> list[Any]:
    """Return the values of the JSON lines on standard input. Empty lines are left out.

    Args:
        limit: The most bytes that standard input may have.

    Raises:
        UsageError: Standard input cannot be read, is too large, or is not JSON lines.
    """
    with standard.reading("there are no inputs to read") as stream:
        text = _text("Standard input", stream, limit)
    try:
        return _lines(text)
    except ValueError as error:
        raise UsageError(f"Standard input is not JSON lines: {error}") from None


def read_secrets(given: Sequence[str]) -> dict[str, Secret | str]:
    """Return the secrets that ``--secret`` names, by name.

    If the source of a secret is ``ask``, a person types the secret now. For any other secret, the source is returned.

    Args:
        given: The values of the option, each ``NAME=SOURCE``.

    Raises:
        UsageError: There is no terminal to ask on, or the typed secret is too short.
    """
    pairs = (each.split("=", 1) for each in given)
    return {name: _asked(name) if source == "ask" else source for name, source in pairs}


def _asked(name: str) -> Secret:
    """Ask the person at the terminal for a secret, without echo. This works even if standard input is a pipe.

    Raises:
        UsageError: There is no terminal, or the secret is too short.
    """
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            text = getpass.getpass(f"Secret {name}: ")
    except (getpass.GetPassWarning, EOFError, OSError):
        hint = f"pass --secret {name}=env:VARIABLE"
        raise UsageError(f"The secret {name} cannot be asked for, since there is no terminal", hint=hint) from None
    if len(text) < MIN_SECRET:
        raise UsageError(f"The secret {name} has fewer than {MIN_SECRET} characters", hint="give a longer one")
    return Secret(text)


def _text(subject: str, stream: BinaryIO, limit: int) -> str:
    read = stream.read(limit + 1)
    if len(read) > limit:
        hint = "pass a smaller input, or split it and run the script once for each part"
        raise UsageError(f"{subject} is larger than {spell_size(limit)}", hint=hint)
    return protocol.to_text(read)


def _lines(text: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            try:
                values.append(protocol.decode(line))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from None
    return values


def _table(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV text as dicts. The keys are the cells of the first line. Empty lines are left out."""
    import csv

    reader = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), strict=True)
    names: list[str] = []
    rows = []
    try:
        for cells in filter(None, reader):
            if not names:
                names = cells
                if len(set(names)) < len(names):
                    raise ValueError("the first line gives two columns the same name")
                continue
            if len(cells) > len(names):
                raise ValueError(f"line {reader.line_num} has {len(cells)} cells, but the first line has {len(names)}")
            rows.append(dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    return rows


def _toml(text: str) -> object:
    import tomli

    return _plain(tomli.loads(text.removeprefix("\ufeff")))


def _plain(value: object) -> object:
    """Return a value from TOML, with text in place of dates and times, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, (date, time)) else value


_FORMATS: dict[str, Callable[[str], object]] = {
    ".json": lambda text: protocol.decode(text.removeprefix("\ufeff")),
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".csv": _table,
    ".toml": _toml,
}
"""The reader for each ending of a file's name. A file with any other ending is text."""
