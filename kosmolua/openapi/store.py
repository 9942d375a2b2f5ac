"""Compiled documents in the cache folder, made when they are first needed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from kosmolua import __version__
from kosmolua.concurrency import lazy
from kosmolua.errors import ConfigError
from kosmolua.folders import cache_folder
from kosmolua.openapi.naming import read_lock
from kosmolua.protocol import Json

VERSION = f"{__version__}.52"
"""The version of the compiler. Documents that a different version compiled are not used."""
MAX_KEPT = 512
"""The maximum number of a document's schemas that stay in memory after they are read."""
MAX_DETAILS = 32
"""The same for the details of functions."""
DOCUMENT, OVERLAY, LOCK = "openapi.json", "openapi.toml", "names.lock"
"""The names of the files of an imported document."""
GRAPHQL = "graphql.json.gz"
"""The name of the file with the paths and schemas of a GraphQL schema; ``scripts/graphql_facts.py`` makes it."""


class FunctionRow(NamedTuple):
    """A function in lists and search results."""

    name: str
    key: str
    effect: str
    section: str
    summary: str
    words: str
    parameters: str


class Home(NamedTuple):
    """The files of a document; overlay and lock can be None."""

    document: Path
    overlay: Path | None = None
    lock: Path | None = None

    @classmethod
    def of_folder(cls, folder: Path) -> Home:
        """Return the files in a folder, of which only the document must exist."""
        folder = _unpacked(folder)
        overlay, lock = folder / OVERLAY, folder / LOCK
        return cls(folder / DOCUMENT, overlay if overlay.is_file() else None, lock if lock.is_file() else None)

    @property
    def graphql(self) -> Path | None:
        file = self.document.with_name(GRAPHQL)
        return file if file.is_file() else None

    def compiled(self) -> Path:
        """Return the path of the compiled document, which need not exist.

        It depends on the compiler's version, and on the files' sizes and times: to read 20 MB at every start takes too
        long.

        Raises:
            OSError: One of these files cannot be accessed.
        """
        digest = sha256(f"{VERSION}\0{self.document.resolve()}".encode())
        for file in filter(None, (self.document, self.overlay, self.lock, self.graphql)):
            seen = os.stat(file)
            digest.update(f"\0{file.name}\0{seen.st_size}\0{seen.st_mtime_ns}".encode())
        return Path(cache_folder()) / "openapi" / f"{digest.hexdigest()[:32]}.sqlite"


class DocumentStore:
    """One compiled document, opened on first use. Any thread may use it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lock = Lock()
        self.schema = lru_cache(MAX_KEPT)(self._schema)
        """Returns the value that a reference leads to, or an empty object. Callers must not change the value."""
        self.detail = lru_cache(MAX_DETAILS)(self._detail)
        """Returns a function's row and its other details, or None. Callers must not change them."""

    @property
    def is_compiled(self) -> bool:
        """True if the cache has the document. So it is for one that cannot be read, which nothing compiles."""
        try:
            return self.home.compiled().is_file()
        except OSError:
            return True

    @lazy
    def database(self) -> sqlite3.Connection:
        """The connection; raise ConfigError if the document or the overlay cannot be read."""
        try:
            file = self.home.compiled()
        except OSError as error:
            raise ConfigError(f"{self.home.document} cannot be read: {error.strerror}") from None
        if not file.is_file():
            try:
                compile_to(self.home, file)
            except OSError:  # without a writable cache, the document is compiled once in each process
                return compile_in_memory(self.home)
        return sqlite3.connect(f"file:{_escaped(file)}?mode=ro", uri=True, check_same_thread=False)

    def meta(self, key: str) -> Any:
        """Return ``title``, ``access``, ``errors``, ``total`` or ``notes`` of :class:`.compiling.Compiled`, as JSON."""
        (value,) = self._one("select value from meta where key = ?", key) or ("null",)
        return json.loads(value)

    def _detail(self, name: str) -> tuple[FunctionRow, dict[str, Any]] | None:
        found = self._one(
            "select name, key, effect, section, summary, words, parameters, detail from functions where name = ?", name
        )
        return (FunctionRow(*found[:-1]), json.loads(found[-1])) if found else None

    def named(self, key: str) -> str | None:
        """Return the function for a key or id, or None."""
        found = self._one("select name from functions where key = ?1 or id = ?1 order by key <> ?1", key)
        return str(found[0]) if found else None

    def covering(self, key: str) -> str | None:
        """Return the Python function that covers an operation, by its key, id or possible name, or None."""
        statement = "select by_ from covered where key = ?1 or id = ?1 or name = ?1 order by key <> ?1, id <> ?1"
        found = self._one(statement, key)
        return str(found[0]) if found else None

    def has(self, name: str) -> bool:
        return self._one("select 1 from functions where name = ?", name) is not None

    def rows(self) -> Iterator[FunctionRow]:
        """Yield the rows in the order of the document."""
        statement = "select name, key, effect, section, summary, words, parameters from functions order by place"
        with self._lock:
            found = self.database.execute(statement).fetchall()
        return (FunctionRow(*each) for each in found)

    def names(self) -> list[str]:
        with self._lock:
            return [name for (name,) in self.database.execute("select name from functions order by place")]

    def keys(self, beginning: str) -> list[str]:
        """Return the keys that begin with a text, in the order of the document."""
        statement = "select key from functions where key >= ? and key < ? order by place"
        with self._lock:
            return [key for (key,) in self.database.execute(statement, (beginning, f"{beginning}\U0010ffff"))]

    def _schema(self, pointer: str) -> Json:
        found = self._one("select value from schemas where pointer = ?", pointer)
        value: Json = json.loads(found[0]) if found else {}
        return value

    def pointers(self) -> list[str]:
        """Return all references in functions' schemas."""
        with self._lock:
            return [pointer for (pointer,) in self.database.execute("select pointer from schemas")]

    def _one(self, statement: str, *values: str) -> tuple[Any, ...] | None:
        with self._lock:
            found: tuple[Any, ...] | None = self.database.execute(statement, values).fetchone()
            return found


