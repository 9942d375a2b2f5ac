"""The Python tracebacks of integrations that fail, shown on standard error for ``--debug``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from kosmolua.escaping import harmless


class Tracebacks(logging.Handler):
    """Writes what :func:`kosmolua.errors.log_traceback` logs, from its creation on.

    Its attribute ``redact`` is a function that masks the secrets in use.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.redact: Callable[[str], str] = str
        logger = logging.getLogger("kosmolua.integrations")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message and its traceback."""
        sys.stderr.write(harmless(self.redact(self.format(record))) + "\n")
        sys.stderr.flush()
