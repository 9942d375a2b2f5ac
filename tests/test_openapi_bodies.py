"""Bodies that a document does not describe, or describes wrongly: what ``extra.body`` sends in their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.documents import Reply, Service, live, serving, small

from kosmolua import Runtime
from kosmolua.errors import ApiError, BadArguments, NetworkError
from kosmolua.http.messages import Response
from kosmolua.openapi.replies import value_of

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
OWNER = {"name": "owner", "in": "path", "required": True, "schema": {"type": "string"}}
PET = {
    "type": "object",
    "properties": {"owner": {"type": "integer"}, "name": {"type": "string"}, "tag": {"type": "string"}},
    "required": ["owner", "name"],
}


def operation(name: str, schema: Any = None, media: str = JSON, **rest: Any) -> dict[str, Any]:
    """Return an operation with a body of one media type, or with none."""
    body = {"required": True, "content": {media: {"schema": schema}}}
    found = {"operationId": name, "responses": {"200": {"description": "ok"}}, **rest}
    return {"post": {**found, "requestBody": body} if schema else found}


SEEN = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
PATCHES = {PATCH: {"schema": {"type": "object"}}, MERGE: {"schema": {"type": "object"}}}


TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
DEEP = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"list": TEXTS, "map": {"type": "object"}, "any": {}}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"tags": TEXTS}}},
        "flag": {"type": "boolean"},
        "either": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
        "kinds": {"type": "array", "enum": ["a", "b"], "items": TEXT},
    },
}
BYTES = {**TEXT, "format": "binary"}
PARTS = {
    "type": "object",
    "required": ["policy"],
    "properties": {"meta": {"type": "object"}, "table": TEXT, "policy": TEXT, "file": BYTES},
}
PARTS_ENCODED = {
    "meta": {"contentType": "application/ld+json"},
    "table": {"contentType": "text/csv"},
    "file": {"contentType": "image/png"},
}
PIPED = {"name": "q", "in": "query", "style": "pipeDelimited", "explode": True, "schema": TEXTS}
LISTED = {key: {"schema": {"type": "array", "items": {"type": "object"}}} for key in (PATCH, JSON)}
MODE = {"type": "string", "enum": ["find", "erase"]}
ASKED = {"type": "object", "properties": {"mode": MODE, "text": TEXT}}
BOTH = {
    JSON: {"schema": {"type": "object", "properties": {"a": TEXT}}},
    "application/vnd.x+json": {"schema": {"type": "object", "properties": {"b": {"type": "integer"}}}},
}


NUMBER = {"type": "integer"}
LISTS = {
    "bare": {"type": "array", "items": {**TEXT, "xml": {"name": "b"}}, "xml": {"wrapped": False}},
    "wrapped": {"type": "array", "items": NUMBER, "xml": {"wrapped": True, "name": "all"}},
    "members": {"type": "array", "items": {"type": "object", "properties": {"id": NUMBER}}},
    "words": {"type": "array", "items": TEXT},
}
BOOK = {
    "type": "object",
    "properties": {
        "id": {**NUMBER, "xml": {"attribute": True}},
        "title": {"allOf": [TEXT, {"xml": {"name": "Title"}}]},
        "lent": {"type": "boolean"},
        "tags": {"type": "object", "additionalProperties": NUMBER},
        "by": {"allOf": [{"type": "object", "properties": {"name": TEXT}}, {"xml": {"name": "Author"}}]},
        **LISTS,
    },
}
BOOKS = {"application/xml": {"schema": BOOK}}
NULL_IN_XML = (
    b'<l:Book xmlns:l="urn:l"><lent xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true" />'
    b"<more>1</more></l:Book>"
)
LIBRARY = {"xml": {"name": "Book", "prefix": "l", "namespace": "urn:l"}}


def in_path(name: str, style: str, *, explode: bool, kind: str = "array") -> dict[str, Any]:
    """Return an operation with a parameter in its path."""
    schema = {"type": kind, **({"items": TEXT} if kind == "array" else {})}
    given = {"name": "a", "in": "path", "required": True, "style": style, "explode": explode, "schema": schema}
    return operation(name, parameters=[given])


def styled() -> dict[str, Any]:
    """Return an operation for each style of a path parameter."""
    kinds = [
        (style, explode, kind)
        for style in ("simple", "label", "matrix")
        for explode in (False, True)
        for kind in ("array", "object", "string")
    ]
    return {
        f"/styles/{style}/{explode}/{kind}/{{a}}": in_path(
            f"{style}_{'each' if explode else 'whole'}_{kind}", style, explode=explode, kind=kind
        )
        for style, explode, kind in kinds
    }


IN_QUERY = [
    {"name": name, "in": place, "required": True, "schema": {"type": kind}}
    for name, place, kind in (("id", "path", "string"), ("size", "path", "integer"), ("page", "query", "integer"))
]
MAYBE = {"anyOf": [PET, {"type": "null"}]}


def slot(name: str, place: str = "path") -> dict[str, Any]:
    """Return a parameter that is a text."""
    return {"name": name, "in": place, "required": True, "schema": TEXT}


PATHS = {
    "/templated/{id}?size={size}&page={page}&key={key}&v=1": operation("templated", parameters=IN_QUERY),
    "/at/{proxy+}": operation("at", parameters=[slot("proxy")]),
    "/of/{name=shelves/*/books/*}": operation("of", parameters=[slot("name")]),
    "/by/{id:[0-9]{1,9}}": operation("by"),
    "/told": operation("told", parameters=[{**slot("X-Of", "header"), "explode": True, "schema": {"type": "object"}}]),
    "/maybe": {"post": {**operation("maybe")["post"], "requestBody": {"content": {JSON: {"schema": MAYBE}}}}},
    "/deep": operation("deep", DEEP),
    "/parts": {
        "post": {
            **operation("parts")["post"],
            "requestBody": {"content": {"multipart/form-data": {"schema": PARTS, "encoding": PARTS_ENCODED}}},
        }
    },
    "/files": operation(
        "files", {"type": "object", "properties": {"all": {"type": "array", "items": BYTES}}}, "multipart/form-data"
    ),
    "/written": {
        "post": {
            **operation("written", parameters=[PIPED])["post"],
            "requestBody": {"content": {FORM: {"schema": PARTS, "encoding": {"meta": {"contentType": JSON}}}}},
        }
    },
    "/both": {"post": {**operation("both")["post"], "requestBody": {"content": BOTH}}},
    "/listed": {"post": {**operation("listed")["post"], "requestBody": {"content": LISTED}}},
    "/upload": operation("upload", PARTS, "multipart/related"),
    "/ask": operation("ask", ASKED, parameters=[{"name": "mode", "in": "query", "schema": MODE}]),
    "/misnamed": operation("misnamed", {"type": "object", "properties": {"name": TEXT}}, "application/form-data"),
    "/either": operation("either", {"oneOf": [{"type": "object", "properties": {"labels": TEXTS}}, TEXTS]}),
    **styled(),
    "/owners/{owner}/pets": operation("add", PET, parameters=[OWNER]),
    "/form": operation("form", PET, FORM),
    "/batch": operation("batch", {"type": "array", "items": {"type": "object"}}),
    "/free": operation("free", {"type": "object", "additionalProperties": True}),
    "/note": operation("note", {"type": "string"}, "text/plain"),
    "/ping": operation("ping"),
    "/read": {"get": {"operationId": "read", "responses": {"200": {"description": "", "content": {JSON: {}}}}}},
    "/book": {"get": {"operationId": "book", "responses": {"200": {"description": "", "content": BOOKS}}}},
    "/shelve": operation("shelve", {**BOOK, **LIBRARY}, "application/xml"),
    "/names": operation("name", {"type": "array", "items": {**TEXT, "xml": {"name": "n"}}}, "text/xml"),
    "/see": {
        "get": {"operationId": "see", "responses": {"200": {"description": "", "content": {JSON: {"schema": SEEN}}}}}
    },
    "/starred": operation("starred", PET, "*/*"),
    "/pictures": operation("picture", {"type": "string", "format": "binary"}, "image/*"),
    "/patched": {"post": {**operation("patched")["post"], "requestBody": {"required": True, "content": PATCHES}}},
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Service]]:
    """A runtime, and the service on the loopback interface that its calls reach."""
    overlay = '[effects]\nread = ["ask"]\n'
    document = small(tmp_path_factory.mktemp("bodies"), {"paths": PATHS}, overlay=overlay)
    with serving() as service, live(document, "pets", service) as runtime:
        yield runtime, service


@pytest.fixture
def called(opened: tuple[Runtime, Service]) -> tuple[Runtime, Service]:
    """The same, and the service answers with an empty object."""
    opened[1].answer = lambda sent: Reply({})
    return opened


@pytest.mark.parametrize(
    ("call", "body", "media"),
    [
        ("add({ owner = 'ann', name = 'Rex', body_owner = 7 })", b'{"owner":7,"name":"Rex"}', JSON),
        ("add({ owner = 'ann', name = 'Rex', extra = { body = { owner = 7 } } })", b'{"name":"Rex","owner":7}', JSON),
        ("add({ owner = 'ann', extra = { body = { { name = 'Rex' } } } })", b'[{"name":"Rex"}]', JSON),
        ("add({ owner = 'ann', extra = { body = 'Rex' } })", b'"Rex"', JSON),
        ("add({ owner = 'ann', extra = { body = json.array({}) } })", b"[]", JSON),
        ("written({ policy = 'p', meta = { a = { 1 } } })", b"policy=p&meta=%7B%22a%22%3A%5B1%5D%7D", FORM),
        (
            "form({ name = 'Rex', tag = 'a', extra = { body = { owner = 7, tag = 'b' } } })",
            b"name=Rex&owner=7&tag=b",
            FORM,
        ),
        ("batch({ extra = { body = { { id = 1 } } } })", b'[{"id":1}]', JSON),
        ("batch({ extra = { body = { items = { 1 } } } })", b'{"items":[1]}', JSON),
        ("free({ body = { a = 1 }, extra = { body = { b = 2 } } })", b'{"a":1,"b":2}', JSON),
        ("note({ extra = { body = 'hello' } })", b"hello", "text/plain"),
        ("ping({ extra = { body = { 1, 2 } } })", b"[1,2]", JSON),
        ("ping({ extra = { body = {} } })", b"{}", JSON),
        ("listed({ body = { { id = 1 } } })", b'[{"id":1}]', JSON),
        ("ask({ text = 'a', extra = { body = { page = 2 } } })", b'{"text":"a","page":2}', JSON),
        ("starred({ owner = 7, name = 'Rex' })", b'{"owner":7,"name":"Rex"}', JSON),
        ("picture({ body = 'PNG' })", b"PNG", "application/octet-stream"),
        ("patched({ body = { name = 'Rex' } })", b'{"name":"Rex"}', MERGE),
        ("patched({ body = { { op = 'remove', path = '/a' } } })", b'[{"op":"remove","path":"/a"}]', PATCH),
        ("ping({ extra = { query = { a = 1 } } })", b"", ""),
        ("deep({ spec = { list = {} } })", b'{"spec":{"list":[]}}', JSON),
        ("deep({ spec = { map = {} } })", b'{"spec":{"map":{}}}', JSON),
        ("deep({ spec = { any = {} } })", b'{"spec":{"any":{}}}', JSON),
        ("deep({ items = { { tags = {} } } })", b'{"items":[{"tags":[]}]}', JSON),
        ("deep({ flag = json.null })", b'{"flag":null}', JSON),
        ("deep({ either = json.decode('[]') })", b'{"either":[]}', JSON),
        ("deep({ either = {} })", b'{"either":{}}', JSON),
        ("deep({ spec = json.decode('{\"any\":null}') })", b'{"spec":{"any":null}}', JSON),
        ("deep({ kinds = { 'a' } })", b'{"kinds":["a"]}', JSON),
        ("both({ b = 1 })", b'{"b":1}', "application/vnd.x+json"),
        (
            "shelve({ id = 7, title = 'A & B', lent = true, tags = { k = 1 }, by = { name = 'Ann', born = 1 } })",
            b'<l:Book xmlns:l="urn:l" id="7"><Title>A &amp; B</Title><lent>true</lent><tags><k>1</k></tags>'
            b"<Author><name>Ann</name><born>1</born></Author></l:Book>",
            "application/xml",
        ),
        (
            "shelve({ bare = { 'x', '' }, wrapped = { 1, 2 }, members = { { id = 1 }, { id = 2 } }, words = {} })",
            b'<l:Book xmlns:l="urn:l"><b>x</b><b /><all><all>1</all><all>2</all></all>'
            b"<members><id>1</id></members><members><id>2</id></members></l:Book>",
            "application/xml",
        ),
        ("shelve({ lent = json.null, extra = { body = { more = 1 } } })", NULL_IN_XML, "application/xml"),
        ("shelve({ extra = { body = '<b/>' } })", b"<b/>", "application/xml"),
        ("name({ body = { 'a' } })", b"<root><n>a</n></root>", "text/xml"),
        ("name({ body = '<ns/>' })", b"<ns/>", "text/xml"),
        ("either({ body = { 'bug' } })", b'["bug"]', JSON),
        ("either({ body = { labels = { 'bug' } } })", b'{"labels":["bug"]}', JSON),
    ],
)
def test_extra_adds_to_a_body_or_is_the_body(
    called: tuple[Runtime, Service], call: str, body: bytes, media: str
) -> None:
    """A table adds its keys, also to ones that clash with a parameter; anything else is the whole body."""
    runtime, service = called
    outcome = runtime.run(f"app.integrations.pets.{call}")
    assert outcome.ok, outcome.error
    assert service.last.body.removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>\n') == body
    assert service.last.headers.get("content-type", "") == media


@pytest.mark.parametrize(
    ("style", "texts", "table", "text"),
    [
        ("simple_whole", "x,y%2Cz", "R,1,G,2", "v"),
        ("simple_each", "x,y%2Cz", "R=1,G=2", "v"),
        ("label_whole", ".x,y%2Cz", ".R,1,G,2", ".v"),
        ("label_each", ".x.y%2Cz", ".R=1.G=2", ".v"),
        ("matrix_whole", ";a=x,y%2Cz", ";a=R,1,G,2", ";a=v"),
        ("matrix_each", ";a=x;a=y%2Cz", ";R=1;G=2", ";a=v"),
    ],
)
def test_styles_of_a_path(called: tuple[Runtime, Service], style: str, texts: str, table: str, text: str) -> None:
    """Lists, tables and texts are written as RFC 6570 says; nothing in them leaves its place."""
    runtime, service = called
    for kind, value, sent in (
        ("array", ["x", "y,z"], texts),
        ("object", {"R": 1, "G": 2}, table),
        ("string", "v", text),
    ):
        runtime.call(f"pets.{style}_{kind}", {"a": value})
        assert service.last.target.rpartition("/")[2] == sent
    for value in ([".."], ["a\n"], []):
        if style.startswith("simple") or value == ["a\n"]:
            with pytest.raises(BadArguments):
                runtime.call(f"pets.{style}_array", {"a": value})


def test_names_in_the_query_of_a_path_are_filled(called: tuple[Runtime, Service]) -> None:
    """Whether the document calls them parameters of the path, of the query, or not at all."""
    runtime, service = called
    runtime.call("pets.templated", {"id": "p 1", "size": 2, "page": 3, "key": "k&1"})
    assert service.last.target == "/templated/p%201?size=2&key=k%261&v=1&page=3"


@pytest.mark.parametrize(
    ("call", "given", "target"),
    [
        ("at", {"proxy": "a b/c"}, "/at/a%20b/c"),
        ("of", {"name": "shelves/1/books/2"}, "/of/shelves/1/books/2"),
        ("by", {"id": "1/2"}, "/by/1%2F2"),
    ],
)
def test_a_placeholder_can_say_what_it_takes(
    called: tuple[Runtime, Service], call: str, given: dict[str, str], target: str
) -> None:
    """Those of AWS and Google take several segments; an argument has the name without what follows it."""
    runtime, service = called
    runtime.call(f"pets.{call}", given)
    assert service.last.target == target


def test_a_table_in_a_header_is_written_as_the_document_says(called: tuple[Runtime, Service]) -> None:
    """Exploded, its keys and values have an equals sign between them."""
    runtime, service = called
    runtime.call("pets.told", {"x_of": {"R": 1, "G": 2}})
    assert service.last.headers["x-of"] == "R=1,G=2"


def test_a_body_that_can_be_null_can_be_left_out(called: tuple[Runtime, Service]) -> None:
    """Unless the document says that it is required, as do generators for an optional one."""
    runtime, service = called
    runtime.call("pets.maybe")
    assert service.last.body == b""


def test_parts_are_as_the_document_describes_them(called: tuple[Runtime, Service]) -> None:
    """They come in its order, each with its media type; a type that does not exist means a form."""
    runtime, service = called
    file = {"base64": "AAAA", "filename": "f"}
    runtime.call("pets.parts", {"file": file, "policy": "p", "meta": {"a": 1}, "table": "1,2"})
    heads = [part.split(b"\r\n\r\n")[0].decode() for part in service.last.body.split(b"--kosmolua")[1:-1]]
    assert [head.partition('name="')[2].partition('"')[0] for head in heads] == ["meta", "table", "policy", "file"]
    kinds = [head.partition("Content-Type: ")[2] for head in heads]
    assert kinds == ["application/ld+json", "text/csv", "", "image/png"]
    runtime.call("pets.misnamed", {"name": "Rex"})
    assert service.last.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_the_text_of_a_file_is_sent_as_a_file(called: tuple[Runtime, Service]) -> None:
    """With a name, as services take a part without one for a plain field; each text of a list is one too."""
    runtime, service = called
    runtime.call("pets.parts", {"policy": "p", "file": "a"})
    assert b'name="policy"\r\n\r\np\r\n' in service.last.body
    assert b'name="file"; filename="file"\r\nContent-Type: image/png\r\n\r\na\r\n' in service.last.body
    runtime.call("pets.files", {"all": ["a", {"base64": "Yg==", "filename": "b.txt"}]})
    octets = b'"\r\nContent-Type: application/octet-stream\r\n\r\n'
    assert b'name="all"; filename="file' + octets + b"a\r\n" in service.last.body
    assert b'name="all"; filename="b.txt' + octets + b"b\r\n" in service.last.body


def test_a_list_with_a_delimiter_that_is_exploded_has_a_pair_for_each_item(called: tuple[Runtime, Service]) -> None:
    """The document's ``explode`` counts for every style of lists in a query."""
    runtime, service = called
    runtime.call("pets.written", {"policy": "p", "q": ["a", "b"]})
    assert service.last.target == "/written?q=a&q=b"


