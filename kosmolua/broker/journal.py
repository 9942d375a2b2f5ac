"""The journal: a record of each call, also of those that were refused, and the file they are appended to."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from io import FileIO
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias

from kosmolua.errors import CallError, ConfigError, Denied, KosmoError
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from kosmolua.http.messages import Attempt

MAX_PENDING = 256
"""Lines kept for the moment when the file can be written again; beyond that the oldest are lost."""

Status = Literal["running", "ok", "failed", "refused"]
Summary: TypeAlias = dict[str, object]
"""The fields of a record that an outcome lists."""
Watch: TypeAlias = "Callable[[Record], None]"
"""Called with each call's record when the call starts and when it ends."""


@dataclass
class Record:
    """The record of one call.

    Args:
        run: The id of the run that it belongs to.
        path: ``NAME.FUNCTION``; what the caller wrote after ``app.integrations`` if nothing has this path.
        account: The account, or None until it is known.
        effect: ``read`` or ``write``, or None until it is known.
        arguments: The arguments by name, or None until they are bound.
        status: ``refused`` means that nothing was sent.
        error: The code of the error that ended the call.
        attempts: The status of each HTTP request of the call; 0 if no answer came.
        request_id: The service's id of the last request.
        begun: True once the integration's function was called.
        wrote: True once the service confirmed a write.
    """

    run: str
    path: str
    account: str | None = None
    effect: str | None = None
    arguments: object = None
    status: Status = "running"
    error: str | None = None
    attempts: list[int] = field(default_factory=list)
    request_id: str | None = None
    begun: bool = False
    wrote: bool = False
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    duration_ms: float = 0.0
    _clock: float = field(default_factory=monotonic, repr=False)

    def observe(self, attempt: Attempt) -> None:
        """Add an HTTP request of this call."""
        self.attempts.append(attempt.status or 0)
        self.request_id = attempt.request_id or self.request_id

    def end(self, error: KosmoError | None) -> None:
        """Set status, error and duration when the call ends, or when the end of the run cuts it off."""
        cut_off = self.begun and error is not None and not isinstance(error, CallError)
        self.duration_ms = round((monotonic() - self._clock) * 1000, 2)
        self.error = error.code if error else None
        self.status = "ok" if error is None else "failed" if self.attempts or cut_off else "refused"

    def redact(self, redactor: Redactor) -> None:
        """Mask the secrets in the arguments and the request id."""
        self.arguments = redactor.value(self.arguments)
        self.request_id = self.request_id and redactor.text(self.request_id)

    def summary(self) -> Summary:
        """Return the fields that an outcome lists."""
        names = ("path", "account", "effect", "status", "duration_ms", "error")
        return {name: getattr(self, name) for name in names}

    def line(self, redactor: Redactor) -> bytes:
        """Return the record as a line of the journal, with secrets masked."""
        record = {
            "time": self.started.isoformat(timespec="milliseconds"),
            "run": self.run,
            **self.summary(),
            "arguments": self.arguments,
            "attempts": self.attempts,
            "request_id": self.request_id,
        }
        return json.dumps(redactor.value(record), ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


class Journal:
    """Appends records to a file, each as one write, so that a crash leaves whole lines.

    It follows the path: if the file was renamed or removed, the next line goes to a new file. Lines that cannot be
    written are kept, at most :data:`MAX_PENDING`, and written as soon as that works again.

    Args:
        path: The file, created if missing and readable by its owner only; None keeps no file.
        redactor: Masks secrets.
        warn: Called with a sentence when the file cannot be written any more, and when it can be again.
        required: True if no write may be sent while the file cannot be written.

    Raises:
        ConfigError: The file cannot be opened, or is required and there is no path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        redactor: Redactor,
        warn: Callable[[str], None],
        *,
        required: bool = False,
    ) -> None:
        if required and path is None:
            hint = "name its file with --journal, or remove journal_required from the accounts file"
            raise ConfigError("A journal is required, and there is none", hint=hint)
        self._path = path
        self._redactor = redactor
        self._warn = warn
        self._required = required
        self._pending: deque[bytes] = deque()
        self._lost = 0
        self._fails = False
        self._file: FileIO | None = None
        self._lock = RLock()
        self._closed = path is None
        if path is not None:
            try:
                self._file = _open(path)
            except OSError as error:
                raise ConfigError(f"The journal {os.fspath(path)} cannot be opened: {error.strerror}") from None

    def write(self, record: Record) -> None:
        """Append a record. If that fails, warn, keep the record for later, and let the calls go on."""
        if self._closed:
            return
        line = record.line(self._redactor)
        with self._lock:
            if len(self._pending) == MAX_PENDING:
                self._pending.popleft()
                self._lost += 1
            self._pending.append(line)
            sentence = self._flush()
        if sentence:
            self._warn(sentence)

    def require(self) -> None:
        """Refuse a write that would have no record. Ask before a write is sent.

        Raises:
            Denied: The journal is required and cannot be written now.
        """
        if not self._required:
            return
        with self._lock:
            sentence = self._flush()
            fails = self._fails
        if sentence:
            self._warn(sentence)
        if fails:
            raise Denied(
                f"The journal {self._path} cannot be written, and the accounts file requires it for writes",
                hint="free its disk, or set journal_required = false",
            )

    def reopen(self) -> None:
        """Open the file by its path again, as after a rotation that reused the file's number. Never raises."""
        with self._lock:
            self._release()
            sentence = self._flush()
        if sentence:
            self._warn(sentence)

    def close(self) -> None:
        """Close the file; no record is written any more."""
        with self._lock:
            self._closed = True
            self._release()

    def _flush(self) -> str | None:
        """Write the pending lines, and return the warning if that stopped or started to work."""
        if self._closed:
            return None
        try:
            self._follow_the_path()
            while self._pending:
                self._append(self._pending[0])
                self._pending.popleft()
        except OSError as error:
            self._release()
            failed_before, self._fails = self._fails, True
            return None if failed_before else f"The journal {self._path} cannot be written any more: {error.strerror}"
        if not self._fails:
            return None
        lost, self._fails, self._lost = self._lost, False, 0
        lines = f"; {lost} {'record is' if lost == 1 else 'records are'} missing" if lost else ""
        return f"The journal {self._path} can be written again{lines}"

    def _follow_the_path(self) -> None:
        """Open the file if it is not open, or if the path leads to another one since a rotation."""
        assert self._path is not None
        if self._file:
            opened = os.fstat(self._file.fileno())
            with suppress(FileNotFoundError):
                there = os.stat(self._path)
                if (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino):
                    return
            self._release()
        self._file = _open(self._path)

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        rest = line
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def _release(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _open(path: str | os.PathLike[str]) -> FileIO:
    """Open a file to append to, readable by its owner only, and end the half line that a full disk may have left."""
    file = FileIO(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))
    try:
        if _ends_in_half_a_line(path):
            file.write(b"\n")
    except OSError:
        file.close()
        raise
    return file


def _ends_in_half_a_line(path: str | os.PathLike[str]) -> bool:
    if not os.path.isfile(path) or not os.access(path, os.R_OK) or not os.path.getsize(path):
        return False
    with open(path, "rb") as journal:
        journal.seek(-1, os.SEEK_END)
        return journal.read(1) != b"\n"
