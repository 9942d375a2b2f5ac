"""What a run takes for its worker: a session's guest, for as long as one chunk runs in it."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock, RLock, Timer
from typing import Literal, TypeAlias

from kosmolua import wire
from kosmolua.processes import launch
from kosmolua.session.guest import Guest
from kosmolua.wire import BadFrame

SCRAP = 64 * 1024
"""Bytes to read at once of what a chunk left unread."""
PATIENCE = 5.0
"""Seconds in which a guest has to say that it gave up a chunk, before all of it is ended."""

State: TypeAlias = Literal["kept", "restored", "lost"]
"""What a chunk left: its own state, the state from before it, or none, so that a new guest was started."""


class Chunk:
    """What a run takes for its worker: a guest, for as long as one chunk runs in it.

    Args:
        guest: The guest.
        number: Which of its chunks this is, counted from 1.
    """

    def __init__(self, guest: Guest, number: int) -> None:
        self.state: State = "lost"
        self.begun = False
        self._guest = guest
        self._number = number
        self._ended = False
        self._over = False
        self._status: int | None = None
        self._sending = Lock()
        self._reading = Lock()
        self._lock = RLock()

    def send(self, line: bytes) -> None:
        """Write a frame, unless the chunk is over."""
        with self._sending:
            if self._goes_on():
                self._guest.send(line)

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the chunk's process is gone, or the chunk has ended.

        What comes then is for the next chunk, whoever still reads for this one.
        """
        with self._reading:
            if not self.begun or self._ended or self._status is not None:
                return None
            line = self._guest.read(limit)
            if line is None:
                return None
            self._status = wire.read_epitaph(line)
            self._ended = line.startswith(wire.END)
            return line if self._status is None else None

    def kill(self) -> None:
        """Have the chunk ended, if it still runs, or keep it from beginning."""
        with self._lock:
            self._over = self._over or not self.begun
        if self.begun and not self._ended:
            self._guest.stop(self._number)

    def insist(self) -> None:
        """End all processes of the session: the one that should end this chunk does not seem to hear."""
        self._guest.kill()

    def status(self) -> int:
        """Return how the chunk's process ended: negative for a signal."""
        return -launch.SIGKILL if self._status is None else self._status

    def close(self) -> None:
        """Leave the guest to the next chunk."""

    def settle(self) -> None:
        """Wait until the guest is ready for the next chunk, and note in ``state`` what it has left."""
        self.kill()
        patience = Timer(PATIENCE, self._guest.kill)
        patience.daemon = True
        patience.start()
        try:
            state = self._drain()
        finally:
            patience.cancel()
        with self._sending:
            self._over = True
        self.state = state

    def _goes_on(self) -> bool:
        """Say whether the chunk has begun, which it does now at the latest, unless it is over."""
        with self._lock:
            self.begun = self.begun or not self._over
            return not self._over

    def _drain(self) -> State:
        while self.begun and not self._ended and self._status is None:
            with suppress(BadFrame):
                if self.read(SCRAP) is None and self._status is None:
                    return "lost"
        return "kept" if self._ended else "restored"