def test_related_parts_have_no_names(called: tuple[Runtime, Service]) -> None:
    """They are not fields of a form: each has its media type, and the order tells them apart (RFC 2387)."""
    runtime, service = called
    runtime.call("pets.upload", {"policy": "p", "meta": {"a": 1}, "file": {"base64": "AAAA"}})
    assert service.last.headers["content-type"].startswith("multipart/related; boundary=kosmolua-")
    parts = service.last.body.split(b"\r\n--kosmolua")
    assert b"Disposition" not in service.last.body
    assert [part.partition(b"\r\n")[2] for part in parts[:2]] == [
        b'Content-Type: application/json\r\n\r\n{"a":1}',
        b"Content-Type: text/plain; charset=utf-8\r\n\r\np",
    ]
    assert parts[2].endswith(b"Content-Type: application/octet-stream\r\n\r\n\0\0\0")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("deep({ kinds = { 'c' } })", "kinds[1] must be one of 'a', 'b'"),
        ("add({ owner = 'ann', name = 'Rex', extra = { query = { a = 1 } } })", "needs body_owner, an integer"),
        ("add({ owner = 'ann', name = 'Rex', extra = {} })", "needs body_owner, an integer"),
        ("add({ owner = 'ann', extra = { body = { owner = 7 } } })", "needs name, a string"),
        ("add({ owner = 'ann', name = 'Rex', extra = { body = { 1 } } })", "leave out name"),
        ("batch({ body = { { id = 1 } }, extra = { body = { { id = 2 } } } })", "leave out body"),
        ("batch({ extra = { query = { a = 1 } } })", "needs body, a list"),
        ("note({ extra = { body = { 1 } } })", "the body is sent as text/plain"),
        ("ask({ extra = { body = { mode = 'erase' } } })", "extra.body['mode'] cannot be set here, since the function"),
        ("ask({ extra = { query = { mode = 'erase' } } })", "extra.query['mode'] cannot be set here, since the"),
        ("ask({ extra = { body = { { mode = 'erase' } } } })", "extra.body must be a table"),
    ],
)
def test_what_extra_does_not_hold_is_asked_for(called: tuple[Runtime, Service], call: str, said: str) -> None:
    """Nothing is sent: a required key stands in the call or in ``extra.body``, and a whole body stands alone."""
    runtime, service = called
    before = len(service.sent)
    outcome = runtime.run(f"app.integrations.pets.{call}")
    assert isinstance(outcome.error, BadArguments)
    assert said in str(outcome.error)
    assert len(service.sent) == before


