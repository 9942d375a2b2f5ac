"""Places and sheets: where a recording is kept, and how its lines are written.

A :class:`Place` is the file, or the row of a database, in which a recording is kept. A :class:`Sheet` is a place opened
for writing; while it is open, no other run can write there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from typing import Any, Protocol

from kosmolua.errors import ConfigError, KosmoError, Unavailable
from kosmolua.folders import is_special, read_within, replace_file
from kosmolua.limits import MIB
from kosmolua.locks import is_at, lock_file

BEGINNING = b'{"event":"run"'
"""How each recording begins."""
MAX_RECORDING = 4096 * MIB
"""The most bytes of a recording."""
CHANGES = ".changes"
"""A file that grows when a recording in its folder goes on that had ended, if it is there: whoever lists the recordings
need not look at each of them again while it is as it was."""
LOCK_TIMEOUT = 0.1
"""How many seconds to try a lock, since another process can hold it for a moment, to test it."""


class Sheet(Protocol):
    """A recording opened for writing by one run. Its methods are called by one thread at a time."""

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Append the line of an event, with its line feed. If that fails, leave the recording unchanged.

        A crash of this process can lose only lines whose events the resumed run can obtain again, such as the answer to
        a read.

        Raises:
            KosmoError: The line cannot be written.
        """

    def sync(self) -> None:
        """Make all lines survive a power cut. Another thread may append meanwhile.

        Raises:
            KosmoError: The lines cannot be written.
        """

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, with only a few in memory at a time."""

    def replace(self, lines: Sequence[bytes]) -> None:
        """Replace all lines of the recording in one step."""

    def close(self) -> None:
        """Unlock the recording, so that other runs can write it. If lines were synced, sync those that follow too.

        Raises:
            KosmoError: A line cannot be written.
        """


class Place(Protocol):
    """The place where one recording is kept: a file, or rows of a database. The recording need not exist."""

    @property
    def name(self) -> str:
        """The name of the recording in messages and outcomes: the path of its file, or the id of its run."""

    def read(self) -> bytes:
        """Return all lines of the recording; raise ConfigError if the recording cannot be read."""

    def begin(self) -> Sheet:
        """Create the recording and open it for writing.

        Raises:
            ConfigError: The recording cannot be written, or exists already.
        """

    def go_on(self, size: int, count: int, *, is_cut: bool) -> Sheet:
        """Open a recording that was read before, to append to it after ``size`` bytes, or ``count`` lines.

        If ``is_cut``, an incomplete line followed them, which is removed.

        Raises:
            ConfigError: The recording cannot be written, another run is writing it, or it has changed since it was
                read.
        """

    def is_in_use(self) -> bool:
        """Return True if a run is writing the recording now."""


class File:
    """A recording in a file of its own. A run that writes the file locks it, even against runs on other hosts."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)

    def read(self) -> bytes:
        try:
            return read_within(self.name, MAX_RECORDING, BEGINNING)
        except OSError as error:
            raise ConfigError(f"The recording {self.name} cannot be read: {error.strerror}") from None

    def begin(self) -> FileSheet:
        """Create the file, readable by its owner only, and open it for writing."""
        file = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        return FileSheet(self.name, file, 0)

    def go_on(self, size: int, count: int, *, is_cut: bool) -> FileSheet:
        if is_special(self.name):
            what = f"The run cannot go on in {self.name}, which is no regular file"
            raise ConfigError(what, hint="copy the recording into a file")
        file = self._open(os.O_RDWR | os.O_APPEND)
        try:
            found = os.fstat(file.fileno()).st_size
            if found < size or (found > size and not is_cut) or not is_at(self.name, file.fileno()):
                raise ConfigError(f"The recording {self.name} has changed since it was read", hint="try again")
            if found > size:
                os.ftruncate(file.fileno(), size)
        except BaseException:
            file.close()
            raise
        return FileSheet(self.name, file, size, goes_on=True)

    def is_in_use(self) -> bool:
        """Return True if a run is writing the file now, or if the file cannot be opened."""
        try:
            with FileIO(self.name, "r+") as file:
                return not lock_file(file.fileno())
        except OSError:
            return True

    def remove(self) -> bool:
        """Remove the file and return True; if a run is writing it now, leave it and return False."""
        try:
            with FileIO(self.name, "r+") as file:
                if not lock_file(file.fileno()):
                    return False
                if os.name == "posix":
                    os.remove(self.name)
            if os.name != "posix":  # Windows cannot remove an open file
                os.remove(self.name)
        except OSError:
            return False
        return True

    def _open(self, flags: int) -> FileIO:
        """Open the file with the flags of :func:`os.open`, and lock it; raise ConfigError if it is locked already."""
        try:
            file = FileIO(os.open(self.name, flags, 0o600), "r+")
        except FileExistsError:
            hint = "name another file, or remove this one"
            raise ConfigError(f"The recording {self.name} already exists", hint=hint) from None
        except OSError as error:
            what = f"The recording {os.path.basename(self.name)} cannot be written: {error.strerror}"
            raise Unavailable(what, detail=self.name) from None
        if not lock_file(file.fileno(), LOCK_TIMEOUT):
            file.close()
            raise in_use(self.name)
        return file


