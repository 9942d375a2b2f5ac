"""The client of a service: what it sends for a call, and what it makes of an answer. No I/O happens here."""

from __future__ import annotations

import base64
import email
import email.policy
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loopback import Loopback

from kosmolua.errors import ApiError, BadArguments, CallError, NetworkError, NotConfigured
from kosmolua.http.client import Api, decode, fill
from kosmolua.http.messages import Request, Response, origin
from kosmolua.http.transport import Transport
from kosmolua.secret import Secret

BASE = "https://api.example.com/v1"


class Wire:
    """A ``send`` that notes each request and gives the answers in order, the last one for ever."""

    def __init__(self, *answers: Response) -> None:
        self.requests: list[Request] = []
        self.answers = answers or (Response(200, {}, b"{}"),)

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]

    @property
    def last(self) -> Request:
        return self.requests[-1]


def failure(answer: Response, method: str = "GET") -> CallError:
    """Return the error that an answer becomes."""
    with pytest.raises(CallError) as caught:
        Api(Wire(answer), BASE).request(method, "/things/{id}", id="t-1")
    return caught.value


def test_template_segments_are_quoted() -> None:
    """No value leaves its path segment, whatever is in it."""
    wire = Wire()
    Api(wire, BASE + "/").get("/services/{service_id}/env/{key}", service_id="../owners?a=b#c", key="Ä/ %2e;&")
    assert wire.last.url == BASE + "/services/..%2Fowners%3Fa%3Db%23c/env/%C3%84%2F%20%252e%3B%26"
    assert wire.last.route == "/services/{service_id}/env/{key}"


@pytest.mark.slow
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda t: t not in (".", ".."))
)
def test_a_segment_comes_back_as_it_was(value: str) -> None:
    """What a server unquotes is what the script gave, in one segment."""
    before, segment, after = fill("/a/{b}/c", {"b": value}).rsplit("/", 2)
    assert before == "/a"
    assert unquote(segment) == value
    assert after == "c"


@pytest.mark.parametrize("value", ["", ".", "..", "a\nb", "a\x00", "\x7f", "\x85", "\ud800"])
def test_segments_that_cannot_be_meant_are_refused(value: str) -> None:
    """Nothing is sent for an empty segment, a dot segment (RFC 3986, 5.2.4) or a control character."""
    wire = Wire()
    with pytest.raises(BadArguments, match=r"service_id cannot be .* Nothing was sent\.") as caught:
        Api(wire, BASE).get("/services/{service_id}", service_id=value)
    assert caught.value.param == "service_id"
    assert not wire.requests


def test_a_template_and_its_segments_must_agree() -> None:
    """A slip of the integration's author is loud: a name without a value, a value without a name."""
    api = Api(Wire(), BASE)
    with pytest.raises(TypeError, match="service_id"):
        api.get("/services/{service_id}")
    with pytest.raises(TypeError, match="quary"):
        api.get("/services", quary="x")


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ({"limit": 20, "cursor": None}, (("limit", "20"),)),
        ({"type": ["web_service", "cron_job"]}, (("type", "web_service,cron_job"),)),
        ({"type": [], "status": ()}, ()),
        ({"flag": True, "other": [False, 1, None]}, (("flag", "true"), ("other", "false,1"))),
        ({"cursor": "a-b_c=="}, (("cursor", "a-b_c=="),)),
        ({"empty": ""}, (("empty", ""),)),
    ],
)
def test_query(query: dict[str, object], pairs: tuple[tuple[str, str], ...]) -> None:
    """None and empty lists are left out, lists are joined by commas, as Render's reference has it."""
    wire = Wire()
    Api(wire, BASE).get("/services", query=query)
    assert wire.last.query == pairs


def test_query_of_services_that_repeat_the_name() -> None:
    """A service can want ``a=1&a=2`` instead."""
    wire = Wire()
    Api(wire, BASE, lists="repeated").get("/x", query={"a": [1, 2], "b": []})
    assert wire.last.query == (("a", "1"), ("a", "2"))


