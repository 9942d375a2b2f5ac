"""Headers of scripts and documents: none of them is the transport's, a proxy's or the account's."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.documents import Service, serving, small
from support.processes import eventually
from support.servers import reserved_port

from kosmolua import Runtime
from kosmolua.errors import BadArguments, ConfigError
from kosmolua.openapi.overlay import Overlay

KEY = "tok_SECRETcanary12345"
OVERLAY = """
[functions.marked]
headers = ["X-Trace-Id"]

[functions.find]
effect = "read"
"""


def parameter(name: str, place: str = "header") -> dict[str, Any]:
    """Return an optional parameter of an operation."""
    return {"name": name, "in": place, "schema": {"type": "string"}}


def operation(name: str, *parameters: Any, media: str = "", schema: Any = None) -> dict[str, Any]:
    """Return an operation, with a body if it has a media type."""
    body = {"requestBody": {"content": {media: {"schema": schema or {"type": "string"}}}}} if media else {}
    return {"operationId": name, "parameters": [*parameters], "responses": {"200": {"description": "ok"}}, **body}


def note(body: str, media: str) -> str:
    """Return a call that sends a text with a media type of the script's choice."""
    return f"note({{ body = '{body}', extra = {{ headers = {{ ['Content-Type'] = '{media}' }} }} }})"


FORM = {"type": "object", "properties": {"name": {"type": "string"}, "_method": {"type": "string"}}}
OPEN = {"type": "object", "additionalProperties": True}
PATHS = {
    "/me": {"get": operation("me")},
    "/marked": {"get": operation("marked"), "post": operation("mark")},
    "/find": {"post": operation("find")},
    "/own": {
        "get": operation(
            "own",
            *map(parameter, ("Host", "X_Api_Key", "Cookie", "X-HTTP-Method-Override", "X-Mine")),
            parameter("session", "cookie"),
            parameter("_method", "query"),
        )
    },
    "/note": {"post": operation("note", media="text/plain")},
    "/form": {"post": operation("form", media="application/x-www-form-urlencoded", schema=FORM)},
    "/upload": {"post": operation("upload", media="multipart/form-data", schema=FORM)},
    "/any": {"post": operation("anything", media="application/json", schema=OPEN)},
}
DOCUMENT = {
    "paths": PATHS,
    "security": [{"key": []}],
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
}


@pytest.mark.parametrize("name", ["X-Request-ID", "traceparent"])
def test_what_tells_requests_apart_is_an_argument_if_it_is_required(tmp_path: Path, name: str) -> None:
    """As in the documents of banks; however many operations have it, it is no setting of the account."""
    needed = {**parameter(name), "required": True}
    several = {f"/{each}": {"get": operation(each, needed)} for each in "abcdef"}
    document = small(tmp_path, {**DOCUMENT, "paths": {**several, "/g": {"get": operation("g", parameter(name))}}})
    with serving() as service:
        accounts = {"pets": {"default": {"key": KEY, "base_url": service.url}}}
        with Runtime(accounts, plugins=[document], environ={}) as runtime:
            runtime.call("pets.a", {name: "r-1"})
            assert service.last.headers[name.lower()] == "r-1"
            with pytest.raises(BadArguments, match="has no parameter"):
                runtime.call("pets.g", {name: "r-1"})


def test_what_many_operations_take(tmp_path: Path) -> None:
    """A token of a page is an argument and no credential; the default of an optional header is the service's own,
    except for a version, which some services need all the same.
    """
    behalf = {"name": "on-behalf-of", "in": "header", "schema": {"type": "string", "default": "The name of a user."}}
    version = {"name": "X-Version", "in": "header", "schema": {"type": "string", "default": "7"}}
    several = {
        f"/{name}": {"get": operation(name, behalf, version, parameter("next_token", "query"))} for name in "abcdef"
    }
    document = small(tmp_path, {**DOCUMENT, "paths": several})
    with serving() as service:
        accounts = {"pets": {"default": {"key": KEY, "base_url": service.url}}}
        with Runtime(accounts, plugins=[document], environ={}) as runtime:
            runtime.call("pets.a", {"next_token": "n2"})
        assert service.last.line == "GET /a?next_token=n2"
        assert service.last.headers["x-version"] == "7"
        assert "on-behalf-of" not in service.last.headers


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Service]]:
    """A runtime whose account has a key in a header, and the service on the loopback interface."""
    folder = tmp_path_factory.mktemp("headers")
    document = small(folder, DOCUMENT)
    document.with_suffix(".toml").write_text(OVERLAY)
    with serving() as service:
        account = {"key": KEY, "base_url": service.url, "permissions": {"write": "allow"}}
        with Runtime({"pets": {"main": account}}, plugins=[document], environ={}) as runtime:
            yield runtime, service