def test_a_json_patch_is_a_list(called: tuple[Runtime, Service]) -> None:
    """A table is not sent as one; the error names what the operation takes besides."""
    runtime, service = called
    before = len(service.sent)
    with pytest.raises(
        BadArguments, match=f"a list of changes, not a table .content_type can be {MERGE}".replace("+", ".")
    ):
        runtime.call("pets.patched", {"body": {"name": "Rex"}, "content_type": PATCH})
    assert len(service.sent) == before


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (Reply(b'{"a":1}\n\n{"a":2}\n', kind="application/x-ndjson"), [{"a": 1}, {"a": 2}]),
        (Reply(b'{"a":1}\n{"a":2}', kind="application/stream+json"), [{"a": 1}, {"a": 2}]),
        (Reply(b"a: 1\nb: [yes, 2]\n", kind="application/yaml"), {"a": 1, "b": ["yes", 2]}),
        (Reply(b"a: 1\n---\nb: 2\n---\n", kind="text/yaml"), "a: 1\n---\nb: 2\n---\n"),
        (Reply("Zürich".encode("latin-1"), kind="text/plain; charset=iso-8859-1"), "Zürich"),
        (Reply("Zürich".encode(), kind="text/plain; charset=unknown"), "Zürich"),
        (Reply(b"abc-d", kind="text/plain; charset=Punycode"), "abc-d"),
        (Reply(b'{"a":1}', kind="text/html"), {"a": 1}),
    ],
)
def test_what_a_script_gets_of_a_reply(called: tuple[Runtime, Service], reply: Reply, value: Any) -> None:
    """Lines of JSON, YAML and text in other charsets are values; several documents of YAML stay text."""
    runtime, service = called
    service.answer = lambda sent: reply
    assert runtime.call("pets.read") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('<book id="7"><Title>A &amp; B</Title><lent>true</lent></book>', {"id": 7, "title": "A & B", "lent": True}),
        ('<x:book xmlns:x="urn:b"><x:Author><x:name>Ann</x:name></x:Author></x:book>', {"by": {"name": "Ann"}}),
        ("<book><b>x</b><all><n>1</n><n>2</n></all><b/></book>", {"bare": ["x", ""], "wrapped": [1, 2]}),
        ("<book><members><member><id>1</id></member></members></book>", {"members": [{"id": 1}]}),
        (
            "<book><members><id>1</id></members><members><id>2</id></members></book>",
            {"members": [{"id": 1}, {"id": 2}]},
        ),
        ("<book><words>a</words></book>", {"words": ["a"]}),
        ("<book><words><word>a</word></words><members/></book>", {"words": ["a"], "members": []}),
        ("<book><tags><entry><key>k</key><value>1</value></entry></tags></book>", {"tags": {"k": 1}}),
        ("<R><GetBookResult><lent>0</lent></GetBookResult><Meta><Id>9</Id></Meta></R>", {"lent": False}),
        ("<book><lent>no</lent><more><a>1</a><a>2</a></more></book>", {"lent": "no", "more": {"a": ["1", "2"]}}),
        ("<Author><name>Ann</name></Author>", {"by": {"name": "Ann"}}),
    ],
)
def test_xml_is_read_as_the_schema_says(called: tuple[Runtime, Service], text: str, value: Any) -> None:
    """Names, attributes and types are the schema's; where it does not say whether a list is wrapped, the reply does."""
    runtime, service = called
    service.answer = lambda sent: Reply(text.encode(), kind="text/xml; charset=utf-8")
    assert runtime.call("pets.book") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE b [<!ENTITY x "y">]><b>&x;</b>', "it declares entities, which are refused"),
        ("<b><c></b>", "mismatched tag"),
        ("<b>" * 200, "nested over 100 levels deep"),
    ],
)
def test_xml_that_cannot_be_read_is_an_error(called: tuple[Runtime, Service], text: str, said: str) -> None:
    """Entities could be made large, or lead to files, so they are never read."""
    runtime, service = called
    service.answer = lambda sent: Reply(text.encode(), kind="application/xml")
    with pytest.raises(NetworkError, match=said):
        runtime.call("pets.book")