def test_credentials_stay_secret_in_the_request() -> None:
    """Wherever a service wants its key, the request holds a Secret, and its repr shows none."""
    wire = Wire()
    key = Secret("rnd_SECRET")
    Api(wire, BASE, bearer=key, headers={"X-Key": key}, query={"api_key": key}).get("/x")
    assert "rnd_SECRET" not in repr(wire.last)
    revealed = wire.last.headers["Authorization"]
    assert isinstance(revealed, Secret)
    assert revealed.reveal() == "Bearer rnd_SECRET"
    assert wire.last.query == (("api_key", key),)


def test_json_body() -> None:
    """A body is JSON with its Content-Type; an empty list is a body, None is none."""
    wire = Wire()
    api = Api(wire, BASE)
    api.put("/x", json=[])
    assert wire.last.body == b"[]"
    assert wire.last.headers["Content-Type"] == "application/json"
    api.post("/x", json={"name": "Zoë", "n": 2**53})
    assert json.loads(wire.last.body or b"") == {"name": "Zoë", "n": 2**53}
    api.post("/x")
    assert wire.last.body is None
    assert "Content-Type" not in wire.last.headers


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_form_body(method: str) -> None:
    """A form is kept as pairs, for the transport to encode; each verb that has a body takes one."""
    wire = Wire()
    call: Callable[..., object] = getattr(Api(wire, BASE), method)
    call("/token", form={"grant_type": "refresh_token", "scope": ["a", "b"], "none": None})
    assert wire.last.form == (("grant_type", "refresh_token"), ("scope", "a,b"))
    assert wire.last.content == b"grant_type=refresh_token&scope=a%2Cb"


