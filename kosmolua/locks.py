"""Locks between processes: files that one holder at a time has locked, on all machines that share the file's disk.

When a process ends, in whatever way, the system releases its locks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep, time
from typing import TYPE_CHECKING

from kosmolua.errors import Busy, ConfigError

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_NOTE = 200
POLL_INTERVAL = 0.02
NEW = 60.0
"""Seconds for which a temporary folder is left alone, whoever has made it."""
LOCKED_BYTE = 2**30
"""The byte that is locked on Windows, where nobody else can read a locked byte: one behind the end of any file."""

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, ends: bool = False) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK if ends else msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int, *, ends: bool = False) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN if ends else fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_file(descriptor: int, timeout: float = 0.0) -> bool:
    """Lock a file, open for writing, until it is closed. Return False if another kept it for ``timeout`` seconds."""
    ends = monotonic() + timeout
    while True:
        try:
            _lock(descriptor)
        except OSError:
            if monotonic() >= ends:
                return False
            sleep(POLL_INTERVAL)
        else:
            return True


def is_at(path: str | os.PathLike[str], descriptor: int) -> bool:
    """Return True if an open file is still at this path, and was not replaced or removed meanwhile."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def unlock_file(descriptor: int) -> None:
    """Unlock a file that stays open, by this descriptor or one that it is a duplicate of."""
    with suppress(OSError):
        _lock(descriptor, ends=True)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[str]:
    """Provide a temporary folder for a ``with`` block, and remove those of killed processes; not for Windows.

    The processes that this one forks keep it too.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix=prefix) as folder:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            lock_file(descriptor)
            _remove_abandoned(os.path.dirname(folder), prefix)
            yield folder
        finally:
            os.close(descriptor)


def _remove_abandoned(place: str, prefix: str) -> None:
    from shutil import rmtree

    for entry in os.scandir(place):
        if not entry.name.startswith(prefix):
            continue
        with suppress(OSError):
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                found = os.fstat(descriptor)
                is_old = time() - found.st_mtime > NEW  # a new one is not locked yet
                if is_old and found.st_uid == os.geteuid() and lock_file(descriptor):
                    rmtree(entry.path, ignore_errors=True)
            finally:
                os.close(descriptor)


class FileLock:
    """A lock for a ``with`` block, which a fork does not hold.

    Its file says who has locked it, and stays. ``what`` it protects is the subject of a message; ``timeout`` is in
    seconds.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, timeout: float = 0.0) -> None:
        self._path = os.fspath(path)
        self._what = what
        self._timeout = timeout
        self._lock: BaseFileLock | None = None

    def __enter__(self) -> FileLock:
        """Take the lock.

        Raises:
            Busy: Another holder kept the lock for the whole timeout.
            FileNotFoundError: The folder of the file does not exist.
            ConfigError: The file cannot be written.
        """
        import socket
        from datetime import datetime

        from filelock import FileLock as System
        from filelock import Timeout

        os.stat(os.path.dirname(self._path) or os.curdir)  # the library would make a missing folder
        lock = System(self._path, mode=0o600)
        try:
            lock.acquire(timeout=self._timeout)
        except Timeout:
            raise self._busy() from None
        except OSError as error:
            raise ConfigError(f"The file {self._path} cannot be locked: {error.strerror}") from None
        self._lock = lock
        self._note(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._note("")
            self._lock.release()
        self._lock = None

    def _busy(self) -> Busy:
        held = f"held by {holder}" if (holder := self._holder()) else "held by another process"
        waited = f", for which this one has waited {self._timeout:g} s" if self._timeout else ""
        return Busy(f"{self._what} is in use: it is {held}{waited}", hint="try again when that process has ended")

    def _holder(self) -> str:
        with suppress(OSError), open(self._path, encoding="utf-8", errors="replace") as file:
            return file.read(MAX_NOTE).strip()
        return ""

    def _note(self, holder: str) -> None:
        # Windows lets nobody write a locked file. The file may have been removed meanwhile, and is not made anew.
        with suppress(OSError), open(self._path, "r+", encoding="utf-8") as file:
            file.truncate()
            file.write(holder)
