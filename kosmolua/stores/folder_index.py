"""The index of a folder's recordings: what lists and searches need of each run that has ended, kept in a file.

Everything in the file can be computed again from the recordings. What does not fit them is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from kosmolua.folders import replace_file
from kosmolua.stores.store import FleetName, Summary

INDEX = ".index"
"""The name of the file."""
Stamp: TypeAlias = "tuple[int, int]"
"""When a recording was last written, in nanoseconds since 1970, and its size."""
NAMES = [*Summary._fields]
VERSION = 2
"""It changes with what is written that the names of the fields do not tell, such as the text to search."""
FEW, SHARE = 200, 8
"""The file is written when more than so many entries, and one of so many, are not in it as they are."""


class KnownRun(NamedTuple):
    """What the index says of a run: the stamp of its recording, its summary, and the text to search."""

    stamp: Stamp
    summary: Summary
    text: str


class FolderIndex:
    """The index of the recordings in a folder. Several processes may have one: the file is that of the last writer."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, INDEX)
        self._entries: dict[str, KnownRun] | None = None
        self._changes = 0

    def get(self, run: str) -> KnownRun | None:
        return self._loaded().get(run)

    def put(self, run: str, entry: KnownRun) -> None:
        self._loaded()[run] = entry
        self._changes += 1

    def keep(self, stamps: Mapping[str, Stamp]) -> None:
        """Drop all runs but those whose recordings have these stamps."""
        entries = self._loaded()
        for gone in [run for run, each in list(entries.items()) if stamps.get(run) != each.stamp]:
            entries.pop(gone, None)
            self._changes += 1

    def save(self) -> None:
        """Write the file if much has changed. Without it, or if that fails, the next process has more to read."""
        entries = dict(self._loaded())
        if self._changes <= max(FEW, len(entries) // SHARE):
            return
        self._changes = 0
        rows = [[run, each.stamp, each.summary, each.text] for run, each in entries.items()]
        body = json.dumps(rows, separators=(",", ":")).encode()
        with suppress(OSError):
            replace_file(self._path, b"\n".join([_head(body), body]))

    def remove(self) -> None:
        """Remove the file, which may tell of recordings that were removed. It is written again when it is used."""
        with suppress(OSError):
            os.remove(self._path)
        self._changes = len(self._loaded())

    def _loaded(self) -> dict[str, KnownRun]:
        if self._entries is None:
            self._entries = _read(self._path)
        return self._entries


def _head(body: bytes) -> bytes:
    """Return the first line of the file, without which the rest is not used."""
    return json.dumps({"version": VERSION, "fields": NAMES, "sha256": sha256(body).hexdigest()}).encode()


def _read(path: str) -> dict[str, KnownRun]:
    with suppress(OSError), open(path, "rb") as file:
        head, _, body = file.read().partition(b"\n")
        if head == _head(body):
            return {
                run: KnownRun(tuple(stamp), _summary(values), text) for run, stamp, values, text in json.loads(body)
            }
    return {}


def _summary(values: list[object]) -> Summary:
    given = dict(zip(NAMES, values, strict=True))
    fleet = given["fleet"]
    return Summary(**{**given, "fleet": FleetName(*fleet) if isinstance(fleet, list) else None})  # type: ignore[arg-type]