def uploaded(request: Request) -> list[tuple[str | None, str | None, str, bytes]]:
    """Return name, file name, media type and content of each part that a request sends, as Python's parser reads it."""
    head = f"Content-Type: {request.fields['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.content, policy=email.policy.HTTP)
    return [
        (
            part.get_param("name", header="Content-Disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


def test_a_form_with_files_over_the_wire() -> None:
    """Fields, files of any bytes and secrets arrive as they are, in order; the same form is the same body."""
    scan = bytes(range(256)) + b"\r\n--kosmolua-\r\n"
    form = {"title": "Zoë", "pinned": True, "token": Secret("s3cret"), "none": None, "tags": ["a", "b"]}
    files = {"scan": ("s.png", scan, "image/png"), "notes": [("1.txt", "one", "text/plain"), ("2.txt", "", "text/x")]}
    with Loopback(lambda request: Response(200, {}, b'{"ok":true}')) as service:
        api = Api(Transport().send, service.url)
        assert api.post("/scans", multipart={**form, **files}) == {"ok": True}
        api.put("/scans", multipart={**form, **files}, headers={"content-type": "multipart/form-data"})
    assert uploaded(service.requests[0]) == [
        ("title", None, "text/plain", "Zoë".encode()),
        ("pinned", None, "text/plain", b"true"),
        ("token", None, "text/plain", b"s3cret"),
        ("tags", None, "text/plain", b"a"),
        ("tags", None, "text/plain", b"b"),
        ("scan", "s.png", "image/png", scan),
        ("notes", "1.txt", "text/plain", b"one"),
        ("notes", "2.txt", "text/x", b""),
    ]
    assert service.requests[0].content == service.requests[1].content
    assert service.requests[0].headers["Content-Type"] == service.requests[1].headers["Content-Type"]


def test_no_name_of_a_file_ends_its_head() -> None:
    """Quotes and line ends in names are escaped as browsers do; a media type that has any is refused."""
    wire = Wire()
    Api(wire, BASE).post("/x", multipart={'a"b': ('q".png\r\nX-Evil: 1', b"", "image/png")})
    assert b'name="a%22b"; filename="q%22.png%0D%0AX-Evil: 1"\r\nContent-Type: image/png\r\n\r\n' in wire.last.content
    with pytest.raises(ValueError, match="is not a media type"):
        Api(wire, BASE).post("/x", multipart={"a": ("b", b"", "image/png\r\nX-Evil: 1")})


def test_a_boundary_says_nothing_of_a_secret() -> None:
    """It is in a header, and is the same whatever the secret is."""
    wire = Wire()
    for value in ("s3cret", "an0ther"):
        Api(wire, BASE).post("/x", multipart={"token": Secret(value)})
    assert wire.requests[0].headers["Content-Type"] == wire.requests[1].headers["Content-Type"]


@pytest.mark.parametrize(
    "given",
    [
        {"form": {"token": Secret("s3cret")}},
        {"multipart": {"token": Secret("s3cret")}},
        {"json": {"a": [{"token": Secret("s3cret")}]}},
        {"body": Secret("s3cret")},
    ],
)
def test_a_secret_in_a_body(given: dict[str, Any]) -> None:
    """A form of any kind, JSON or a whole body may hold a Secret; it is sent, and not in the repr of the request."""
    wire = Wire()
    Api(wire, BASE).post("/token", **given)
    assert b"s3cret" in wire.last.content
    assert "s3cret" not in repr(wire.last)
    assert [root.reveal() for secret in wire.last.secrets for root in secret.roots] == ["s3cret"]


@pytest.mark.parametrize("body", [b"a;b\n", "a;b\n"])
def test_any_other_body(body: bytes | str) -> None:
    """An upload is sent as it is, with the content type and the headers that it is given."""
    wire = Wire()
    Api(wire, BASE).put("/f/{name}", body=body, headers={"Content-Type": "text/csv", "If-Match": '"v1"'}, name="x")
    assert wire.last.content == b"a;b\n"
    assert wire.last.headers == {"Accept": "application/json", "Content-Type": "text/csv", "If-Match": '"v1"'}


@pytest.mark.parametrize(("said", "kind"), [("Image/PNG; q=1", "image/png"), (None, "application/octet-stream")])
def test_a_download(said: str | None, kind: str) -> None:
    """Any bytes come back in base64 with their type and number; whatever the service has is accepted."""
    scan = bytes(range(256))
    with Loopback(lambda request: Response(200, {"Content-Type": said} if said else {}, scan)) as service:
        got = Api(Transport().send, service.url).download("/scans/{id}", id="s-1", query={"size": 2})
    assert got["content_type"] == kind
    assert base64.b64decode(got["base64"]) == scan
    assert got["bytes"] == 256
    assert service.requests[0].headers["Accept"] == "*/*"
    assert service.requests[0].query == (("size", "2"),)


def test_a_download_that_fails_or_is_empty() -> None:
    """An error status is an error as ever, and no bytes are no error."""
    api = Api(Wire(Response(404, {}, b'{"message":"gone"}'), Response(200)), BASE)
    with pytest.raises(ApiError, match="gone"):
        api.download("/x")
    assert api.download("/x") == {"content_type": "application/octet-stream", "base64": "", "bytes": 0}


def test_a_header_of_one_request_replaces_the_clients() -> None:
    """Whatever the case of its name, and only for that request; a content type of one's own beats that of JSON."""
    wire = Wire()
    api = Api(wire, BASE, bearer=Secret("rnd_SECRET"))
    api.patch("/x", json={}, headers={"accept": "text/csv", "content-type": "application/merge-patch+json"})
    assert wire.last.headers.keys() == {"Authorization", "accept", "content-type"}
    api.get("/x")
    assert wire.last.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content_length", "Transfer-Encoding", "TE", "Trailer", "Connection", "Keep-Alive", "Upgrade"),
        *("Expect", "Proxy-Authorization", "Forwarded", "X_Forwarded_For", "X-Original-URL", "X-Rewrite-URL"),
        *("X-HTTP-Method-Override", "x-http-method", "X-Method-Override", "", "X A", "X-A:", "X-\u212aey"),
    ],
)
def test_a_header_that_no_caller_can_set(name: str) -> None:
    """Neither the transport's nor a proxy's, and nothing that is no name of a header: nothing is sent."""
    wire = Wire()
    with pytest.raises(BadArguments, match="Nothing was sent"):
        Api(wire, BASE).get("/x", headers={name: "1"})
    assert not wire.requests


def test_a_header_with_a_value_that_no_header_can_have() -> None:
    """A line end would begin another header, and a null byte ends the value at some services."""
    for value in ("a\r\nX-B: c", "a\x00", "\u20ac"):
        with pytest.raises(BadArguments, match="'X-A' has a value with characters that a header cannot contain"):
            Api(Wire(), BASE).get("/x", headers={"X-A": value})


@pytest.mark.parametrize(
    ("one", "other"), [("json", "form"), ("form", "body"), ("json", "body"), ("multipart", "form")]
)
def test_a_request_has_one_body(one: str, other: str) -> None:
    """Two of them are a slip of the author, and nothing is sent."""
    wire = Wire()
    given: dict[str, Any] = {one: {}, other: {}}
    with pytest.raises(TypeError, match="json, form, multipart and body exclude each other"):
        Api(wire, BASE).post("/x", **given)
    assert not wire.requests


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_timeout_goes_with_the_request(method: str) -> None:
    """Each verb takes one; without it the request has no limit of its own."""
    wire = Wire()
    call: Callable[..., object] = getattr(Api(wire, BASE), method)
    call("/x", timeout=2.5)
    call("/x")
    assert [request.timeout for request in wire.requests] == [2.5, None]


def test_a_timeout_holds_for_what_a_write_refers_to() -> None:
    """The answer that a 303 leads to has as long as the write had."""
    wire = Wire(Response(303, {"Location": "/v1/jobs/1"}), Response(200, {}, b"{}"))
    Api(wire, BASE).post("/jobs", timeout=3)
    assert [(request.method, request.timeout) for request in wire.requests] == [("POST", 3), ("GET", 3)]


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_that_ends_before_it_begins(timeout: float) -> None:
    """It is a slip of the author, and nothing is sent."""
    wire = Wire()
    with pytest.raises(ValueError, match="timeout must be more than 0 s"):
        Api(wire, BASE).get("/x", timeout=timeout)
    assert not wire.requests


class Colour:
    """Something that no request can hold."""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"query": {"filter": {"x": 1}}}, "filter must be .* not a Python dict"),
        ({"query": {"filter": [Colour()]}}, "filter must be .* not a Python Colour"),
        ({"query": {"filter": {1, 2}}}, "filter must be .* not a Python set"),
        ({"query": {"keys": [Secret("s3cret")]}}, "keys must be .* not a Python Secret"),
        ({"form": {"filter": {"x": 1}}}, "filter must be .* not a Python dict"),
        ({"multipart": {"filter": {"x": 1}}}, "filter must be .* not a Python dict"),
        ({"multipart": {"scan": ("a.png", b"")}}, "the file scan must be a tuple of its name, its content and its"),
        ({"multipart": {"scan": [("a.png", 7, "image/png")]}}, "the file scan must be a tuple of its name, its"),
        ({"json": {"when": Colour()}}, "JSON body cannot contain a Python Colour"),
        ({"headers": {"X-Try": 1}}, "X-Try in the header must be a string or a Secret, not a Python int"),
        ({"headers": {"If-Match": None}}, "If-Match in the header must be a string or a Secret, not None"),
    ],
)
def test_values_that_no_request_can_hold(given: dict[str, Any], says: str) -> None:
    """A slip of the author is a TypeError that names the key: Python's spelling of a value is never sent."""
    wire = Wire()
    with pytest.raises(TypeError, match=says):
        Api(wire, BASE).post("/x", **given)
    assert not wire.requests