class FileSheet:
    """A recording's file of so many bytes, opened for writing and locked."""

    def __init__(self, path: str, file: FileIO, size: int, *, goes_on: bool = False) -> None:
        self._path = path
        self._file = file
        self._size = size
        self._goes_on = self._is_to_tell = goes_on
        self._is_synced = False

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        try:
            rest = line
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
                if self._size == 0:  # a run without a first line cannot be resumed
                    os.remove(self._path)
            raise self._unwritable(error) from None
        self._size += len(line)
        if self._is_to_tell:
            self._tell()

    def sync(self) -> None:
        self._is_synced = True
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def lines(self) -> Iterator[bytes]:
        with open(self._path, "rb") as file:
            yield from file

    def replace(self, lines: Sequence[bytes]) -> None:
        replace_file(self._path, b"".join(lines))

    def close(self) -> None:
        """Close the file, which releases its lock. The answers to writes reach the disk, as their intents have."""
        if self._is_synced:
            with suppress(OSError):
                os.fsync(self._file.fileno())
        self._file.close()
        if self._goes_on:
            self._tell()

    def _tell(self) -> None:
        self._is_to_tell = False
        with suppress(OSError), open(os.path.join(os.path.dirname(self._path), CHANGES), "r+b", buffering=0) as file:
            file.seek(0, os.SEEK_END)
            file.write(b".")

    def _unwritable(self, error: OSError) -> KosmoError:
        hint = f"free space on its disk{', then resume the run' if self._size else ''}"
        can = "can no longer" if self._size else "cannot"
        what = f"The recording {os.path.basename(self._path)} {can} be written: {error.strerror}"
        return Unavailable(what, hint=hint, detail=self._path)


@contextmanager
def held_file(path: str, subject: str) -> Iterator[None]:
    """Lock an existing file in the ``with`` block against other processes that lock it. The block may replace it.

    ``subject`` names it at the beginning of a sentence, such as ``The plan p.json``.

    Raises:
        ConfigError: The file cannot be written, or another process has locked it.
    """
    try:
        file = FileIO(path, "r+")
    except OSError as error:
        raise ConfigError(f"{subject} cannot be written: {error.strerror}") from None
    with file:
        if not (lock_file(file.fileno(), LOCK_TIMEOUT) and is_at(path, file.fileno())):
            raise ConfigError(f"{subject} is in use: another process changes it", hint="try again")
        yield


def in_use(name: str) -> ConfigError:
    """Return the error for a recording that another run is writing."""
    return ConfigError(f"The recording {name} is in use: another run is writing it", hint="wait until that run ends")
