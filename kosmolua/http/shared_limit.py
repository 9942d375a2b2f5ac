"""An account's rate limit, shared by processes: a small file says until when they must not send requests."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from kosmolua.locks import lock_file

LOCK_TIMEOUT = 5.0


class SharedLimit:
    """Remembers in a file until when processes of this machine must not send to an origin.

    If the file cannot be used, nothing is delayed, and each process learns for itself. ``clock`` is the time since
    1970.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._known: dict[str, float] = {}
        self._changed = 0

    def left(self, place: str) -> float:
        """Return the seconds to wait before the next request to an origin."""
        try:
            changed = os.stat(self._path).st_mtime_ns
            if changed != self._changed:
                with open(self._path, "rb") as file:
                    self._known = _moments(file)
                self._changed = changed
        except OSError:
            return 0.0
        return max(self._known.get(place, 0.0) - self._clock(), 0.0)

    def close(self, place: str, seconds: float) -> None:
        """Stop all processes from sending to an origin for some seconds, or longer if already said."""
        until = self._clock() + seconds
        try:
            with self._locked() as file:
                moments = _moments(file)
                if moments.get(place, 0.0) < until:
                    now = self._clock()
                    kept = {name: moment for name, moment in moments.items() if moment > now}
                    file.seek(0)
                    file.truncate()
                    file.write(json.dumps(kept | {place: until}).encode())
        except OSError:
            return

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "r+b", buffering=0) as file:
            if not lock_file(descriptor, LOCK_TIMEOUT):
                raise TimeoutError(f"{self._path} is locked")
            yield file


def _moments(file: IO[bytes]) -> dict[str, float]:
    """Return the times by origin; none if the file is damaged."""
    try:
        moments = json.loads(file.read())
        return {str(place): float(moment) for place, moment in moments.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
