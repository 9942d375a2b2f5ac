"""Connections that limit the time and the size of a whole HTTP response.

A socket's timeout starts again with each byte, so a server that sends one byte a second never times out. Here the
timeout that urllib3 sets on the socket applies to the whole response, including status line and headers.
"""

from __future__ import annotations

import io
import math
import socket
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from http.client import CONTINUE, SWITCHING_PROTOCOLS, BadStatusLine, HTTPException, HTTPResponse, LineTooLong
from ipaddress import ip_address
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProxyError

from kosmolua.http.messages import is_public, origin
from kosmolua.limits import MIB
from kosmolua.memory import passage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SILENCE_TIMEOUT = 60.0
"""Seconds without a byte after which a server counts as dead, even if there is time left."""
MIN_TIMEOUT = 0.001
"""The timeout to set on a socket, in seconds, if no time is left. A timeout of 0 would make the socket non-blocking."""
MAX_LINE = 64 * 1024
"""The most bytes in one line of HTTP: a header, a trailer, or a chunk's size with its extensions."""
MAX_INTERIM = 16
"""The most interim responses, such as 103, that are accepted before the response itself."""
_FRAMING = 8
"""How many times larger than its body a response can be on the wire. Chunks of one byte make it six times as large."""
ACCEPTED = "gzip, deflate"
"""The ``Accept-Encoding`` header of requests."""
MAX_PIECE = 64 * 1024
"""The most bytes of a decompressed piece, so that the reader can stop at any size."""


class Unconnected(HTTPError):
    """No connection could be made, so nothing was sent; the ``__cause__`` says why."""


class NotPublic(HTTPError):
    """A redirect leads to an address that is not public, so nothing was sent there."""


class AnswerTooLong(HTTPException):
    """A response is far larger on the wire than any accepted body."""


class _BoundedStream(io.RawIOBase):
    """Reads at most ``max_bytes`` of one response, within the socket's timeout for all of it.

    The time in which a call waits until others free memory (:mod:`kosmolua.memory`) does not count.
    """

    def __init__(self, sock: socket.socket, max_bytes: int) -> None:
        seconds = sock.gettimeout()
        self._ends = monotonic() + (math.inf if seconds is None else seconds)
        self._memory = passage.get()
        self._waited = self._memory.waited if self._memory else 0.0
        self._left = max_bytes
        self._socket = sock
        self._stream = sock.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a buffered stream, as :class:`http.client.HTTPResponse` expects of a socket."""
        return _BoundedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read the bytes that have arrived into the buffer, or wait for some; return their number."""
        seconds = self._ends - monotonic()
        if self._memory:
            seconds += self._memory.waited - self._waited
        if seconds <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(min(seconds, SILENCE_TIMEOUT))
        count = self._stream.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise AnswerTooLong("the answer does not end")
        return count

    def close(self) -> None:
        """Let go of the socket, which stays open if its connection is kept."""
        self._stream.close()
        super().close()


