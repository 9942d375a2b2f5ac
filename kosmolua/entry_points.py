"""Entry points: the integrations that installed packages offer, read off their metadata without importing any.

``importlib.metadata`` would say the same, but takes longer to import than the sandbox takes to boot, and longer to scan
hundreds of packages. The file's format is that of https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce

GROUP = "kosmolua.integrations"
_METADATA = (".dist-info", ".egg-info")


@dataclass(frozen=True)
class EntryPoint:
    """An installed entry point: its value, and what imports it."""

    value: str
    load: Callable[[], object]

    @property
    def module(self) -> str:
        """The name of its module."""
        return self.value.partition(":")[0].strip()


def installed_entry_points() -> dict[str, list[EntryPoint]]:
    """Return the entry points of the group ``kosmolua.integrations`` by name; several where packages share a name."""
    found: dict[str, list[EntryPoint]] = {}
    for text in _texts():
        for name, value in _read(text):
            found.setdefault(name, []).append(EntryPoint(value, partial(_load, value)))
    return found


def _texts() -> Iterator[str]:
    """Yield the entry points of each package; of two of the same name, those of the one that would be imported.

    The folder that the user stands in is left out, also where Python imports from it: a cloned repository runs nothing.
    """
    seen = set()
    for place in sys.path:
        for entry, text in _in_folder(place) if os.path.isdir(place) else _in_archive(place):
            package = os.path.splitext(entry)[0].partition("-")[0].lower()
            if package not in seen:
                seen.add(package)
                yield text


def _in_folder(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each package's metadata, and its entry points."""
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
        return  # Python imports nothing from it either


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # Python imports nothing from it either


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
    """Yield name and value of each entry point of the group."""
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
