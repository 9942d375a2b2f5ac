"""Compiles an OpenAPI document, and the user's corrections in ``openapi.toml``, into a database of functions."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from kosmolua.docs.search import IndexEntry, fill, make_tables
from kosmolua.errors import ConfigError
from kosmolua.http.messages import LOOPBACK, is_protected, origin
from kosmolua.openapi import naming
from kosmolua.openapi.document import Document
from kosmolua.openapi.effects import READS, effect_of, may_only_read
from kosmolua.openapi.naming import Named, function_names, snake, usable
from kosmolua.openapi.operations import AWS_ACTION, Operation, OperationResult, read_operations
from kosmolua.openapi.overlay import Overlay
from kosmolua.openapi.paging import Recipe, recipe_of
from kosmolua.openapi.prose import MAX_SUMMARY, cleaned, quoted, summary_of
from kosmolua.openapi.security import Access, alternatives_of, joined, settings_of, variables_in
from kosmolua.openapi.sessions import is_open, session_of, with_login
from kosmolua.openapi.vendors import paging_of
from kosmolua.protocol import Json
from kosmolua.schema.effects import Effect
from kosmolua.schema.labels import DECLARED
from kosmolua.schema.tree import rows, table, text

MAX_ABOUT = 3000
"""The maximum length of an argument's description, in characters."""
MAX_CHOICES = 60
"""How many values that a function's arguments can have are words of it in searches."""
MAX_INDEXED = 3000
"""The maximum length of a function's descriptions in the search index, in characters."""
MAX_SECTIONS = 8
"""How many sections tell what an API is for."""
MANY = 70
"""If a document has more operations than this and fewer than two tags, its functions are grouped by path."""
_CREDENTIAL = re.compile(
    r'"(?:(?:access|refresh|id)_?token|api_?key|secret|password)":|"format":"password"', re.IGNORECASE
)
_KNOWN = frozenset({"$ref", "allOf", "anyOf", "oneOf", "items", "properties", "enum"})

_TABLES = """
create table meta(key text primary key, value text);
create table functions(
    place integer primary key, name text unique, key text, id text, effect text, section text, summary text,
    parameters text, words text, detail text
);
create index keys on functions(key);
create index ids on functions(id);
create table covered(key text, id text, name text, by_ text);
create table schemas(pointer text primary key, value text);
"""


@dataclass
class Built:
    """An operation, and the function made from it: its name, effect, section, summary, overlay entry and recipe.

    ``is_open``: it needs no credential.
    """

    operation: Operation
    name: str
    effect: Effect
    section: str
    summary: str
    told: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    is_open: bool = False

    @property
    def doc(self) -> str:
        """The docstring: summary, quoted description, method and path, paging and errors."""
        route = f"Sends ``{self.operation.key.removeprefix('POST /#')}``."
        deprecated = "Deprecated: the service may remove it." if self.operation.deprecated else ""
        is_said = cleaned(self.operation.about).rstrip(".") == self.summary.rstrip(".")
        said = "" if is_said else self.operation.about
        paging = f"Pages: {self.recipe.words}; ``all = true`` returns the items of all pages." if self.recipe else ""
        statuses = [f"{status}: {cleaned(words, 80)}" for status, words in self.operation.statuses.items() if words]
        errors = f"Raises:\n    CallError: {'; '.join(statuses[:8])}" if statuses else ""
        return "\n\n".join(filter(None, [self.summary, quoted(said), f"{route} {paging}".strip(), deprecated, errors]))


@dataclass(frozen=True)
class Covered:
    """A covered operation: its key and id, the name that its function would have, and the Python function's."""

    key: str
    id: str
    name: str
    by: str


@dataclass
class Compiled:
    """A compiled document.

    Args:
        title: The title of the document or the overlay.
        access: The access of the service.
        functions: The functions, in the order of the document.
        covered: The covered operations.
        names: The names of all functions by key, including those of operations that no longer exist.
        notes: The notes.
        total: The number of operations.
        errors: The overlay's table ``errors``.
        graphql: The path of the GraphQL endpoint, below the base URL; None if there is none.
        doubles: The functions of operations that are another one as well, by key: the GETs of AWS's query protocol.
    """

    title: str
    access: Access
    functions: list[Built]
    covered: list[Covered]
    names: dict[str, str]
    notes: list[str]
    total: int
    errors: dict[str, Any] = field(default_factory=dict)
    graphql: str | None = None
    doubles: dict[str, str] = field(default_factory=dict)


