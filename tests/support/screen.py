"""A terminal for commands that run in this process: fast, since nothing is started."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import nullcontext
from threading import Thread

import pytest

from kosmolua.cli.program import run_program
from kosmolua.cli.progress import StatusLine
from kosmolua.cli.streams import standard

ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|\x1b\\|\x18")
Run = Callable[..., str]


class Screen:
    """Collects what commands write to a pseudo-terminal, and answers the questions that they ask."""

    def __init__(self, columns: int, lines: int, answers: str) -> None:
        self.terminal, self.program = pty.openpty()
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.raw = b""
        self._answers = iter(answers)
        self._over = False
        self._thread = Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._over or select.select([self.terminal], [], [], 0)[0]:
            if select.select([self.terminal], [], [], 0.01)[0]:
                self.raw += os.read(self.terminal, 65536)
                if self.raw.endswith(b"[?]: ") and (answer := next(self._answers, None)):
                    os.write(self.terminal, f"{answer}\n".encode())

    def end(self) -> str:
        """Return all that was written, with its colours."""
        self._over = True
        self._thread.join()
        os.close(self.program)
        os.close(self.terminal)
        return self.raw.decode().replace("\r\n", "\n")


@pytest.fixture
def on_screen(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command of the program on a terminal, and returns what is written there."""
    for name in ("set_apart", "apart", "given_back", "asking"):
        monkeypatch.setattr(standard, name, nullcontext)
    monkeypatch.setattr(StatusLine, "draw", lambda self: None)  # it comes where the machine takes a second
    for name in ("NO_COLOR", "COLORFGBG", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, columns: int = 80, lines: int = 24, answers: str = "", **variables: str) -> str:
        screen = Screen(columns, lines, answers)
        with monkeypatch.context() as patch:
            patch.setattr(standard, "output", screen.program)
            patch.setattr(standard, "input", screen.program)
            errors = io.TextIOWrapper(io.FileIO(screen.program, "w", closefd=False), "utf-8", write_through=True)
            patch.setattr(sys, "stderr", errors)
            patch.setattr(sys, "stdout", errors)
            for name, value in {"TERM": "xterm-256color", "PAGER": "cat", "COLUMNS": str(columns), **variables}.items():
                patch.setenv(name, value)
            run_program(arguments, None)
        return screen.end()

    return run


def plain(text: str) -> str:
    """Return what a screen shows, without colours."""
    return ESCAPE.sub("", text)
