"""The operations of OpenAPI 3.0 and 3.1 documents in one form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from kosmolua.expressions import regex
from kosmolua.openapi.xml_values import WRAPS, is_xml
from kosmolua.protocol import Json
from kosmolua.schema.tree import rows, table, text

if TYPE_CHECKING:
    from kosmolua.openapi.document import Document

Schema: TypeAlias = "dict[str, Any]"
Place: TypeAlias = Literal["path", "query", "header", "cookie", "body"]
Style: TypeAlias = Literal[
    "repeated",
    "joined",
    "pipes",
    "spaces",
    "tabs",
    "deep",
    "json",
    "aws",
    "ec2",
    "simple*",
    "label",
    "label*",
    "matrix",
    "matrix*",
]

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_STYLES: dict[str, Style] = {
    "spaceDelimited": "spaces",
    "pipeDelimited": "pipes",
    "tabDelimited": "tabs",  # only in documents that were Swagger's
    "deepObject": "deep",
}
_IN_PATH: dict[str, Style] = {each: each for each in get_args(Style)}
JSON_PATCH = "application/json-patch+json"
"""The media type of a list of changes (RFC 6902)."""
AWS_ACTION = "x-aws-operation-name"
"""The extension with the name of an action of AWS's query protocol."""
_FORM = "application/x-www-form-urlencoded"
_SLOT = regex(r"\{\+?([^{}]*)\}")
_SLOT_WITH_PATTERN = regex(r"\{(\w[\w.-]*)([+*=:])(?:[^{}]|\{[^{}]*\})*\}")
"""Matches placeholders with a pattern: ``{proxy+}`` of AWS, ``{name=books/*}`` of Google, ``{id:[0-9]{4}}``."""
_JSON = regex(r"application/(x-amz-)?json\b|[^;]*\+json\b|text/json\b|\*/\*", re.IGNORECASE)
_JSON_1_0 = regex(
    r"AWSKendraRer|AWSLookoutEq|AWSStep|AppRunner|AwsProton|BackupOn|CloudApi|ComputeOpt|DynamoDB|HealthLake|IoTAuto|"
    r"Keyspaces|NetworkFire|OpenSearchServ|PaymentCryp|PinpointSMSVoiceV2|SimpleWork|Timestream|ToggleCust|VerifiedPerm|"
    r"VoiceID|com.amazonaws.codestar|AmazonSQS"
)
"""Matches the operations of those services of AWS that take JSON by an older name; their documents call it JSON."""
_AWS_NAMESPACES = {
    "cloudfront": "http://cloudfront.amazonaws.com/doc/",
    "route53": "https://route53.amazonaws.com/doc/",
    "s3": "http://s3.amazonaws.com/doc/",
    "s3control": "http://awss3control.amazonaws.com/doc/",
}
"""The namespaces of bodies in XML, before the version; AWS's documents lack them."""


