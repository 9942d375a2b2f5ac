"""The journal: a file with a line for each call, including refused calls.

:meth:`kosmolua.calls.records.FinishedCall.line` returns such a line.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from threading import RLock
from typing import Protocol

from kosmolua.errors import ConfigError, Denied
from kosmolua.limits import MIB
from kosmolua.locks import lock_file, unlock_file
from kosmolua.secret import Redactor

LOCK_TIMEOUT = 10.0
MAX_SIZE = 64 * MIB
"""The size of the default journal, in bytes, at which it is renamed and a new one begins."""
MAX_KEPT = 4
"""How many renamed journals are kept. The latest is ``journal.jsonl.1``."""
MAX_PENDING = 256
"""How many lines are kept in memory until the file can be written again. Beyond that, the oldest are lost."""


class JournalEntry(Protocol):
    """Something that can be written to a journal, such as a :class:`kosmolua.calls.records.FinishedCall`."""

    def line(self, redactor: Redactor) -> bytes:
        """Return the entry as a line, with known secrets masked."""


class Journal:
    """Appends records to a file. Each record is one write, so that a crash leaves only complete lines.

    If the file was renamed or removed, the next line goes to a new file at the same path. Up to :data:`MAX_PENDING`
    lines that cannot be written are kept in memory. They are written as soon as the file can be written again.

    Args:
        path: The file, created if missing and readable by its owner only; None for a journal that keeps nothing.
        redactor: Masks secrets.
        warn: Called with a sentence when writing to the file begins to fail, and when it works again.
        required: True if calls that write must be refused while the file cannot be written.
        max_size: The size in bytes at which the file is renamed and a new one begins; None for no limit.

    Raises:
        ConfigError: The file cannot be opened, or the journal is required and there is no path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        redactor: Redactor,
        warn: Callable[[str], None],
        *,
        required: bool = False,
        max_size: int | None = None,
    ) -> None:
        if required and path is None:
            hint = "name its file with --journal, or remove journal_required from the accounts file"
            raise ConfigError("The accounts file requires a journal, and there is none", hint=hint)
        self._path = path
        self._redactor = redactor
        self._warn = warn
        self._required = required
        self._max_size = max_size
        self._pending: deque[bytes] = deque()
        self._lost = 0
        self._fails = False
        self._file: FileIO | None = None
        self._opened = (0, 0)
        self._lock = RLock()
        self._closed = path is None
        if path is not None:
            try:
                self._follow_the_path()
            except OSError as error:
                raise ConfigError(f"The journal {os.fspath(path)} cannot be opened: {error.strerror}") from None

    def write(self, record: JournalEntry) -> None:
        """Append a record. If it cannot be written, warn, keep the record for later, and return normally."""
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
        """Raise a Denied if the journal is required and cannot be written. This is called before a write is sent."""
        if not self._required:
            return
        with self._lock:
            sentence = self._flush()
            fails = self._fails
        if sentence:
            self._warn(sentence)
        if fails:
            raise Denied(
                f"The journal {self._path} cannot be written, and the accounts file forbids calls that change data "
                "without a journal",
                hint="free space on its disk, or set journal_required = false in the accounts file",
            )

    def reopen(self) -> None:
        """Close the file, and open the file that is now at its path, for instance after the journal was rotated.

        If this fails, the journal warns, and tries again when it writes the next record.
        """
        with self._lock:
            self._release()
            sentence = self._flush()
        if sentence:
            self._warn(sentence)

    def close(self) -> None:
        """Close the file. No more records are written."""
        with self._lock:
            self._closed = True
            self._release()

    def _flush(self) -> str | None:
        """Write the lines in memory; return a warning if that has just begun to fail, or to work again."""
        if self._closed:
            return None
        try:
            size = self._follow_the_path()
            while self._pending:
                more = len(self._pending[0])
                if self._max_size is not None and size + more > self._max_size:
                    size = self._rotate(more)
                self._append(self._pending[0])
                self._pending.popleft()
                size += more
        except OSError as error:
            self._release()
            failed_before, self._fails = self._fails, True
            return None if failed_before else f"The journal {self._path} can no longer be written: {error.strerror}"
        if not self._fails:
            return None
        lost, self._fails, self._lost = self._lost, False, 0
        lines = f"; {lost} {'record is' if lost == 1 else 'records are'} missing" if lost else ""
        return f"The journal {self._path} can be written again{lines}"

    def _follow_the_path(self) -> int:
        """Open the file if it is not open or the path leads to another one after a rotation, and return its size."""
        assert self._path is not None
        if self._file:
            with suppress(FileNotFoundError):
                there = os.stat(self._path)
                if (there.st_dev, there.st_ino) == self._opened:
                    return there.st_size
            self._release()
        self._file = _open(self._path)
        opened = os.fstat(self._file.fileno())
        self._opened = opened.st_dev, opened.st_ino
        return opened.st_size

    def _rotate(self, more: int) -> int:
        """Rename the file, once for all processes, if it is too large for ``more`` bytes; return the new one's size."""
        assert self._file is not None
        assert self._max_size is not None
        with locked(self._file):
            if self._follow_the_path() + more > self._max_size:
                _shift(os.fspath(self._path or ""))
        return self._follow_the_path()

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        rest = line
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def _release(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def default_journal(path: str, redactor: Redactor, warn: Callable[[str], None], *, required: bool) -> Journal:
    """Return the journal in the file ``path``, the default journal of a user or tenant.

    If the file cannot be opened, warn, and return a journal that keeps nothing.

    Raises:
        ConfigError: The file cannot be opened, and ``required`` is True.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return Journal(path, redactor, warn, required=required, max_size=MAX_SIZE)
    except (OSError, ConfigError) as error:
        if required:
            what = f"The journal {path}, which the accounts file requires, cannot be opened: {error}"
            raise ConfigError(what) from None
        reason = error.strerror if isinstance(error, OSError) else error.message
        hint = "to run without a journal, set journal = false under [kosmolua] in the accounts file"
        warn(f"calls are not recorded in {path}: {reason} ({hint})")
        return Journal(None, redactor, warn)


@contextmanager
def locked(file: FileIO) -> Iterator[None]:
    """Keep other processes from renaming the same file until the ``with`` block ends.

    A process that keeps it locked for long has stopped, and loses its turn.
    """
    number = os.dup(file.fileno())
    try:
        lock_file(number, LOCK_TIMEOUT)
        yield
    finally:
        unlock_file(number)  # closing the duplicate does not
        os.close(number)


def _shift(path: str) -> None:
    """Rename a journal to ``PATH.1``, an existing ``PATH.1`` to ``PATH.2``, and so on, replacing the oldest."""
    with suppress(PermissionError):  # Windows, while the file is open
        for number in range(MAX_KEPT - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        with suppress(FileNotFoundError):
            os.replace(path, f"{path}.1")


def _open(path: str | os.PathLike[str]) -> FileIO:
    """Open a journal to append, for its owner alone, and end half a line that a full disk left."""
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
