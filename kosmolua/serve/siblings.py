"""Requests that only one of the server's processes can answer: the process that gets one passes it to that process.

An MCP session, a script that waits for its client's answer, and the whole of an answer that was cut exist in only one
process. Their ids begin with the number of this process, so each request, whatever its connection, finds its way there.
Every other request is answered by the process that gets it.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

import h11
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kosmolua.mcp.clients import COOKIE, SESSION
from kosmolua.mcp.transport import read_again
from kosmolua.serve.flow import read_body

FROM = "x-kosmolua-from"
"""The header of a request that a process passes on: the secret of the processes, and the address of the client."""
PASSED_ON = "kosmolua.passed-on"
"""The key in the ASGI scope of a request that another process answers, and counts and logs."""
BLOCK = 64 * 1024
_ID = re.compile(r"(\d{1,4})-")
_ID_IN_BODY = re.compile(rb'"(?:requestState"\s*:\s*"|page"\s*:\s*"run:)(\d{1,4})-')
_OF_REQUEST = {b"connection", b"content-length", b"expect", b"keep-alive", b"te", b"transfer-encoding", b"upgrade"}
_OF_ANSWER = {b"connection", b"date", b"transfer-encoding"}
"""Headers that belong to a connection or are computed anew."""
_GONE = PlainTextResponse("The process of this session is starting again; try again.\n", 503, {"Retry-After": "1"})


class Family(NamedTuple):
    """The processes of a server: the Unix sockets at which each answers the others, and a secret that all know."""

    sockets: Sequence[str]
    secret: str


def id_prefix(number: int) -> str:
    """Return what the ids begin with that a process gives to its clients, and that only this process knows."""
    return f"{number}-"


class Siblings:
    """Passes an MCP request to the process that knows the session or the id in it."""

    def __init__(self, number: int, family: Family) -> None:
        self._number = number
        self._family = family

    async def answer(self, app: ASGIApp, max_request: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request of a client whose token is valid, with ``app`` in this process, or by passing it on.

        If it is passed on, the key ``PASSED_ON`` of its scope is True then. A body over ``max_request`` bytes is not.
        """
        headers = Headers(scope=scope)
        secret, _, client = headers.get(FROM, "").partition(" ")
        if hmac.compare_digest(secret.encode("latin-1"), self._family.secret.encode()):
            host, _, port = client.rpartition(":")
            scope["client"] = (host, int(port)) if host else None
            await self._answer(app, scope, receive, send)
            return
        owner = _owner_by_head(headers)
        if owner == self._number:
            await self._answer(app, scope, receive, send)
            return
        body, has_more = await read_body(receive, max_request)
        owner = _owner_by_body(body) if owner is None else owner
        if owner not in (None, self._number) and owner < len(self._family.sockets) and not has_more:
            scope[PASSED_ON] = True
            await self._pass_on(self._family.sockets[owner], scope, body, receive, send)
        else:
            await self._answer(app, scope, read_again(body, receive, has_more=has_more), send)

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in this process. Outside, the ids of its sessions and clients begin with its number."""
        prefix = id_prefix(self._number)
        own = MutableHeaders(raw=list(scope["headers"]))
        if own.get(SESSION, "").startswith(prefix):
            own[SESSION] = own[SESSION].removeprefix(prefix)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                if session := given.get(SESSION):
                    given[SESSION] = prefix + session
                if given.get("set-cookie", "").startswith(f"{COOKIE}="):
                    given["set-cookie"] = given["set-cookie"].replace("=", f"={prefix}", 1)
            await send(message)

        await app({**scope, "headers": own.raw}, receive, send_marked)

    async def _pass_on(self, socket: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Have another process answer a request. If the client disconnects, that process sees it too."""
        host, port = scope.get("client") or ("", 0)
        kept = [(name, value) for name, value in scope["headers"] if name not in {*_OF_REQUEST, FROM.encode()}]
        kept += [(FROM.encode(), f"{self._family.secret} {host}:{port}".encode()), (b"connection", b"close")]
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = h11.Request(
            method=scope["method"], target=target, headers=[*kept, (b"content-length", str(len(body)).encode())]
        )
        try:
            reader, writer = await asyncio.open_unix_connection(socket)
        except OSError:
            await _GONE(scope, receive, send)
            return
        answering = asyncio.create_task(_relay(request, body, reader, writer, send))
        watching = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait([answering, watching], return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and not answering.result():
                await _GONE(scope, receive, send)
        finally:
            answering.cancel()
            watching.cancel()
            writer.close()


async def _relay(
    request: h11.Request, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, send: Send
) -> bool:
    """Send a request, and pass the answer on as it comes. Return False if the other process died before its answer."""
    connection, has_begun = h11.Connection(h11.CLIENT), False
    parts = (request, h11.Data(body), h11.EndOfMessage())
    try:
        writer.write(b"".join(connection.send(part) or b"" for part in parts))
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(BLOCK))
            elif isinstance(event, h11.InformationalResponse):
                continue
            elif isinstance(event, h11.Response):
                headers = [(name, value) for name, value in event.headers if name not in _OF_ANSWER]
                has_begun = True
                await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
            elif isinstance(event, h11.Data):
                await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return True
            else:
                raise ConnectionResetError
    except (OSError, h11.RemoteProtocolError):
        if has_begun:
            raise ConnectionResetError("the process of this session has ended") from None
        return False


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _owner_by_head(headers: Headers) -> int | None:
    session, cookie = headers.get(SESSION), cookie_parser(headers.get("cookie", "")).get(COOKIE)
    found = _ID.match(session or cookie or "")
    return int(found[1]) if found else None


def _owner_by_body(body: bytes) -> int | None:
    found = _ID_IN_BODY.search(body)
    return int(found[1]) if found else None
