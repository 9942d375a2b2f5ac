"""Recordings as tests need them: of long ago, or of another version."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kosmolua.recordings.recording import Recording, Writer
from kosmolua.secret import Redactor


def rewritten(recording: Recording, copy: Path, **head: object) -> Path:
    """Write a copy of a recording whose first line says something else, and return its path."""
    writer = Writer(copy, Redactor())
    for number, event in enumerate(recording.events):
        fields = {name: value for name, value in event.items() if name != "sum"}
        writer.write({**fields, **head} if number == 0 else fields)
    writer.close()
    return copy


def events_in(file: Path) -> list[dict[str, Any]]:
    """Return the events of a recording without their checksums."""
    events = [json.loads(line) for line in file.read_bytes().splitlines()]
    return [{name: value for name, value in event.items() if name != "sum"} for event in events]


def forged(copy: Path, events: Iterable[Mapping[str, Any]]) -> Path:
    """Write events with right checksums, as anybody can, and return the path of the file."""
    check, data = 0, b""
    for event in events:
        body = json.dumps(event, separators=(",", ":")).encode()[:-1]
        check = zlib.crc32(body, check)
        data += body + b',"sum":"' + f'{check:08x}"}}\n'.encode()
    copy.write_bytes(data)
    return copy


def resumed_later(recording: Recording, copy: Path, *, days: int) -> Path:
    """Write a copy of a recording that was resumed so many days later than it was, and return its path."""
    is_later, shift = False, timedelta(days=days)

    def shifted(value: Any) -> Any:
        if isinstance(value, list):
            return [shifted(each) for each in value]
        if not isinstance(value, dict):
            return value
        times = {name: value[name] for name in ("time", "started") if isinstance(value.get(name), str)}
        moved = {name: (datetime.fromisoformat(text) + shift).isoformat() for name, text in times.items()}
        return {name: shifted(each) for name, each in value.items()} | moved

    writer = Writer(copy, Redactor())
    for event in recording.events:
        is_later = is_later or event["event"] == "resumed"
        fields = {name: value for name, value in event.items() if name != "sum"}
        writer.write(shifted(fields) if is_later else fields)
    writer.close()
    return copy


def aged(recording: Recording, copy: Path, *, days: int) -> Path:
    """Write a copy of a recording that ended so many days earlier, and return its path."""
    writer = Writer(copy, Redactor())
    for event in recording.events:
        fields = {name: value for name, value in event.items() if name != "sum"}
        if event["event"] == "end":
            fields["time"] = (datetime.fromisoformat(event["time"]) - timedelta(days=days)).isoformat()
        writer.write(fields)
    writer.close()
    return copy
