"""Documents of several files, made into one: the other files go to a key of the root, and references lead there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urljoin

from kosmolua.errors import ConfigError
from kosmolua.http.messages import origin
from kosmolua.limits import MIB
from kosmolua.protocol import Json
from kosmolua.schema.tree import SchemaTree, table, target, text

FILES = "x-files"
"""The key of the root with the other files."""
MAX_FILES = 10_000
"""The most files of a document."""
MAX_TOTAL = 64 * MIB
"""The most bytes of all files of a document."""
REFERS_ELSEWHERE = re.compile(r"""\$ref["']?\s*:\s*["']?(?![\s#"'{[])""")
"""Matches a reference to another file in the text of a document, where it may be only an example."""
VALUES = ("example", "examples", "default", "enum", "const")
"""The keys of a document whose values have no references."""
NAMED = ("properties", "responses")
"""The keys that hold parts by name, of which one may be ``example`` or ``default``."""
_HINT = "import it where all its files are, or make one of them, as by npx @redocly/cli bundle"


class Neighbours(Protocol):
    """The files to which a document can refer, by their addresses; the document's own is :attr:`own`."""

    own: str

    def address(self, base: str, reference: str) -> str:
        """Return the address of what the file at ``base`` refers to."""

    def read(self, address: str) -> bytes:
        """Return a file, or raise ConfigError."""


class FilesBelow:
    """The files below the folder of a document."""

    def __init__(self, document: Path) -> None:
        self._folder = document.resolve().parent
        self.own = document.name

    def address(self, base: str, reference: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(reference)))

    def read(self, address: str) -> bytes:
        try:
            file = (self._folder / address).resolve()
            if ":" in address or not file.is_relative_to(self._folder):
                raise ConfigError(f"{self.own} refers to {address}, which is not in its folder", hint=_HINT)
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.own} refers to {address}, which cannot be read: {error.strerror}") from None
        except ValueError:
            raise ConfigError(f"{self.own} refers to {address!r}, which is no path", hint=_HINT) from None


class FilesOfHost:
    """The files at the host of a document; ``download`` returns what is at an address."""

    def __init__(self, url: str, download: Callable[[str], bytes]) -> None:
        self.own = url
        self._download = download

    def address(self, base: str, reference: str) -> str:
        try:
            return urljoin(base, reference)
        except ValueError:
            raise ConfigError(f"{self.own} refers to {reference!r}, which is no address", hint=_HINT) from None

    def read(self, address: str) -> bytes:
        if origin(address) != origin(self.own):
            raise ConfigError(f"{self.own} refers to {address}, which is at another host", hint=_HINT)
        return self._download(address)


def bundled(root: dict[str, Any], near: Neighbours | None, parse: Callable[[bytes, str], Json], name: str) -> int:
    """Bring all files that a document refers to into it, in place, and return how many there are.

    Raises:
        ConfigError: A file cannot be read, is elsewhere, or there are too many.
    """
    keys: dict[str, str] = {}
    files: dict[str, Json] = {}
    left: list[tuple[str, Json]] = [("" if near is None else near.own, root)]
    size = 0
    while left:
        base, content = left.pop()
        for node in references_in(content):
            place, _, fragment = str(node["$ref"]).partition("#")
            if not place and content is root:
                continue
            if near is None:
                raise ConfigError(f"{name} refers to other files, such as {place}", hint=_HINT)
            address = near.address(base, place) if place else base
            if address == near.own:
                node["$ref"] = f"#{fragment}"
                continue
            if address not in keys:
                keys[address] = _key(address, files)
                data = near.read(address)
                size += len(data)
                if len(keys) > MAX_FILES or size > MAX_TOTAL:
                    raise ConfigError(f"{name} refers to more than {MAX_FILES:,} files or {MAX_TOTAL // MIB} MiB")
                files[keys[address]] = parse(data, address)
                left.append((address, files[keys[address]]))
            node["$ref"] = f"#/{FILES}/{keys[address]}{fragment.rstrip('/')}"
    if files:
        root[FILES] = files
        _put_in_place(root)
    return len(files)


def references_in(content: Json) -> Iterator[dict[str, Any]]:
    """Yield each table with a ``$ref`` in a part of a document, except in values such as examples and defaults."""
    unseen = [content]
    while unseen:
        each = unseen.pop()
        if isinstance(each, list):
            unseen.extend(each)
        elif isinstance(each, dict):
            if isinstance(each.get("$ref"), str):
                yield each
            for key, value in each.items():
                if key in NAMED and isinstance(value, dict):
                    unseen.extend(value.values())
                elif key not in VALUES and key[:2] != "x-":
                    unseen.append(value)


def _key(address: str, taken: dict[str, Json]) -> str:
    """Return a key for a file: its name without ending, or as much of its path as tells it apart."""
    parts = [re.sub(r"[^\w-]+", "_", part) for part in re.sub(r"\.\w+$", "", address).split("/") if part]
    names = ("_".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next((each for each in names if each not in taken), re.sub(r"\W", "_", address))


def _put_in_place(root: dict[str, Any]) -> None:
    """Replace references where an OpenAPI document has none, such as that of all ``paths``, by what they lead to."""
    tree = SchemaTree(partial(target, root))
    for place in ("", "components", "paths"):
        holder = table(root.get(place)) if place else root
        holder |= {key: tree.resolve(each) for key, each in holder.items() if text(table(each).get("$ref"))}