def compiled(root: dict[str, Any], overlay: Overlay, kept: Mapping[str, str] | None = None) -> Compiled:
    """Compile a document and its overlay; kept names do not change.

    Raises:
        ConfigError: The overlay gives two functions the same name, or names an argument that does not exist.
    """
    root = with_login(root)
    document = Document(root)
    every, doubles = _once(list(read_operations(document)))
    for note in rows(root.get("x-notes")) if "graphql" in overlay.tables else ():
        document.note(str(note))
    for operation in every if "graphql" not in overlay.tables else ():
        operation.graphql = {}
    chosen = [each for each in every if overlay.takes(each)]
    access = _access(document, overlay, every)
    names = _names(document, chosen, overlay, kept or {})
    sections = _sections(chosen)
    usual = paging_of(access.base_url)
    built = [
        _built(document, each, name, section, overlay, usual)
        for each, name, section in zip(chosen, names, sections, strict=True)
    ]
    functions = [each for each in built if "covered_by" not in each.told and not each.told.get("skip")]
    access.session = session_of(document, overlay, access, {each.name: each.operation for each in functions})
    for each in functions:
        each.is_open = each.name in access.session.get("logins", ()) or is_open(document, each.operation)
    covered = [
        Covered(each.operation.key, each.operation.id, each.name, str(each.told["covered_by"]))
        for each in built
        if "covered_by" in each.told
    ]
    given = {each.key: name for each, name in zip(chosen, names, strict=True)}
    used = set(given.values())
    older = {key: name for key, name in (kept or {}).items() if key not in given and name not in used}
    title = text(document.resolve(root.get("info")).get("title"))
    title = str(overlay.tables.get("about", "")) or _about(cleaned(title, 100) or "A web service", sections)
    path = str(overlay.table("graphql").get("path", "")) if "graphql" in overlay.tables else None
    errors = dict(overlay.table("errors"))
    names_of_all, total = {**older, **given}, len(every) + len(doubles)
    found = {key: given[twin] for key, twin in doubles.items() if twin in given}
    return Compiled(title, access, functions, covered, names_of_all, document.notes, total, errors, path, found)


def _once(operations: list[Operation]) -> tuple[list[Operation], dict[str, str]]:
    """Return the operations, but one for each action of AWS's query protocol, and the keys of the others with its key.

    Documents have each action as a GET and as a POST, which says the same; a GET that is left out tells that the action
    reads if it does by its name.
    """
    posts = {each.hints[AWS_ACTION]: each for each in operations if AWS_ACTION in each.hints and each.method == "POST"}
    found = {
        each.key: posts[each.hints[AWS_ACTION]]
        for each in operations
        if each.method == "GET" and each.hints.get(AWS_ACTION) in posts
    }
    for each in found.values():
        each.hints["x-get"] = True
    return [each for each in operations if each.key not in found], {key: each.key for key, each in found.items()}


def _about(title: str, sections: Sequence[str]) -> str:
    """Return the title of a document with its largest sections, since a title alone rarely says what an API is for."""
    found = [each.split("_") for each, _ in Counter(sections).most_common(MAX_SECTIONS)]
    while len(found) > 1 and all(len(each) > 1 and each[0] == found[0][0] for each in found):
        found = [each[1:] for each in found]
    return f"{title}: {', '.join(map(' '.join, found))}" if len(found) > 1 else title


def _names(document: Document, operations: Sequence[Operation], overlay: Overlay, kept: Mapping[str, str]) -> list[str]:
    lists = [document.types(each.result.schema) == {"array"} for each in operations]
    named = [
        Named(each.id, each.method.lower(), each.path, is_list) for each, is_list in zip(operations, lists, strict=True)
    ]
    present = {each.key for each in named}
    names = function_names(named, {key: name for key, name in kept.items() if key in present})
    renamed = [str(overlay.entry(each, name).get("name", name)) for each, name in zip(operations, names, strict=True)]
    if len({*renamed}) < len(renamed):
        twice = next(name for name in renamed if renamed.count(name) > 1)
        raise ConfigError(
            f"{overlay.file}: two functions are called {twice}", hint="give one of the functions a different name"
        )
    return renamed


def _sections(operations: Sequence[Operation]) -> list[str]:
    """Return the section of each operation: its tag, or a part of its path."""
    tags = {each.tag for each in operations if each.tag}
    by_path = not tags or (len(tags) < 2 and len(operations) > MANY)
    return [_section(each, by_path=by_path) for each in operations]


def _section(operation: Operation, *, by_path: bool) -> str:
    tag = "" if by_path else snake(operation.tag)
    return usable(tag or next(iter(naming.fixed_segments(operation.path)), "other"), "section_")


