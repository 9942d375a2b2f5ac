"""The user's standard input and output. Integrations reach neither: they read nothing, and print to standard error."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class OutputLost(OSError):
    """Standard output cannot be written."""


class Standard:
    """The descriptors that are the user's: 0 and 1, and others once these two are kept for integrations."""

    def __init__(self) -> None:
        self.input, self.output = 0, 1
        self._nothing = -1
        self._reader: BinaryIO | None = None

    @property
    def is_shown(self) -> bool:
        """Whether a person sees the output as it is written."""
        return os.isatty(self.output)

    @property
    def is_typed(self) -> bool:
        """Whether a person types the input."""
        return os.isatty(self.input)

    def write(self, data: bytes) -> None:
        """Write at once and whole.

        Raises:
            OutputLost: It cannot be written.
        """
        while data:
            data = data[_write(self.output, data) :]

    @property
    def reader(self) -> BinaryIO:
        """The input, to be read."""
        self._reader = self._reader or os.fdopen(self.input, "rb", closefd=False)
        return self._reader

    def read_line(self) -> bytes:
        """Return the next line, or nothing at the end."""
        return self.reader.readline()

    def set_apart(self) -> None:
        """Keep both from integrations and the programs that they start, from now on."""
        if self.output == 1:
            self.input, self.output = os.dup(0), os.dup(1)
            self._nothing = os.open(os.devnull, os.O_RDONLY)
        _redirect(self._nothing, sys.stderr.fileno())

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
        """Let libraries that know only ``sys.stdin`` and ``sys.stdout`` use them until the ``with`` block ends."""
        _redirect(self.input, self.output)
        try:
            yield
        finally:
            self.set_apart()


standard = Standard()


def name_losses() -> None:
    """Have :class:`OutputLost` raised by all that writes to ``sys.stdout``, and no character be an error there."""
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


def _redirect(stdin: int, stdout: int) -> None:
    """Put other files in the places of standard input and output."""
    sys.stdout.flush()
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
