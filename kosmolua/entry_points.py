"""Entry points: the integrations that installed packages offer, read off their metadata without importing any.

``importlib.metadata`` would say the same, but takes longer to import than the sandbox takes to boot, and longer to scan
hundreds of packages. It is asked where the import path holds an archive, into which only it looks. The file's format is
that of https://packaging.python.org/en/latest/specifications/entry-points/.
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
    for name, point in _looked_up() if any(map(os.path.isfile, sys.path)) else _scanned():
        found.setdefault(name, []).append(point)
    return found


def _looked_up() -> Iterator[tuple[str, EntryPoint]]:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        yield point.name, EntryPoint(point.value, point.load)


def _scanned() -> Iterator[tuple[str, EntryPoint]]:
    for text in _texts():
        for name, value in _read(text):
            yield name, EntryPoint(value, partial(_load, value))


def _texts() -> Iterator[str]:
    """Yield the entry points of each package; of two of the same name, those of the one that would be imported.

    The folder that the user stands in is left out, also where Python imports from it: a cloned repository runs nothing.
    """
    seen = set()
    for folder in sys.path:
        if not os.path.isdir(folder) or _is_here(folder):
            continue
        for entry in _entries(folder):
            package = os.path.splitext(entry)[0].partition("-")[0].lower()
            if entry.endswith(_METADATA) and package not in seen:
                seen.add(package)
                yield _text_of(os.path.join(folder, entry, "entry_points.txt"))


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