def _access(document: Document, overlay: Overlay, operations: Sequence[Operation]) -> Access:
    account = overlay.table("account")
    alternatives = alternatives_of(document, str(account.get("auth", "")), account.get("prefix"))
    alternatives = joined(alternatives, operations)
    if account.get("revoke"):
        for each in (one for credentials in alternatives for one in credentials if one.login):
            each.login["revoke"] = str(account["revoke"])
    server = _server_of_all(document, has_credential=bool(alternatives))
    variables = [] if account.get("base_url") else [*variables_in(server)]
    has_credential = bool(alternatives) or any(each.secret for each in variables)
    base_url = str(account.get("base_url", "")) or text(server.get("url"))
    variables, base_url = _settled(variables, base_url)
    settings = settings_of(operations, alternatives, has_credential=has_credential)
    _rename(settings, variables, alternatives)
    named = map(str, rows(overlay.table("document").get("origins")))
    origins = [each for each in dict.fromkeys([_origin(base_url), *map(origin, named)]) if each]
    return Access(base_url.rstrip("/"), variables, alternatives, settings, origins)


def _server_of_all(document: Document, *, has_credential: bool) -> dict[str, Any]:
    """Return the entry of ``servers`` for the base URL; empty if requests cannot be sent to any."""
    every = map(table, rows(document.root.get("servers")))
    servers = [each for each in every if text(each.get("url")).startswith(("http", "{"))]
    found = [each for each in servers if is_protected(each["url"]) or each["url"].startswith("{")]
    found.sort(key=lambda each: bool(LOOPBACK.match(each["url"])))
    if not found and servers and has_credential:
        document.note(f"{servers[0]['url']} is not protected by TLS, so it is not used as the base URL")
        return {}
    return next(iter([*found, *servers]), {})


def _settled(variables: list[Any], base_url: str) -> tuple[list[Any], str]:
    """Fill in the variables of a base URL that have one possible value."""
    left = []
    for each in variables:
        if not each.secret and len(each.choices) == 1 and each.choices[0] == each.default:
            base_url = base_url.replace(f"{{{each.wire}}}", each.default)
        else:
            left.append(each)
    return left, base_url


def _rename(settings: list[Any], variables: list[Any], alternatives: list[list[Any]]) -> None:
    """Rename account fields of headers whose names others have."""
    taken = {"base_url", *(each.field for each in variables)}
    taken |= {name for credentials in alternatives for each in credentials for name in each.fields}
    for each in settings:
        while each.field in taken:
            each.field += "_header"
        taken.add(each.field)


def elsewhere(result: Compiled) -> dict[str, int]:
    """Return how many functions each origin has to which no credential is sent, as the user has not named it."""
    places = (origin(str(_server(each.operation, result.access.base_url) or "")) for each in result.functions)
    counts = Counter(place for place in places if place and place not in result.access.origins)
    return dict(counts) if result.access.has_credential else {}


def _origin(url: str) -> str:
    shown = re.sub(r"\{([^{}]*)\}", r"\1", url.partition("://")[2])
    return origin(f"{url.partition('://')[0]}://{shown}") if "://" in url else ""


def _built(
    document: Document, operation: Operation, name: str, section: str, overlay: Overlay, usual: Mapping[str, Any]
) -> Built:
    told = overlay.entry(operation, name)
    recipe = recipe_of(document, operation, told.get("paging", overlay.table("paging").get("default", {})), usual)
    if recipe is None and "paging" not in told:
        recipe = recipe_of(document, operation, {}, usual)
    if operation.graphql:
        recipe = _pages(document, operation)
        operation.graphql |= {"select": str(told["fields"])} if "fields" in told else {}
    _name_arguments(operation, told, overlay, has_pages=recipe is not None)
    said = "" if _only_repeats(operation.summary, name, operation) else operation.summary
    summary = str(told.get("summary", "")) or summary_of(said, operation.about) or summary_of(operation.summary, "")
    return Built(
        operation,
        name,
        overlay.effect(operation, name) or effect_of(operation, name),
        section,
        summary or _sentence(operation),
        told,
        recipe,
    )


def _pages(document: Document, operation: Operation) -> Recipe | None:
    """Return how a GraphQL connection is paged."""
    if not operation.graphql.get("pages"):
        return None
    items = "nodes" if "nodes" in document.keys(operation.result.schema) else "edges"
    return Recipe("token", "after", "pageInfo.endCursor", items, "first", 100, more="pageInfo.hasNextPage")


