"""The overlay of a document: the file ``openapi.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from kosmolua.accounts.toml import parse
from kosmolua.errors import ConfigError
from kosmolua.http.headers import CREDENTIALS, IDEMPOTENCY, objection
from kosmolua.http.messages import origin
from kosmolua.openapi.operations import Operation
from kosmolua.schema.function import EFFECTS
from kosmolua.schema.names import objection_to_function
from kosmolua.suggestions import did_you_mean, key_hint

KEYS = ("document", "about", "prefix", "only", "skip", "account", "paging", "errors", "functions")
DOCUMENT_KEYS = ("url", "file", "sha256", "imported", "origins")
ACCOUNT_KEYS = ("base_url", "auth", "prefix", "revoke")
_OF_FUNCTIONS = "name effect summary covered_by skip paging encode lists slashes arguments safe headers idempotency"
FUNCTION_KEYS = tuple(_OF_FUNCTIONS.split())
ARGUMENT_KEYS = ("name", "about")
ERROR_KEYS = ("failed", "message")
PAGING_KINDS = {
    "token": ("parameter", "field"),
    "link": (),
    "url": ("field",),
    "page": ("parameter",),
    "offset": ("parameter",),
    "last_id": ("parameter", "field"),
    "item_cursor": ("parameter", "field"),
    "none": (),
}
"""The kinds of paging, each with the keys that it requires."""
PAGING_KEYS = ("kind", "parameter", "field", "items", "size", "more", "first")
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
        self._known(self.tables, KEYS, "")
        self._known(self.document, DOCUMENT_KEYS, "document")
        origins = self.document.get("origins", [])
        if not isinstance(origins, list) or not all(isinstance(each, str) and origin(each) for each in origins):
            self._wrong("document", 'origins must be a list of addresses such as ["https://files.example.com"]')
        self._known(self.account, ACCOUNT_KEYS, "account")
        self._known(self.table("errors"), ERROR_KEYS, "errors")
        for name, entry in self.functions.items():
            where = f"functions.{name}"
            self._known(entry, FUNCTION_KEYS, where)
            for argument, told in entry.get("arguments", {}).items():
                self._known(told, ARGUMENT_KEYS, f"{where}.arguments.{argument}")
            if entry.get("effect", "read") not in EFFECTS:
                self._wrong(where, f"effect must be one of {', '.join(EFFECTS)}")
            if entry.get("encode", "json") not in ENCODINGS:
                self._wrong(where, f"encode must be one of {', '.join(ENCODINGS)}")
            if "name" in entry and (objection := objection_to_function(str(entry["name"]))):
                self._wrong(where, f"a function cannot be called {entry['name']!r}: {objection}")
            self._check_headers(entry.get("headers", []), where)
            self._check_idempotency(entry.get("idempotency", IDEMPOTENCY), where)
            if "paging" in entry:
                self._check_paging(entry["paging"], where)
        for name, recipe in self.table("paging").items():
            self._check_paging(recipe, f"paging.{name}")

    @property
    def document(self) -> Mapping[str, Any]:
        """Where the document came from, and the origins that credentials may be sent to."""
        return self.table("document")

    @property
    def account(self) -> Mapping[str, Any]:
        """The base URL, and how requests authenticate."""
        return self.table("account")

    @property
    def functions(self) -> Mapping[str, Mapping[str, Any]]:
        """Entries for operations, by id, key or function name."""
        return self.table("functions")

    @property
    def default_paging(self) -> Mapping[str, Any]:
        """The paging of operations without their own."""
        found: Mapping[str, Any] = self.table("paging").get("default", {})
        return found

    def table(self, key: str) -> Mapping[str, Any]:
        """Return a table at the top level, empty if absent."""
        found: object = self.tables.get(key, {})
        if not isinstance(found, Mapping):
            self._wrong(key, "this must be a table")
        return found

    def entry(self, operation: Operation, name: str = "") -> Mapping[str, Any]:
        """Return the entry for an operation, whose function may have a name; empty if absent."""
        entries = [self.functions[key] for key in (name, operation.key, operation.id) if key and key in self.functions]
        return {key: value for entry in entries for key, value in entry.items()}

    def takes(self, operation: Operation) -> bool:
        """Return True if ``only`` and ``skip`` let an operation become a function."""
        only, skip = self._patterns("only"), self._patterns("skip")
        return (not only or any(_fits(each, operation) for each in only)) and not any(
            _fits(each, operation) for each in skip
        )

    def unmatched(self, operations: Iterable[tuple[Operation, str]]) -> list[str]:
        """Return a sentence for each entry and pattern that matches no operation and no name of its function."""
        known = [(operation, name) for operation, name in operations]
        keys = {key for operation, name in known for key in (operation.key, operation.id, name) if key}
        sentences = []
        for key in self.functions:
            if key not in keys:
                sentences.append(_unmatched(f"[functions.{key!r}] matches no operation", key, keys))
        for word in ("only", "skip"):
            for pattern in self._patterns(word):
                if not any(_fits(pattern, operation) for operation, _ in known):
                    tags = {f"tag:{operation.tag}" for operation, _ in known if operation.tag}
                    sentences.append(_unmatched(f"{word}: {pattern!r} matches no operation", pattern, {*tags, *keys}))
        return sentences

    def _patterns(self, key: str) -> list[str]:
        given: object = self.tables.get(key, [])
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            self._wrong(key, 'this must be a list such as ["tag:Pets", "/pets/*", "deprecated"]')
        return given

    def _known(self, table: object, keys: Iterable[str], where: str) -> None:
        if not isinstance(table, Mapping):
            self._wrong(where, "this must be a table")
        for key in table:
            if key not in keys:
                hint = key_hint(key, keys)
                place = f" in [{where}]" if where else ""
                raise ConfigError(f"{self.file}: unknown key {key!r}{place}", hint=hint)

    def _check_headers(self, names: object, where: str) -> None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._wrong(where, 'headers must be a list of names such as ["X-Trace-Id"]')
        for name in names:
            if problem := objection(name, keys=CREDENTIALS):
                self._wrong(where, f"headers: {name!r} {problem}")

    def _check_idempotency(self, name: object, where: str) -> None:
        if not isinstance(name, str):
            self._wrong(where, f'idempotency must be the name of a header, such as "{IDEMPOTENCY}"')
        elif problem := objection(name, keys=CREDENTIALS):
            self._wrong(where, f"idempotency: {name!r} {problem}")

    def _check_paging(self, recipe: object, where: str) -> None:
        if not isinstance(recipe, Mapping):
            self._wrong(where, "paging must be a table")
        self._known(recipe, PAGING_KEYS, where)
        kind = recipe.get("kind")
        if kind not in PAGING_KINDS:
            self._wrong(where, f"kind must be one of {', '.join(PAGING_KINDS)}")
        for key in PAGING_KINDS[kind]:
            if key not in recipe:
                self._wrong(where, f"paging of the kind {kind} needs the key {key}")

    def _wrong(self, where: str, what: str) -> NoReturn:
        """Raise the error for a mistake: ``FILE: [functions.list_pets]: effect must be ...``."""
        raise ConfigError(f"{self.file}: [{where}]: {what}")


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


def read_overlay(file: str) -> Overlay:
    """Read an overlay.

    Raises:
        ConfigError: The file cannot be read, or has an unknown key or an invalid value.
    """
    return Overlay(file, parse(file))
