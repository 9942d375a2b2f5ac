"""The audit: a file with a line for each run, each bound to the line before it by a digest, perhaps with a key."""

from __future__ import annotations

import hmac
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any, NamedTuple

from kosmolua.broker.journal import MAX_KEPT, MAX_SIZE, Journal, locked
from kosmolua.calls.records import FinishedCall
from kosmolua.calls.titles import deeds_of
from kosmolua.clock import moment
from kosmolua.errors import ConfigError, Unavailable
from kosmolua.folders import lines_within, state_folder
from kosmolua.runs import Outcome
from kosmolua.schema.effects import EFFECTS, changes
from kosmolua.secret import Redactor
from kosmolua.serve.runs import Running

AUDIT = "audit.jsonl"
MAX_DEEDS = 50
"""How many functions, accounts and rules a line names at most."""
_CHAIN = b',"chain":"'
_KEYED = "hmac:"
"""What a digest begins with that was made with a key, by HMAC-SHA256."""
_BLOCK = 64 * 1024


class Auditor:
    """Writes the line of each run that has ended; ``mode`` is ``simulated`` or ``live``.

    ``send`` are functions that get each line too.
    """

    def __init__(self, audit: Journal, mode: str, send: Iterable[Callable[[bytes], None]] = ()) -> None:
        self._audit = audit
        self._mode = mode
        self._send = tuple(send)
        self._did: dict[str, Counter[tuple[str, str | None, str]]] = {}

    def called(self, run: Running, call: FinishedCall) -> None:
        """Keep who or what allowed a call that changes something. The tenant's journal has a line for each call."""
        if call.allowed_by and call.effect != "read":
            self._did.setdefault(run.id, Counter())[call.path, call.account, call.allowed_by] += 1

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Write the line of a run: who ran what for whom, what it changed, and which rule or person allowed that."""
        did = self._did.pop(run.id, Counter())
        named = ("path", "account", "allowed_by", "count")
        entry = AuditEntry(
            {
                "tenant": run.tenant,
                "run": run.id,
                "client": run.client,
                **named_of(run, deeds_of(outcome.calls)),
                "sha256": run.sha256,
                "mode": self._mode,
                **about(run, outcome),
                "did": [dict(zip(named, (*deed, count), strict=True)) for deed, count in did.most_common(MAX_DEEDS)],
                "allowed_by": list(dict.fromkeys(rule for _, _, rule in did)),
            }
        )
        self._audit.write(entry)
        for send in self._send:
            send(entry.line(Redactor()))


@dataclass(frozen=True)
class AuditEntry:
    """A line of the audit, from its fields without the time."""

    fields: dict[str, object]

    def line(self, redactor: Redactor) -> bytes:
        """Return the line as JSON, with the current time. Mask nothing, since the fields contain no secrets."""
        known = {"time": moment(), **self.fields}
        return json.dumps(known, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


class ChainedJournal(Journal):
    """A journal whose lines end with a digest of themselves and of the line before, over renamed files too.

    Whoever has no ``key`` cannot make such a digest; without a key anybody can.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        redactor: Redactor,
        warn: Callable[[str], None],
        *,
        key: bytes = b"",
        max_size: int | None = None,
    ) -> None:
        self._key = key
        self._latest: tuple[tuple[int, int], int, bytes] | None = None
        """The file, its size, and its last line, as they were when this process last wrote."""
        super().__init__(path, redactor, warn, max_size=max_size)

    def _append(self, line: bytes) -> None:
        while True:  # another process may have renamed the file that this one has locked
            file = self._file
            assert file is not None
            with locked(file):
                size = self._follow_the_path()
                if self._file is file:
                    line = chained(line, self._line_before(size), self._key)
                    super()._append(line)
                    self._latest = self._opened, size + len(line), line
                    return

    def _line_before(self, size: int) -> bytes:
        """Return the last line of the file, which has this size; of the file before, if it has none."""
        if self._latest and self._latest[:2] == (self._opened, size):
            return self._latest[2]
        path = os.fspath(self._path or "")
        return _last_line(path) or _last_line(f"{path}.1")


class Break(NamedTuple):
    """A line of an audit that is not as it was written: its file, its number there, and what is wrong."""

    file: str
    line: int
    problem: str


class Verified(NamedTuple):
    """What a look at an audit found.

    Args:
        lines: How many lines are bound to those before them.
        keyed: How many of them are bound with the key.
        unchained: How many lines an older version wrote, before all others.
        last: The digest of the last line; empty without one.
        is_whole: Whether the first line is the first of all, so that none before it is missing.
        breaks: The lines that are not as they were written.
    """

    lines: int
    keyed: int
    unchained: int
    last: str
    is_whole: bool
    breaks: list[Break]


