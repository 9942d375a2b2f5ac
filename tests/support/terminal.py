"""A real pseudo-terminal with a program in it, and what a person would see on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

from support.forked import take_terminal
from support.processes import eventually

TIMEOUT = 60.0
"""Seconds in which the screen has to show what is waited for."""
GLANCE = 0.05
READING = ("wait_woken", "n_tty_read", "poll_schedule_timeout", "")
"""Where in Linux a program sleeps that reads from a terminal. Elsewhere nothing is known."""


class Terminal:
    """Runs a program in a terminal while a ``with`` block lasts.

    Args:
        command: The program and its arguments.
        environment: Its variables; ``TERM`` is xterm-256color unless they say otherwise.
        columns: The width.
        lines: The height.

    ``raw`` is everything that the program wrote; ``status`` is its exit status once :meth:`wait` has returned.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
    ) -> None:
        self.raw = b""
        self.status: int | None = None
        self._command = [str(word) for word in command]
        self._environment = {"TERM": "xterm-256color", **environment}
        self._size = struct.pack("HHHH", lines, columns, 0, 0)
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=1.0)
        self._screen.write_process_input = lambda data: self.send(data)  # answers where the cursor is
        self._stream = pyte.ByteStream(self._screen)

    def __enter__(self) -> Terminal:
        self._terminal, program = pty.openpty()
        fcntl.ioctl(program, termios.TIOCSWINSZ, self._size)
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=program,
            stdout=program,
            stderr=program,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(program)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._terminal, text.encode())

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def screen(self) -> list[str]:
        """Return the lines that are seen now, without the blanks at their ends and the empty ones below."""
        return _trimmed(self._screen.display)

    def everything(self) -> list[str]:
        """Return the lines that are seen now and those that went off above."""
        above = [
            "".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top
        ]
        return _trimmed([*above, *self._screen.display])

    def until(self, seen: str | Callable[[], bool], patience: float = TIMEOUT) -> list[str]:
        """Read until a text is on the screen, or until something holds, and return the screen."""
        holds = seen if callable(seen) else lambda: any(seen in line for line in self.screen())
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, "\n".join([f"never seen: {seen!r}", *self.everything()])
            is_alive = self._is_alive()  # what it writes before it ends is read after this
            assert self._read(GLANCE) or is_alive, "\n".join([f"ended before {seen!r}", *self.everything()])
        return self.screen()

    def until_asked(self, question: str) -> None:
        """Read until a question is on the screen and, as far as the system tells, the program waits for an answer."""
        self.until(question)
        eventually(lambda: self._sleeps_in() in READING, seconds=5)

    def wait(self, react: Callable[[], None] = lambda: None) -> int:
        """Read to the end and return the exit status.

        Args:
            react: Called after each piece that is read.
        """
        deadline = time.monotonic() + TIMEOUT
        while self._is_alive():
            assert time.monotonic() < deadline, "\n".join(["it never ended", *self.everything()])
            self._read(GLANCE)
            react()
        while self._read(GLANCE):
            continue
        assert self.status is not None
        return self.status

    def _read(self, patience: float) -> bool:
        if not select.select([self._terminal], [], [], patience)[0]:
            return False
        try:
            piece = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)

    def _sleeps_in(self) -> str:
        """Return the function of the kernel in which the program's main thread sleeps, or nothing."""
        try:
            return (
                Path(f"/proc/{self._process.pid}/wchan").read_text().partition(".")[0]
            )  # a compiler adds ``.constprop.0``
        except OSError:
            return ""

    def _is_alive(self) -> bool:
        self.status = self._process.poll()
        return self.status is None


def _trimmed(lines: Sequence[str]) -> list[str]:
    seen = [line.rstrip() for line in lines]
    while seen and not seen[-1]:
        seen.pop()
    return seen
