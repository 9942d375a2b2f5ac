"""The journal: a file with a line for each call, also for those that were refused."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from threading import RLock

from kosmolua.broker.records import Record
from kosmolua.errors import ConfigError, Denied
from kosmolua.secret import Redactor

MAX_PENDING = 256
"""Lines kept for the moment when the file can be written again; beyond that the oldest are lost."""


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
        """Append a record. If that fails, warn, keep the record for later, and return normally."""
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
