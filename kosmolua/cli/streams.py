"""The user's standard input and output. Integrations reach neither: they read nothing, and print to standard error."""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import contextmanager

from kosmolua.processes.launch import STANDARD_DESCRIPTORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, TextIO

MAX_ANSWER = 4096
POLL_INTERVAL = 0.1
"""Seconds between two looks at whether Ctrl-C was pressed while a line is awaited."""


class OutputLost(OSError):
    """Standard output cannot be written."""


class Standard:
    """The user's input and output: descriptors 0 and 1, and copies of them once integrations have those two."""

    def __init__(self) -> None:
        self.input, self.output = 0, 1
        self._empty = -1
        self._reader: BinaryIO | None = None
        self._terminal: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the output is a terminal."""
        return os.isatty(self.output)

    @property
    def is_typed(self) -> bool:
        """Whether the input is a terminal."""
        return os.isatty(self.input)

    @property
    def answers(self) -> int | None:
        """The descriptor from which a person's answers are read, or None if nobody is there.

        It is the input, or where that is a pipe or a file, the terminal that the program was started from.
        """
        if self.is_typed:
            return self.input
        if self._terminal is None and _is_data(self.input):
            try:
                self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            except OSError:
                return None
        return self._terminal

    @property
    def is_writable(self) -> bool:
        """Whether the output is open; one that the caller closed is not."""
        try:
            os.write(self.output, b"")
        except OSError:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Write all data, unbuffered.

        Raises:
            OutputLost: The output cannot be written.
        """
        while data:
            data = data[_write(self.output, data) :]

    @property
    def reader(self) -> BinaryIO:
        """The input as a stream."""
        self._reader = self._reader or os.fdopen(self.input, "rb", closefd=False)
        return self._reader

    def read_line(self) -> bytes:
        """Return the next line, or nothing at the end."""
        if self.is_typed:
            _wait_for(self.input)
        return self.reader.readline()

    def read_answer(self) -> bytes:
        """Return the next line that a person types, or nothing at the end."""
        descriptor = self.answers
        if descriptor is None or descriptor == self.input:
            return self.read_line()
        _wait_for(descriptor)
        return os.read(descriptor, MAX_ANSWER)  # a terminal gives a line at a time

    def set_apart(self) -> None:
        """From now on, keep both from integrations and the programs that they start."""
        if self.output == 1:
            self.input, self.output = os.dup(0), os.dup(1)
            self._empty = _open_empty()
        _redirect(self._empty, sys.stderr.fileno())

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep both from integrations until the ``with`` block ends."""
        self.set_apart()
        try:
            yield
        finally:
            _redirect(self.input, self.output)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Let libraries that know only ``sys.stdin`` and ``sys.stdout`` use both until the ``with`` block ends."""
        _redirect(self.input, self.output)
        try:
            yield
        finally:
            self.set_apart()


standard = Standard()


def replace_closed_streams() -> None:
    """Open something in place of each standard stream that the caller closed, so that no pipe gets its number.

    Writing to a closed standard output fails as before. What is written to a closed standard error is lost.
    """
    while (descriptor := _open_empty()) < STANDARD_DESCRIPTORS:
        continue
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or _open_discarding()


def guard_output() -> None:
    """Make writes to ``sys.stdout`` raise :class:`OutputLost` on failure, and replace unencodable characters."""
    raw = _Output(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), sys.stdout.encoding, errors="backslashreplace", line_buffering=True
    )


class _Output(io.FileIO):
    def write(self, data: bytes) -> int:  # type: ignore[override]
        return _write(self.fileno(), data)


def _write(descriptor: int, data: bytes) -> int:
    try:
        return os.write(descriptor, data)
    except OSError as error:
        raise OutputLost(error.errno, error.strerror) from None


def _is_data(descriptor: int) -> bool:
    """Return True for a pipe, a file or a socket, and False for a device such as /dev/null."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _wait_for(descriptor: int) -> None:
    """Wait until a terminal has a line, in short steps: Ctrl-C just before a system call is noticed only after it."""
    if os.name != "nt":
        import select

        while not select.select([descriptor], [], [], POLL_INTERVAL)[0]:
            continue


def _redirect(stdin: int, stdout: int) -> None:
    """Replace the files behind standard input and output."""
    sys.stdout.flush()
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)


def _open_empty() -> int:
    """Return a new descriptor from which nothing can be read, and to which nothing can be written."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:  # a bare chroot has no /dev/null
        reading, writing = os.pipe()
        os.close(writing)
        return reading


def _open_discarding() -> TextIO:
    """Return a stream that discards everything."""
    try:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    except OSError:
        import tempfile

        return tempfile.TemporaryFile("w")
