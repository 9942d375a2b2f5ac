"""The live line: how a long run goes, below everything else on the terminal. It leaves nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, RLock, Thread
from typing import TextIO

from kosmolua.cli import show
from kosmolua.cli.printed import Printed
from kosmolua.journal import Record

ERASE = "\r\x1b[2K"
USUAL_WIDTH = 80


class Live:
    """Shows the line, once the run has lasted for a while, until its ``with`` block ends.

    Args:
        terminal: Where it is drawn.
        printed: Writes what the script prints.
        after: Seconds before it first shows.
        every: Seconds from one drawing to the next.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        terminal: TextIO,
        printed: Printed,
        *,
        after: float = 1.0,
        every: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._printed = printed
        self._after = after
        self._every = every
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._under_way: set[int] = set()
        self._shown = False
        self._asides = 0
        self._lock = RLock()
        self._over = Event()
        self._thread = Thread(target=self._keep_drawing, name="kosmolua-live", daemon=True)

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:
            self._erase()

    def note(self, record: Record) -> None:
        """Count a call that starts or ends."""
        with self._lock:
            if record.status == "running":
                self._under_way.add(id(record))
            else:
                self._under_way.discard(id(record))
                self._done += 1

    def write(self, piece: bytes) -> None:
        """Write what the script prints, where the line is not."""
        with self._lock:
            self._erase()
            self._printed.write(piece)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep the line away while something else is written or asked."""
        with self._lock:
            self._erase()
            self._asides += 1
        try:
            yield
        finally:
            with self._lock:
                self._asides -= 1

    def draw(self) -> None:
        """Draw the line anew, where it may be seen now."""
        with self._lock:
            if self._asides or self._printed.mid_line or self._clock() - self._started < self._after:
                return
            text = show.styled(self._text()[: _width(self._terminal) - 1], "dim", self._terminal)
            self._write(ERASE + text)
            self._shown = True

    def _keep_drawing(self) -> None:
        while not self._over.wait(self._every):
            self.draw()

    def _text(self) -> str:
        calls = "1 call done" if self._done == 1 else f"{self._done} calls done"
        return f"{calls}, {len(self._under_way)} under way, {_spell(self._clock() - self._started)}"

    def _erase(self) -> None:
        if self._shown:
            self._write(ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()


def _spell(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _width(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError):
        return USUAL_WIDTH
