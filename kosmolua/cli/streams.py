"""The user's standard input and output. Integrations cannot use them: they read nothing, and print to stderr."""

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
"""Seconds between two checks for Ctrl-C while waiting for a line."""


class OutputLost(OSError):
    """Standard output cannot be written."""


class Standard:
    """The user's input and output: descriptors 0 and 1, or copies of them after :meth:`set_apart`."""

    def __init__(self) -> None:
        self.input, self.output = 0, 1
        self._empty = -1
        self._reader: BinaryIO | None = None
        self._terminal: int | None = None

    @property
    def is_shown(self) -> bool:
        """True if the output is a terminal."""
        return os.isatty(self.output)

    @property
    def is_typed(self) -> bool:
        """True if the input is a terminal."""
        return os.isatty(self.input)

    @property
    def answers(self) -> int | None:
        """The descriptor from which a person's answers are read, or None if there is no terminal.

        It is the input; if that is a pipe or a file, it is the terminal that the program was started from.
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
        """True if the output is open: the caller may have closed it."""
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
        """Return the next line, or empty bytes at the end."""
        if self.is_typed:
            _wait_for(self.input)
        return self.reader.readline()

    def read_answer(self) -> bytes:
        """Return the next line that a person types, or empty bytes at the end."""
        descriptor = self.answers
        if descriptor is None or descriptor == self.input:
            return self.read_line()
        _wait_for(descriptor)
        return os.read(descriptor, MAX_ANSWER)  # a terminal gives a line at a time

    def set_apart(self) -> None:
        """From now on, keep integrations and the programs that they start from using both streams."""
        if self.output == 1:
            self.input, self.output = os.dup(0), os.dup(1)
            self._empty = _open_empty()
        _redirect(self._empty, sys.stderr.fileno())

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep integrations from using both streams until the ``with`` block ends."""
        self.set_apart()
        try:
            yield
        finally:
            _redirect(self.input, self.output)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Give ``sys.stdin`` and ``sys.stdout`` back to libraries that need them, until the ``with`` block ends."""
        _redirect(self.input, self.output)
        try:
            yield
        finally:
            self.set_apart()


standard = Standard()


def replace_closed_streams() -> None:
    """Open a substitute for each standard stream that the caller closed, so that no pipe gets its descriptor.

    Writing to a closed standard output still fails. Text written to a closed standard error is lost.
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
    """Wait until a terminal has a line, in short steps, since a system call may delay Ctrl-C until it returns."""
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
    """Return a new descriptor that can be neither read nor written."""
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