@dataclass
class Field:
    """One argument of an operation: a parameter, or a key of a body that is an object.

    Args:
        wire: The service's name.
        place: ``path``, ``query``, ``header``, ``cookie`` or ``body``.
        schema: The JSON Schema.
        required: Whether a call must pass it.
        about: The description.
        style: How a list or table is written as text; see :func:`pairs_of`.
        slashes: Whether the value can be several segments of the path.
        part: The media type of its part of a multipart body.
        only: The media type to use for the body if a call passes this.
        fills: For a path parameter, the key of the body that gets the same value.
        constant: The value that is sent if a call passes none, as it is the only one that the document lists.
        name: The name for scripts, set when the document is compiled.
    """

    wire: str
    place: Place
    schema: Json = field(default_factory=dict)
    required: bool = False
    about: str = ""
    style: Style = "repeated"
    slashes: bool = False
    part: str = ""
    only: str = ""
    fills: str = ""
    constant: str = ""
    name: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file, or a list of files, of a multipart body."""
        schema = table(self.schema)
        return "binary" in (schema.get("format"), table(schema.get("items")).get("format"))


@dataclass
class Body:
    """The body of an operation's request.

    Args:
        media: The possible media types, the default first.
        choose: Whether a call can choose.
        whole: Whether the whole body is one argument, rather than each of its keys.
        required: Whether a call must send it.
        schema: The JSON Schema, if it is one argument or sent as XML.
        about: The description, if it is one argument.
        order: Its keys in the order in which multipart parts are sent.
        name: The argument's name, set when the document is compiled.
    """

    media: list[str]
    choose: bool = False
    whole: bool = False
    required: bool = False
    schema: Json = field(default_factory=dict)
    about: str = ""
    order: list[str] = field(default_factory=list)
    name: str = ""


@dataclass
class OperationResult:
    """What an operation returns; no schema if that is neither JSON nor XML.

    ``links``: the document declares a header ``Link``; ``others``: what other statuses for success have instead.
    """

    schema: Json = None
    media: list[str] = field(default_factory=list)
    links: bool = False
    others: list[OperationResult] = field(default_factory=list)

    @property
    def schemas(self) -> list[Json]:
        return [each.schema for each in (self, *self.others)]


@dataclass
class Operation:
    """One operation.

    Args:
        id: The operationId.
        method: The HTTP method, in capitals.
        path: The template of the path, perhaps with a query.
        tag: The first tag.
        summary: The summary.
        about: The description.
        deprecated: Whether it is.
        fields: The parameters, and the keys of the body.
        body: The body, or None.
        result: What it returns if it succeeds.
        statuses: The descriptions of the other responses, by status.
        servers: Its own ``servers``, or those of its path.
        security: Its own ``security``; None if that of the document holds.
        graphql: What the request of a GraphQL field needs: see :mod:`kosmolua.openapi.graphql`; empty for any other.
        hints: The extensions (``x-...``) that KosmoLua uses, such as ``x-pagination``.
    """

    id: str
    method: str
    path: str
    tag: str = ""
    summary: str = ""
    about: str = ""
    deprecated: bool = False
    fields: list[Field] = field(default_factory=list)
    body: Body | None = None
    result: OperationResult = field(default_factory=OperationResult)
    statuses: dict[str, str] = field(default_factory=dict)
    servers: list[Any] = field(default_factory=list)
    security: Json = None
    graphql: dict[str, Any] = field(default_factory=dict)
    hints: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


def is_json(media: str) -> bool:
    """Return True for JSON, ``application/problem+json`` and the like, and ``*/*``."""
    return bool(_JSON.match(media))


def is_file(document: Document, schema: Json) -> bool:
    """Return True if a schema describes binary content."""
    whole = document.whole(schema)
    if "binary" in (whole.get("format"), whole.get("contentEncoding")):
        return True
    media = whole.get("contentMediaType")
    return isinstance(media, str) and "contentEncoding" not in whole and not media.startswith("text/")


def read_operations(document: Document) -> Iterator[Operation]:
    """Yield a document's operations; what cannot be read gets a note."""
    paths = document.root.get("paths", {})
    shared = Counter(path.partition("#")[0] for path in paths)
    for path, given in paths.items():
        item = {**document.resolve(given), **{key: each for key, each in table(given).items() if key != "$ref"}}
        if not item or not path.startswith(("/", "{")):
            if not path.startswith("x-"):
                document.note(f"{path} is not a path, or is empty, and was skipped")
            continue
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            if isinstance(operation, dict):
                is_shared = shared[path.partition("#")[0]] > 1
                yield _Reading(document, path, method, item, operation, is_shared=is_shared).operation()
            else:
                document.note(f"{method.upper()} {path} is not an object and was skipped")


class _Reading:
    """Reads one operation: ``item`` describes its path, ``operation`` itself; ``method`` is in lower case.

    ``is_shared``: several paths differ only in what follows ``#``, as those of AWS.
    """

    def __init__(
        self,
        document: Document,
        path: str,
        method: str,
        item: Mapping[str, Any],
        operation: Mapping[str, Any],
        *,
        is_shared: bool = False,
    ) -> None:
        self._document = document
        self._path = path
        self._method = method.upper()
        self._item = item
        self._given = operation
        self._is_shared = is_shared

    def operation(self) -> Operation:
        given = self._given
        tags = rows(given.get("tags"))
        parameters = [*self._parameters()]
        self._path = self._without_patterns({each["name"] for each in parameters})
        fields = [each for each in map(self._parameter, parameters) if each]
        body, keys = self._body()
        if self._is_query:
            body, fields, keys = self._as_query(body, fields, keys)
        servers = given.get("servers") or self._item.get("servers") or []
        called = next((each.constant for each in fields if each.wire.lower() == "x-amz-target"), "")
        if body and called:
            body.media = [f"application/x-amz-json-1.{'0' if _JSON_1_0.match(called) else '1'}"]
        return Operation(
            id=text(given[AWS_ACTION]) if self._is_query else text(given.get("operationId")),
            method=self._method,
            path=self._path if self._is_shared or "x-graphql" in given else self._path.partition("#")[0],
            tag=text(tags[0]) if tags else "",
            summary=text(given.get("summary")),
            about=text(given.get("description")),
            deprecated=given.get("deprecated") is True,
            fields=_ordered([*fields, *self._undeclared(fields), *keys]),
            body=body,
            result=self._result(),
            statuses=self._statuses(),
            servers=rows(servers),
            security=given.get("security"),
            graphql=table(given.get("x-graphql")),
            hints=self._hints(),
        )

    def _without_patterns(self, names: Collection[str]) -> str:
        """Return the path with plain placeholders; those that take several segments become ``{+name}``."""

        def plain(slot: re.Match[str]) -> str:
            return slot[0] if slot[0][1:-1] in names else f"{{{'' if slot[2] == ':' else '+'}{slot[1]}}}"

        return _SLOT_WITH_PATTERN.sub(plain, self._path)

    def _hints(self) -> dict[str, Any]:
        known = ["x-pagination", "x-kubernetes-action", "x-ms-pageable", *([AWS_ACTION] if self._is_query else [])]
        return {key: self._given[key] for key in known if key in self._given}

    @property
    def _is_query(self) -> bool:
        """Whether the operation is of AWS's query protocol; its documents call the form XML."""
        return AWS_ACTION in self._given and "#Action=" in self._path

    def _as_query(
        self, body: Body | None, fields: list[Field], keys: list[Field]
    ) -> tuple[Body | None, list[Field], list[Field]]:
        style: Style = "ec2" if table(self._document.root.get("info")).get("x-serviceName") == "ec2" else "aws"
        for each in [*fields, *keys]:
            each.style = style if each.place in ("query", "body") else each.style
        if self._method == "GET":
            return body, fields, keys
        taken = {each.wire for each in keys}
        named = [each for each in fields if each.place == "query" and each.wire not in taken]
        for each in named:
            each.place = "body"
        fields = [each for each in fields if each.place not in ("query", "body")]
        return Body([_FORM], required=True), fields, [*named, *keys]

    def _parameters(self) -> Iterator[dict[str, Any]]:
        """Yield the operation's parameters, and those of its path that it does not override."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for parameters in (self._item.get("parameters"), self._given.get("parameters")):
            for each in rows(parameters):
                parameter = self._document.resolve(each)
                found[text(parameter.get("name")), text(parameter.get("in"))] = parameter
        return iter([each for (name, place), each in found.items() if name and place])

    def _parameter(self, given: Mapping[str, Any]) -> Field | None:
        place = given["in"]
        if place not in ("path", "query", "header", "cookie"):
            return None
        schema: Json = given.get("schema", {})
        style = self._style(given)
        if content := table(given.get("content")):
            schema, style = table(next(iter(content.values()))).get("schema", {}), "json"
        required = place == "path" or given.get("required") is True
        return Field(
            given["name"],
            place,
            schema,
            required,
            text(given.get("description")),
            style,
            slashes=f"{{+{given['name']}}}" in self._path or (place == "path" and given.get("allowReserved") is True),
            constant=self._constant(schema) if required and place in ("query", "header") else "",
        )

    def _constant(self, schema: Json) -> str:
        """Return the only value that a schema lists; empty if it lists none, or several."""
        whole = self._document.whole(schema)
        values = [whole["const"]] if "const" in whole else whole.get("enum", [])
        return ("true" if values[0] is True else text(values[0])) if len(values) == 1 else ""

    def _style(self, given: Mapping[str, Any]) -> Style:
        style = text(given.get("style"))
        if style in _STYLES and not (given.get("explode") is True and style != "deepObject"):
            return _STYLES[style]
        if given["in"] in ("path", "header") and (style in ("label", "matrix") or given.get("explode") is True):
            return _IN_PATH.get(f"{style or 'simple'}{'*' if given.get('explode') is True else ''}", "joined")
        explodes = given.get("explode", given["in"] in ("query", "cookie") if not style else style == "form")
        return "repeated" if explodes and given["in"] in ("query", "cookie") else "joined"

    def _undeclared(self, fields: list[Field]) -> Iterator[Field]:
        """Yield an argument for each placeholder that is not declared as a parameter."""
        path, _, query = self._path.partition("#")[0].partition("?")
        in_path = {each.wire for each in fields if each.place == "path"}
        in_query = in_path | {each.wire for each in fields if each.place == "query"}
        slots = [(slot, in_path) for slot in _SLOT.findall(path)] + [(slot, in_query) for slot in _SLOT.findall(query)]
        for slot, declared in slots:
            if slot not in declared:
                self._document.note(f"{self._method} {self._path} does not declare its path parameter {slot}")
                yield Field(slot, "path", {"type": "string"}, required=True)

    def _body(self) -> tuple[Body | None, list[Field]]:
        given = self._document.resolve(self._given.get("requestBody"))
        declared = {media: table(each) for media, each in table(given.get("content")).items()}
        if self._is_query:
            declared = dict(zip([_FORM], declared.values(), strict=False))
        if self._method != "PATCH" and declared.get("application/json") == declared.get(JSON_PATCH):
            declared.pop(JSON_PATCH, None)  # generators list it for any body
        contents = {media: each for media, each in declared.items() if self._definite(media, each) == media}
        for media, each in declared.items():
            contents.setdefault(self._definite(media, each), each)
        if not contents:
            return None, []
        body, keys = self._body_of(contents, given)
        if body and body.whole:
            body.about = text(given.get("description"))
        return body, keys

    def _definite(self, media: str, content: Mapping[str, Any]) -> str:
        """Return what is sent for a media type: for one with a star, JSON, bytes or plain text."""
        if media.lower() == "application/form-data":  # no such type: forms with files are meant
            return "multipart/form-data"
        if "*" not in media:
            return media
        if media.startswith("text/"):
            return "text/plain"
        is_bytes = is_file(self._document, content.get("schema", {})) or not media.startswith(("*", "application/"))
        return "application/octet-stream" if is_bytes else "application/json"

    def _body_of(
        self, contents: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
    ) -> tuple[Body | None, list[Field]]:
        """Choose how a body is sent, of several media types."""
        chosen = min(contents, key=lambda media: (_preference(media), media.startswith(JSON_PATCH)))
        same = [each for each in contents if _preference(each) == _preference(chosen)]
        required = given.get("required")
        media = [chosen, *(each for each in same if each != chosen)]
        body = Body(media, len(same) > 1, required=required is True)
        flat = self._flat(chosen, contents[chosen])
        lists = (self._document.types(contents[each].get("schema")) == {"array"} for each in same)
        may_be_list = len(same) > 1 and any(lists)
        if flat is None or may_be_list:
            body.whole, body.schema = True, self._any_of(media, contents)
            return body, []
        keys = flat
        if not keys and _preference(chosen) > 2:
            return None, []
        forms = [each for each in contents if each.startswith("multipart/") and each != chosen]
        known = {each.wire for each in keys}
        for other in [*body.media[1:], *forms[:1]]:
            more = [each for each in self._flat(other, contents[other]) or [] if each.wire not in known]
            for each in more:
                each.only, each.required = other, False
                known.add(each.wire)
            body.media += [other] if more and other not in body.media else []
            keys = [*keys, *more]
        if chosen.startswith("multipart/"):
            body.order = [each.wire for each in keys]
        if is_xml(chosen):
            body.schema = self._in_xml(contents[chosen].get("schema"), keys)
        if not keys:
            return None, []
        schema = contents[chosen].get("schema")
        is_needed = required if isinstance(required, bool) else not self._document.whole(schema)["nullable"]
        for each in keys:
            each.required = each.required and is_needed
        return body, keys

    def _in_xml(self, schema: Json, keys: list[Field]) -> Json:
        """Return the schema of a body in XML. Those of AWS lack the name of the root, and lists are wrapped there."""
        about = table(self._document.root.get("info"))
        service = text(about.get("x-serviceName"))
        if about.get("x-providerName") != "amazonaws.com":
            return schema
        xml: dict[str, Json] = {"name": f"{text(self._given.get('operationId'))}Request", WRAPS: True}
        if len(keys) == 1 and self._document.keys(keys[0].schema):
            del xml["name"]  # the only key is the root
        if service in _AWS_NAMESPACES:
            xml["namespace"] = f"{_AWS_NAMESPACES[service]}{text(about.get('version'))}/"
        return {"allOf": [schema, {"xml": xml}]}

    def _any_of(self, media: list[str], contents: Mapping[str, Mapping[str, Any]]) -> Json:
        """Return a schema for a body of several media types; a JSON Patch is always a list."""
        schemas = [contents[each].get("schema", {}) for each in media]
        patches = [{"type": "array", "items": {"type": "object"}}] if JSON_PATCH in media[1:] else []
        kinds = [each for place, each in enumerate([*schemas, *patches]) if each not in [*schemas, *patches][:place]]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}

    def _flat(self, media: str, content: Mapping[str, Any]) -> list[Field] | None:
        """Return the keys of a body as arguments; None if it is no object or does not name them."""
        if not (is_json(media) or is_xml(media) or media.startswith((_FORM, "multipart/"))):
            return None
        found = self._document.flat(content.get("schema"))
        if found is None or (not found[0] and found[2]):
            return None
        properties, required, _ = found
        encoding = table(content.get("encoding"))
        fields = []
        for wire, schema in properties.items():
            whole = self._document.whole(schema)
            if schema is False or whole.get("readOnly") is True:
                continue
            how = table(encoding.get(wire))
            style: Style = _STYLES.get(text(how.get("style")), "joined" if how.get("explode") is False else "repeated")
            if is_json(text(how.get("contentType"))) and not {"style", "explode"} & how.keys():
                style = "json"
            about = text(whole.get("description"))
            if media.startswith("multipart/"):
                schema = self._with_files(schema)
            part = text(how.get("contentType")) if media.startswith("multipart/") else ""
            part = "" if set("*,") & set(part) else part
            fields.append(Field(wire, "body", schema, wire in required, about, style, part=part))
        return fields

    def _with_files(self, schema: Json) -> Json:
        """Return a schema in which binary content is always a string of format ``binary``."""
        items = self._document.whole(schema).get("items")
        if items is not None and is_file(self._document, items):
            return {"type": "array", "items": {"type": "string", "format": "binary"}}
        return {"type": "string", "format": "binary"} if is_file(self._document, schema) else schema

    def _result(self) -> OperationResult:
        responses = table(self._given.get("responses"))
        good = [
            self._document.resolve(answer)
            for status, answer in sorted(responses.items())
            if re.fullmatch(r"2(\d\d|XX)", str(status), re.IGNORECASE)
        ]
        if not good and "default" in responses:
            good = [self._document.resolve(responses["default"])]
        every = [*map(self._success, good)] or [OperationResult()]
        result = min(every, key=lambda each: (each.schema is None, not each.media))
        said = [result.schema or result.media]
        for each in every:
            if each.schema != {} and (each.schema or each.media) not in said:
                said.append(each.schema or each.media)
                result.others.append(each)
        result.media = [*dict.fromkeys(media for each in (result, *every) for media in each.media)]
        result.links = any(each.links for each in every)
        return result

    def _success(self, answer: dict[str, Any]) -> OperationResult:
        """Read what one response says."""
        content = table(answer.get("content"))
        schemas = [(media, each.get("schema", {})) for media, each in content.items() if isinstance(each, dict)]
        in_json = (each for media, each in schemas if is_json(media) and not is_file(self._document, each))
        in_xml = (each for media, each in schemas if is_xml(media) and self._has_form(each))
        links = "link" in map(str.lower, table(answer.get("headers")))
        return OperationResult(next(chain(in_json, in_xml), None), [*content], links)

    def _has_form(self, schema: Json) -> bool:
        return self._document.types(schema) == {"array"} or bool(self._document.keys(schema))

    def _statuses(self) -> dict[str, str]:
        found = {}
        for status, answer in table(self._given.get("responses")).items():
            if not str(status).startswith("2") and str(status)[:2] != "x-":
                found[str(status)] = text(self._document.resolve(answer).get("description"))
        return found


def _preference(media: str) -> int:
    """Return a sort key: JSON, forms, multipart, XML, others."""
    kinds = is_json(media), media.startswith(_FORM), media.startswith("multipart/"), is_xml(media), True
    return kinds.index(True)


def _ordered(fields: list[Field]) -> list[Field]:
    """Sort arguments: the path's, required ones, others. A required key that a path parameter fills is left out."""
    slots = {each.wire: each for each in fields if each.place == "path"}
    kept = []
    for each in fields:
        slot = slots.get(each.wire)
        if each.place == "body" and each.required and slot and _type_of(slot) == _type_of(each) and not slot.fills:
            slot.fills = each.wire
        else:
            kept.append(each)
    places = ("path", "query", "header", "cookie", "body")
    return sorted(
        kept,
        key=lambda each: (each.place != "path", not each.required, places.index(each.place)),
    )


def _type_of(each: Field) -> object:
    return table(each.schema).get("type")
