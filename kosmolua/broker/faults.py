"""Faults: an integration's unexpected exceptions as errors, with less detail for the script than for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kosmolua.errors import KosmoError, PluginFault, log_traceback

MAX_TEXT = 300
"""Characters of an exception's text; a longer one is cut."""


@contextmanager
def blaming(path: str, origin: str) -> Iterator[None]:
    """Turn an exception that an integration raises into a PluginFault. A KosmoError and Ctrl-C pass unchanged.

    Args:
        path: The function that is called.
        origin: Where the integration is defined, as ``file:line``.
    """
    try:
        yield
    except (KosmoError, KeyboardInterrupt):
        raise
    except BaseException as error:
        log_traceback(path, error)
        raise _fault(path, origin, error) from error


def _fault(path: str, origin: str, error: BaseException) -> PluginFault:
    kind, text = type(error).__name__, _text_of(error)
    return PluginFault(f"{path} failed inside its integration: {kind}", detail=f"{_place_of(origin, error)}: {text}")


def _text_of(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception as another:  # noqa: BLE001 - the exception's own __str__ may fail
        text = f"its text cannot be had, {type(another).__name__}"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _place_of(origin: str, error: BaseException) -> str:
    """Return the file and line in the integration's own code at which an exception was raised or passed last."""
    folder = Path(origin.rpartition(":")[0]).parent
    place, step = origin, error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if Path(file).is_relative_to(folder):
            place = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return place
