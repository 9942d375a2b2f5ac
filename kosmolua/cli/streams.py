"""Standard input and output, which only the command line uses.

For integrations, standard input is empty, and what they print goes to standard error.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import contextmanager

from kosmolua.errors import UsageError
from kosmolua.processes.launch import STANDARD_DESCRIPTORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO, TextIO

MAX_ANSWER = 4096
POLL_INTERVAL = 0.1
"""Seconds between two checks for Ctrl-C while waiting for a line."""


class OutputLost(OSError):
    """Raised when standard output cannot be written."""


class Standard:
    """The standard input and output of the program, as the command line uses them.

    At first they are the file descriptors 0 and 1. After :meth:`set_apart`, they are copies of these descriptors that
    integrations do not know.
    """

    def __init__(self) -> None:
        self.input, self.output = 0, 1
        self._empty = -1
        self._reader: BinaryIO | None = None
        self._terminal: int | None = None

    @property
    def is_shown(self) -> bool:
        """True if standard output is a terminal."""
        return os.isatty(self.output)

    @property
    def is_typed(self) -> bool:
        """True if standard input is a terminal."""
        return os.isatty(self.input)

    @property
    def answers(self) -> int | None:
        """The descriptor of the terminal where a person answers, even if standard input is a pipe, or None."""
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
        """True if standard output can be written; False if it was closed when the program started."""
        try:
            os.write(self.output, b"")
        except OSError:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Write data to standard output, without a buffer; raise OutputLost if the output cannot be written."""
        while data:
            data = data[_write(self.output, data) :]

    @property
    def reader(self) -> BinaryIO:
        """Standard input as a binary stream."""
        self._reader = self._reader or os.fdopen(self.input, "rb", closefd=False)
        return self._reader

    @contextmanager
    def reading(self, if_closed: str) -> Iterator[BinaryIO]:
        """Yield standard input as a binary stream; ``if_closed`` is such as "there is no script to read".

        Raises:
            UsageError: Standard input is closed, or cannot be read.
        """
        if sys.stdin is None:
            raise UsageError(f"Standard input is closed, so {if_closed}")
        try:
            yield self.reader
        except OSError as error:
            raise UsageError(f"Standard input cannot be read: {error.strerror}") from None

    @contextmanager
    def opened(self, path: str | Path, subject: str, if_closed: str) -> Iterator[BinaryIO]:
        """Yield a file that the user named, or standard input, as a binary stream; ``subject`` names it in messages.

        Raises:
            UsageError: The file cannot be read.
        """
        if names_standard_input(path):
            with self.reading(if_closed) as stream:
                yield stream
            return
        try:
            with open(path, "rb") as file:
                yield file
        except OSError as error:
            raise UsageError(f"{subject} cannot be read: {error.strerror}") from None
        except ValueError:
            raise UsageError(f"{subject} cannot be read: it is not a path") from None

    def read_line(self) -> bytes:
        """Return the next line of standard input, or empty bytes at the end of input."""
        if self.is_typed:
            _wait_for(self.input)
        return self.reader.readline()

    def read_answer(self) -> bytes:
        """Return the next line that a person types at the terminal, or empty bytes at the end of input."""
        descriptor = self.answers
        if descriptor is None or descriptor == self.input:
            return self.read_line()
        _wait_for(descriptor)
        return os.read(descriptor, MAX_ANSWER)  # a terminal gives a line at a time

    def set_apart(self) -> None:
        """Make standard input empty, and redirect standard output to standard error, for everything but this object.

        Integrations, and the programs that they start, then cannot read the user's input or mix text into the output.
        """
        if self.output == 1:
            self.input, self.output = os.dup(0), os.dup(1)
            self._empty = _open_empty()
        _redirect(self._empty, sys.stderr.fileno())

    @contextmanager
    def apart(self) -> Iterator[None]:
        """In the ``with`` block, keep integrations from the user's input and output, as :meth:`set_apart` does."""
        self.set_apart()
        try:
            yield
        finally:
            _redirect(self.input, self.output)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """In the ``with`` block, let libraries use the user's input and output, even after :meth:`set_apart`."""
        _redirect(self.input, self.output)
        try:
            yield
        finally:
            self.set_apart()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """In the ``with`` block, let libraries ask the person at the terminal, even if standard input is a pipe."""
        self.set_apart()
        answers = self.answers
        _redirect(self.input if answers is None else answers, self.output)
        try:
            yield
        finally:
            self.set_apart()


standard = Standard()


def names_standard_input(path: str | Path) -> bool:
    """Return True if a path that the user named stands for standard input."""
    return str(path) in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def replace_closed_streams() -> None:
    """Open a substitute for each standard stream that was closed when the program started.

    Without it, a file or pipe that the program opens later would get the descriptor of the closed stream. Writing to a
    closed standard output still fails. Text written to a closed standard error is lost.
    """
    while (descriptor := _open_empty()) < STANDARD_DESCRIPTORS:
        continue
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or _open_discarding()


def guard_output() -> None:
    """Replace ``sys.stdout`` with a stream that raises :class:`OutputLost` if standard output cannot be written.

    The stream writes a character that its encoding lacks as a backslash escape, such as ``\\u20ac``.
    """
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
    """Return True if a descriptor is a pipe, a file or a socket, and False if it is a device such as /dev/null."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _wait_for(descriptor: int) -> None:
    """Wait for a line in short system calls, since Python may notice Ctrl-C only when one returns."""
    if os.name != "nt":
        import select

        while not select.select([descriptor], [], [], POLL_INTERVAL)[0]:
            continue


def _redirect(stdin: int, stdout: int) -> None:
    sys.stdout.flush()
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)


def _open_empty() -> int:
    """Return a new file descriptor that has nothing to read and cannot be written to."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:  # a bare chroot has no /dev/null
        reading, writing = os.pipe()
        os.close(writing)
        return reading


def _open_discarding() -> TextIO:
    try:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    except OSError:
        import tempfile

        return tempfile.TemporaryFile("w")