def _unpacked(folder: Path) -> Path:
    """Return a folder, or its copy in the cache if it is inside a zipped wheel."""
    archive = next((each for each in folder.parents if each.is_file()), None)
    if archive is None:
        return folder
    from tempfile import TemporaryDirectory
    from zipfile import ZipFile

    seen, inside = os.stat(archive), folder.relative_to(archive).as_posix()
    digest = sha256(f"{archive.resolve()}\0{seen.st_size}\0{seen.st_mtime_ns}\0{inside}".encode())
    copy = Path(cache_folder()) / "openapi" / digest.hexdigest()[:32]
    if not copy.is_dir():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with ZipFile(archive) as zipped, TemporaryDirectory(dir=copy.parent) as place:
            names = [f"{inside}/{name}" for name in (DOCUMENT, OVERLAY, LOCK, GRAPHQL)]
            zipped.extractall(place, [name for name in names if name in zipped.namelist()])
            with suppress(OSError):  # another process was faster
                os.replace(Path(place) / inside, copy)
    return copy


def compile_to(home: Home, file: Path) -> None:
    """Compile a document to a file.

    Raises:
        ConfigError: The document or the overlay cannot be read.
        OSError: The file cannot be written.
    """
    from kosmolua.openapi.compiling import compiled, write

    root, overlay, kept = load(home)
    write(compiled(root, overlay, kept), root, file)


def compile_in_memory(home: Home) -> sqlite3.Connection:
    """Compile a document to a database in memory; raise ConfigError if the document or the overlay cannot be read."""
    from kosmolua.openapi.compiling import compiled, fill_database

    root, overlay, kept = load(home)
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    fill_database(database, compiled(root, overlay, kept), root)
    return database


def load(home: Home) -> tuple[dict[str, Any], Any, Mapping[str, str]]:
    """Return a document, its overlay and the kept names; raise ConfigError if a file cannot be read, or is invalid."""
    from kosmolua.openapi.document import read
    from kosmolua.openapi.overlay import Overlay, read_overlay

    try:
        root = read(home.document.read_bytes(), str(home.document))
        if home.graphql:
            root = _with_graphql(root, home.graphql)
        kept = read_lock(home.lock.read_text(encoding="utf-8")) if home.lock else {}
    except OSError as error:
        raise ConfigError(f"{home.document} cannot be read: {error.strerror}") from None
    return root, read_overlay(str(home.overlay)) if home.overlay else Overlay(), kept


def _with_graphql(root: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a document with the paths and schemas of a GraphQL schema."""
    import gzip

    more = json.loads(gzip.decompress(file.read_bytes()))
    components = {**root.get("components", {}), **more["components"]}
    return {**root, "paths": {**root["paths"], **more["paths"]}, "components": components}


def _escaped(file: Path) -> str:
    from urllib.parse import quote

    return quote(str(file))
