"""The functions of a document, each read from the compiled document when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kosmolua.concurrency import lazy
from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.http.headers import IDEMPOTENCY, plain
from kosmolua.openapi.aws_query import STYLES, AwsQuery
from kosmolua.openapi.calls import MAX_ITEMS, OperationCall
from kosmolua.openapi.effects import READS
from kosmolua.openapi.extra import EXTRA, checked_extra
from kosmolua.openapi.inverses import UPDATES, Update, update_of
from kosmolua.openapi.operations import Body, Field, is_json
from kosmolua.openapi.paging import Recipe
from kosmolua.openapi.replies import is_decoded, is_text
from kosmolua.openapi.security import access_of
from kosmolua.openapi.store import DocumentStore, FunctionRow, load
from kosmolua.openapi.xml_values import XmlReader, XmlWriter, is_xml
from kosmolua.protocol import Json
from kosmolua.schema.arguments import REQUIRED, Parameter
from kosmolua.schema.bounds import Pattern, Range
from kosmolua.schema.formats import formats
from kosmolua.schema.function import FULL, Function
from kosmolua.schema.json_schema import SchemaReader, union
from kosmolua.schema.labels import DECLARED, Labels
from kosmolua.schema.names import page_of
from kosmolua.schema.tree import SchemaTree
from kosmolua.schema.types import ANY, BOOLEAN, STRING, Choice, List, Map, Record, Scalar, Type, Union

if TYPE_CHECKING:
    from kosmolua.docs.outline import Sketch
    from kosmolua.docs.search import Index

_NUMBER = regex(r"-?\d{1,19}(\.\d{1,19})?")
FILLED = "By default a key is sent that this write keeps when its run is resumed."
MOST = "With all = true, the maximum number of items to return. If there are more, the result's truncated is true."
WHOLE = "With full, the result is { status, headers, body }, also for status 304."
FILE = Record(
    "File",
    {"base64": STRING, "filename": STRING, "content_type": STRING, "bytes": Scalar("integer")},
    {
        "base64": "The bytes, in base64.",
        "filename": "The name of the file.",
        "bytes": "The number of bytes. It is not sent, but it lets you pass the result of a download as a file.",
    },
    required=frozenset({"base64"}),
)
EMPTY = Record(
    "Empty",
    {"status": Scalar("integer"), "location": STRING},
    {"status": "The HTTP status, such as 204.", "location": "Where to find what a 201 or 202 makes, if it says so."},
    required=frozenset({"status"}),
)
BINARY = Record(
    "Binary",
    {"content_type": STRING, "base64": STRING, "bytes": Scalar("integer")},
    {"base64": "The bytes, in base64.", "bytes": "The number of bytes."},
    required=frozenset({"content_type", "base64", "bytes"}),
)


@dataclass(frozen=True)
class _Loose(Type):
    """A type of tables or lists of which only the places of empty lists are known, as ``within`` says."""

    within: Type = field(default=ANY, compare=False, kw_only=True)

    def _fit(self, value: Any) -> object:
        return with_lists(super()._fit(value), self.within)


@dataclass(frozen=True)
class LooseMap(_Loose, Map): ...


@dataclass(frozen=True)
class LooseList(_Loose, List): ...


def with_lists(value: object, kind: Type) -> object:
    """Return a value with a list for each empty table where a type has a list; nothing is checked."""
    if isinstance(kind, Union):
        shapes = (List,) if isinstance(value, list) else (Record, Map) if value else (List, Record, Map)
        fitting = [each for each in kind.members if isinstance(each, shapes)]
        return with_lists(value, fitting[0]) if len(fitting) == 1 else value
    if isinstance(value, dict):
        if not value:
            return [] if isinstance(kind, List) else value
        kinds = kind.fields if isinstance(kind, Record) else {}
        other = kind.value if isinstance(kind, Map) else ANY
        return {key: with_lists(each, kinds.get(key, other)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(kind, List):
        return [with_lists(each, kind.item) for each in value]
    return value


class InText(Scalar):
    """The type of a value in a URL: strings accept numbers, numbers digits."""

    def _fit(self, value: Any) -> object:
        if self.kind == "string" and isinstance(value, int) and not isinstance(value, bool):
            return super()._fit(str(value))
        if self.kind in ("integer", "number") and isinstance(value, str) and _NUMBER.fullmatch(value):
            return super()._fit(int(value) if value.lstrip("-").isdecimal() else float(value))
        return super()._fit(value)


class DocumentFunctions:
    """The functions of a compiled document.

    ``bind`` makes the Python function, of the opened account and the arguments. The plugin defines the functions in
    ``without``, and the account supplies the arguments in ``supplied``.
    """

    def __init__(
        self,
        store: DocumentStore,
        owner: str,
        prefix: str,
        bind: Callable[[OperationCall], Callable[..., Any]],
        *,
        without: Collection[str] = (),
        supplied: Collection[str] = (),
    ) -> None:
        self._store = store
        self._owner = owner
        self._prefix = prefix
        self._bind = bind
        self._without = without
        self._supplied = supplied

    @property
    def is_compiled(self) -> bool:
        return self._store.is_compiled

    def names(self) -> Sequence[str]:
        return [name for name in self._store.names() if name not in self._without]

    def has(self, name: str) -> bool:
        return name not in self._without and self._store.has(name)

    def named(self, key: str) -> str | None:
        """Return the function for a key or id or, of a covered operation, for the name that its function would have."""
        found = self._store.named(key) or self._store.covering(key)
        return found if found in self._without or (found and self._store.has(found)) else None

    def sketches(self) -> Mapping[str, Sketch]:
        rows = (row for row in self._store.rows() if row.name not in self._without)
        return {row.name: self._sketch(row) for row in rows}

    def function(self, name: str) -> Function | None:
        found = self._store.detail(name) if name not in self._without else None
        return self._read(*found) if found else None

    def call(self, name: str) -> OperationCall | None:
        """Return what sends a function's requests, or None."""
        found = self._store.detail(name)
        return call_of(found[1], self._store.schema) if found else None

    def record(self, name: str) -> Record | None:
        from kosmolua.schema.luacats import records_by_depth

        named = (pointer for pointer in self._store.pointers() if "/paths/" not in pointer)
        pointer = {each.rpartition("/")[2]: each for each in named}.get(name)
        kinds = [SchemaReader(look_up=self._store.schema).read({"$ref": pointer}, name)] if pointer else []
        return next(records_by_depth(kinds), None)

    @lazy
    def index(self) -> Index:
        from kosmolua.docs.search import Index

        return Index(self._store.database, page_of(self._owner))

    @property
    def document(self) -> Path:
        return self._store.home.document

    @property
    def overlay(self) -> Path:
        return self._store.home.overlay or self.document.with_suffix(".toml")

    def findings(self) -> tuple[list[str], list[str]]:
        from kosmolua.openapi.importing import findings

        return findings(*load(self._store.home), self._without)

    @property
    def store(self) -> DocumentStore:
        return self._store

    def _full_name(self, name: str) -> str:
        return f"{self._prefix}_{name}" if self._prefix else name

    def _sketch(self, row: FunctionRow) -> Sketch:
        from kosmolua.docs.outline import Sketch

        return Sketch(self._full_name(row.name), row.effect, row.summary, row.words, row.parameters, row.section)

    def _read(self, row: FunctionRow, detail: Mapping[str, Any]) -> Function:
        call = call_of(detail, self._store.schema)
        sent = SchemaReader(without="readOnly", look_up=self._store.schema)
        reads = row.effect == "read"
        chosen = self._chosen(call) if reads else ()
        extra = checked_extra(reads=reads, named=detail.get("headers", ()), keys=self._keys, chosen=chosen)
        key = next((each for each in call.fields if each.place == "header" and plain(each.wire) == IDEMPOTENCY), None)
        filled = key.name if key and row.effect != "read" else None
        idempotency = detail.get("idempotency") or (key.wire if key else None)
        parameters = tuple(
            each._replace(default=None, about=f"{each.about} {FILLED}".strip()) if each.name == filled else each
            for each in map(self._with_default, parameters_of(call, sent, row.name, extra))
        )
        update = self._update(row, call, parameters)
        return Function(
            name=row.name,
            full_name=self._full_name(row.name),
            effect=row.effect,  # type: ignore[arg-type]
            handler=self._bind(call),
            parameters=parameters,
            before=update.before if update else None,
            undo=update.undo if update else None,
            idempotency=idempotency if row.effect != "read" else None,
            doc=detail["doc"],
            returns=self._returns(detail, f"{row.name}.result"),
            origin=f"{self._store.home.document}: {row.key}",
            is_foreign=True,
            has_credentials=detail.get("has_credentials", False),
            reply="" if call.graphql else call.spelled("reply"),
            labels=Labels(**{key: detail[key] for key in DECLARED if key in detail}),
            acts_as=self._acts_as if call.graphql.get("kind") == "document" else None,
        )

    def _acts_as(self, given: Sequence[Json]) -> list[str]:
        """Return the functions of the fields in a GraphQL document that a call passes."""
        from kosmolua.openapi.graphql_calls import roots_of

        found = []
        for key in roots_of(given):
            name = self._store.named(f"POST /#{key}")
            if name is None:
                what = f"{key} has no function, so a document of one's own cannot select it either"
                raise BadArguments(what, param="query", hint=f"'kosmolua docs {self._owner}' lists the functions")
            found.append(name)
        return found

    def _update(self, row: FunctionRow, call: OperationCall, parameters: Sequence[Parameter]) -> Update | None:
        """Return the update of a function that changes what the GET of the same path reads; None for any other."""
        method, _, path = row.key.partition(" ")
        name = self._store.named(f"GET {path}") if method in UPDATES and row.effect != "read" else None
        sibling = self.call(name) if name and name not in self._without else None
        nullable = {each.name for each in parameters if each.type.nullable}
        return update_of(row.name, call, (name, sibling), nullable) if name and sibling else None

    def _chosen(self, call: OperationCall) -> list[Field]:
        """Return the arguments of a read whose values may say what is done: the document lists them."""
        tree = SchemaTree(self._store.schema)
        listed = (each for each in call.fields if {"enum", "const"} & tree.whole(each.schema).keys())
        return [each for each in listed if each.constant or call.method not in READS]

    @lazy
    def _keys(self) -> list[str]:
        return access_of(self._store.meta("access")).header_keys

    def _with_default(self, parameter: Parameter) -> Parameter:
        if parameter.name not in self._supplied or not parameter.required:
            return parameter
        about = f"{parameter.about} By default the account's own value is used.".strip()
        return parameter._replace(default=None, about=about)

    def _returns(self, detail: Mapping[str, Any], name: str) -> Type | None:
        if detail["method"] == "HEAD":
            return EMPTY
        first, reader = detail["result"], SchemaReader(without="writeOnly", look_up=self._store.schema, hides=True)
        kinds = [_returned(each, reader, name) for each in (first, *first.get("others", ()))]
        return union([kind for kind in kinds if kind]) if kinds[0] else None


