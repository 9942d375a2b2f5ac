"""What scenarios share: their tables, a service that counts writes, and runs of the program over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, NamedTuple

from support.loopback import Loopback
from support.shelf import Shelf

PLUGIN = str(Path(__file__).parent.parent / "plugins" / "shelf.py")
ACCOUNTS = """\
[shelf.one]
api_key = "a-key-of-the-shelf"
base_url = "{url}"
permissions.write = "allow"
"""
WRITES = 40
SCRIPT = """
local shelf = app.integrations.shelf
for n = 1, 20 do shelf.put({ book = n }) end
local rest = {}
for n = 21, 40 do rest[#rest + 1] = n end
parallel.map(rest, function(n) shelf.put({ book = n }) end, { limit = 8 })
return "done"
"""


class Row(NamedTuple):
    """A line of a scenario's table: what was done, what was seen, and whether that is right."""

    case: str
    seen: str
    is_right: bool = True


class Skipped(Exception):
    """The scenario cannot be played here."""


Scenario = Callable[[Path, int, Random], Iterator[Row]]
"""Plays a scenario in an empty folder, for so many rounds, with random moments, and yields a row for each round."""


class Bench(AbstractContextManager["Bench"]):
    """The service, and the program with a script that makes :data:`WRITES` writes to it.

    Args:
        folder: Where its files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.recording = folder / "run.jsonl"
        self.shelf = Shelf()
        self._server = Loopback(self.shelf)
        accounts = folder / "accounts.toml"
        accounts.touch(mode=0o600)
        accounts.write_text(ACCOUNTS.format(url=self._server.url))
        (folder / "script.lua").write_text(SCRIPT)

    def __enter__(self) -> Bench:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__()

    def start(self, command: str, *words: str) -> subprocess.Popen[bytes]:
        """Start ``kosmolua run``, recorded, or ``kosmolua resume`` of the recording."""
        where = ["--record-file", str(self.recording), "script.lua"] if command == "run" else [str(self.recording)]
        options = ["--accounts", "accounts.toml", "--plugin", PLUGIN, "--json"]
        return subprocess.Popen(
            [sys.executable, "-m", "kosmolua", command, *options, *where, *words],
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start_and_kill(self, moment: int, how: str, command: str, *words: str) -> None:
        """Start a command, and kill it at its write number ``moment``: before it is done, or when it is.

        A command that ends earlier is left alone.
        """
        writes = count(1)

        def kill(_: int) -> bool:
            number = next(writes)
            if number == moment:
                process.kill()
            return number >= moment  # and so what arrives from then on is not done

        if how == "before":
            self.shelf.before = kill
        else:
            self.shelf.after = kill
        process = self.start(command, *words)
        process.communicate()
        self._server.settle()
        self.shelf.before = self.shelf.after = lambda _: None

    def doubts(self) -> tuple[list[str], dict[str, Any]]:
        """Resume. Return the options that say of each doubtful write what the service knows, and the answer."""
        answer = answer_of(self.start("resume"))
        error = answer["error"] or {}
        options = []
        for call in error.get("calls", ()) if error.get("code") == "under_way" else ():
            was_done = self.shelf.lent[str(call["arguments"]["book"])]
            options += ["--done", f"{call['number']}={{}}"] if was_done else ["--again", str(call["number"])]
        return options, answer

    @property
    def is_exact(self) -> bool:
        """True if each write was made once."""
        return len(self.shelf.lent) == self.shelf.lent.total() == WRITES


def answer_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for a command, and return its answer."""
    out, errors = process.communicate(timeout=120)
    found: dict[str, Any] = json.loads(out or b"null") or {"ok": False, "error": {"message": errors.decode()}}
    return found
