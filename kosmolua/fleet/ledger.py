"""The ledger of a fleet: a JSON line for each outcome, from which a fleet that was ended goes on."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, BinaryIO

from kosmolua.broker.sheets import replace_file
from kosmolua.errors import ConfigError, UsageError
from kosmolua.runs import Outcome

Place = tuple[str, str | None]
"""What tells a line from others: the key, as JSON, and the account."""


def place_of(key: object, account: str | None) -> Place:
    """Return the place of an input's outcome."""
    return json.dumps(key, sort_keys=True, default=str), account


def line_of(outcome: Outcome) -> dict[str, Any]:
    """Return the line of an outcome."""
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
    """A file of outcomes. A line is in it as soon as the outcome is there.

    Args:
        path: The file.
        resume: Go on with a file that is there; by default there must be none.

    ``done`` has the places of the inputs that need no run any more.

    Raises:
        UsageError: The file already exists.
        ConfigError: It cannot be read or written, or is no such file.
    """

    def __init__(self, path: str, *, resume: bool) -> None:
        self.done: set[Place] = set()
        self._path = path
        if resume and os.path.exists(path):
            self._go_on()
        elif os.path.exists(path) and os.path.getsize(path):
            raise UsageError(f"{path} already exists", hint="--resume goes on with it, or name another file")
        try:
            self._file: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None

    def add(self, outcome: Outcome) -> None:
        """Append the line of an outcome.

        Raises:
            ConfigError: The file cannot be written.
        """
        try:
            self._file.write(
                json.dumps(line_of(outcome), ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
            )
        except OSError as error:
            raise ConfigError(f"{self._path} can no longer be written: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _go_on(self) -> None:
        """Keep the lines of what was done; what failed, or has a line that was cut off, is done again."""
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
                raise ConfigError(f"{self._path} is not what a fleet writes: see line {number}") from None
            if is_ok:
                kept.append(line + b"\n")
                self.done.add(place)
        if rest or len(kept) < len(lines):
            with suppress(FileNotFoundError):
                replace_file(self._path, b"".join(kept))