def call_of(detail: Mapping[str, Any], look_up: Callable[[str], Json]) -> OperationCall:
    """Restore a call from an operation's details in the compiled document, whose schemas are looked up."""
    media, schema = detail["result"].get("media", []), detail["result"].get("schema")
    fields, body = [Field(**each) for each in detail["fields"]], detail["body"]
    in_xml = body and body.get("schema") and is_xml(body["media"][0])
    tree = SchemaTree(look_up)
    kind = OperationCall
    if "graphql" in detail:
        from kosmolua.openapi.graphql_calls import GraphQLCall as kind
    return kind(
        method=detail["method"],
        path=detail["path"],
        fields=fields,
        body=Body(**body) if body else None,
        media=media,
        xml=XmlReader(tree, schema) if schema and any(map(is_xml, media)) else None,
        written=XmlWriter(tree, body["schema"]) if in_xml else None,
        aws=AwsQuery(tree) if any(each.style in STYLES for each in fields) else None,
        server=detail["server"] or "",
        recipe=Recipe(**detail["paging"]) if detail["paging"] else None,
        encode=detail.get("encode", ""),
        safe=detail.get("safe", False),
        is_open=detail.get("is_open", False),
        graphql=detail.get("graphql", {}),
    )


def _returned(result: Mapping[str, Any], reader: SchemaReader, name: str) -> Type | None:
    """Return the type of one response; None if nothing is said of it."""
    media = result.get("media", [])
    if not media:
        return EMPTY if "schema" not in result else None
    if result.get("schema") is not None:
        return reader.read(result["schema"], name)
    if any(map(is_decoded, media)):
        return ANY
    return STRING if all(map(is_text, media)) else BINARY


