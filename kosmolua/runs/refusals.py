"""The errors that requests of a script were answered with, by number: the guest only says which one ended it."""

from __future__ import annotations

from threading import Lock

from kosmolua.errors import KosmoError

MOST = 1000


class Refusals:
    """Keeps errors in case one of them ends the script; of a script that collects them only the latest."""

    def __init__(self) -> None:
        self._errors: dict[int, KosmoError] = {}
        self._lock = Lock()

    def remember(self, number: int, error: KosmoError) -> None:
        """Keep the error of a request. What the call was made with hangs on its frames, and is not kept."""
        from traceback import clear_frames

        error.__traceback__ = None
        for earlier in (error.__cause__, error.__context__):
            clear_frames(earlier.__traceback__ if earlier else None)
        with self._lock:
            self._errors[number] = error
            if len(self._errors) > MOST:
                del self._errors[next(iter(self._errors))]

    def of(self, number: int) -> KosmoError | None:
        """Return the error of a request, as far as it is kept."""
        return self._errors.get(number)
