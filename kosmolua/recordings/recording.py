"""Recordings: files that keep every answer that a script got, with a JSON line for each event.

The events, each with its fields besides ``event`` and ``sum``::

    run      {format, kosmolua, run, time, mode, script, args, input, params, secrets, limits, options, account, client,
              host, seed, session, task, signature}
                                        always the first line
    account  {integration, account, default, origin, settings}
                                        the first call with an account is about to be made
    intent   {id, branch, ask, number, path, account, effect, arguments, key, time, before}
                                        a write is about to be sent; before is what it replaces, with secrets sealed
    answer   {id, branch, ask, value | page | error, call, secrets, truncated, given}
                                        the answer to a request of the script; given: to a write, at once
    page     {digest, value}            a page of the documentation; the answers that follow name it by its digest
    given    {id}                       the script has got the answer to a write, after other answers
    resumed  {time, by}                 the run goes on in another process, which numbers its requests from the start
    script   {name, sha256, source}     from here on another script runs
    chunk    {name, sha256, source, verb, seed}
                                        from here on a session runs this chunk, and numbers its requests from the start
    reset    {}                         the session forgets its state
    decision {line, number, decision, call, value, signature}
                                        what a person decided about a call: done, again, approve, deny
    end      {time, status, error, calls, usage, output}
                                        how the run ended, and the calls that have no answer

``ask`` is the request, as a list that begins with its kind. A line's ``sum`` is a checksum of the line and of all lines
before it, so that a damaged, missing or misplaced line is noticed.

:mod:`kosmolua.recordings.events` has the types of the fields. ``signature`` shows that the line was written with the
key of this store (:mod:`kosmolua.recordings.signing`); it holds only for this line, and under this first line. What is
not signed is a claim of the file: a resumed run takes no decision and no setting of its host from it.

A line is written before the next request of the script is answered, and the answer to a write before the script gets
it. An intent and all lines before it are on the disk before the write is sent.
A power cut therefore loses at most the events after the last intent. The recording then has no answer for this write,
and a person must find out whether the write was done.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast

from kosmolua import __version__, errors, protocol
from kosmolua.errors import CallError, ConfigError, KosmoError, Paused
from kosmolua.limits import MIB
from kosmolua.recordings.events import ERROR_FIELDS, fault_of
from kosmolua.recordings.sheets import BEGINNING, File, Place
from kosmolua.recordings.signing import Signer, identity
from kosmolua.secret import Redactor

FORMAT = 1
"""The version of the format. Recordings of other versions cannot be read."""
SIGNED = ("run", "decision")
"""The kinds of events that are signed."""
ROOM_STEP = 8 * MIB
"""After so many bytes it is looked up again whether there is room for more."""
_SUM = b',"sum":"'
Event = dict[str, Any]


@dataclass
class Recording:
    """The content of a recording. The event at index 0 is line 1.

    Args:
        place: Where it is kept.
        events: Its events, in order.
        size: The number of bytes up to the end of the last complete line.
        check: The checksum of the last line, from which that of the next one is computed.
        is_cut: True if the last line is incomplete, for instance after a power cut. Such a line is ignored.
    """

    place: Place
    events: list[Event] = field(default_factory=list)
    size: int = 0
    check: int = 0
    is_cut: bool = False

    @property
    def path(self) -> str:
        """The path of the file, or the run's id if the recording is not in a file."""
        return self.place.name

    @property
    def header(self) -> Event:
        """The first event, which describes the run."""
        return self.events[0]

    @property
    def script(self) -> Event:
        """The script that ran last: ``name``, ``sha256`` and ``source``. For a session, all chunks joined."""
        if self.is_session:
            chunks = [event["source"] for event in self.events if event["event"] == "chunk"]
            return {**self.header["script"], "source": "\n".join(chunks)}
        scripts = [event for event in self.events if event["event"] == "script"]
        return scripts[-1] if scripts else dict(self.header["script"])

    @property
    def was_changed(self) -> bool:
        """True if script or version have changed since the run began, so that requests can differ."""
        return bool(self.header["kosmolua"] != __version__ or self.script["sha256"] != self.header["script"]["sha256"])

    @property
    def title(self) -> str:
        """The title of the run; empty if there is none but its script's name."""
        return str(self.header.get("title") or (self.end or {}).get("title") or "")

    @property
    def is_session(self) -> bool:
        """True if the recording contains the chunks of an interactive session instead of one script."""
        return "session" in self.header

    @property
    def end(self) -> Event | None:
        """The last event, if it says how the run ended; None if the run goes on or its process was killed."""
        return self.events[-1] if self.events[-1]["event"] == "end" else None

    @property
    def paused_calls(self) -> Sequence[Event]:
        """The calls that wait for an approval, if the run has paused."""
        return _waiting_in(self.end or {})

    @property
    def numbers_of_waiting(self) -> Mapping[int, int]:
        """The number of each call that waits, by this number and by those that it had in earlier pauses.

        A call equal to one about which a person has decided has only its own number.
        """
        decided = {_key(event.get("call") or {}) for _, event in events_of(self, "decision")}
        now = {key: call["number"] for call in self.paused_calls if (key := _key(call)) not in decided}
        pauses = (call for _, event in events_of(self, "end") for call in _waiting_in(event))
        earlier = {call["number"]: now[key] for call in pauses if (key := _key(call)) in now}
        return earlier | {call["number"]: call["number"] for call in self.paused_calls}

    @property
    def status(self) -> str:
        """The status of the run, as in an outcome; ``interrupted`` if the recording does not say how the run ended."""
        return str(self.end["status"]) if self.end else "interrupted"