def parameters_of(call: OperationCall, reader: SchemaReader, function: str, extra: Type) -> Iterator[Parameter]:
    """Yield a function's parameters: the document's, then those that KosmoLua adds, with ``extra`` of this type.

    The names of nested types begin with the function's.
    """
    names = {each.name for each in call.fields}
    for each in call.fields:
        if each.required and not each.constant:
            yield _parameter(each, reader, names, function, call.inside_extra(each))
    if call.body and call.body.whole:
        yield _whole_body(call.body, reader, function, call.inside_extra())
    for each in call.fields:
        if each.constant or not each.required:
            yield _parameter(each, reader, names, function)
    if call.body and call.body.choose:
        kinds = Choice(tuple(call.body.media))
        yield Parameter(call.spelled("content_type"), kinds, "The media type of the body.", call.body.media[0])
    if call.recipe:
        yield Parameter(call.spelled("all"), BOOLEAN, "Return the items of all pages at once.", default=False)
        most = Scalar("integer", (Range(1, 1_000_000),))
        yield Parameter(
            call.spelled("max_items"),
            most,
            MOST,
            MAX_ITEMS,
        )
    yield from call.more_parameters()
    if call.graphql:
        return
    yield Parameter(call.spelled("reply"), Choice(("body", FULL)), WHOLE, "body")
    about = "Undocumented parts of the query, the headers and the body."
    yield Parameter(call.spelled("extra"), EXTRA, about, None, checked=extra)


