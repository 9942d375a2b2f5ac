"""What an MCP server prints and logs: lines for the trace, and the last ones for errors."""

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

    @contextmanager
    def taking_warnings(self) -> Iterator[None]:
        """Take over what the MCP SDK logs about this server in the ``with`` block, and in tasks that begin there.

        The first line of each warning is passed on. Without this, the SDK's records would go to the handlers of the
        program, by default to standard error with tracebacks. See also :func:`divert_warnings`.
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
    """Let records of the SDK's loggers go only to the log of a server, if :meth:`ServerLog.taking_warnings` says so.

    Call this when the SDK's modules are loaded, since each has a logger. Other records are left as they are: they
    belong to the program that uses KosmoLua, which may have MCP connections of its own.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and _SDK.fullmatch(name):
            logger.addFilter(_divert)


def _divert(record: logging.LogRecord) -> bool:
    """Pass on the first line of a warning about a server. As a filter, return False if the record is about a server."""
    log = _current.get()
    if log and record.levelno >= logging.WARNING:
        log.write(record.getMessage().partition("\n")[0])
    return log is None