def _waiting_in(end: Event) -> Sequence[Event]:
    error = end.get("error") or {}
    calls: Sequence[Event] = error["fields"]["calls"] if error.get("type") == Paused.__name__ else ()
    return calls


def _key(call: Event) -> str:
    return question([call.get(name) for name in ("path", "account", "arguments")])


def read(where: str | os.PathLike[str] | Place) -> Recording:
    """Read a recording in a file or another place, and return its content.

    Raises:
        ConfigError: The file or place cannot be read, is not a recording, has a different format, or has a damaged
            line.
    """
    place = File(where) if isinstance(where, (str, os.PathLike)) else where
    return _parse(place, place.read())


def _parse(place: Place, data: bytes) -> Recording:
    recording, damage = sound_part(place, data)
    if damage:
        raise damage
    return recording


def sound_part(place: Place, data: bytes) -> tuple[Recording, ConfigError | None]:
    """Return the content of a recording with these bytes up to the first damaged line, and the error for it or None.

    Raises:
        ConfigError: The recording has a different format.
    """
    recording, path = Recording(place), place.name
    *lines, rest = data.split(b"\n")
    recording.is_cut = bool(rest)
    for number, line in enumerate(lines, start=1):
        event, check = _read_line(line, recording.check)
        if event is None:
            return recording, _unreadable(path, number, line)
        if number == 1:
            _refuse_other_formats(path, event)
        if fault := fault_of(event):
            what = f"The recording {path} is not valid: in line {number}, {fault}"
            return recording, ConfigError(what, hint=_UNDAMAGED if number > 1 else "use an undamaged copy")
        recording.events.append(event)
        recording.check = check
        recording.size += len(line) + 1
    if not recording.events:
        return recording, ConfigError(f"{path} is not a recording: it has no complete line")
    return recording, None


def _read_line(line: bytes, before: int) -> tuple[Event | None, int]:
    """Return the event of a line and the checksum of the line; the event is None if the line is damaged."""
    body, mark, rest = line.rpartition(_SUM)
    check = zlib.crc32(body, before)
    if not mark or rest != f'{check:08x}"}}'.encode():
        return None, check
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None, check
    return (event, check) if isinstance(event, dict) and isinstance(event.get("event"), str) else (None, check)


_UNDAMAGED = "use an undamaged copy, or kosmolua resume --until-damage"


def _unreadable(path: str, number: int, line: bytes) -> ConfigError:
    if number == 1 and not line.startswith(BEGINNING):
        return ConfigError(f"{path} is not a recording", hint="kosmolua run --record=FILE makes one")
    return ConfigError(
        f"The recording {path} is damaged: line {number} was changed, or a line before it is missing",
        hint=_UNDAMAGED if number > 1 else "use an undamaged copy",
    )


def _refuse_other_formats(path: str, header: Event) -> None:
    if header["event"] != "run" or header.get("format") != FORMAT:
        made = f"kosmolua {header['kosmolua']}" if "kosmolua" in header else "another version of kosmolua"
        raise ConfigError(
            f"The recording {path} has a different format: it was made by {made}",
            hint=f"use that version; this is kosmolua {__version__}, which reads only format {FORMAT}",
        )