def _parameter(
    each: Field, reader: SchemaReader, names: Collection[str], function: str, inside: tuple[str, ...] = ()
) -> Parameter:
    kind = _with_files(reader.read(each.schema, f"{function}.{each.name}"))
    if isinstance(kind, Scalar) and kind.format in ("date", "date-time"):
        kind = replace(kind, bounds=(*kind.bounds, *formats(kind.format)))
    usual = each.constant or (each.schema.get("default") if isinstance(each.schema, dict) else None)
    default = REQUIRED if each.required and not each.constant else usual
    if default is not REQUIRED and default is not None and not kind.takes(default):
        default = None
    checked = shallow(kind, as_text=each.place != "body")
    return Parameter(
        each.name,
        kind,
        each.about,
        default,
        alias="" if each.wire in names else each.wire,
        checked=replace(checked, nullable=True) if each.place == "body" else checked,
        null=each.place == "body",
        inside=inside,
    )


def _whole_body(body: Body, reader: SchemaReader, function: str, inside: tuple[str, ...]) -> Parameter:
    media = body.media[0]
    if is_json(media):
        kind = reader.read(body.schema, f"{function}.{body.name}")
    elif is_xml(media) and isinstance(listed := reader.read(body.schema, f"{function}.{body.name}"), List):
        kind = Union((listed, STRING))
    elif media.startswith("text/") or "xml" in media:
        kind = STRING
    else:
        kind = Union((STRING, FILE))
    about = body.about or ("" if is_json(media) else f"Sent as {media}.")
    default = REQUIRED if body.required else None
    return Parameter(body.name, kind, about, default, checked=shallow(kind), inside=inside)


def _with_files(kind: Type) -> Type:
    """Let each binary string also be a table with base64 and a file name."""
    if isinstance(kind, List):
        return replace(kind, item=_with_files(kind.item))
    if isinstance(kind, Scalar) and kind.format == "binary":
        return Union((STRING, FILE), nullable=kind.nullable)
    return kind


def _lists_values(kind: Type) -> bool:
    return all(map(_lists_values, kind.members)) if isinstance(kind, Union) else isinstance(kind, Choice)


def shallow(kind: Type, *, as_text: bool = False) -> Type:
    """Return a type without the types inside tables, and inside lists unless they list values.

    Documents are often wrong about such details. ``as_text``: the argument goes into a URL, so numbers are accepted for
    strings, and vice versa.
    """
    if isinstance(kind, Union):
        members = tuple(dict.fromkeys(shallow(member, as_text=as_text) for member in kind.members))
        return replace(kind, members=members) if len(members) > 1 else replace(members[0], nullable=kind.nullable)
    if kind == replace(FILE, nullable=kind.nullable):
        return kind
    if isinstance(kind, Record):
        return LooseMap(ANY, nullable=kind.nullable, within=kind)
    if isinstance(kind, List):
        is_kept = as_text or _lists_values(kind.item)
        item = shallow(kind.item, as_text=as_text) if is_kept else ANY
        return LooseList(item, kind.bounds, nullable=kind.nullable, within=kind)
    if isinstance(kind, Map):
        return LooseMap(ANY, kind.bounds, nullable=kind.nullable, within=kind)
    if isinstance(kind, Scalar):
        bounds = (*(bound for bound in kind.bounds if isinstance(bound, (Range, Pattern))), *formats(kind.format))
        of_kind = InText if as_text else Scalar
        return of_kind(kind.kind, bounds, kind.format, nullable=kind.nullable)
    return kind