def refused(pets: tuple[Runtime, Service], call: str) -> str:
    """Return the message with which a call is refused, after which nothing was sent."""
    runtime, service = pets
    before = len(service.sent)
    outcome = runtime.run(f"app.integrations.pets.{call}", check=False)
    assert isinstance(outcome.error, BadArguments), (call, outcome.error)
    assert len(service.sent) == before
    return outcome.error.message


@pytest.mark.parametrize("function", ["me", "mark"])
@pytest.mark.parametrize(
    "name",
    [
        *("Host", "HOST", "Content-Length", "content_length", "Transfer-Encoding", "TE", "Trailer", "Connection"),
        *("Keep-Alive", "Upgrade", "Expect", "Proxy-Authorization", "Proxy_Connection", "Authorization", "Cookie"),
        *("X-Api-Key", "x_api_key", "Forwarded", "X-Forwarded-For", "X-Original-URL", "X-Rewrite-URL"),
        *("X-HTTP-Method-Override", "X-Http-Method", "X_HTTP_Method", "X-Method-Override", "Proxy"),
        *("X-HTTP-Host-Override", "X-Envoy-Original-Path"),
        *("X A", "X-A:", "", "X-\u212aey", "Host ", "\\tHost", "X-A\\r\\nHost"),
    ],
)
def test_a_header_that_no_script_can_set(pets: tuple[Runtime, Service], function: str, name: str) -> None:
    """Neither in a read nor in a write, in whatever spelling."""
    said = refused(pets, f"{function}({{ extra = {{ headers = {{ ['{name}'] = '1' }} }} }})")
    assert said.endswith("Nothing was sent.")


@pytest.mark.parametrize("call", ["me", "find"])
def test_a_read_takes_few_headers(pets: tuple[Runtime, Service], call: str) -> None:
    """Those that choose the form of the answer, whatever the method; the message names them."""
    runtime, service = pets
    names = ("If-Match", "if_none_match", "Accept", "Accept-Language", "Prefer", "Range")
    given = ", ".join(f"['{name}'] = 'x'" for name in names)
    assert runtime.run(f"app.integrations.pets.{call}({{ extra = {{ headers = {{ {given} }} }} }})").ok
    assert {name.lower() for name in names} <= service.last.headers.keys()
    said = refused(pets, f"{call}({{ extra = {{ headers = {{ ['X-Tenant'] = 'x' }} }} }})")
    assert "it takes If-*, Accept*, Prefer and Range" in said


@pytest.mark.parametrize(
    "extra",
    [
        *(
            f"headers = {{ ['{name}'] = 'x' }}"
            for name in ("X-Auth-Token", "private_token", "DD-API-KEY", "X-Access-Token", "X-Remote-User")
        ),
        *(
            f"query = {{ ['{name}'] = 'x' }}"
            for name in ("access_token", "API_KEY", "oauthToken", "private-token", "access_token[]", " api_key")
        ),
        "query = { access_token = { 'x' } }",
    ],
)
def test_no_other_credential_goes_along(pets: tuple[Runtime, Service], extra: str) -> None:
    """With it a service may take the call for somebody else's, as for that of whoever said the credential."""
    assert "services take it for a credential" in refused(pets, f"mark({{ extra = {{ {extra} }} }})")


def test_a_secret_of_the_users_own_goes_along(tmp_path: Path) -> None:
    """Where a service needs two credentials, and its document describes one; other tokens are none."""
    with serving() as service:
        accounts = {
            "kosmolua": {"secrets": {"second": {"env": "SECOND", "for": ["pets.*"]}}},
            "pets": {"main": {"key": KEY, "base_url": service.url, "permissions": {"write": "allow"}}},
        }
        environ = {"SECOND": "another-key-of-mine"}
        with Runtime(accounts, plugins=[small(tmp_path, DOCUMENT)], environ=environ) as runtime:
            headers = "['X-Access-Token'] = secrets.second, ['X-CSRF-Token'] = 'a'"
            query = "page_token = 'b', api_keys = '1', token = 'c'"
            outcome = runtime.run(
                f"app.integrations.pets.mark({{ extra = {{ headers = {{ {headers} }}, query = {{ {query} }} }} }})"
            )
        assert outcome.ok, outcome.error
        assert service.last.headers["x-access-token"] == "another-key-of-mine"


def test_the_overlay_names_further_headers(pets: tuple[Runtime, Service]) -> None:
    """A read then takes them as well, in whatever spelling, and a write takes what is nobody else's."""
    runtime, service = pets
    assert runtime.run("app.integrations.pets.marked({ extra = { headers = { x_trace_id = '7' } } })").ok
    assert service.last.headers["x_trace_id"] == "7"
    assert runtime.run("app.integrations.pets.mark({ extra = { headers = { ['X-Other'] = '8' } } })").ok
    assert service.last.headers["x-other"] == "8"
    for names in ("X-Foo", [5], ["Host"], ["Authorization"], ["a b"]):
        with pytest.raises(ConfigError, match="headers"):
            Overlay(tables={"functions": {"x": {"headers": names}}})


