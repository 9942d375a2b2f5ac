"""Imports plugins within a time limit, and finds the line of a plugin's code in which an error happened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from types import FrameType, TracebackType
from typing import Generic, TypeVar

from kosmolua.errors import PluginError, log_traceback
from kosmolua.schema.integration import collected_mistakes

LOAD_TIMEOUT = 10.0
"""Seconds that loading one plugin may take."""

T = TypeVar("T")


def guarded(load: Callable[[], T], origin: str, seconds: float = LOAD_TIMEOUT) -> T:
    """Call ``load``, which imports the plugin in the file ``origin``, and return its result.

    It runs in a separate thread, because nothing else can limit the time of an import. A thread cannot be killed: when
    the time is over, SystemExit is raised in it, which a thread that is blocked in a system call does not notice.

    Raises:
        PluginError: The import failed or took too long; its ``origin`` is the file and line where this happened.
    """
    loading = _Loading(load)
    loading.start()
    loading.join(seconds)
    if isinstance(loading.failure, PluginError):
        raise loading.failure
    if loading.failure:
        log_traceback(origin, loading.failure)
        raise _explained(loading.failure, origin) from loading.failure
    if loading.loaded:
        return loading.loaded[0]
    place = _line_in(origin, _frames_of(loading))
    _ask_to_end(loading)
    raise PluginError(
        f"the plugin took longer than {seconds:g} s to load",
        origin=place,
        hint="move long computations, waiting and connections out of the code that runs at import",
    )


class _Loading(Thread, Generic[T]):
    """The thread in which a plugin is loaded. At its end, ``loaded`` or ``failure`` is set."""

    def __init__(self, load: Callable[[], T]) -> None:
        super().__init__(name="kosmolua-load", daemon=True)
        self.loaded: tuple[T, ...] = ()
        self.failure: BaseException | None = None
        self._load = load

    def run(self) -> None:
        try:
            with collected_mistakes():
                self.loaded = (self._load(),)
        except BaseException as error:  # noqa: BLE001 - the waiting thread reports it
            self.failure = error


def _explained(error: BaseException, origin: str) -> PluginError:
    if isinstance(error, SyntaxError) and error.filename:
        return PluginError(f"the file is not valid Python: {error.msg}", origin=f"{error.filename}:{error.lineno}")
    place = _line_in(origin, _frames_in(error.__traceback__))
    return PluginError(f"the plugin failed while it was loaded: {type(error).__name__}: {error}", origin=place)


def _line_in(origin: str, frames: Iterator[tuple[str, int]]) -> str:
    """Return ``file:line`` of the innermost frame in the plugin's code, else ``origin``."""
    home = str(Path(origin).parent) if origin.endswith("__init__.py") else origin
    lines = [f"{file}:{line}" for file, line in frames if file.startswith(home)]
    return lines[-1] if lines else origin


def _frames_in(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _frames_of(thread: Thread) -> Iterator[tuple[str, int]]:
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    stack = []
    while frame:
        stack.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return reversed(stack)


def _ask_to_end(thread: Thread) -> None:
    """Raise SystemExit in a thread at its next Python instruction."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