class Writer:
    """Appends events to a recording, and locks the recording against other runs. Any number of threads may use it.

    Args:
        where: The file of the recording, or another place where it is kept.
        redactor: Masks the secrets that are known when a line is written.
        after: The content of the recording to append to; None to create a new recording.
        signer: Signs the lines of the kinds in :data:`SIGNED`; None to sign nothing.
        make_room: Called after each :data:`ROOM_STEP` bytes; it raises an error if the recording may not grow further.
            None to let it grow.
        header: The first event of a new recording, which is written at once; None to write it later.

    ``path`` is the path of the recording, and ``header`` its first event.

    Raises:
        ConfigError: The recording cannot be written, exists already although it should be new, or is being written by
            another run.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | Place,
        redactor: Redactor,
        after: Recording | None = None,
        signer: Signer | None = None,
        make_room: Callable[[], object] | None = None,
        header: Event | None = None,
    ) -> None:
        self._make_room = make_room
        self._step = 0
        self._place = File(where) if isinstance(where, (str, os.PathLike)) else where
        self.path = self._place.name
        self.header = header or {}
        self._redactor = redactor
        self._signer = signer
        self._learned = -1 if after else redactor.learned
        self._identity = identity(after.header) if after else ""
        self._count = len(after.events) if after else 0
        self._check = after.check if after else 0
        if after:
            self._sheet = self._place.go_on(after.size, len(after.events), is_cut=after.is_cut)
        else:
            self._sheet = self._place.begin()
        self._written = self._synced = 0
        # The first lock guards the end of the recording, the second the current sync.
        self._lock = Lock()
        self._syncing = Lock()
        if header:
            try:
                self.write(header)
            except BaseException:
                self._sheet.close()
                raise

    def write(self, event: Event, value: str | None = None) -> None:
        """Append an event, with ``value`` as JSON in which known secrets are masked already, unless that is None.

        A crash of this process can lose only events that the resumed run obtains again, such as the answer to a read.

        Raises:
            KosmoError: The event cannot be written. The run must then end, since it could not be resumed.
        """
        body = _encoded(event)
        if self._redactor.knows(body):
            event = cast("Event", self._redactor.value(event))
            body = _encoded(event)
        with self._lock:
            if self._signer and event["event"] in SIGNED:
                self._identity = self._identity or identity(event)
                body = _encoded(self._signer.signed(event, self._identity, self._count + 1))
            body = body[:-1] + ("" if value is None else f',"value":{value}')
            line, check = _line(body, self._check)
            self._sheet.append(line, event)
            self._check = check
            self._count += 1
            self._written += 1
            self._step += len(line)
            is_large = self._step > ROOM_STEP
            self._step = 0 if is_large else self._step
        if is_large and self._make_room:
            self._make_room()

    def sync(self) -> None:
        """Make all written events survive a power cut. Threads that call this at the same time share one sync."""
        wanted = self._written
        with self._syncing:
            if self._synced < wanted:
                reached = self._written
                self._sheet.sync()
                self._synced = reached

    def take_back(self) -> None:
        """Remove the events that this writer has written, before it is closed."""
        with suppress(OSError):
            lines = [*self._sheet.lines()]
            self._sheet.replace(lines[: len(lines) - self._written])

    def close(self) -> None:
        """Mask the secrets that were written before they were known, and unlock the recording for other runs."""
        try:
            self._scrub()
        finally:
            self._sheet.close()

    def _scrub(self) -> None:
        """Mask secrets that were written before they were known, such as a secret in the script's text."""
        if self._learned == self._redactor.learned:
            return
        if not any(self._redactor.knows(line.decode("utf-8", "replace")) for line in self._sheet.lines()):
            return
        check, lines = 0, []
        events = _parse(self._place, b"".join(self._sheet.lines())).events
        own = identity(cast("Event", self._redactor.value(events[0])))
        for number, event in enumerate(events, start=1):
            masked = cast("Event", self._redactor.value(event))
            if self._signer and self._signer.has_signed(event, self._identity, number):
                masked = self._signer.signed(masked, own, number)
            del masked["sum"]
            line, check = _line(_encoded(masked)[:-1], check)
            lines.append(line)
        self._sheet.replace(lines)


def encoded_line(event: Event, before: int) -> tuple[bytes, int]:
    """Return the line for an event, and the checksum of the line. ``before`` is that of the line before it."""
    return _line(_encoded(event)[:-1], before)


def _line(body: str, before: int) -> tuple[bytes, int]:
    data = body.encode("utf-8", "surrogatepass")
    check = zlib.crc32(data, before)
    return data + _SUM + f'{check:08x}"}}\n'.encode(), check


_encoded = protocol.encoder(str)


def error_fields(error: KosmoError) -> Event:
    """Return an error as JSON values from which :func:`revived` can restore it."""
    kind = next(each for each in type(error).__mro__ if each.__module__ == KosmoError.__module__)
    fields = {name: value for name, value in vars(error).items() if _is_json(value)}
    cause = {"cause": error_fields(error.__cause__)} if isinstance(error.__cause__, KosmoError) else {}
    return {"type": kind.__name__, "fields": fields, **cause}


def revived(stored: Mapping[str, Any]) -> KosmoError:
    """Restore an error from the values that :func:`error_fields` returned, and return it."""
    kind = getattr(errors, stored["type"])
    error: KosmoError = kind.__new__(kind)
    if isinstance(error, CallError):
        CallError.__init__(error, "error", "")
    else:
        KosmoError.__init__(error, "")
    vars(error).update((name, value) for name, value in stored["fields"].items() if name in ERROR_FIELDS)
    if "cause" in stored:
        error.__cause__ = revived(stored["cause"])
    return error


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


question = protocol.encoder(sorts=True)
"""Returns a text that identifies a request, as a key for lookups; equal requests have equal texts."""


def events_of(recording: Recording, *kinds: str) -> Iterator[tuple[int, Event]]:
    """Yield each event whose kind is in ``kinds``, as a pair of its line number and the event."""
    for line, event in enumerate(recording.events, start=1):
        if event["event"] in kinds:
            yield line, event