def test_a_header_is_there_once(pets: tuple[Runtime, Service]) -> None:
    """Two spellings of one name are refused, and a script's replaces the one of the document or the client."""
    assert "twice" in refused(pets, "me({ extra = { headers = { ['If-Match'] = 'a', if_match = 'b' } } })")
    runtime, service = pets
    assert runtime.run(
        "app.integrations.pets.note({ body = 'x', extra = { headers = { content_type = 'text/x' } } })"
    ).ok
    assert service.last.headers["content_type"] == "text/x"
    assert service.last.headers.get("content-type") is None


def test_what_is_not_the_callers_is_no_argument(pets: tuple[Runtime, Service]) -> None:
    """A document that declares such a header, or an override of the method, makes no argument of it."""
    runtime, service = pets
    own = runtime.catalog.integration("pets").functions["own"]
    assert [each.name for each in own.parameters] == ["x_mine", "session", "reply", "extra"]
    form = runtime.catalog.integration("pets").functions["form"]
    assert [each.name for each in form.parameters] == ["name", "reply", "extra"]
    assert runtime.run("app.integrations.pets.own({ x_mine = 'a', session = 'b' })").ok
    assert service.last.headers["x-mine"] == "a"
    assert service.last.headers["cookie"] == "session=b"
    assert service.last.headers["x-api-key"] == KEY


def test_a_cookie_that_would_be_two(pets: tuple[Runtime, Service]) -> None:
    """A semicolon ends a cookie, and would begin one of the script's choice."""
    assert "semicolon" in refused(pets, "own({ session = 'a; admin=1' })")