def _only_repeats(summary: str, name: str, operation: Operation) -> bool:
    """Return True if a summary has no word that the name or the id of an operation lacks."""
    known = {*name.split("_"), *snake(operation.id).split("_"), "a", "an", "the", "of", "for"}
    words = snake(summary)  # none of a script without letters from a to z
    return bool(words) and known.issuperset(words.split("_"))


def _sentence(operation: Operation) -> str:
    """Make a summary from an operation's id, or its key."""
    if not snake(operation.id):
        return f"{operation.id or operation.key}."
    group, slash, rest = operation.id.partition("/")
    words = snake(rest or group).split("_")
    if slash and snake(group).split("_")[-1] not in words:
        words = [*words[:1], *snake(group).split("_"), *words[1:]]
    return " ".join(words).capitalize() + "."


def _name_arguments(operation: Operation, told: Mapping[str, Any], overlay: Overlay, *, has_pages: bool) -> None:
    body = operation.body
    wires = [(each.place, each.wire) for each in operation.fields]
    names = naming.argument_names(wires)
    given = told.get("arguments", {})
    known = {each.wire for each in operation.fields}
    for wire in given:
        if wire not in known and wire not in names:
            raise ConfigError(f"{overlay.file}: {operation.key} has no argument {wire!r}")
    for each, name in zip(operation.fields, names, strict=True):
        entry = given.get(each.wire, given.get(name, {}))
        each.name = str(entry.get("name", name))
        each.about = str(entry.get("about", "")) or cleaned(each.about, MAX_ABOUT)
    slashes = told.get("slashes")
    for each in operation.fields:
        if each.place == "path" and (slashes is True or (isinstance(slashes, list) and each.wire in slashes)):
            each.slashes = True
        if told.get("lists") == "[]" and each.style == "deep":
            each.style = "deep[]"  # type: ignore[assignment]
    if body and body.whole:
        taken = {each.name for each in operation.fields}
        body.name = "body" if "body" not in taken else "request_body"


def plain(value: object) -> Any:
    """Convert dataclasses, also in lists, to JSON objects without default values."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    usual = _defaults(type(value))
    return {name: plain(held) for name, held in vars(value).items() if held != usual[name]}


@lru_cache
def _defaults(kind: type[Any]) -> dict[str, Any]:
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory() for each in fields(kind)
    }


def write(result: Compiled, root: dict[str, Any], file: Path) -> None:
    """Write a compiled document, with the schemas of ``root`` that it needs, to a file: completely or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as database:
            fill_database(database, result, root)
        os.replace(fresh, file)
    finally:
        Path(fresh).unlink(missing_ok=True)


def fill_database(database: sqlite3.Connection, result: Compiled, root: dict[str, Any]) -> None:
    document = Document(root)
    database.execute("pragma journal_mode = off")
    database.execute("pragma synchronous = off")
    database.executescript(_TABLES)
    make_tables(database)
    database.execute("begin")
    meta = {
        "title": result.title,
        "access": plain(result.access),
        "errors": result.errors,
        "total": result.total,
        "notes": result.notes,
        "graphql": result.graphql,
    }
    database.executemany("insert into meta values (?, ?)", [(key, _text(value)) for key, value in meta.items()])
    schemas = _schemas(document, result.functions)
    holding = _holding(document, schemas)
    functions = (_row(document, result, place, each, holding) for place, each in enumerate(result.functions))
    database.executemany(f"insert into functions values ({', '.join('?' * 10)})", functions)
    covered = [(each.key, each.id, each.name, each.by) for each in result.covered]
    covered += [(key, "", "", name) for key, name in result.doubles.items()]
    database.executemany("insert into covered values (?, ?, ?, ?)", covered)
    database.executemany("insert into schemas values (?, ?)", schemas.items())
    by_effect = sorted(result.functions, key=lambda each: each.effect != "read")
    has_others = any(not each.operation.graphql for each in by_effect)
    found = (each for each in by_effect if not (has_others and each.operation.graphql.get("field")))  # else all twice
    fill(database, (_entry(document, each) for each in found))
    database.execute("commit")


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _holding(document: Document, schemas: Mapping[str, str]) -> set[str]:
    """Return the references of schemas in which a credential can be, also through others."""
    users: dict[str, list[str]] = {}
    for pointer in schemas:
        for other in document.references(document.look_up(pointer)):
            users.setdefault(other, []).append(pointer)
    left = [pointer for pointer, each in schemas.items() if _CREDENTIAL.search(each)]
    found: set[str] = set()
    while left:
        pointer = left.pop()
        if pointer not in found:
            found.add(pointer)
            left += users.get(pointer, ())
    return found


