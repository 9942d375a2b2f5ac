"""What an MCP server prints and logs: all goes to the trace, the last lines into error messages."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeAlias

Trace: TypeAlias = Callable[[str, str], None]
"""A function that shows the user a line. It is called with the name of the server and the line."""

MAX_KEPT_LINES = 5
"""If a server ends with an error, the user is shown this number of the lines that the server printed last."""
MAX_TOLD = 1_000
"""The maximum number of a server's lines that are passed to the trace per minute. Further lines are dropped."""


class ServerLog:
    """The lines of one server."""

    def __init__(self, name: str, trace: Trace | None) -> None:
        self._name = name
        self._trace = trace
        self._printed: deque[str] = deque(maxlen=MAX_KEPT_LINES)
        self._told, self._told_since = 0, monotonic()

    @property
    def is_shown(self) -> bool:
        """Whether the user sees the lines."""
        return self._trace is not None

    @property
    def last(self) -> str | None:
        """The last lines that the server printed, on one line; None if there are none."""
        return " / ".join(self._printed) or None

    def write(self, line: str) -> None:
        """Pass a line to the trace, unless there were too many in this minute."""
        if self._trace is None:
            return
        now = monotonic()
        if now - self._told_since > 60:
            self._told, self._told_since = 0, now
        self._told += 1
        if self._told <= MAX_TOLD:
            self._trace(self._name, line)
        elif self._told == MAX_TOLD + 1:
            self._trace(self._name, "(too many lines: further ones are not shown for up to a minute)")

    def write_printed(self, line: str) -> None:
        """Keep a printed line, and pass it to the trace."""
        self._printed.append(line)
        self.write(line)

    async def write_message(self, params: Any) -> None:
        """Pass on a log message, the parameters of a notification."""
        self.write(f"{params.level}: {params.data}")

    async def write_progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Pass on the progress of a request."""
        share = f"{progress:g}/{total:g}" if total else f"{progress:g}"
        self.write(f"progress {share}{f': {message}' if message else ''}")

    @contextmanager
    def taking_warnings(self) -> Iterator[None]:
        """Take over what the SDK logs about this server in the block and in tasks started there: first lines of
        warnings.

        Otherwise these records would go to the program's own handlers, by default with tracebacks to standard error.
        """
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[ServerLog | None] = ContextVar("server_log", default=None)
"""The log of the server that the current task works for; None in the program's other tasks and threads."""
_SDK = re.compile(r"client|mcp(\..+)?")
"""The names of the SDK's loggers. One of its modules has the logger ``client``."""


def divert_warnings() -> None:
    """Make the SDK's loggers obey :meth:`ServerLog.taking_warnings`; call it when the SDK's modules are loaded.

    Other records stay as they are: they belong to the program, which can have its own MCP connections.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and _SDK.fullmatch(name):
            logger.addFilter(_divert)


def _divert(record: logging.LogRecord) -> bool:
    """Write a warning to the log whose block is running, and return False to drop it; True without a block."""
    log = _current.get()
    if log and record.levelno >= logging.WARNING:
        log.write(record.getMessage().partition("\n")[0])
    return log is None


def words_of(error: BaseException) -> str:
    """Return the text of an error, or of a group's first, on one line."""
    while inner := getattr(error, "exceptions", ()):
        error = inner[0]
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__
