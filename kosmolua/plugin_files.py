"""The files of a plugin, found without running it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from kosmolua.expressions import regex

MAX_FILES = 2_000
"""The most files that are looked at."""
_NAMING = regex(r"(?m)^[ \t]*(?:from|import)\b[^\n(]*(?:\([^)]*\))?|[\"'][^\"'\s]*[\"']")
"""Matches where code names a module or a folder: an import, or a text without spaces, such as a path."""
_NAME = regex(r"[\w-]+")


def files_of(places: Iterable[str]) -> list[str] | None:
    """Return the files that belong to these modules, or are in these folders, sorted.

    To a module of a package belongs the whole package. To another one belong the modules beside it, and the folders
    beside it that an import or a path in its code, or in that of a module that it names, leads to.

    Return None if that is not known, as there are more than :data:`MAX_FILES`, or a link to a folder: links can lead in
    a circle.
    """
    found = list(islice(chain.from_iterable(map(_files, places)), MAX_FILES + 1))
    files = {each for each in found if each is not None}
    return sorted(files) if len(found) <= MAX_FILES and None not in found else None


def _files(place: str) -> Iterator[str | None]:
    folder, package = os.path.dirname(place), ""
    if not place.endswith(".py"):
        return _inside(place)
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, package = os.path.dirname(folder), folder
    return _inside(package) if package else _beside(place)


def _inside(folder: str) -> Iterator[str | None]:
    """Yield the files in a folder, and None for a link to another folder."""
    for top, names, files in os.walk(folder):
        names[:] = [name for name in names if name[0] != "." and name not in ("__pycache__", "node_modules")]
        yield from (None for name in names if os.path.islink(os.path.join(top, name)))
        yield from (os.path.join(top, file) for file in files if not file.endswith(".pyc"))


def _beside(module: str) -> Iterator[str | None]:
    entries = list(os.scandir(os.path.dirname(module)))
    modules = {each.name[:-3]: each.path for each in entries if each.name.endswith(".py") and each.is_file()}
    folders = {each.name: each.path for each in entries if each.is_dir()}
    unread = [module]
    yield from modules.values()
    while unread and folders:
        text = Path(unread.pop()).read_text("utf-8", "replace")
        names = {name for found in _NAMING.findall(text) for name in _NAME.findall(found)}
        unread += [modules.pop(name) for name in names & modules.keys()]
        for folder in [folders.pop(name) for name in names & folders.keys()]:
            for file in [None] if os.path.islink(folder) else _inside(folder):
                yield file
                unread += [file] if file and file.endswith(".py") else []
