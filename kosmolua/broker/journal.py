"""The journal: one record for each call, also for those that were refused, and the file they are appended to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from io import FileIO
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias

from kosmolua.errors import CallError, ConfigError, KosmoError
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from kosmolua.http.messages import Attempt

Status = Literal["running", "ok", "failed", "refused"]
Summary: TypeAlias = dict[str, object]
"""What an outcome says of a call."""
Watch: TypeAlias = "Callable[[Record], None]"
"""Told of each call's record when it starts and when it ends."""


@dataclass
class Record:
    """What is known of one call.

    Args:
        run: The id of the run it belongs to.
        path: As the caller wrote it after ``app.integrations``, until the catalog knows better.
        account: The account, once it is known.
        effect: ``read`` or ``write``, once it is known.
        arguments: By name, once they are bound.
        status: ``refused`` means that nothing was sent.
        error: The code of the error that ended it.
        attempts: The status of each HTTP request made for it; 0 where no answer came.
        request_id: The service's own name for the last request.
        begun: Whether the integration's function was called.
        wrote: Whether the service did a write of it.
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
        """Note an HTTP request that was made for this call."""
        self.attempts.append(attempt.status or 0)
        self.request_id = attempt.request_id or self.request_id

    def end(self, error: KosmoError | None) -> None:
        """Note how the call ended, or by what it was cut off; what it has sent by then, nobody knows."""
        cut_off = self.begun and error is not None and not isinstance(error, CallError)
        self.duration_ms = round((monotonic() - self._clock) * 1000, 2)
        self.error = error.code if error else None
        self.status = "ok" if error is None else "failed" if self.attempts or cut_off else "refused"

    def redact(self, redactor: Redactor) -> None:
        """Take secrets out of what the caller and the service said, for whoever watches."""
        self.arguments = redactor.value(self.arguments)
        self.request_id = self.request_id and redactor.text(self.request_id)

    def summary(self) -> Summary:
        """Return what an outcome says of the call."""
        names = ("path", "account", "effect", "status", "duration_ms", "error")
        return {name: getattr(self, name) for name in names}

    def line(self, redactor: Redactor) -> bytes:
        """Return the call as a line of the journal, secrets redacted."""
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

    Args:
        path: The file, made if need be and readable by its owner only; None keeps no file.
        redactor: What takes secrets out.
        warn: Told once, as a sentence, when the file cannot be written any more.

    Raises:
        ConfigError: The file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str] | None, redactor: Redactor, warn: Callable[[str], None]) -> None:
        self._path = path
        self._redactor = redactor
        self._warn = warn
        self._lock = RLock()
        self._file = None if path is None else _open(path)

    def write(self, record: Record) -> None:
        """Append a record. Calls go on when the file cannot be written; the user is warned."""
        if self._file is None:
            return
        line = record.line(self._redactor)
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            self._warn(f"The journal {self._path} cannot be written any more: {error.strerror}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _append(self, line: bytes) -> None:
        try:
            while self._file and line:
                line = line[self._file.write(line) or 0 :]
        except OSError:
            self._close()
            raise

    def _close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _open(path: str | os.PathLike[str]) -> FileIO:
    try:
        file = FileIO(path, "a", opener=_readable_by_its_owner)
        if _ends_in_a_line_cut_short(path):
            file.write(b"\n")
    except OSError as error:
        raise ConfigError(f"The journal {os.fspath(path)} cannot be opened: {error.strerror}") from None
    return file


def _readable_by_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _ends_in_a_line_cut_short(path: str | os.PathLike[str]) -> bool:
    """Say whether a full disk or a power cut left half a record, which the next one must not be glued to."""
    if not os.path.isfile(path) or not os.access(path, os.R_OK) or not os.path.getsize(path):
        return False
    with open(path, "rb") as journal:
        journal.seek(-1, os.SEEK_END)
        return journal.read(1) != b"\n"
