"""Slots in a folder: a numbered file for each slot and each process that waits for one, locked while it is needed.

The system releases the locks of a process that dies, so its slots are free at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO

from kosmolua.errors import ConfigError
from kosmolua.limits import whole_number
from kosmolua.locks import lock_file

ORDER = ".order"
"""The name of the file that is locked while a process chooses its number."""
ORDER_TIMEOUT = 5.0
"""How many seconds to wait for this lock."""


class FolderSlot:
    """A place in the line for ``count`` slots of a folder. See :class:`kosmolua.stores.store.Slot`.

    Raises:
        ConfigError: The folder cannot be written.
    """

    def __init__(self, folder: str, count: int) -> None:
        self._folder = folder
        self._count = count
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with self._alone():
                self._ahead = sorted(filter(None, map(whole_number, os.listdir(folder))))
                self._path = self._path_of(self._ahead[-1] + 1 if self._ahead else 1)
                self._file = FileIO(self._path, "ab")
                lock_file(self._file.fileno())
        except OSError as error:
            raise ConfigError(f"The slots in {folder} cannot be used: {error.strerror}") from None

    def is_held(self) -> bool:
        """Return True if this is one of the first in the line, and so has a slot."""
        self._ahead = [number for number in self._ahead if self._is_needed(number)]
        return len(self._ahead) < self._count

    def release(self, *, again: bool = False) -> None:
        """Leave the line."""
        with suppress(OSError):
            os.remove(self._path)
        self._file.close()

    def _is_needed(self, number: int) -> bool:
        """Return True if the file with this number is locked. Otherwise, its process has died: remove the file."""
        path = self._path_of(number)
        try:
            with open(path, "r+b", buffering=0) as file:
                if not lock_file(file.fileno()):
                    return True
                os.remove(path)
        except OSError:
            return os.path.exists(path)
        return False

    def _path_of(self, number: int) -> str:
        return os.path.join(self._folder, str(number))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(os.path.join(self._folder, ORDER), "ab", buffering=0) as file:
            if not lock_file(file.fileno(), ORDER_TIMEOUT):
                raise ConfigError(f"Another process holds the lock of {file.name} for too long")
            yield
