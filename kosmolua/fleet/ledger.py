"""The ledger of a fleet: a file with a line of JSON for each outcome. It allows a stopped fleet to be continued."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO

from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import replace_file
from kosmolua.locks import FileLock
from kosmolua.runs import Outcome

LOCK = ".lock"
"""The suffix of the file that is locked while a fleet writes a ledger."""
Place = tuple[str, str | None]
"""Identifies a line of a ledger by the key of the input, as JSON, and the account."""


def place_of(key: object, account: str | None) -> Place:
    """Return the pair that identifies an outcome in a ledger: the key of the input as JSON, and the account."""
    return json.dumps(key, sort_keys=True, default=str), account


def line_of(outcome: Outcome) -> dict[str, Any]:
    """Return the values for an outcome's line in a ledger. The caller encodes them as JSON."""
    return {
        "key": outcome.key,
        "account": outcome.account,
        "ok": outcome.ok,
        "status": outcome.status,
        "result": outcome.result,
        "output": outcome.output,
        "error": outcome.error.report() if outcome.error else None,
        "calls": outcome.calls,
        "usage": outcome.usage,
        "run": outcome.run,
    }


class Ledger:
    """A file to which each outcome of a fleet is written as soon as it is known. Only with ``resume`` may it have
    content.

    ``done`` contains the inputs that need no further run, identified by the results of :func:`place_of`.

    Raises:
        UsageError: The file already exists and is not empty, and ``resume`` is False.
        Busy: Another fleet writes the file.
        ConfigError: The file cannot be read or written, or was not written by a fleet.
    """

    def __init__(self, path: str, *, resume: bool) -> None:
        self.done: set[Place] = set()
        self._path = path
        with ExitStack() as stack:
            try:
                stack.enter_context(FileLock(f"{path}{LOCK}", f"The file {path}"))
            except FileNotFoundError as error:
                raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
            stack.callback(self._remove_lock)
            if resume and os.path.exists(path):
                self._load()
            elif os.path.exists(path) and os.path.getsize(path):
                raise UsageError(f"{path} already exists", hint="pass --resume to continue it, or name another file")
            try:
                self._file: BinaryIO = stack.enter_context(open(path, "ab", buffering=0))
            except OSError as error:
                raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
            self._open = stack.pop_all()

    def add(self, outcome: Outcome) -> None:
        """Append the line for an outcome to the file; raise ConfigError if the file cannot be written."""
        line = json.dumps(line_of(outcome), ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise self._unwritable(error) from None
        if outcome.ok:
            self.done.add(place_of(outcome.key, outcome.account))

    def sync(self) -> None:
        """Make the lines survive a power cut; raise ConfigError if the file cannot be written."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Close the file, so that another fleet can write it."""
        self._open.close()

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(f"{self._path} can no longer be written: {error.strerror}")

    def _remove_lock(self) -> None:
        with suppress(OSError):
            os.unlink(f"{self._path}{LOCK}")

    def _load(self) -> None:
        """Read the file, without failed runs and an incomplete last line: their inputs are run again."""
        try:
            with open(self._path, "rb") as file:
                *lines, rest = file.read().split(b"\n")
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}") from None
        kept = []
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                place = place_of(entry["key"], entry["account"])
                is_ok = entry["ok"]
            except (ValueError, KeyError, TypeError):
                raise ConfigError(f"{self._path} was not written by a fleet: see line {number}") from None
            if is_ok:
                kept.append(line + b"\n")
                self.done.add(place)
        if rest or len(kept) < len(lines):
            with suppress(FileNotFoundError):
                replace_file(self._path, b"".join(kept))
