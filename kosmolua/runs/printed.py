"""The output of a run in a server: in a temporary file as soon as it is long."""

from __future__ import annotations

import re

from kosmolua.errors import LimitExceeded
from kosmolua.limits import spell_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kosmolua.memory import Passage

KEPT = 128 * 1024
"""Bytes of output that a run of a server keeps in memory."""
COPIES = 6
"""Copies of the output that are in memory while it is answered: bytes, and texts."""
_WIDE = re.compile(rb"[\xF0-\xFF]")


class Printed:
    """Collects what a run prints; ``room`` limits how much of it is in memory."""

    def __init__(self, room: Passage) -> None:
        self._room = room
        self._head = bytearray()
        self._file: BinaryIO | None = None
        self._lost = ""
        self._size = 0
        self._width = 1

    def append(self, piece: bytes) -> None:
        """Add a piece of output."""
        self._size += len(piece)
        if not piece.isascii():
            self._width = max(self._width, 4 if _WIDE.search(piece) else 2)
        if self._lost:
            return
        if self._file is None and len(self._head) + len(piece) <= KEPT:
            self._head += piece
        else:
            try:
                self._spill(piece)
            except OSError as error:
                self._lost = f"the server cannot keep more: {error.strerror}"

    def take(self) -> tuple[bytes, LimitExceeded | None]:
        """Return the output, for which memory is reserved first, and the error to report if it was cut.

        Raises:
            TimeoutError: Nobody needs the outcome any more.
        """
        file, self._file = self._file, None
        if file is None:
            return bytes(self._head), self._cut(len(self._head)) if self._lost else None
        with file:
            kept, needed = self._size, COPIES * self._width  # one emoji makes Python keep four bytes of each character
            try:
                self._room.take(needed * kept)
            except LimitExceeded as error:
                kept = int(error.value - self._room.taken) // needed
                self._lost = f"the server has {spell_size(int(error.value))} of memory for one run"
                self._room.take(needed * kept)
            file.seek(0)
            whole = bytes(self._head) + file.read(max(kept - len(self._head), 0))
        return whole, self._cut(len(whole)) if self._lost else None

    def _spill(self, piece: bytes) -> None:
        if self._file is None:
            from tempfile import TemporaryFile

            self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - closed by take()
        rest = memoryview(piece)
        while rest and self._file:
            rest = rest[self._file.write(rest) :]

    def _cut(self, kept: int) -> LimitExceeded:
        return LimitExceeded(
            f"The output was cut after {spell_size(kept)}: {self._lost}",
            limit="output",
            value=kept,
            hint="print less",
        )
