"""Damaged recordings: cut at the damage, so that the run can go on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from kosmolua import __version__
from kosmolua.clock import moment
from kosmolua.folders import replace_file
from kosmolua.recordings.events import fault_of
from kosmolua.recordings.recording import Event, Recording, encoded_line, read, sound_part
from kosmolua.recordings.sheets import File, Place

UNREADABLE = "(unreadable)"
_KIND = re.compile(rb'\{"event":"(\w+)"')
_NUMBER = re.compile(rb'"number":(\d{1,9})\b')
_PATH = re.compile(rb'"path":"([\w.]+)"')


def repaired(place: Place) -> tuple[Recording, str | None]:
    """Cut a damaged recording at its first damaged line. Return what is left, and a sentence about the damage, if any.

    A write that is recorded behind the damage may have been done, whatever is said of it there. The cut recording has
    such writes as writes without an answer, so a person decides about each of them. The damaged file is kept beside the
    recording, with the suffix ``.damaged``.

    Raises:
        ConfigError: The recording cannot be read or written, or its first line is damaged.
    """
    data = place.read()
    recording, damage = sound_part(place, data)
    if damage is None:
        return recording, None
    if not recording.events:
        raise damage
    lines = data.split(b"\n")
    sound = len(recording.events)
    doubtful = list(_writes_in(lines[sound:-1], recording))
    kept, check = [line + b"\n" for line in lines[:sound]], recording.check
    for event in (*_resumes_in(lines[sound:-1]), *doubtful):
        line, check = encoded_line(event, check)
        kept.append(line)
    sheet = place.go_on(len(data), len(lines) - 1, is_cut=False)
    try:
        if isinstance(place, File):
            replace_file(f"{place.name}.damaged", data)
        sheet.replace(kept)
    finally:
        sheet.close()
    writes = "1 write" if len(doubtful) == 1 else f"{len(doubtful)} writes"
    return read(place), f"the recording is used up to line {sound}; {writes} behind it may have been done"


def _resumes_in(lines: Sequence[bytes]) -> Iterator[Event]:
    """Yield an event for each time that the run was resumed, by which the store knows it from copies that were not."""
    for line in lines:
        kind = _KIND.match(line)
        if kind is None or kind[1] == b"resumed":  # a line whose kind cannot be read may be one; once more does no harm
            yield {"event": "resumed", "time": moment(), "kosmolua": __version__}


def _writes_in(lines: Sequence[bytes], recording: Recording) -> Iterator[Event]:
    """Yield an intent for each write in lines behind the damage, and for each line that may have been one."""
    known = {event.get("number") for event in recording.events if event["event"] == "intent"}
    damaged, *others = (_intent_in(line) or _unreadable_intent_in(line) for line in lines)
    behind = {found["number"] for found in others if found}
    # Any word of the damaged line may be wrong, so the answer to the same write says better what it was.
    first = damaged and damaged["number"] not in behind and {**damaged, "is_readable": False}
    for found in (first, *others):
        if found and found["number"] not in known:
            known.add(found["number"])
            yield found


def _intent_in(line: bytes) -> Event | None:
    try:
        event = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("event") not in ("intent", "answer"):
        return None
    call: Any = event if event["event"] == "intent" else event.get("call")
    if not isinstance(call, dict) or call.get("effect") == "read":
        return None
    names = ("number", "path", "account", "effect", "arguments")
    intent = {"event": "intent", **{name: event.get(name) for name in ("id", "branch", "ask")}}
    intent |= {name: call[name] for name in names if name in call}
    return None if fault_of(intent) else intent


def _unreadable_intent_in(line: bytes) -> Event | None:
    """Return an intent for a line that cannot be read and may have been one.

    A line of another kind is none: the intent of a write stands before its answer.
    """
    try:
        json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        kind, number, path = _KIND.match(line), _NUMBER.search(line), _PATH.search(line)
        if kind and kind[1] != b"intent":
            return None
        named = path[1].decode() if path else UNREADABLE
        fields: Event = {"path": named, "account": UNREADABLE, "effect": "write", "arguments": {}}
        asked = {"id": 0, "branch": "", "ask": ["call", named, []]}
        return {"event": "intent", **asked, "number": int(number[1]) if number else 0, **fields, "is_readable": False}
    return None
