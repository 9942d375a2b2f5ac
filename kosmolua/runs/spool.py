"""What a script has printed, on its way to the caller: gathered while that is busy, and held up when it is too much."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from kosmolua.limits import MIB
from kosmolua.runs.caller import Caller

MOST = MIB
"""Bytes that may be gathered. Whoever adds more waits, and with it the script."""


class Spool:
    """Hands pieces to the caller in order; those that have piled up are joined.

    Args:
        caller: The thread that the run is called from.
        give: What the caller does with a piece.
    """

    def __init__(self, caller: Caller, give: Callable[[bytes], None]) -> None:
        self._caller = caller
        self._give = give
        self._gathered = bytearray()
        self._lock = Lock()

    def add(self, piece: bytes) -> None:
        """Have a piece handed over."""
        with self._lock:
            is_wanted = bool(self._gathered)
            self._gathered += piece
            is_full = len(self._gathered) > MOST
        if is_full:
            self._caller.ask(self.empty)
        elif not is_wanted:
            self._caller.tell(self.empty)

    def empty(self) -> None:
        """Hand over what is gathered, in the caller's thread."""
        with self._lock:
            piece, self._gathered = bytes(self._gathered), bytearray()
        if piece:
            self._give(piece)
