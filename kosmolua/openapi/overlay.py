"""The overlay of a document: the file ``openapi.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from kosmolua.http.headers import CREDENTIALS, objection
from kosmolua.http.messages import origin
from kosmolua.openapi.operations import Operation
from kosmolua.openapi.paging import KINDS
from kosmolua.schema.effects import EFFECTS, Effect
from kosmolua.schema.labels import AUDIENCES
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import objection_to_function
from kosmolua.schema.settings import (
    Check,
    SettingsFile,
    Table,
    anything,
    choice,
    fitting,
    list_of,
    origin_of_values,
    parse,
    table_of,
    texts,
)
from kosmolua.schema.types import Scalar
from kosmolua.suggestions import did_you_mean

ENCODINGS = ("json", "form", "multipart", "ndjson", "text")


@dataclass
class Overlay:
    """The parsed content of an overlay.

    Raises:
        ConfigError: An unknown key or an invalid value. It is not checked against the document.
    """

    file: str = "openapi.toml"
    tables: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        SettingsFile(self.file).read(self.tables, _OVERLAY)

    def table(self, key: str) -> Mapping[str, Any]:
        """Return a table at the top level, empty if absent."""
        found: Mapping[str, Any] = self.tables.get(key, {})
        return found

    def entry(self, operation: Operation, name: str = "") -> Mapping[str, Any]:
        """Return the entry for an operation, whose function may have a name; empty if absent."""
        told = self.table("functions")
        entries = [told[key] for key in (name, operation.key, operation.id) if key and key in told]
        return {key: value for entry in entries for key, value in entry.items()}

    def effect(self, operation: Operation, name: str) -> Effect | None:
        """Return the effect that the overlay gives to an operation, whose function may have a name."""
        listed = self.table("effects")
        own = self.entry(operation, name).get("effect")
        known = {name, operation.key, operation.id}
        return own or next((effect for effect in EFFECTS if known.intersection(listed.get(effect, ()))), None)

    def takes(self, operation: Operation) -> bool:
        """Return True if ``only`` and ``skip`` let an operation become a function."""
        only, skip = self.tables.get("only", []), self.tables.get("skip", [])
        return (not only or any(_fits(each, operation) for each in only)) and not any(
            _fits(each, operation) for each in skip
        )

    def unmatched(self, operations: Iterable[tuple[Operation, str]]) -> list[str]:
        """Return a sentence for each entry and pattern that matches no operation and no name of its function."""
        known = [(operation, name) for operation, name in operations]
        keys = {key for operation, name in known for key in (operation.key, operation.id, name) if key}
        named = [(f"[functions.{key!r}]", key) for key in self.table("functions")]
        named += [(f"{key!r} in [effects]", key) for some in self.table("effects").values() for key in some]
        sentences = [_unmatched(f"{what} matches no operation", key, keys) for what, key in named if key not in keys]
        for word in ("only", "skip"):
            for pattern in self.tables.get(word, []):
                if not any(_fits(pattern, operation) for operation, _ in known):
                    tags = {f"tag:{operation.tag}" for operation, _ in known if operation.tag}
                    sentences.append(_unmatched(f"{word}: {pattern!r} matches no operation", pattern, {*tags, *keys}))
        return sentences


def _fits(pattern: str, operation: Operation) -> bool:
    """Return True if a pattern matches: ``tag:Pets``, ``/pets/*``, ``GET /pets`` or ``deprecated``."""
    kind, _, rest = pattern.partition(":")
    if kind == "tag" and rest:
        return fnmatchcase(operation.tag, rest)
    if pattern == "deprecated":
        return operation.deprecated
    return any(fnmatchcase(text, pattern) for text in (operation.path, operation.key, operation.id) if text)


def _unmatched(sentence: str, key: str, keys: Iterable[str]) -> str:
    hint = did_you_mean(key, keys)
    return f"{sentence} ({hint})" if hint else sentence


def _any(names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), anything)


def _objection_to_name(name: str) -> str | None:
    objection = objection_to_function(name)
    return f"cannot be the name of a function: {objection}" if objection else None


def _paging(value: object) -> Table:
    recipe: Table = _PAGING(value)
    kind = KINDS.get(recipe["kind"])
    if missing := [key for key in kind.needs if key not in recipe] if kind else []:
        raise Mismatch(f"of the kind {recipe['kind']} needs the key {missing[0]}")
    return recipe


_PAGING = table_of(
    "a table",
    {"kind": choice([*KINDS, "none"]), "first": Scalar("integer").accept, **_any("parameter field items size more")},
    needs=["kind"],
)
_HEADER = fitting(partial(objection, keys=CREDENTIALS))
_ORIGIN = fitting(lambda url: None if origin(url) else "is no address")
_PATTERNS = list_of('a list such as ["tag:Pets", "/pets/*", "deprecated"]')
_FUNCTION: dict[str, Check] = {
    "name": fitting(_objection_to_name),
    "effect": choice(EFFECTS),
    "paging": _paging,
    "encode": choice(ENCODINGS),
    "arguments": table_of("a table", each=table_of("a table", _any("name about"))),
    "headers": list_of('a list of names such as ["X-Trace-Id"]', _HEADER),
    "idempotency": _HEADER,
    "origin": origin_of_values,
    "private": anything,
    "to": texts,
    "audience": choice(AUDIENCES),
    **_any("summary covered_by skip lists slashes safe fields"),
}
_ORIGINS = list_of('a list of addresses such as ["https://files.example.com"]', _ORIGIN)
_NAMES = list_of('a list of functions such as ["log_in"]')
_OVERLAY: dict[str, Check] = {
    "document": table_of("a table", {"origins": _ORIGINS, **_any("url file sha256 imported")}),
    "about": anything,
    "prefix": anything,
    "only": _PATTERNS,
    "skip": _PATTERNS,
    "account": table_of("a table", _any("base_url auth prefix revoke")),
    "paging": table_of("a table", each=_paging),
    "effects": table_of("a table", dict.fromkeys(EFFECTS, list_of('a list of functions such as ["search_pets"]'))),
    "errors": table_of("a table", _any("failed message")),
    "graphql": table_of("a table", _any("path")),
    "session": table_of("a table", {"login": _NAMES, "logout": _NAMES, **_any("token field user")}),
    "functions": table_of("a table", each=table_of("a table", _FUNCTION)),
}


def read_overlay(file: str) -> Overlay:
    """Read an overlay; raise ConfigError if the file cannot be read, or has an unknown key or an invalid value."""
    return Overlay(file, parse(file))
