"""The health of a server's store: a thread tries a write twice a second, and knows at once when none succeeds."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

from kosmolua.errors import KosmoError, Unavailable

INTERVAL = 0.5
"""Seconds between two tries."""
LIMIT, LOOKS = 1.0, 4
"""Seconds after which a try that has not ended counts as failed, and how often it is looked at until then."""
Note = Callable[[float, KosmoError | None], None]
"""A function that is called after each try, with its duration in seconds and its error."""


class Health:
    """Says whether the store of a server can be used now. Any thread may use this.

    ``probe`` tries a write, and raises a KosmoError if it fails. ``lost`` is called when a try takes too long, to end
    whatever else waits for the store.
    """

    def __init__(self, probe: Callable[[], None], lost: Callable[[], None]) -> None:
        self.note: Note = lambda seconds, error: None
        self._probe = probe
        self._lost = lost
        self._error: KosmoError | None = None
        self._began: float | None = None
        self._late: float | None = None
        self._stopped = Event()
        self._threads: list[Thread] = []

    @property
    def error(self) -> KosmoError | None:
        """The error with which requests are refused that need the store; None if the store can be used."""
        if self._is_late():
            return Unavailable("The store does not answer", hint="nothing was run; try again in a moment")
        return self._error

    def settle(self) -> None:
        """If the last try failed, wait for a better one, at most ``INTERVAL + LIMIT`` seconds."""
        ends = monotonic() + INTERVAL + LIMIT
        while self.error and monotonic() < ends and not self._stopped.wait(INTERVAL / LOOKS):
            pass

    def start(self) -> None:
        """Begin to try the store."""
        for work, name in ((self._try_all, "store-health"), (self._watch, "store-watch")):
            thread = Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Try no more. A try that does not end is left alone."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(LIMIT)

    def _is_late(self) -> bool:
        return self._late is not None and self._late == self._began

    def _try_all(self) -> None:
        while not self._stopped.is_set():
            began = self._began = monotonic()
            try:
                self._probe()
                error = None
            except KosmoError as failed:
                error = failed
            self._error, self._began = error, None
            self.note(monotonic() - began, error)
            self._stopped.wait(INTERVAL)

    def _watch(self) -> None:
        """Tell once of each try that takes too long, looked at several times, lest this whole process stood still."""
        seen, looks = None, 0
        while not self._stopped.wait(LIMIT / LOOKS):
            began = self._began
            seen, looks = began, looks + 1 if began == seen else 0
            if began is not None and looks == LOOKS:
                self._late = began
                self._lost()