@pytest.mark.parametrize("value", [None, {"id": 1}, ["a"], Secret("s3cret")])
def test_segments_that_are_no_text(value: Any) -> None:
    """A reply that lacks an id does not become a request for ``/things/None``."""
    wire = Wire()
    with pytest.raises(TypeError, match="id must be text, a number"):
        Api(wire, BASE).get("/things/{id}", id=value)
    assert not wire.requests


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_verbs(method: str) -> None:
    """Each verb sends its own method and returns the answer's JSON."""
    wire = Wire(Response(200, {}, b'[{"id": 1}]'))
    call: Callable[..., object] = getattr(Api(wire, BASE), method)
    assert call("/x/{id}", query={"a": 1}, id=7) == [{"id": 1}]
    assert wire.last.method == method.upper()
    assert wire.last.url == BASE + "/x/7"


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_answer_is_none(body: bytes) -> None:
    """202 and 204 come without a body; that is a success without a value."""
    assert Api(Wire(Response(202, {}, body)), BASE).post("/x") is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"message":"not found: srv-1"}', "not found: srv-1"),
        (b'{"id":"x","message":"name is taken","code":"taken"}', "name is taken"),
        (b'{"error":"rate limit exceeded"}', "rate limit exceeded"),
        (b'{"error":{"code":404,"message":"no such thing"}}', "no such thing"),
        (b'{"error":"invalid_grant","error_description":"expired"}', "invalid_grant: expired"),
        (b'{"errors":[{"detail":"too long"},{"detail":"too short"}]}', "too long; too short"),
        (
            b'{"message":"Validation Failed","errors":[{"field":"title","code":"missing"}]}',
            "field: title, code: missing",
        ),
        (b'{"type":"about:blank","title":"Bad","detail":"limit is 101"}', "limit is 101: Bad"),
        (b'{"title":"no such item","detail":"no such item (it_7)"}', "no such item (it_7)"),
        (b'{"errors":{"name":["is empty","is bad"]}}', "name: is empty; is bad"),
        (b'["one","two"]', "one; two"),
        (b'"plain"', "plain"),
        (b"upstream\n  connect error", "upstream connect error"),
        (
            b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>No &quot;a&quot; here.</Message><Key>a</Key>'
            b"</Error>",
            'NoSuchKey: No "a" here.',
        ),
        (b"<html><head><title> 502 Bad &amp; Gateway </title></head><body>x</body></html>", "502 Bad & Gateway"),
        (b"<html><head><style>p {}</style></head><body><p>Sorry,</p>\n<b>no</b></body></html>", "Sorry, no"),
        (b"", "no reason given"),
        (b"{}", "no reason given"),
        (b"null", "no reason given"),
        (b"x" * 1000, "x" * 300 + "..."),
        (b"\x1b[31mred\xff", "[31mred\ufffd"),
        (b'{"error":' * 500 + b"1" + b"}" * 500, "no reason given"),
        (b"[" * 100_000, "[" * 300 + "..."),
    ],
)
def test_error_bodies(body: bytes, says: str) -> None:
    """Whatever form an error has, its sentence is in the message, on one line."""
    error = failure(Response(400, {}, body))
    assert error.message.startswith("GET /v1/things/t-1 was answered 400: ")
    assert says in error.message
    assert "\n" not in error.message
    assert "\x1b" not in error.message


