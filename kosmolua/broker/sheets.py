"""Sheets: where the lines of a recording are kept.

A :class:`Place` is where a recording is or will be; a :class:`Sheet` is that place while one run writes it, and keeps
all others from writing. A file is one kind of place, a row of a database another.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any, Protocol

from kosmolua.errors import ConfigError, KosmoError

LOCK_TRIES, LOCK_PAUSE = 5, 0.02
"""How often a lock is tried, and the seconds between: somebody may only have looked whether it is free."""


class Sheet(Protocol):
    """The lines of a recording, for the one run that writes them. Its methods are called by one thread at a time."""

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Append a line, or leave all as it was. A crash of this process does not lose it.

        Args:
            line: The line, with its end.
            event: What it holds.

        Raises:
            KosmoError: It cannot be written.
        """

    def sync(self) -> None:
        """Have all lines where a power cut leaves them; another thread may append meanwhile.

        Raises:
            KosmoError: That is not possible.
        """

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, a few in memory at a time."""

    def replace(self, lines: Sequence[bytes]) -> None:
        """Replace all lines at once."""

    def close(self) -> None:
        """Let others write."""


class Place(Protocol):
    """Where a recording is, or will be.

    ``name`` is how messages and outcomes name it: the path of a file, or the id of the run.
    """

    @property
    def name(self) -> str:
        """How messages and outcomes name it."""

    def read(self) -> bytes:
        """Return all lines.

        Raises:
            ConfigError: They cannot be read.
        """

    def begin(self) -> Sheet:
        """Return the sheet of a new recording.

        Raises:
            ConfigError: It cannot be written, or there is one already.
        """

    def go_on(self, size: int, count: int, *, is_cut: bool) -> Sheet:
        """Return the sheet of a recording that was read before.

        Args:
            size: Its bytes up to the end of the last whole line.
            count: How many whole lines it has.
            is_cut: Whether half a line follows, which is dropped.

        Raises:
            ConfigError: It cannot be written, another run writes it, or it has changed since.
        """

    def is_in_use(self) -> bool:
        """Return True if a run writes it just now."""


class File:
    """A recording in a file of its own. It is locked while a run writes it, also for other hosts that share the folder.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)

    def read(self) -> bytes:
        """Return what the file holds."""
        try:
            with open(self.name, "rb") as file:
                return file.read()
        except OSError as error:
            raise ConfigError(f"The recording {self.name} cannot be read: {error.strerror}") from None

    def begin(self) -> FileSheet:
        """Return the sheet of a new file, which its owner alone can read."""
        file = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        return FileSheet(self.name, file, 0)

    def go_on(self, size: int, count: int, *, is_cut: bool) -> FileSheet:
        """Return the sheet of the file, without the half line at its end."""
        file = self._open(os.O_RDWR | os.O_APPEND)
        try:
            found = os.fstat(file.fileno()).st_size
            if found < size or (found > size and not is_cut) or not self._is_here(file):
                raise ConfigError(f"The recording {self.name} has changed since it was read", hint="try again")
            if found > size:
                os.ftruncate(file.fileno(), size)
        except BaseException:
            file.close()
            raise
        return FileSheet(self.name, file, size)

    def is_in_use(self) -> bool:
        """Return True if a run writes the file just now, or if it cannot be opened."""
        try:
            with FileIO(self.name, "r+") as file:
                return not _lock(file)
        except OSError:
            return True

    def remove(self) -> bool:
        """Remove the file, and return True, unless a run writes it just now."""
        try:
            with FileIO(self.name, "r+") as file:
                if not _lock(file):
                    return False
                if os.name == "posix":
                    os.remove(self.name)
            if os.name != "posix":  # Windows removes no file that is open
                os.remove(self.name)
        except OSError:
            return False
        return True

    def _open(self, flags: int) -> FileIO:
        """Open and lock the file."""
        try:
            file = FileIO(os.open(self.name, flags, 0o600), "r+")
        except FileExistsError:
            hint = "name another file, or remove this one"
            raise ConfigError(f"The recording {self.name} already exists", hint=hint) from None
        except OSError as error:
            raise ConfigError(f"The recording {self.name} cannot be written: {error.strerror}") from None
        for _ in range(LOCK_TRIES):
            if _lock(file):
                return file
            time.sleep(LOCK_PAUSE)
        file.close()
        raise in_use(self.name)

    def _is_here(self, file: FileIO) -> bool:
        """Return True if this is the file of that name, and not one that was replaced or removed meanwhile."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self.name))
        return False


class FileSheet:
    """The lines of a file.

    Args:
        path: Its path.
        file: The file, open and locked.
        size: How many bytes it has.
    """

    def __init__(self, path: str, file: FileIO, size: int) -> None:
        self._path = path
        self._file = file
        self._size = size

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Append a line."""
        try:
            rest = line
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            raise self._unwritable(error) from None
        self._size += len(line)

    def sync(self) -> None:
        """Have what was appended on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file."""
        with open(self._path, "rb") as file:
            yield from file

    def replace(self, lines: Sequence[bytes]) -> None:
        """Replace the file."""
        replace_file(self._path, b"".join(lines))

    def close(self) -> None:
        """Close the file, which gives up its lock."""
        self._file.close()

    def _unwritable(self, error: OSError) -> KosmoError:
        hint = "free its disk, then resume the run"
        return KosmoError(f"The recording {self._path} can no longer be written: {error.strerror}", hint=hint)


def in_use(name: str) -> ConfigError:
    """Return the error of a recording that another run writes."""
    return ConfigError(f"The recording {name} is in use: another run writes it", hint="wait for its end")


def replace_file(path: str, data: bytes) -> None:
    """Replace a file as a whole, readable by its owner only."""
    descriptor, fresh = tempfile.mkstemp(prefix=f"{os.path.basename(path)}.", dir=os.path.dirname(path) or ".")
    with open(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, path)


def _lock(file: FileIO) -> bool:
    """Lock a file for this open file alone, until it is closed or its process ends; return False if another has it."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
