"""The log of a server, as lines of JSON, and its audit, a permanent file with a line for each run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic, sleep
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kosmolua.broker.journal import MAX_SIZE, Journal
from kosmolua.broker.records import Record
from kosmolua.errors import ConfigError
from kosmolua.folders import state_folder
from kosmolua.runs import Outcome
from kosmolua.secret import Redactor
from kosmolua.serve.runs import Running

AUDIT = "audit.jsonl"
MAX_PENDING = 10_000
"""The largest number of lines that wait to be written. Further lines are dropped and counted."""
GATHERING = 0.02
"""Seconds for which the thread waits for further lines after a first one, to write them together."""
MAX_WRITE = 4_096
"""The largest number of bytes written at once, unless a line has more: a pipe keeps so many together."""
CLOSE_TIMEOUT = 2.0
MAX_TEXT = 200
"""The largest number of characters of a text that the client chose, such as a path."""
TENANT = "kosmolua.tenant"
"""The key in a request's scope that has the name of the tenant."""


class Log:
    """Writes lines of JSON in its own thread, so that a slow reader of the log does not delay the server.

    Args:
        path: The file to append to; None to call ``write`` instead.
        write: Writes a line elsewhere, such as to standard output.

    Raises:
        ConfigError: The file cannot be opened.
    """

    def __init__(self, path: str | None, write: Callable[[bytes], None]) -> None:
        self._path = path
        self._write = write
        self._file = _opened(path) if path else None
        self._lines: Queue[bytes | None] = Queue(MAX_PENDING)
        self._lost = 0
        self._is_stale = False
        self._thread = Thread(target=self._write_all, name="kosmolua-log", daemon=True)
        self._thread.start()

    def note(self, kind: str, **fields: object) -> None:
        """Log an event.

        Args:
            kind: The kind of event, such as ``request``.
            fields: The fields of the event; those that are None are left out.
        """
        known = {name: value for name, value in fields.items() if value is not None}
        line = _line({"time": _now(), "kind": kind, **known})
        try:
            self._lines.put_nowait(line)
        except Full:
            self._lost += 1

    def reopen(self) -> None:
        """Reopen the file, since it may have been renamed."""
        self._is_stale = True

    def close(self) -> None:
        """Write the waiting lines, for at most ``CLOSE_TIMEOUT`` seconds."""
        with suppress(Full):
            self._lines.put(None, timeout=CLOSE_TIMEOUT)
        self._thread.join(CLOSE_TIMEOUT)

    def _write_all(self) -> None:
        """Write lines until the end. A thread that woke up for each line would take time from that of the requests."""
        is_over = False
        while not is_over:
            lines = [self._lines.get()]
            sleep(GATHERING)
            with suppress(Empty):
                while lines[-1] is not None:
                    lines.append(self._lines.get_nowait())
            is_over = lines[-1] is None
            if self._lost:
                lost, self._lost = self._lost, 0
                lines.insert(-1, _line({"time": _now(), "kind": "lost", "lines": lost}))
            for block in _blocks(line for line in lines if line is not None):
                with suppress(OSError):  # such as a full disk, or a pipe that nobody reads any more
                    self._write_block(block)

    def _write_block(self, block: bytes) -> None:
        if self._path is None:
            self._write(block)
            return
        if self._is_stale and self._file is not None:
            self._is_stale = False
            os.close(self._file)
            self._file = None
        if self._file is None:
            self._file = _open(self._path)
        os.write(self._file, block)


class RunLog:
    """Records each run in the log when it starts and ends, and in the audit when it has ended.

    Args:
        log: The log.
        audit: The audit.
        mode: ``live`` or ``simulated``.
    """

    def __init__(self, log: Log, audit: Journal, mode: str) -> None:
        self._log = log
        self._audit = audit
        self._mode = mode

    def started(self, run: Running) -> None:
        """Log that a run starts."""
        self._log.note("run started", tenant=run.tenant, run=run.id, client=run.client, script=run.script)

    def called(self, run: Running, call: Record) -> None:
        """Do nothing: the tenant's journal has the calls."""

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Record the end of a run in the log and the audit."""
        about = _about(run, outcome)
        self._log.note("run ended", tenant=run.tenant, run=run.id, **about)
        entry = {"tenant": run.tenant, "run": run.id, "client": run.client, "script": run.script}
        self._audit.write(Entry({**entry, "sha256": run.sha256, "mode": self._mode, **about}))


@dataclass(frozen=True)
class Entry:
    """A line of the audit.

    Args:
        fields: The fields besides the time.
    """

    fields: dict[str, object]

    def line(self, redactor: Redactor) -> bytes:
        """Return the line of JSON."""
        return _line({"time": _now(), **self.fields})


def open_audit(warn: Callable[[str], None]) -> Journal:
    """Open the audit in the user's state folder and return it.

    Args:
        warn: Called with a sentence when the audit can no longer be written, and when it can be written again.

    Raises:
        ConfigError: The audit cannot be opened. A server does not start without it.
    """
    folder = state_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The audit cannot be kept in {folder}: {error.strerror}") from None
    return Journal(os.path.join(folder, AUDIT), Redactor(), warn, max_size=MAX_SIZE)


class AccessLog:
    """Reports each request and its answer.

    Args:
        app: The application that answers the requests.
        note: Called with the scope, the status, the size of the body in bytes, and the duration in seconds.
    """

    def __init__(self, app: ASGIApp, note: Callable[[Scope, int, int, float], None]) -> None:
        self._app = app
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the interface is that of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size = monotonic(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._note(scope, status, size, monotonic() - started)


def request_fields(scope: Scope, status: int, size: int, seconds: float) -> dict[str, Any]:
    """Return the fields of a request for the log. Status 0 means that the client disconnected before it."""
    headers = Headers(scope=scope)
    return {
        "tenant": scope.get(TENANT),
        "method": scope["method"],
        "path": scope["path"][:MAX_TEXT],
        "status": status,
        "bytes": size,
        "duration_ms": round(seconds * 1000, 2),
        "address": scope["client"][0] if scope.get("client") else None,
        "agent": headers.get("user-agent", "")[:MAX_TEXT] or None,
    }


def _about(run: Running, outcome: Outcome) -> dict[str, object]:
    effects = Counter(str(call["effect"]) for call in outcome.calls if call["effect"] and call["status"] != "refused")
    return {
        "status": outcome.status,
        "error": outcome.error.code if outcome.error else None,
        "duration_ms": round(run.seconds * 1000, 2),
        "calls": len(outcome.calls),
        "writes": effects["write"],
        "destroys": effects["destroy"],
    }


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines joined to blocks of at most ``MAX_WRITE`` bytes, or of one line."""
    block = b""
    for line in lines:
        if block and len(block) + len(line) > MAX_WRITE:
            yield block
            block = b""
        block += line
    if block:
        yield block


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _opened(path: str) -> int:
    try:
        return _open(path)
    except OSError as error:
        raise ConfigError(f"The log {path} cannot be opened: {error.strerror}") from None