@pytest.mark.parametrize("body", [b"<html><body><script>go()</script></body></html>", b"<div id=app></div>"])
def test_a_page_without_words_is_told_by_its_kind(body: bytes) -> None:
    """A page that a script fills, as of a login, in place of JSON: status and content type say what was answered."""
    page = {"Content-Type": "text/html; charset=utf-8"}
    assert failure(Response(404, page, body)).message == "GET /v1/things/t-1 was answered 404: text/html without words"
    said = failure(Response(200, page, body)).message
    assert said.endswith("/v1/things/t-1 was answered 200 with something that is not JSON: text/html without words")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"detail": [{"loc": ["body", "user", "age"], "msg": "field required"}]}, "body.user.age: field required"),
        (
            {"title": "Bad", "errors": [{"detail": "must be positive", "pointer": "#/age"}]},
            "Bad: age: must be positive",
        ),
        (
            {"title": "Bad", "invalid-params": [{"name": "age", "reason": "must be positive"}]},
            "Bad: age: must be positive",
        ),
        (
            {"message": "Validation Failed", "errors": [{"field": "title", "code": "custom", "message": "too short"}]},
            "Validation Failed: title: too short",
        ),
        (
            {"errors": [{"source": {"pointer": "/data/name"}, "title": "Invalid", "detail": "too long"}]},
            "data.name: too long",
        ),
        (
            {"error": {"message": "invalid", "details": [{"fieldViolations": [{"field": "x", "description": "y"}]}]}},
            "invalid: x: y",
        ),
        ({"message": "invalid", "errors": {"email": ["is taken", "is odd"]}}, "invalid: email: is taken; is odd"),
        ({"email": ["This field is required."]}, "email: This field is required."),
        ({"errors": [{"param": "limit", "msg": "too many"}, "and more"]}, "limit: too many; and more"),
        ({"errors": [{"field": 7, "message": "odd"}, {"loc": [], "msg": "none"}]}, "odd; msg: none"),
    ],
    ids=["FastAPI", "RFC 9457", "RFC 7807", "GitHub", "JSON:API", "Google", "Laravel", "Django", "Express", "odd"],
)
def test_field_errors(body: object, says: str) -> None:
    """Which field is wrong, and what is wrong with it, is in the message, in whatever shape the service says it."""
    error = failure(Response(422, {}, json.dumps(body).encode()), "POST")
    assert error.message == f"POST /v1/things/t-1 was answered 422: {says}"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b'{"errors": [{"field": "a"}], "n": 2}', {"errors": [{"field": "a"}], "n": 2}),
        (b"<p>Sorry</p>", "<p>Sorry</p>"),
        (b"", None),
        (b"{}", {}),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b"\xff", "\ufffd"),
        (b"[" * 40 + b"]" * 40, "[" * 40 + "]" * 40),
        (b"[" * 5000, "[" * 5000),
        (b'"' + b"x" * 20_000 + b'"', '"' + "x" * (16 * 1024 - 1)),
    ],
    ids=["JSON", "HTML", "nothing", "empty", "NaN", "bytes", "deep", "deep and broken", "large"],
)
def test_the_body_of_an_error(answer: bytes, body: object) -> None:
    """A script finds all that the service said: decoded where it is JSON, as text where not, at most 16 KiB of it."""
    error = failure(Response(422, {}, answer))
    assert error.body == body
    assert error.fields().get("body") == body


