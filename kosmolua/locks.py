"""Locks between processes: files that one holder at a time has locked, on all machines that share the file's disk.

When a process ends, in whatever way, the system releases its locks.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING

from kosmolua.errors import Busy, ConfigError

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_NOTE = 200
POLL_INTERVAL = 0.02
LOCKED_BYTE = 2**30
"""The byte that is locked on Windows, where nobody else can read a locked byte: one behind the end of any file."""

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
