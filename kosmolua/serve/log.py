"""The log of a server, in lines of JSON; and its audit log, a permanent file with one line for each run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from time import monotonic
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kosmolua.broker.journal import Journal
from kosmolua.calls.records import FinishedCall
from kosmolua.clock import moment
from kosmolua.errors import ConfigError
from kosmolua.runs import Outcome
from kosmolua.serve.audit import Auditor, about, named_of
from kosmolua.serve.forwarding import batches
from kosmolua.serve.runs import Observer, Running

MAX_PENDING = 10_000
"""How many lines can wait to be written. Further lines are dropped, and their number is logged."""
GATHERING = 0.02
"""Seconds that the writing thread waits for more lines after the first one, to write them together."""
MAX_WRITE = 4_096
"""How many bytes are written at once, unless a single line is longer. A pipe keeps this many bytes together."""
CLOSE_TIMEOUT = 2.0
MAX_TEXT = 200
"""The length to which the log cuts texts that a client chose, such as the path of a request."""
_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode
_LINKED = re.compile(r"(/a/).+", re.DOTALL)
"""The path of a question, of which the log has no more: the rest may be the proof of who answers."""
TENANT = "kosmolua.tenant"
"""The key of the tenant's name in the ASGI scope of a request."""


class Log:
    """Logs events as lines of JSON. A separate thread writes them, so that a slow disk or pipe does not delay requests.

    The lines are appended to the file at ``path``. For None, ``write`` gets bytes with one or more lines.

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
        """Log an event of a kind such as ``request``, with the time. If too many lines wait to be written, drop it.

        Fields with the value None are left out.
        """
        known = {name: value for name, value in fields.items() if value is not None}
        line = _line({"time": moment(), "kind": kind, **known})
        try:
            self._lines.put_nowait(line)
        except Full:
            self._lost += 1

    def reopen(self) -> None:
        """Reopen the log file before the next line is written. This is for a file that has been renamed."""
        self._is_stale = True

    def close(self) -> None:
        """Write the lines that still wait, and end the writing thread. Give up after a few seconds."""
        with suppress(Full):
            self._lines.put(None, timeout=CLOSE_TIMEOUT)
        self._thread.join(CLOSE_TIMEOUT)

    def _write_all(self) -> None:
        """Write lines, gathered for a moment so as to spare the answering thread, until the log is closed."""
        for lines in batches(self._lines, MAX_PENDING, GATHERING):
            if self._lost:
                lost, self._lost = self._lost, 0
                lines.append(_line({"time": moment(), "kind": "lost", "lines": lost}))
            for block in _blocks(lines):
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


class RunLog(Observer):
    """An observer of runs: writes a line to the log at the start and the end of a run, and to the audit log at its end.

    ``mode`` is ``simulated`` or ``live``. ``send`` are functions that get each line of the audit log too.
    """

    def __init__(self, log: Log, audit: Journal, mode: str, send: Iterable[Callable[[bytes], None]] = ()) -> None:
        self._log = log
        self._auditor = Auditor(audit, mode, send)

    def started(self, run: Running) -> None:
        """Write to the log that a run has started."""
        self._log.note("run started", tenant=run.tenant, run=run.id, client=run.client, **named_of(run))

    def called(self, run: Running, call: FinishedCall) -> None:
        """Keep for the audit who or what allowed a call that changes something."""
        self._auditor.called(run, call)

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Write the end of a run, with its status and the number of its calls, to the log and the audit."""
        self._log.note("run ended", tenant=run.tenant, run=run.id, **about(run, outcome))
        self._auditor.ended(run, outcome)


class AccessLog:
    """An ASGI layer that reports each request after it has been answered.

    ``note`` gets the ASGI scope of the request, the status of the answer (0 if the client disconnected before), its
    size in bytes, and the duration in seconds.
    """

    def __init__(self, app: ASGIApp, note: Callable[[Scope, int, int, float], None]) -> None:
        self._app = app
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
    """Return the fields of the log line for a request, from what :class:`AccessLog` reports."""
    headers = Headers(scope=scope)
    return {
        "tenant": scope.get(TENANT),
        "method": scope["method"],
        "path": _LINKED.sub(r"\1...", scope["path"])[:MAX_TEXT],
        "status": status,
        "bytes": size,
        "duration_ms": round(seconds * 1000, 2),
        "address": scope["client"][0] if scope.get("client") else None,
        "agent": headers.get("user-agent", "")[:MAX_TEXT] or None,
    }


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines into blocks of at most ``MAX_WRITE`` bytes, and yield them. A longer line is a block of its own."""
    block = b""
    for line in lines:
        if block and len(block) + len(line) > MAX_WRITE:
            yield block
            block = b""
        block += line
    if block:
        yield block


def _line(fields: dict[str, object]) -> bytes:
    return _encoded(fields).encode("utf-8", "replace") + b"\n"


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _opened(path: str) -> int:
    try:
        return _open(path)
    except OSError as error:
        raise ConfigError(f"The log file {path} cannot be opened: {error.strerror}") from None