@pytest.mark.parametrize("answer", ['{"echo": "rnd_SECRET_KEY"}', "x" * 16_378 + "rnd_SECRET_KEY"])
def test_the_body_of_an_error_shows_no_credential(answer: str) -> None:
    """Nor the beginning of one at the place where it is cut."""
    api = Api(Wire(Response(400, {}, answer.encode())), BASE, bearer=Secret("rnd_SECRET_KEY"))
    with pytest.raises(ApiError) as caught:
        api.get("/x")
    assert "rnd_" not in str(caught.value.fields())
    assert "***" in str(caught.value.body)


def test_request_id() -> None:
    """The service's own name for the request is in the message and in the field, for whoever asks the support."""
    error = failure(Response(500, {"render-request-id": "req-1"}, b""))
    assert error.request_id == "req-1"
    assert error.message.endswith("[request req-1]")


@pytest.mark.parametrize(
    ("status", "method", "code", "retryable", "hint"),
    [
        (400, "GET", "api_error", False, None),
        (401, "GET", "api_error", False, "accounts check"),
        (403, "GET", "api_error", False, "does not permit this"),
        (404, "GET", "api_error", False, None),
        (429, "POST", "rate_limited", True, None),
        (500, "GET", "api_error", True, None),
        (503, "POST", "api_error", False, "check before you retry"),
    ],
)
def test_statuses(status: int, method: str, code: str, retryable: bool, hint: str | None) -> None:
    """The code, whether trying again may help, and a hint where there is something to do."""
    error = failure(Response(status, {}, b'{"message":"m"}'), method)
    assert isinstance(error, ApiError)
    assert error.code == code
    assert error.status == status
    assert error.retryable == retryable
    assert (hint or "") in (error.hint or "")
    assert bool(error.hint) == bool(hint)


