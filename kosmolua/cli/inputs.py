"""Reads the input of a script (``--input``) in the format that it has, and secrets (``--secret``)."""

from __future__ import annotations

import os
import re
import stat
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kosmolua import protocol
from kosmolua.cli.streams import names_standard_input, standard
from kosmolua.errors import UsageError
from kosmolua.limits import spell_size
from kosmolua.secret import MIN_SECRET, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO


def read_input(path: str, limit: int, format: str | None = None) -> object:
    """Return the value of the global ``input`` of a script, read from a file of at most ``limit`` bytes.

    Without ``format``, the ending of the file's name says how the file is read. Standard input (``-``) and pipes have
    no such name: they are read as JSON, JSON lines, CSV or TOML if their content clearly is that, else as text.

    Raises:
        UsageError: The file or standard input cannot be read, is too large, or does not have the stated format.
    """
    is_standard = names_standard_input(path)
    subject = "Standard input" if is_standard else f"The input {path}"
    with standard.opened(path, subject, "there is no input to read") as stream:
        is_named = not is_standard and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        text = _text(subject, stream, limit)
    ending = Path(path).suffix.lower()
    if format is None and not is_named and ending not in _FORMAT_OF_ENDING:
        return _by_content(text)
    try:
        return _READERS[format or _FORMAT_OF_ENDING.get(ending, TEXT)](text)
    except (ValueError, RecursionError) as error:
        problem = f"is not {format}" if format else "cannot be read"
        is_utf_8 = text == protocol.to_bytes(text).decode("utf-8", "replace")
        raise UsageError(f"{subject} {problem}: {error if is_utf_8 else 'it is not UTF-8 text'}") from None


def read_secrets(given: Sequence[str]) -> dict[str, Secret | str]:
    """Return what ``--secret NAME=SOURCE`` names, by name: the source, or, for ``ask``, what a person types now.

    Raises:
        UsageError: There is no terminal to ask on, or the typed secret is too short.
    """
    pairs = (each.split("=", 1) for each in given)
    return {name: _asked(name) if source == "ask" else source for name, source in pairs}


def _asked(name: str) -> Secret:
    """Ask the person at the terminal for a secret, without echo. This works even if standard input is a pipe."""
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


def _by_content(text: str) -> object:
    """Return the value of an input whose name does not say what it is; the text itself if this is not clear."""
    for read in (_READERS["json"], _clear_lines, _clear_table, _clear_toml):
        try:
            return read(text)
        except (ValueError, RecursionError):
            continue
    return text


def _clear_lines(text: str) -> list[Any]:
    """Return the values of JSON lines; raise ValueError unless all are objects or lists."""
    values = _lines(text)
    if not values or not all(isinstance(value, (dict, list)) for value in values):
        raise ValueError("this is not clearly JSON lines")
    return values


def _clear_table(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV text; raise ValueError unless it has several columns with names, and no row is short."""
    rows = _table(text)
    names = list(rows[0]) if rows else []
    if len(names) < 2 or not all(map(_NAME.fullmatch, names)) or any(len(row) < len(names) for row in rows):
        raise ValueError("this is not clearly CSV")
    return rows


def _clear_toml(text: str) -> object:
    """Return the content of a TOML text; raise ValueError unless a line has the name of a table."""
    if not _TABLE.search(text):
        raise ValueError("this is not clearly TOML")
    return _toml(text)


_NAME = re.compile(r"\ufeff?[^\W\d][\w .:/()%#-]{0,60}")
"""Matches what is clearly the name of a column."""
_TABLE = re.compile(r"^\s*\[[^\[\]]+\]\s*(?:#.*)?$", re.MULTILINE)
TEXT = "text"
_READERS: dict[str, Callable[[str], object]] = {
    "json": lambda text: protocol.decode(text.removeprefix("\ufeff")),
    "jsonl": _lines,
    "csv": _table,
    "toml": _toml,
    TEXT: lambda text: text,
}
_FORMAT_OF_ENDING = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".toml": "toml"}
"""The format for each ending of a file's name. A file with any other ending is text."""
