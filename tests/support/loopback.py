"""A web server on the loopback interface in front of any ``send``: real sockets, and no network."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_connection
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kosmolua.plugin import Request, Response, Send
from support.processes import eventually


class Loopback:
    """Serves HTTP/1.1 on a free port while a ``with`` block lasts.

    Args:
        send: Answers each request; it may be called from several threads at once.

    ``url`` is where it listens, without a slash at the end; ``requests`` are those that came, in order, with their
    query decoded and their headers as plain strings.
    """

    def __init__(self, send: Send) -> None:
        self.requests: list[Request] = []
        self._send = send
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Loopback:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def settle(self) -> None:
        """Wait until all that was sent by clients which have ended is answered."""
        with create_connection(self._server.server_address[:2]) as last:
            address = last.getsockname()
            assert eventually(lambda: address in self._server.open)  # connections are accepted in their order
        assert eventually(lambda: not self._server.open)

    def answer(self, request: Request) -> Response:
        """Note a request and answer it."""
        self.requests.append(request)
        return self._send(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(_Handler):
            def answer(self, request: Request) -> Response:
                return loopback.answer(request)

        return Handler


class _Server(ThreadingHTTPServer):
    """Knows the clients' addresses of its open connections."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.open: set[Any] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client was killed
            super().handle_error(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(client_address)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        self.open.discard(client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together: two small writes would wait for a delayed ACK
    disable_nagle_algorithm = True

    def answer(self, request: Request) -> Response:
        raise NotImplementedError

    def _exchange(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"http://{self.headers.get('Host')}{target.path}"
        query = tuple(parse_qsl(target.query, keep_blank_values=True))
        self._write(self.answer(Request(self.command, url, query, dict(self.headers.items()), body or None)))

    def _write(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in (204, 304) and response.header("Content-Length") is None:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _exchange

    def log_message(self, format: str, *args: object) -> None:
        pass


def by_bearer(accounts: Mapping[str, Send]) -> Send:
    """Return a ``send`` that lets each API key reach an account of its own, and knows no other key.

    Args:
        accounts: What answers, by key.
    """

    def send(request: Request) -> Response:
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        account = accounts.get(headers.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            return Response(401, {"Content-Type": "application/json"}, b'{"message":"Unauthorized"}')
        return account(request)

    return send