def test_a_post_that_is_declared_safe_fails_as_a_read_does() -> None:
    """It can be made again, and nobody is told to look whether it was done."""
    with pytest.raises(ApiError) as caught:
        Api(Wire(Response(503)), BASE).post("/graphql", json={"query": "{ me { id } }"}, safe=True)
    assert caught.value.message == "POST /v1/graphql was answered 503: no reason given"
    assert caught.value.retryable


def test_retry_after_reaches_the_error() -> None:
    """A script sees how long the service wants to be left alone."""
    error = failure(Response(429, {"retry-after": "3494"}, b'{"message":"rate limit exceeded"}'))
    assert error.fields()["retry_after"] == 3494
    assert "3494 s" in error.message


@pytest.mark.parametrize("body", [b"It works", b'{"a":[1', b'{"a":NaN}', b"<p>hello</p>"])
def test_an_answer_that_is_not_json(body: bytes) -> None:
    """Success with something else than JSON is an error that quotes it."""
    with pytest.raises(NetworkError, match="answered 200 with something that is not JSON") as caught:
        decode(Response(200, {}, body))
    assert not caught.value.retryable


def test_a_redirect_is_an_error() -> None:
    """A redirect that the transport did not follow is never taken for an answer."""
    error = failure(Response(302, {"Location": "https://evil.example/x?key=1"}, b"{}"))
    assert "it redirects to https://evil.example, which was not followed" in error.message
    assert isinstance(error, ApiError)
    assert error.location == "https://evil.example/x?key=1"
    assert "location" not in error.fields()


@pytest.mark.parametrize(
    ("answer", "method", "says", "location"),
    [
        (Response(103), "GET", "was answered 103: this is neither an answer nor an error", None),
        (Response(304), "GET", "was answered 304: the resource has not changed", None),
        (Response(302), "GET", "was answered 302: this is neither an answer nor an error, and names no address", None),
        (Response(308, {"Location": "../y?k=1"}), "PUT", "redirects to /v1/y, which was not followed", f"{BASE}/y?k=1"),
        (Response(303, {"Location": "https://[bad/"}), "POST", "names no address", None),
        (Response(301, {"Location": "mailto:a"}), "GET", "redirects to another address, which was not", "mailto:a"),
        (
            Response(303, {"Location": "//evil.example/"}),
            "POST",
            "it must not get the credential",
            "https://evil.example/",
        ),
    ],
)
def test_what_a_redirect_says(answer: Response, method: str, says: str, location: str | None) -> None:
    """The message is true to the status, and an author finds where it leads."""
    error = failure(answer, method)
    assert isinstance(error, ApiError)
    assert says in error.message
    assert error.location == location


@pytest.mark.parametrize("target", ["/v1/jobs/7?view=full#top", f"{BASE}/jobs/7?view=full"])
def test_a_write_that_is_answered_elsewhere(target: str) -> None:
    """303 says that a write is done and where its answer is (RFC 9110, 15.4.4): that is read, with the credential."""
    key = Secret("rnd_SECRET")
    wire = Wire(Response(303, {"Location": target}), Response(200, {}, b'{"id": 7}'))
    api = Api(wire, BASE, headers={"X-Key": key}, query={"api_key": key})
    assert api.post("/things/{id}", json={"a": 1}, headers={"Idempotency-Key": "i"}, id=1) == {"id": 7}
    assert [request.method for request in wire.requests] == ["POST", "GET"]
    assert wire.last.url == f"{BASE}/jobs/7"
    assert wire.last.query == (("api_key", key), ("view", "full"))
    assert wire.last.content == b""
    assert wire.last.headers == {"Accept": "application/json", "X-Key": key}


