"""What scripts print, on its way to the user."""

from __future__ import annotations

import codecs
import re

from kosmolua.cli.streams import standard
from kosmolua.spelling import harmless

_PASSES = re.compile(r"(\x1b\[[0-9;]{0,40}m|\r)")
"""Colours, and the return to the beginning of a line, which is the script's own."""
_BEGUN = re.compile(r"\x1b(\[[0-9;]{0,40})?\Z")
PLAIN = "\x1b[0m"


class Printed:
    """Writes it: to a pipe or a file as it is; to a terminal as text and colours, with all else spelled out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._begun = ""
        self._coloured = False
        self.mid_line = False
        """Whether a line on a terminal has not ended."""

    def write(self, piece: bytes) -> None:
        """Write a piece, but for a character or a colour at its end that the next piece may complete."""
        if standard.is_shown:
            self._show(self._begun + self._decoder.decode(piece))
        else:
            standard.write(piece)

    def settle(self) -> None:
        """Show what was begun, and end the line and its colours, before something else is on the terminal."""
        rest = self._begun + self._decoder.decode(b"", final=True)
        end = PLAIN * self._coloured + "\n" * (self.mid_line or bool(rest))
        standard.write((harmless(rest) + end).encode())
        self._begun, self._coloured, self.mid_line = "", False, False

    def _show(self, text: str) -> None:
        begun = _BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        whole = text[: len(text) - len(self._begun)]
        tame = _tame(whole)
        standard.write(tame.encode())
        self._coloured = self._coloured or "\x1b" in tame
        self.mid_line = not tame.endswith("\n") if tame else self.mid_line


def _tame(text: str) -> str:
    parts = _PASSES.split(text)
    parts[::2] = map(harmless, parts[::2])
    return "".join(parts)