@pytest.mark.parametrize(
    "call",
    [
        "me({ extra = { query = { _method = 'DELETE' } } })",
        "me({ extra = { query = { ['_Method[]'] = 'DELETE' } } })",
        "me({ extra = { query = { a = { _method = 'DELETE' } } } })",
        "mark({ extra = { body = { _method = 'DELETE' } } })",
        "mark({ extra = { body = { [' .method'] = 'DELETE' } } })",
        "form({ name = 'a', extra = { body = { _METHOD = 'DELETE' } } })",
        "form({ name = 'a', extra = { body = { ['[method'] = 'DELETE' } } })",
        "form({ extra = { body = '_method=DELETE' } })",
        "upload({ name = 'a', extra = { body = { _method = 'DELETE' } } })",
        "anything({ body = { _method = 'DELETE' } })",
        "anything({ body = { ['_method'] = 'DELETE' }, extra = { body = { a = 1 } } })",
        note("%5Fmethod=DELETE", "application/x-www-form-urlencoded; charset=utf-8"),
        note('{"\\\\u005fmethod":"DELETE"}', "application/json"),
        note(
            '--x\\r\\nContent-Disposition: form-data; name="_method"\\r\\n\\r\\nDELETE\\r\\n--x--\\r\\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_no_field_overrides_the_method(pets: tuple[Runtime, Service], call: str) -> None:
    """As Rails, Laravel and others would let it: in the query and at the top of a body, however it is written."""
    assert "would override the HTTP method" in refused(pets, call)


@pytest.mark.parametrize(
    "call",
    [
        "anything({ body = { payment_method = 'card', method = 'x', nested = { _method = 'y' } } })",
        "upload({ name = 'pay.method.txt', extra = { body = { payment_method = 'a' } } })",
        "note({ body = '_method=DELETE' })",
    ],
)
def test_names_that_only_look_alike_are_sent(pets: tuple[Runtime, Service], call: str) -> None:
    """Nothing overrides the method where it is part of a name, deeper in a value, or plain text."""
    outcome = pets[0].run(f"app.integrations.pets.{call}")
    assert outcome.ok, outcome.error


def test_a_body_of_a_read_ends_its_connection(pets: tuple[Runtime, Service]) -> None:
    """A service may ignore such a body, and would read it as the next request."""
    runtime, service = pets
    assert runtime.run("app.integrations.pets.me({ extra = { body = { a = 1 } } })").ok
    assert service.last.headers["connection"] == "close"
    assert service.last.headers["content-length"] == "7"


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; user root; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  log_format seen '$request_method $uri "$http_host" "$http_x_api_key"'; access_log {folder}/access.log seen;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type application/json;
  server {{
    listen 127.0.0.1:{port};
    location = /me {{ return 200 '{{"ok":true}}'; }}
    location / {{
      proxy_pass {service}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    }}
  }}
}}
"""
CALLS = 500
"""The number of calls of one run."""
_NAMES = """
Host Content-Length Transfer-Encoding TE Trailer Connection Keep-Alive Upgrade Expect Proxy-Connection Authorization
Cookie X-Api-Key Forwarded X-Forwarded-Host X-Original-URL X-HTTP-Method-Override X-Method-Override Content-Type Accept
If-Match Range Prefer Accept-Encoding X-A X-Trace-Id User-Agent _method name a[b]
"""
NAMES = _NAMES.split()
SMUGGLED = "DELETE /notes/7 HTTP/1.1\r\nHost: evil.example\r\nX-Api-Key: other\r\n\r\n"
VALUES = [
    *("", "1", "0", "5", "131", "chunked", "gzip, chunked", "identity", "close", "h2c", "100-continue", "evil.example"),
    *("DELETE", "/notes/7", "text/plain", "application/json", "DELETE /notes/7 HTTP/1.0", "\u20ac", "\x00", "\x0b"),
    *(f"a\r\n\r\n{SMUGGLED}", f"0\r\n\r\n{SMUGGLED}", "a\r\n Transfer-Encoding: chunked", "a\nContent-Length: 0"),
]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[str, Service, Path]]:
    """The address of an nginx in front of a service, the service, and the nginx's log."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("nginx is not installed")
    with reserved_port() as port, serving() as service:
        file = tmp_path / "nginx.conf"
        file.write_text(NGINX.format(folder=tmp_path, port=port, service=service.url))
        process = subprocess.Popen([program, "-p", tmp_path, "-e", tmp_path / "error.log", "-c", file])
        try:
            assert eventually(lambda: _is_open(port)), (tmp_path / "error.log").read_text()
            yield f"http://127.0.0.1:{port}", service, tmp_path / "access.log"
        finally:
            process.terminate()
            process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def arguments(chance: Random, function: str) -> dict[str, Any]:
    """Return the arguments of a call that tries to send more than one request, or another one."""

    def name() -> str:
        found = chance.choice(NAMES)
        how = chance.randrange(6)
        found = found.upper() if how == 1 else found.replace("-", "_") if how == 2 else found
        return chance.choice(["", " ", "\t", "X-A: 1\r\n"]) + found if how == 3 else found

    def table(most: int) -> dict[str, str]:
        return {name(): chance.choice(VALUES) for _ in range(chance.randint(0, most))}

    extra: dict[str, Any] = {}
    if chance.random() < 0.7:
        extra["headers"] = table(2)
    if chance.random() < 0.5:
        extra["query"] = table(2)
    if chance.random() < 0.5 and function != "note":
        extra["body"] = chance.choice([table(2), chance.choice(VALUES)])
    body = {"body": chance.choice(VALUES)} if function == "note" else {}
    return {**body, **({"extra": extra} if chance.random() < 0.9 else {})}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_each_call_is_one_request_behind_a_proxy(nginx: tuple[str, Service, Path], tmp_path: Path, seed: int) -> None:
    """Whatever a script adds, nginx and the service see that call's request only, with the account's key and host."""
    address, service, log = nginx
    chance = Random(seed)
    functions = {"me": "GET /me", "marked": "GET /marked", "mark": "POST /marked", "note": "POST /note"}
    calls = [(each, arguments(chance, each)) for each in chance.choices(list(functions), k=CALLS)]
    document = small(tmp_path, DOCUMENT, overlay=OVERLAY)
    account = {"key": KEY, "base_url": address, "permissions": {"write": "allow", "destroy": "deny"}}
    with Runtime({"pets": {"main": account}}, plugins=[document], environ={}) as runtime:
        outcome = runtime.run(
            """
            local codes = {}
            for number, call in ipairs(input) do
              local ok, err = pcall(app.integrations.pets[call[1]], call[2])
              codes[number] = ok and "ok" or err.code
            end
            return codes
            """,
            input=calls,
            max_calls=CALLS,
        )
    assert outcome.ok, outcome.error
    codes = outcome.result[0]
    assert {"ok", "bad_arguments"} <= {*codes} <= {"ok", "bad_arguments", "api_error"}
    made = [functions[function] for (function, _), code in zip(calls, codes, strict=True) if code != "bad_arguments"]
    assert len(made) > CALLS // 10
    host = address.partition("//")[2]
    expected = [f'{line} "{host}" "{KEY}"' for line in made]
    assert eventually(lambda: len(log.read_text().splitlines()) >= len(expected))
    assert log.read_text().splitlines() == expected
    assert [each.line.partition("?")[0] for each in service.sent] == [line for line in made if line != "GET /me"]
    assert {(each.headers["x-api-key"], each.headers["host"]) for each in service.sent} == {(KEY, host)}
