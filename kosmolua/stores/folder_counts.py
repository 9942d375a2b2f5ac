"""Counts in a folder: a file for each count, which is locked while the count changes."""

from __future__ import annotations

import os

from kosmolua.errors import Unavailable
from kosmolua.locks import lock_file

LOCK_TIMEOUT = 5.0
"""How many seconds to wait while other processes change a count."""


def count_in(path: str, window: int, more: int, most: int | None) -> int | None:
    """Add to the count in a file, which is created if it is missing. See :meth:`kosmolua.stores.store.Store.count`.

    Raises:
        Unavailable: The file cannot be written, or other processes have locked it for too long.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
            if not lock_file(file.fileno(), LOCK_TIMEOUT):
                raise Unavailable("A count is in use by other processes for too long", hint="try again", detail=path)
            kept_window, kept = _read(file.read())
            count = more + (kept if kept_window >= window else 0)
            if most is not None and count > most:
                return None
            file.seek(0)
            file.write(b"%-20d%-20d" % (max(kept_window, window), count))
            return count
    except OSError as error:
        raise Unavailable(f"A count cannot be written: {error.strerror}", hint="try again", detail=path) from None


def _read(text: bytes) -> tuple[int, int]:
    """Return the window and the count in the text of a file. A file that was damaged begins anew."""
    try:
        window, count = map(int, text.split())
    except ValueError:
        return 0, 0
    return window, count
