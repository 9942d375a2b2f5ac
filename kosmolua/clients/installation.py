"""Installs our entry in clients' settings files, and takes it out again: byte for byte, if nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from kosmolua.clients.formats import found, with_entry, without_entry
from kosmolua.clients.known import CLIENTS, ClientProgram, Data
from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import replace_file, state_folder
from kosmolua.suggestions import did_you_mean

RECORD = "clients.json"
"""The file in the state folder that says what was written where."""


@dataclass(frozen=True)
class Change:
    """What is to be written into a client's file; ``before`` and ``after`` are None if there is no file."""

    client: ClientProgram
    file: Path
    before: str | None
    after: str | None
    plain: str | None
    """The file without our entry."""


def client_called(name: str) -> ClientProgram:
    """Return a client; raise UsageError if there is none of this name."""
    if name not in CLIENTS:
        hint = did_you_mean(name, CLIENTS) or f"the clients are {', '.join(CLIENTS)}"
        raise UsageError(f"There is no client {name!r}", hint=hint)
    return CLIENTS[name]


class Installation:
    """The settings files of the clients of one user; ``environ`` says where they are."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._record = Path(state_folder()) / RECORD

    def present(self) -> dict[str, Path]:
        """Return the settings file of each client that is there."""
        return {name: file for name, client in CLIENTS.items() if (file := client.file(self._environ))}

    def entry(self, client: ClientProgram) -> Data | None:
        """Return our entry in a client's file, or None; raise ConfigError if the file cannot be read."""
        text = _read(self._file(client))
        with _readable(client, self._file(client)):
            data = client.style.read(text or "")
            entry = found(data, client.keys_in(data))
        return entry if isinstance(entry, dict) else None

    def adding(self, client: ClientProgram, entry: Data) -> Change:
        """Return the change that puts an entry into a client's file.

        Raises:
            ConfigError: The client is not there, or its file cannot be read or changed.
        """
        file = self._file(client)
        before = _read(file)
        plain = self._undone(file, before)
        with _readable(client, file):
            data = client.style.read(before or "")
            if found(data, client.keys_in(data)) == entry:
                return Change(client, file, before, before, plain)
            data = client.style.read(plain or "")
            after = with_entry(client.style, plain or "", client.keys_in(data), entry)
        return Change(client, file, before, after, plain)

    def removing(self, client: ClientProgram) -> Change:
        """Return the change that takes our entry out of a client's file.

        Raises:
            ConfigError: As for :meth:`adding`.
        """
        file = self._file(client, way="")
        before = _read(file)
        if self._is_ours(file, before):
            after = self._undone(file, before)
        else:
            with _readable(client, file):
                data = client.style.read(before or "")
                changed = without_entry(client.style, before or "", client.keys_in(data))
            after = None if before is None else changed
        return Change(client, file, before, after, after)

    def apply(self, change: Change) -> None:
        """Write a file, and remember how to write it back.

        Raises:
            ConfigError: The file has changed meanwhile, or cannot be written.
        """
        if _read(change.file) != change.before:
            raise ConfigError(f"{change.file} has changed meanwhile, so it was left as it is", hint="try again")
        if change.after is None:
            change.file.resolve().unlink(missing_ok=True)
        else:
            _write(change.file, change.after)
        notes = {file: note for file, note in self._notes().items() if file != str(change.file)}
        if change.after is not None and change.after != change.plain:
            notes[str(change.file)] = _difference(change.plain, change.after)
        _write(self._record, json.dumps(notes))

    def _file(self, client: ClientProgram, way: str = "start it once, then again") -> Path:
        file = client.file(self._environ)
        if file is None:
            raise ConfigError(f"{client.title} is not there, so nothing was written", hint=way)
        return file

    def _notes(self) -> dict[str, dict[str, Any]]:
        with suppress(OSError, ValueError):
            notes = json.loads(self._record.read_text(encoding="utf-8"))
            return notes if isinstance(notes, dict) else {}
        return {}

    def _is_ours(self, file: Path, text: str | None) -> bool:
        """Return True if nobody has changed the file since we wrote it."""
        note = self._notes().get(str(file), {})
        return text is not None and note.get("sha256") == _digest(text)

    def _undone(self, file: Path, text: str | None) -> str | None:
        """Return what the file was before we wrote it; the file as it is, if somebody has changed it since."""
        if text is None or not self._is_ours(file, text):
            return text
        note = self._notes()[str(file)]
        if note["was"] is None:
            return None
        at, end = note["at"], note["at"] + note["length"]
        return text[:at] + str(note["was"]) + text[end:]


@contextmanager
def _readable(client: ClientProgram, file: Path) -> Iterator[None]:
    """Make a ConfigError about a client's file of a ValueError in the ``with`` block."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"Nothing was written into the settings of {client.title}, {file}: {error}") from None


def _difference(before: str | None, after: str) -> dict[str, Any]:
    """Return what turns a text back: where the two differ, and what was there."""
    note: dict[str, Any] = {"sha256": _digest(after), "was": None}
    if before is None:
        return note
    at, was, now = differing(before, after)
    return {**note, "at": at, "length": len(now), "was": was}


def differing(before: str, after: str) -> tuple[int, str, str]:
    """Return where two texts begin to differ, and the part of each that the other does not have."""
    at = _shared(before, after)
    end = _shared(before[at:][::-1], after[at:][::-1])
    return at, before[at : len(before) - end], after[at : len(after) - end]


def _shared(one: str, other: str) -> int:
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if one[least:middle] == other[least:middle] else (least, middle - 1)
    return least


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _read(file: Path) -> str | None:
    """Return a file's text with its own ends of lines, or None if there is none."""
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(file, text.encode("utf-8", "surrogateescape"), keeps_mode=True)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