class _BoundedReader(io.BufferedReader):
    """Limits each line: some versions of urllib3 read trailers and chunk sizes without a limit."""

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and 0 <= size <= MAX_LINE:
            return super().readline(size)
        line = super().readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise LineTooLong("of the protocol")
        return line


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, max_bytes: int, is_last: bool = False, **options: Any) -> None:
        super().__init__(_BoundedStream(sock, max_bytes), *args, **options)  # type: ignore[arg-type]
        self._interim = 0
        self._is_last = is_last

    def begin(self) -> None:
        """Read the status line and the headers. The connection of a last response is closed, whatever it says."""
        super().begin()
        self.will_close = self.will_close or self._is_last

    def _read_status(self) -> tuple[str, int, str]:
        """Return version, status and reason; an interim status as 100, which http.client skips (RFC 9110, 15.2)."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status == SWITCHING_PROTOCOLS:
            raise BadStatusLine("101, a switch to another protocol, which was not requested")
        if not 100 <= status < 200:
            return version, status, reason
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise BadStatusLine(f"more than {MAX_INTERIM} interim responses")
        return version, CONTINUE, reason


class _PlainConnection(HTTPConnection):
    has_connected_to_proxy = True
    """Always True. Otherwise urllib3 would set it to False, and blame the proxy for faults of the server."""

    def __init__(self, *args: Any, max_bytes: int, is_redirected: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_bytes = max_bytes
        self._is_redirected = is_redirected

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request; with ``Connection: close``, the last on this connection."""
        is_last = "close" in (headers or {}).get("Connection", "")
        self.response_class = partial(  # type: ignore[assignment]
            _BoundedResponse, max_bytes=self._max_bytes, is_last=is_last
        )
        super().request(method, url, body, headers, **options)

    def connect(self) -> None:
        """Connect, through the proxy if there is one."""
        try:
            super().connect()
        except NotPublic:
            raise
        except (HTTPError, HTTPException, OSError) as error:
            if self.proxy:
                raise ProxyError("no connection was made", error) from error
            raise Unconnected from error

    def _new_conn(self) -> socket.socket:
        """Connect within one timeout.

        In urllib3, resolving the host name has no timeout, and each of the host's addresses gets the whole timeout.
        """
        seconds = cast(float, self.timeout)
        ends = monotonic() + seconds
        made: Future[socket.socket] = Future()
        Thread(target=_fulfil, args=(made, super()._new_conn), daemon=True).start()
        try:
            sock = made.result(seconds)
        except FutureTimeout:
            made.add_done_callback(_close_late)
            raise ConnectTimeoutError(self, "no connection in time") from None
        if self._is_redirected and not self._can_be_redirected_to(sock):
            sock.close()
            raise NotPublic
        sock.settimeout(max(ends - monotonic(), MIN_TIMEOUT))
        return sock

    def _can_be_redirected_to(self, sock: socket.socket) -> bool:
        """Return True if a connection, over which nothing was sent, ends at this machine."""
        return not self.proxy and ip_address(sock.getpeername()[0]).is_loopback


class _SecureConnection(_PlainConnection, HTTPSConnection):
    """A connection with TLS, whose handshake gets the time left."""

    def _can_be_redirected_to(self, sock: socket.socket) -> bool:
        """Return True if a connection ends at a public address. Names that a proxy resolves are its own affair."""
        if not self.proxy:
            return is_public(sock.getpeername()[0])
        host = str(self._tunnel_host).strip("[]")
        try:
            return is_public(host)
        except ValueError:
            return "." in host and not host[-1].isdigit()


def _fulfil(promise: Future[socket.socket], connect: Callable[[], socket.socket]) -> None:
    try:
        promise.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - it is raised where the connection is waited for
        promise.set_exception(error)


def _close_late(made: Future[socket.socket]) -> None:
    if made.exception() is None:
        made.result().close()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """Makes requests use these connections; ``size`` are kept open, and bodies have at most ``max_bytes``.

    With ``is_redirected``, they are only made to public addresses with TLS, or to this machine without.
    """

    _latest: tuple[str, Any] = ("", None)

    def __init__(self, *, size: int, max_bytes: int, is_redirected: bool = False) -> None:
        options: Any = {"max_bytes": _FRAMING * max_bytes + MIB, "is_redirected": is_redirected}
        self._pools = {"http": partial(_PlainPool, **options), "https": partial(_SecurePool, **options)}
        self._is_redirected = is_redirected
        super().__init__(pool_maxsize=size)

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *given: Any, **settings: Any) -> Any:
        """Return the pool for a request's origin; that of the latest is cached."""
        place, latest = origin(str(request.url)), self._latest
        if latest[0] != place:
            self._latest = latest = place, super().get_connection_with_tls_context(request, *given, **settings)
        return latest[1]

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Return what follows the method: without proxies always path and query."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return a response without cookies, which are not used, and for which requests looks through each."""
        response = requests.Response()
        response.request, response.raw = req, resp
        response.status_code, response.headers = resp.status, resp.headers
        return response

    def close(self) -> None:
        self._latest = ("", None)
        super().close()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        if self._is_redirected and proxy.lower().startswith("socks"):
            raise NotPublic  # its connections cannot be checked
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools  # type: ignore[assignment]
        return manager