PAIR = {"type": "object", "properties": {"Key": TEXT, "Values": {"allOf": [TEXTS, {"xml": {"name": "Value"}}]}}}
ASKED_OF_AWS = {
    "type": "object",
    "properties": {
        "Tags": {"allOf": [{"type": "array", "items": PAIR}, {"xml": {"name": "TagSet"}}]},
        "Named": {"type": "array", "items": {**TEXT, "xml": {"name": "One"}}},
        "Flat": {"type": "array", "items": {**TEXT, "xml": {"name": "Name"}}, "xml": {"wrapped": False}},
        "Map": {"type": "object", "additionalProperties": TEXT},
        "DryRun": {"type": "boolean", "xml": {"name": "dryRun"}},
    },
}
OF_AWS = [
    {"name": "Action", "in": "query", "required": True, "schema": {"type": "string", "enum": ["Ask"]}},
    {"name": "Flat", "in": "query", "schema": {"type": "string"}},
]


@pytest.mark.parametrize(
    ("service", "lines"),
    [
        (
            "sns",
            "Action=Ask TagSet.member.1.Key=a TagSet.member.1.Value.member.1=x TagSet.member.1.Value.member.2=y "
            "Named.One.1=n Name.1=f Name.2=g Map.entry.1.key=k Map.entry.1.value=v dryRun=true",
        ),
        (
            "ec2",
            "Action=Ask TagSet.1.Key=a TagSet.1.Value.1=x TagSet.1.Value.2=y "
            "Named.1=n Flat.1=f Flat.2=g Map.entry.1.key=k Map.entry.1.value=v DryRun=true",
        ),
    ],
)
def test_lists_of_aws_are_numbered(tmp_path: Path, service: str, lines: str) -> None:
    """Its query protocol has forms, whatever the document calls the body; names are those of the schema for XML."""
    asked = operation("Ask", ASKED_OF_AWS, "text/xml", parameters=OF_AWS)["post"]
    asked["x-aws-operation-name"] = "Ask"
    info = {"title": "Pets", "version": "1", "x-serviceName": service}
    given = {"tags": [{"Key": "a", "Values": ["x", "y"]}], "named": ["n"], "flat": ["f", "g"], "map": {"k": "v"}}
    document = small(tmp_path, {"info": info, "paths": {"/#Action=Ask": {"post": asked}}})
    with serving() as here, live(document, "pets", here) as runtime:
        runtime.call("pets.ask", {**given, "dry_run": True})
    assert here.last.line == "POST /"
    assert sorted(here.last.body.decode().split("&")) == sorted(lines.split())