def open_audit(warn: Callable[[str], None], key: bytes) -> Journal:
    """Open and return the audit in the user's state folder; ``warn`` is told if it cannot be written.

    ``key`` binds its lines; empty for none.

    Raises:
        ConfigError: The audit cannot be opened. Without it the server does not start.
    """
    folder = state_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The audit log cannot be kept in {folder}: {error.strerror}") from None
    return ChainedJournal(os.path.join(folder, AUDIT), Redactor(), warn, key=key, max_size=MAX_SIZE)


def chained(line: bytes, before: bytes, key: bytes = b"") -> bytes:
    """Return a line of JSON with the digest that binds it to the line ``before``, both with their ends."""
    body = line.rstrip(b"\n").removesuffix(b"}")
    return body + _CHAIN + _digest(body, before, key).encode() + b'"}\n'


def verify(path: str, key: Callable[[], bytes] = lambda: b"") -> Verified:
    """Look whether the lines of an audit, with those of the files that were renamed before it, are as written.

    ``key`` returns the key, and is called if a line needs it.

    Raises:
        ConfigError: The file cannot be read, or a line was written with a key, and there is none.
    """
    known, keyed = b"", 0
    count, unchained, last, is_whole, before, breaks = 0, 0, "", True, b"", list[Break]()
    for file, number, line in _lines(path):
        body, mark, rest = line.rpartition(_CHAIN)
        told = rest.removesuffix(b'"}\n').decode("ascii", "replace")
        if told.startswith(_KEYED):
            known = known or _needed(key())
            keyed += 1
        if not mark:
            if count:
                breaks.append(Break(file, number, "it has no digest, or is not whole"))
            unchained += not count
        elif keyed and not told.startswith(_KEYED):
            breaks.append(Break(file, number, "it was written without the key, and lines before it with the key"))
        elif told != _digest(body, before, known if told.startswith(_KEYED) else b""):
            if count or unchained:
                breaks.append(Break(file, number, "it was changed, or a line before it is missing or was changed"))
            is_whole = is_whole and bool(count or unchained)
        count, last, before = count + bool(mark), told if mark else last, line
    return Verified(count, keyed, unchained, last, is_whole, breaks)


def entries(path: str, since: datetime | None) -> Iterator[bytes]:
    """Yield the lines of an audit, with those of the files before it, that were written at a time or later.

    Raises:
        ConfigError: The file cannot be read.
    """
    for _, _, line in _lines(path):
        if since is None or _time_of(line) >= since:
            yield line


def _lines(path: str) -> Iterator[tuple[str, int, bytes]]:
    """Yield the file, number and text of each line, the oldest first."""
    for file in [f"{path}.{number}" for number in range(MAX_KEPT, 0, -1)] + [path]:
        if file != path and not os.path.exists(file):
            continue
        try:
            with open(file, "rb") as opened:
                for number, line in enumerate(lines_within(opened), start=1):
                    yield file, number, line
        except OSError as error:
            hint = "kosmolua serve writes one; name another file"
            raise ConfigError(f"The audit {file} cannot be read: {error.strerror}", hint=hint) from None


def _time_of(line: bytes) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError):  # a damaged line is not hidden by its time
        return datetime.max.replace(tzinfo=timezone.utc)


def _needed(key: bytes) -> bytes:
    if not key:
        hint = "name the accounts file of the server with --accounts"
        raise ConfigError("The audit was written with the key audit_key of [serve], which is not known here", hint=hint)
    return key


def _digest(body: bytes, before: bytes, key: bytes) -> str:
    if key:
        return _KEYED + hmac.digest(key, before + body, "sha256").hex()
    return sha256(before + body).hexdigest()


def _last_line(path: str) -> bytes:
    """Return the last line of a file with its end; nothing if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start, tail = size, b""
            while start and tail.count(b"\n") < 2:
                start = max(0, start - _BLOCK)
                file.seek(start)
                tail = file.read(size - start)
    except FileNotFoundError:
        return b""
    return tail.splitlines(keepends=True)[-1] if tail else b""


def named_of(run: Running, deeds: str = "") -> dict[str, str]:
    """Return what people recognise a run by, without what is not known."""
    named = {"title": run.title or deeds, "script": run.script, "software": run.software, "person": run.person}
    return {name: text for name, text in named.items() if text or name == "script"}


def about(run: Running, outcome: Outcome) -> dict[str, Any]:
    """Return how a run ended, how long it took, and how many calls it made."""
    effects = Counter(str(call["effect"]) for call in outcome.calls if call["effect"] and call["status"] != "refused")
    return {
        "status": outcome.status,
        "error": outcome.error.code if outcome.error else None,
        "detail": outcome.error.detail if isinstance(outcome.error, Unavailable) else None,
        "duration_ms": round(run.seconds * 1000, 2),
        "calls": len(outcome.calls),
        **{f"{each}s": effects[each] for each in EFFECTS if changes(each)},
    }
