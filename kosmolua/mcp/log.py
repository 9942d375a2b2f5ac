"""Logging: writes the warnings of the MCP SDK and other libraries as sentences to standard error."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

REPEAT_INTERVAL = 60.0
"""Seconds during which the same sentence is not written again."""
MAX_SENTENCES = 1_000


class Sentences(logging.Handler):
    """Writes each warning as one sentence, without a traceback, and not twice within a minute."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._write = write
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().partition("\n")[0]
        if record.exc_info and record.exc_info[1]:
            message += f" ({_cause_of(record.exc_info[1])})"
        now = time.monotonic()
        if now - self._written.get(message, -REPEAT_INTERVAL) < REPEAT_INTERVAL:
            return
        if len(self._written) >= MAX_SENTENCES:
            self._written.clear()
        self._written[message] = now
        self._write(message)


def log_in_sentences(write: Callable[[str], None]) -> None:
    """Make :class:`Sentences` the only handler of the root logger."""
    logging.getLogger().handlers = [Sentences(write)]


def _cause_of(error: BaseException) -> str:
    """Return type and text of an error, or of a group's first."""
    while inner := getattr(error, "exceptions", ()):
        error = inner[0]
    return f"{type(error).__name__}: {error}".removesuffix(": ")