@pytest.mark.parametrize(
    ("operation_id", "given", "body"),
    [
        (
            "Tag",
            {"tagging": {"Set": [{"Key": "a"}]}},
            '<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Set><Tag><Key>a</Key></Tag></Set></Tagging>',
        ),
        (
            "Make",
            {"name": "a", "flat": ["x"], "listed": ["y"]},
            '<MakeRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>a</Name><One>x</One>'
            "<Listed><member>y</member></Listed></MakeRequest>",
        ),
    ],
)
def test_bodies_of_aws_in_xml(tmp_path: Path, operation_id: str, given: dict[str, Any], body: str) -> None:
    """Its documents lack the root, which is the only key or the request, the namespace, and that lists are wrapped."""
    tag = {"type": "object", "properties": {"Key": TEXT}, "xml": {"name": "Tag"}}
    tagging = {"type": "object", "properties": {"Set": {"type": "array", "items": tag}}}
    flat = {"type": "array", "items": TEXT, "xml": {"name": "One", "wrapped": False}}
    made = {"Name": TEXT, "Flat": flat, "Listed": TEXTS}
    schemas = {"Tag": {"Tagging": tagging}, "Make": made}
    info = {"title": "S3", "version": "2006-03-01", "x-providerName": "amazonaws.com", "x-serviceName": "s3"}
    asked = operation(operation_id, {"type": "object", "properties": schemas[operation_id]}, "text/xml")
    document = small(tmp_path, {"info": info, "paths": {"/b": asked}})
    with serving() as here, live(document, "pets", here) as runtime:
        runtime.call(f"pets.{operation_id.lower()}", given)
    assert here.last.body.decode().partition("\n")[2] == body


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("a b", "x", "'a b' cannot be the name of an element"), ("a", "\0", "XML cannot have the character")],
)
def test_what_xml_cannot_hold_is_refused(called: tuple[Runtime, Service], key: str, value: str, said: str) -> None:
    """No escape stands for a control character, so that the service could not read it."""
    with pytest.raises(BadArguments, match=said):
        called[0].call("pets.shelve", {"extra": {"body": {key: value}}})


