"""Reports of checks in the cache folder, so that a script that is run again is not checked again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from kosmolua import __version__
from kosmolua.check.report import Report
from kosmolua.errors import KosmoError
from kosmolua.expressions import regex
from kosmolua.folders import cache_folder, replace_file
from kosmolua.lua.site import Site

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Catalog

MAX_KEPT = 500
"""After how many reports the older half is deleted."""
_NAME = regex(rb"\w+")
_CODE = ("check", "lua", "schema", "openapi", "catalog", "accounts")
"""The packages that decide what a report says."""


class KeptReports:
    """The reports of scripts in which nothing was found, for programs that run one script each.

    A report is used again if the script, this program's code and everything in ``key`` are the same, and the files and
    the accounts of each integration that the script names or calls. ``files`` returns the files of an integration, or
    None if they are not known. What a run needs of a report is kept: its sites, and the results that the script never
    uses.
    """

    def __init__(self, catalog: Catalog, files: Callable[[str], Iterable[str] | None], key: Sequence[object]) -> None:
        self._catalog = catalog
        self._files = files
        self._key = key

    def find(self, source: bytes) -> Report | None:
        """Return the report of a script, or None if it has to be checked."""
        try:
            with open(self._path(source), "rb") as file:
                kept = json.load(file)
            if any(self._stamp(name) != stamp for name, stamp in kept["integrations"].items()):
                return None
            return Report([], [], dropped=frozenset(kept["dropped"]), sites=[*map(_site, kept["sites"])])
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, KosmoError):
            return None

    def keep(self, source: bytes, report: Report) -> None:
        """Keep a report, unless the check found something or the files of an integration are not known."""
        if report.findings or not report.is_lua or not report.is_read:
            return
        with suppress(OSError, KosmoError):
            named = {word.decode() for word in _NAME.findall(source)}.intersection(self._catalog.names())
            called = {charge.path.rpartition(".")[0] for charge in report.bill}  # its name can have escapes
            stamps = {name: self._stamp(name) for name in named | called}
            if None in stamps.values():
                return
            sites = [
                {**each._asdict(), "walked": sorted(each.walked), "within": sorted(each.within)}
                for each in report.sites
            ]
            kept = {"integrations": stamps, "dropped": sorted(report.dropped), "sites": sites}
            path = self._path(source)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            replace_file(path, json.dumps(kept).encode())
            _delete_older(os.path.dirname(path))

    def _path(self, source: bytes) -> str:
        decides = __version__, _own_files(), source, *self._key
        digest = sha256(repr(decides).encode("utf-8", "surrogatepass")).hexdigest()
        return os.path.join(cache_folder(), "checks", f"{digest[:32]}.json")

    def _stamp(self, name: str) -> str | None:
        """Return what changes with the files or the accounts of an integration; None if the files are not known."""
        files = self._files(name)
        if files is None:
            return None
        accounts = self._catalog.accounts(name), self._catalog.default_account(self._catalog.listed(name))
        return sha256(repr(([*map(_seen, files)], accounts)).encode("utf-8", "surrogatepass")).hexdigest()


def _site(kept: Mapping[str, list[list[str | int]]]) -> Site:
    sets = {name: frozenset(kept[name]) for name in ("walked", "within")}
    return Site(**{**kept, **sets, "keys": tuple(map(tuple, kept["keys"]))})  # type: ignore[arg-type]


def _seen(file: str) -> tuple[str, int, int]:
    found = os.stat(file)
    return file, found.st_size, found.st_mtime_ns


def _own_files() -> list[tuple[str, int, int]]:
    """Return the files of the packages in ``_CODE``, which change in a checkout; OSError if they are in a zip file."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    entries = [entry for name in _CODE for entry in os.scandir(os.path.join(package, name))]
    return sorted(_seen(entry.path) for entry in entries if entry.name.endswith(".py"))


def _delete_older(folder: str) -> None:
    kept = list(os.scandir(folder))
    if len(kept) > MAX_KEPT:
        for entry in sorted(kept, key=lambda entry: entry.stat().st_mtime_ns)[: -MAX_KEPT // 2]:
            os.remove(entry.path)
