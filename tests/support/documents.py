"""Documents for the tests of OpenAPI: the shared real ones, small ones of our own, and a service that answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from kosmolua import Runtime
from kosmolua.openapi.samples import Samples
from kosmolua.schema.function import Function

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
DOCUMENTS = SHARED / "openapi"


def shared(name: str) -> Path:
    """Return one of the shared documents; the test is skipped where they are not."""
    path = (DOCUMENTS / name).resolve()
    if not path.is_file():
        pytest.skip(f"the shared document {name} is not here")
    return path


@dataclass(frozen=True)
class Sent:
    """A request as it came over the wire: the target and the body byte for byte, headers by lower-case name."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True)
class Reply:
    """What the service answers: a value as JSON, or bytes of a media type."""

    value: Any = None
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if self.status == 204 or (self.value is None and self.kind == ""):
            return b""
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()


Answer = Callable[[Sent], Reply]


class Service:
    """A web service on the loopback interface, which notes each request as it came.

    Args:
        answer: What it answers; an empty object if not given.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.sent: list[Sent] = []
        self.answer = answer or (lambda sent: Reply({}))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def last(self) -> Sent:
        return self.sent[-1]

    @property
    def lines(self) -> list[str]:
        return [each.line for each in self.sent]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def exchange(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                sent = Sent(self.command, self.path, headers, body)
                service.sent.append(sent)
                reply = service.answer(sent)
                self.send_response(reply.status)
                kind = {"Content-Type": reply.kind} if reply.kind else {}
                for name, value in {**kind, **reply.headers}.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.content)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = exchange

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def serving(answer: Answer | None = None) -> Iterator[Service]:
    """Serve while a ``with`` block lasts."""
    service = Service(answer)
    try:
        yield service
    finally:
        service.close()


@contextmanager
def live(document: Path, name: str, service: Service, base: str = "", **fields: Any) -> Iterator[Runtime]:
    """Return a runtime that sends the requests of a document to a service on the loopback interface.

    Args:
        document: The document.
        name: The integration's name.
        service: Where requests go.
        base: What stands before the path templates.
        fields: The account's other fields.
    """
    account = {**fields, "base_url": f"{service.url}{base}"}
    accounts = {name: {"default": {key: value for key, value in account.items() if value is not None}}}
    with Runtime(accounts, plugins=[document], yes=True, allow=["*"], environ={}) as runtime:
        yield runtime


def small(folder: Path, document: Mapping[str, Any], name: str = "pets", overlay: str = "") -> Path:
    """Write a document, and what is said about it, and return its path."""
    path = folder / f"{name}.openapi.json"
    whole = {"openapi": "3.1.0", "info": {"title": name.title(), "version": "1"}, **document}
    path.write_text(json.dumps(whole), encoding="utf-8")
    if overlay:
        (folder / f"{name}.openapi.toml").write_text(overlay, encoding="utf-8")
    return path


def made_up_arguments(function: Function, functions: Any) -> dict[str, Any]:
    """Return a value for each argument that a call of a document's function must give.

    Args:
        function: The function.
        functions: Those of the document.
    """
    call = functions.call(function.name)
    schemas = {each.name: each.schema for each in call.fields} | (
        {call.body.name: call.body.schema} if call.body else {}
    )
    samples = Samples(functions.store.schema, "default")
    needed = (each.name for each in function.parameters if each.required)
    return {name: samples.of(schemas[name], name) for name in needed}
