"""The journal: a file with a line for each call, also for those that were refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import FileIO
from threading import RLock

from kosmolua.broker.records import Record
from kosmolua.errors import ConfigError
from kosmolua.secret import Redactor


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
