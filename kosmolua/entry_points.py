"""Entry points: what installed packages add, found without importlib.metadata, whose import takes long.

Each group has one kind of object, under the name that users write: see :doc:`plugins` of the guides.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

from kosmolua.errors import KosmoError, PluginError, log_traceback

INTEGRATIONS = "kosmolua.integrations"
COMMANDS = "kosmolua.commands"
SECRETS = "kosmolua.secrets"
STORES = "kosmolua.stores"
PROVIDERS = "kosmolua.providers"
_METADATA = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """An entry point: the name, the ``MODULE:OBJECT`` that it stands for, its package and its group."""

    name: str
    value: str
    package: str = ""
    group: str = INTEGRATIONS

    @property
    def module(self) -> str:
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """Import the module, and return the object."""
        names = filter(None, self.value.partition(":")[2].strip().split("."))
        return reduce(getattr, names, importlib.import_module(self.module))

    def failed(self, problem: str | BaseException) -> PluginError:
        """Return the error for an entry that cannot be used, which names it and its package."""
        if isinstance(problem, BaseException):
            log_traceback(self.value, problem)
            problem = f"failed: {type(problem).__name__}: {problem}"
        return PluginError(
            f"the entry {self.name} in {self.group} of the package {self.package} {problem}",
            origin=self.value,
            hint=f"correct or uninstall {self.package}",
        )


def installed(*groups: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of these groups by name. Two packages can use the same name."""
    found: dict[str, list[EntryPoint]] = {}
    for package, text in _texts():
        for group, name, value in _read(text):
            if group in groups:
                found.setdefault(name, []).append(EntryPoint(name, value, package, group))
    return found


def the_one(points: list[EntryPoint]) -> EntryPoint:
    """Return the entry point of a name; raise PluginError if several packages have it."""
    first, *others = points
    if others:
        raise first.failed(f"is one of the package {others[0].package} too")
    return first


def function_of(point: EntryPoint) -> Any:
    """Import what an entry point stands for, and return it; raise PluginError if this fails, or it cannot be called."""
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise point.failed(error) from error
    if not callable(found):
        raise point.failed("cannot be called")
    return found


def ask(point: EntryPoint, *arguments: str) -> Any:
    """Call the function that an entry point stands for, and return its result.

    Raises:
        PluginError: It cannot be imported, or raises something other than a KosmoError.
    """
    function = function_of(point)
    try:
        return function(*arguments)
    except KosmoError:
        raise
    except Exception as error:
        raise point.failed(error) from error


def _texts() -> Iterator[tuple[str, str]]:
    """Yield the name of each package on ``sys.path``, and the text of its ``entry_points.txt``.

    Of two packages with one name only the first counts, since Python imports that one. The current folder is left out,
    so that a cloned repository cannot run code.
    """
    seen = set()
    for place in sys.path:
        for entry, text in _in_folder(place) if os.path.isdir(place) else _in_archive(place):
            package = os.path.splitext(entry)[0].partition("-")[0].lower()
            if package not in seen:
                seen.add(package)
                yield package, text


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


def _read(text: str) -> Iterator[tuple[str, str, str]]:
    for section in ("\n" + text).split("\n[")[1:]:
        group, _, body = section.partition("]")
        for line in body.splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.lstrip().startswith(("#", ";")):
                yield group.strip(), name.strip(), value.partition("[")[0].strip()
