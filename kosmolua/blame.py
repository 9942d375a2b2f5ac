"""What is said of an exception that an integration did not mean to raise: to the user more than to the script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kosmolua.errors import KosmoError, PluginError, PluginFault

LONGEST_TEXT = 300
_OF_THE_HOST = re.compile(r"[<>/\\]|0x[0-9a-f]{4}")
"""What a Python repr, an address in memory or a path has in it."""


@contextmanager
def blaming(path: str, origin: str) -> Iterator[None]:
    """Turn whatever an integration raises into a PluginFault, but for its own refusals and Ctrl-C.

    Args:
        path: The function that is called.
        origin: Where the integration is defined, as ``file:line``.
    """
    try:
        yield
    except (KosmoError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _fault(path, origin, error) from error


def unloadable(name: str, error: PluginError) -> PluginFault:
    """Return what a call hears of an integration that cannot be loaded."""
    return _shared(f"The integration {name} cannot be loaded", "", error.origin, error.message)


def _fault(path: str, origin: str, error: BaseException) -> PluginFault:
    subject = f"{path} failed inside its integration"
    return _shared(subject, f": {type(error).__name__}", _place_of(origin, error), _text_of(error))


def _shared(subject: str, kind: str, place: str, text: str) -> PluginFault:
    """Return a fault whose text is for the script too, unless there is something of the host in it."""
    if _OF_THE_HOST.search(text):
        return PluginFault(f"{subject}{kind}", detail=f"{place}: {text}")
    return PluginFault(f"{subject}{kind}" + (f": {text}" if text else ""), detail=place)


def _text_of(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception as another:  # noqa: BLE001 - an exception that cannot say what it is
        text = f"its text cannot be had, {type(another).__name__}"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _place_of(origin: str, error: BaseException) -> str:
    """Return the file and line in the integration's own code where an exception passed last."""
    folder = Path(origin.rpartition(":")[0]).parent
    place, step = origin, error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if Path(file).is_relative_to(folder):
            place = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return place