def _holds_credentials(document: Document, result: OperationResult, holding: set[str]) -> bool:
    schemas = [each.schema for each in (result, *result.others) if each is result or each.media]
    is_known = all(isinstance(each, dict) and each.keys() & _KNOWN for each in schemas)
    return (
        not is_known or bool(_CREDENTIAL.search(_text(schemas))) or not holding.isdisjoint(document.references(schemas))
    )


def _row(document: Document, result: Compiled, place: int, each: Built, holding: set[str]) -> tuple[object, ...]:
    operation = each.operation
    parameters = " ".join(field.name for field in operation.fields)
    detail = {
        "method": operation.method,
        "path": result.graphql if operation.graphql else operation.path,
        "doc": each.doc,
        "fields": plain(operation.fields),
        "body": plain(operation.body),
        "result": plain(operation.result),
        "server": _server(operation, result.access.base_url),
        "paging": each.recipe and each.recipe._asdict(),
        **({"graphql": operation.graphql} if operation.graphql else {}),
        **({"is_open": True} if each.is_open else {}),
        **({"has_credentials": True} if _holds_credentials(document, operation.result, holding) else {}),
        **{key: each.told[key] for key in ("encode", "safe", "headers", "idempotency", *DECLARED) if key in each.told},
    }
    effect, key = each.effect, operation.key
    words = " ".join(filter(None, [cleaned(operation.about), operation.id, operation.tag, key]))
    return place, each.name, key, operation.id, effect, each.section, each.summary, parameters, words, _text(detail)


def _server(operation: Operation, base_url: str) -> Json:
    """Return an operation's own base URL, with default values for variables, or None; a path is at the usual one's."""
    for each in operation.servers[:1]:
        if isinstance(each, dict):
            url = text(each.get("url"))
            for variable in variables_in(each):
                url = url.replace(f"{{{variable.wire}}}", variable.default or f"{{{variable.wire}}}")
            url = urljoin(base_url, url) if url.startswith("/") and "{" not in base_url else url
            return url.rstrip("/") if url.startswith("http") else None
    return None


def _entry(document: Document, each: Built) -> IndexEntry:
    operation = each.operation
    keys = _keys(document, operation)
    choices = (choice for schema in keys.values() for choice in _choices(document, schema))
    parts = [operation.tag, *naming.fixed_segments(operation.path), *keys, *islice(dict.fromkeys(choices), MAX_CHOICES)]
    abouts = (each.about[:MAX_SUMMARY] for each in operation.fields if each.place == "body" and each.about)
    words = " ".join([cleaned(operation.about), *abouts])[:MAX_INDEXED]
    return IndexEntry(each.name, each.name, each.summary, " ".join(parts), words, each.effect)


def _keys(document: Document, operation: Operation) -> dict[str, Json]:
    """Return the arguments of an operation, and the keys of a body that is one argument, with their schemas."""
    whole = operation.body.schema if operation.body and operation.body.whole else None
    items = document.whole(whole).get("items", whole)
    return {each.name: each.schema for each in operation.fields} | (document.keys(items) if whole else {})


def _choices(document: Document, schema: Json) -> Iterator[str]:
    """Yield the texts that a schema lists, such as what an ``action`` does, in snake_case."""
    whole = document.whole(schema)
    for each in [whole, *(document.whole(each) for word in ("anyOf", "oneOf") for each in whole.get(word, ()))]:
        yield from (snake(value) for value in [each.get("const"), *rows(each.get("enum"))] if isinstance(value, str))


def _schemas(document: Document, functions: Iterable[Built]) -> dict[str, str]:
    """Return the JSON of each schema that functions refer to, also through others, by its reference."""
    found: dict[str, str] = {}
    left: list[str] = []
    for each in functions:
        operation = each.operation
        parts: list[Json] = [field.schema for field in operation.fields]
        parts += [operation.body.schema if operation.body else None, *operation.result.schemas]
        left.extend(document.references(parts))
    while left:
        pointer = left.pop()
        if pointer not in found:
            target = document.look_up(pointer)
            found[pointer] = _text(target)
            left.extend(document.references(target))
    return found


def proposed(result: Compiled) -> list[str]:
    """Return the names of functions that write as far as is known, but may only read."""
    return [
        each.name for each in result.functions if each.effect == "write" and may_only_read(each.operation, each.name)
    ]


def raised(result: Compiled) -> list[str]:
    """Return the names of functions with a greater effect than their method has."""
    return [
        each.name
        for each in result.functions
        if each.operation.method != "DELETE"
        and (each.effect == "destroy" or (each.effect == "write" and each.operation.method in READS))
    ]