def test_values_beyond_the_memory_of_the_host_stay_text() -> None:
    """A reply without a media type may be JSON, but is decoded only if there is room for it."""
    assert value_of(Response(200, {}, b'{"a":1}')) == {"a": 1}
    large = b"[" + b"[]," * 3_000_000 + b"[]]"
    assert value_of(Response(200, {}, large)) == large.decode()


def test_a_web_page_is_no_json(called: tuple[Runtime, Service]) -> None:
    """The page of a login, say, is an error with its title where the document promises JSON, else it is text."""
    runtime, service = called
    page = b"<!doctype html><title>Sign in</title>"
    service.answer = lambda sent: Reply(page, kind="text/html")
    with pytest.raises(NetworkError, match="answered 200 with something that is not JSON: Sign in"):
        runtime.call("pets.read")
    assert runtime.call("pets.ping") == page.decode()


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        (Reply({"id": 1}, headers={"ETag": '"1"'}), {"status": 200, "body": {"id": 1}, "etag": '"1"'}),
        (Reply(None, 304, "", {"ETag": '"1"'}), {"status": 304, "etag": '"1"'}),
        (Reply(None, 202, "", {"Location": "/jobs/7", "Set-Cookie": "s=1"}), {"status": 202, "location": "/jobs/7"}),
        (Reply(None, 204, ""), {"status": 204}),
    ],
)
def test_a_whole_reply_has_status_and_headers(
    called: tuple[Runtime, Service], reply: Reply, whole: dict[str, Any]
) -> None:
    """``reply = "full"`` has the names of headers in lower case, no cookie, and also what has not changed."""
    runtime, service = called
    service.answer = lambda sent: reply
    given = {"reply": "full", "extra": {"headers": {"If-None-Match": '"1"'}}}
    found = runtime.call("pets.read", given)
    headers = found.pop("headers")
    shown = {name: headers[name] for name in ("etag", "location", "set-cookie") if name in headers}
    assert {**found, **shown} == whole
    assert service.last.headers["if-none-match"] == '"1"'