@pytest.mark.parametrize("answer", [Response(503), Response(429, {"Retry-After": "9"}), Response(404)])
def test_a_write_whose_answer_is_not_there(answer: Response) -> None:
    """The write is done all the same: nothing says that the call may be made again."""
    wire = Wire(Response(303, {"Location": "/v1/jobs/7"}), answer)
    with pytest.raises(
        NetworkError, match=r"POST /v1/x was answered 303, but .* GET /v1/jobs/7 was answered"
    ) as caught:
        Api(wire, BASE).post("/x")
    assert not caught.value.retryable
    assert "check before you retry" in caught.value.message


def test_a_query_whose_answer_is_not_there() -> None:
    """Nothing was done by a POST that is declared safe: what its 303 refers to fails like any other read."""
    wire = Wire(Response(303, {"Location": "/v1/results/7"}), Response(503))
    with pytest.raises(ApiError, match="GET /v1/results/7 was answered 503: no reason given") as caught:
        Api(wire, BASE).post("/query", safe=True)
    assert caught.value.retryable


def test_follow() -> None:
    """An absolute address of the same origin is fetched with the credential, its own query kept."""
    wire = Wire(Response(200, {}, b"[1]"))
    key = Secret("rnd_SECRET")
    api = Api(wire, BASE, bearer=key, query={"api_key": key})
    response = api.follow("https://API.example.com:443/v2/x?cursor=a%3D&api_key=old#top")
    assert response.json() == [1]
    assert wire.last.url == "https://API.example.com:443/v2/x"
    assert wire.last.query == (("api_key", key), ("cursor", "a="))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "https://api.example.com:8443/v1",
        "https://api.example.com.evil.example/v1",
        "https://api.example.com@evil.example/v1",
        "https://api.example.com\\@evil.example/v1",
        "https://user@api.example.com/v1",
        "//evil.example/v1",
        "/v1/x",
        "https://[bad/",
        "",
    ],
)
def test_follow_stays_at_home(url: str) -> None:
    """No other origin ever gets a request, however its address is spelled."""
    wire = Wire()
    with pytest.raises(NetworkError, match="must not go there"):
        Api(wire, BASE).follow(url)
    assert not wire.requests


@pytest.mark.parametrize(
    "url", ["", "api.example.com", "ftp://x", "https://", "https://u:p@h/v1", "https://h/?k=1", "https://h h"]
)
def test_base_url_must_be_one(url: str) -> None:
    """A slip in accounts.toml is one sentence, and what it holds is not shown."""
    with pytest.raises(NotConfigured, match="base_url is not an address"):
        Api(Wire(), url)


def test_origin_has_one_spelling() -> None:
    """Case and the scheme's own port make no difference; everything else does."""
    assert origin("HTTPS://Api.Example.com:443/x") == origin("https://api.example.com")
    assert origin("http://h:80") == "http://h"
    assert origin("http://h:8080") == "http://h:8080"


def test_the_client_loads_no_http_library() -> None:
    """A run without a live call never pays for requests."""
    code = "import sys, kosmolua.plugin; print([m for m in ('requests', 'urllib3', 'ssl', 'html') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
def test_a_verb_takes_what_request_takes(verb: str) -> None:
    """All but the method, so that ``help(Api.put)`` shows the parameters, and a query by PUT can be called safe."""
    parameters = inspect.signature(Api.request).parameters
    assert [*inspect.signature(getattr(Api, verb)).parameters] == [name for name in parameters if name != "method"]
