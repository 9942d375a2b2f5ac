"""Writes the Python tracebacks of failing integrations to standard error, for the option ``--debug``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from kosmolua.escaping import harmless


class Tracebacks(logging.Handler):
    """A logging handler that writes the tracebacks that :func:`kosmolua.errors.log_traceback` logs.

    It registers itself. ``redact`` masks secrets in a text: set it as soon as there is a runtime, which knows them.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.redact: Callable[[str], str] = str
        logger = logging.getLogger("kosmolua.integrations")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a logged message and its traceback, with secrets masked."""
        sys.stderr.write(harmless(self.redact(self.format(record))) + "\n")
        sys.stderr.flush()