def test_a_whole_reply_is_no_way_around_errors(called: tuple[Runtime, Service]) -> None:
    """A status of 400 or more raises, and 304 is an answer only to a call that wants the whole reply."""
    runtime, service = called
    service.answer = lambda sent: Reply({"message": "gone"}, 410)
    with pytest.raises(ApiError, match="410: gone"):
        runtime.call("pets.read", {"reply": "full"})
    service.answer = lambda sent: Reply(None, 304, "")
    with pytest.raises(ApiError, match="304"):
        runtime.call("pets.read")


@pytest.mark.parametrize("given", ["{ reply = 'full' }", "arguments"])
def test_the_check_knows_a_whole_reply(called: tuple[Runtime, Service], given: str) -> None:
    """Its fields are not those of the result's type."""
    runtime, service = called
    service.answer = lambda sent: Reply({"id": 1}, headers={"ETag": "x"})
    script = f"local arguments = {{ reply = 'full' }} assert(app.integrations.pets.see({given}).headers.etag == 'x')"
    outcome = runtime.run(script, check=True)
    assert outcome.ok, outcome.error


@pytest.mark.parametrize(("status", "shown"), [(201, True), (202, True), (200, False)])
def test_an_empty_reply_says_where_to_look(called: tuple[Runtime, Service], status: int, shown: bool) -> None:
    """What is made, or will be, has an address."""
    runtime, service = called
    service.answer = lambda sent: Reply(None, status, "", {"Location": "/jobs/7"})
    place = {"location": f"{service.url}/jobs/7"} if shown else {}
    assert runtime.call("pets.ping") == {"status": status, **place}


def test_the_check_leaves_a_call_with_extra_alone(called: tuple[Runtime, Service]) -> None:
    """It refuses a call without a required key of the body, unless ``extra`` may hold that."""
    runtime, _ = called
    refused = runtime.run("app.integrations.pets.add({ owner = 'ann', name = 'Rex' })", check=True).error
    assert refused and refused.code == "check"
    script = "local e = { body = { owner = 1 } } app.integrations.pets.add({ owner = 'a', name = 'R', extra = e })"
    assert runtime.run(script, check=True).ok


def test_the_check_sees_headers_that_no_script_can_set(called: tuple[Runtime, Service]) -> None:
    """It refuses a literal one before the script runs."""
    runtime, service = called
    before = len(service.sent)
    script = "app.integrations.pets.ping({ extra = { headers = { ['content-length'] = '5' } } })"
    refused = runtime.run(script, check=True).error
    assert refused and refused.code == "check"
    assert "extra.headers['content-length'] cannot be set" in str(refused)
    assert len(service.sent) == before
