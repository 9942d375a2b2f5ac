"""Recordings as tests need them: of long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from kosmolua.broker.recording import Recording, Writer
from kosmolua.secret import Redactor


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
