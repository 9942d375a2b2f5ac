"""Imports plugins within a time limit, and finds the line of a plugin's code in which an error happened."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
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


GROUP = "kosmolua.integrations"
_METADATA = (".dist-info", ".egg-info")


@dataclass(frozen=True)
class EntryPoint:
    """An entry point of an installed package: ``MODULE:OBJECT``, and what imports the object."""

    value: str
    load: Callable[[], object]

    @property
    def module(self) -> str:
        return self.value.partition(":")[0].strip()


def installed_entry_points() -> dict[str, list[EntryPoint]]:
    """Return the entry points of the group ``kosmolua.integrations`` by name. Two packages can use the same name."""
    found: dict[str, list[EntryPoint]] = {}
    for text in _texts():
        for name, value in _read(text):
            found.setdefault(name, []).append(EntryPoint(value, partial(_load, value)))
    return found


def _texts() -> Iterator[str]:
    """Yield the text of ``entry_points.txt`` of each package on ``sys.path``.

    Of two packages with one name only the first counts, since Python imports that one. The current folder is left out,
    so that a cloned repository cannot run code.
    """
    seen = set()
    for place in sys.path:
        for entry, text in _in_folder(place) if os.path.isdir(place) else _in_archive(place):
            package = os.path.splitext(entry)[0].partition("-")[0].lower()
            if package not in seen:
                seen.add(package)
                yield text


def _in_folder(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each metadata folder, such as ``x-1.0.dist-info``, and its ``entry_points.txt``."""
    for entry in () if _is_here(folder) else _entries(folder):
        if entry.endswith(_METADATA):
            yield entry, _text_of(os.path.join(folder, entry, "entry_points.txt"))


def _in_archive(file: str) -> Iterator[tuple[str, str]]:
    if not os.path.isfile(file):
        return
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(file) as archive:
            names = set(archive.namelist())
            for entry in sorted({name.partition("/")[0] for name in names}):
                inner = f"{entry}/entry_points.txt"
                if entry.endswith(_METADATA):
                    yield entry, archive.read(inner).decode("utf-8", "replace") if inner in names else ""
    except (OSError, BadZipFile):
        return  # Python cannot import from it either


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # Python cannot import from it either


def _is_here(folder: str) -> bool:
    try:
        return os.path.samefile(folder, os.curdir)
    except OSError:
        return False


def _text_of(file: str) -> str:
    try:
        with open(file, "rb", buffering=0) as stream:
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _read(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each entry point of :data:`GROUP`."""
    for section in ("\n" + text).split("\n[")[1:] if GROUP in text else ():
        head, _, body = section.partition("]")
        if head.strip() == GROUP:
            for line in body.splitlines():
                name, equals, value = line.partition("=")
                if equals and not name.lstrip().startswith(("#", ";")):
                    yield name.strip(), value.partition("[")[0].strip()


def _load(value: str) -> object:
    module, _, attributes = value.partition(":")
    names = filter(None, attributes.strip().split("."))
    return reduce(getattr, names, importlib.import_module(module.strip()))
