"""What an MCP server prints and logs: lines for the trace, and the last ones for errors."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeAlias

Trace: TypeAlias = Callable[[str, str], None]
"""Shows the user a line, given the name of the server and the line."""

MAX_KEPT_LINES = 5
"""How many of the last lines that a server printed are shown to the user when it ends with an error."""
MAX_TOLD = 1_000
"""The most lines of a server that are passed to the trace per minute. Further lines are dropped."""


class ServerLog:
    """The lines of one MCP server.

    Args:
        name: The name of the server.
        trace: Shows the user a line; None if the user does not want to see what servers print.
    """

    def __init__(self, name: str, trace: Trace | None) -> None:
        self._name = name
        self._trace = trace
        self._printed: deque[str] = deque(maxlen=MAX_KEPT_LINES)
        self._told, self._told_since = 0, monotonic()

    @property
    def is_shown(self) -> bool:
        """True if the user sees the lines."""
        return self._trace is not None

    @property
    def last(self) -> str | None:
        """The last lines that the server printed, on one line; None if the server printed nothing."""
        return " / ".join(self._printed) or None

    def write(self, line: str) -> None:
        """Pass a line to the trace, unless the server had too many in this minute."""
        if self._trace is None:
            return
        now = monotonic()
        if now - self._told_since > 60:
            self._told, self._told_since = 0, now
        self._told += 1
        if self._told <= MAX_TOLD:
            self._trace(self._name, line)
        elif self._told == MAX_TOLD + 1:
            self._trace(self._name, "(more than can be shown)")

    def write_printed(self, line: str) -> None:
        """Keep a line that the server's process printed, and pass the line to the trace."""
        self._printed.append(line)
        self.write(line)

    async def write_message(self, params: Any) -> None:
        """Pass on a log message that the server sent, given the parameters of the notification."""
        self.write(f"{params.level}: {params.data}")

    async def write_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Pass on how far a request has come, as the server reports it."""
        share = f"{progress:g}/{total:g}" if total else f"{progress:g}"
        self.write(f"progress {share}{f': {message}' if message else ''}")

    def take_warnings(self) -> None:
        """Take over the warnings of the MCP SDK, which would otherwise be written to standard error."""
        for name in ("mcp.client", "mcp.shared"):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [_FirstLines(self.write)], False


class _FirstLines(logging.Handler):
    """A log handler that passes the first line of each warning of the SDK to a function, without tracebacks."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the first line of a log message."""
        self._write(record.getMessage().partition("\n")[0])
