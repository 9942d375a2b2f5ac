"""Connections whose whole answer must come in time, however slowly the other side speaks.

A socket's timeout starts anew with each byte, so a server that sends one a second is never late for it. Here the time
that urllib3 sets on the socket before it reads an answer is the time for all of it, status line and headers included.
"""

from __future__ import annotations

import io
import math
import socket
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from http.client import CONTINUE, SWITCHING_PROTOCOLS, BadStatusLine, HTTPException, HTTPResponse
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProxyError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST_SILENCE = 60.0
"""Seconds without a byte after which a server counts as dead, even if there is time left."""
SHORTEST = 0.001
"""Seconds that a socket gets when there are none left; a timeout of 0 would mean something else."""


class Unconnected(HTTPError):
    """No connection came about, so nothing was sent; its cause says why."""


class _TimedStream(io.RawIOBase):
    """Reads from a socket until the socket's timeout, counted from now, has passed."""

    def __init__(self, sock: socket.socket) -> None:
        seconds = sock.gettimeout()
        self._ends = monotonic() + (math.inf if seconds is None else seconds)
        self._socket = sock
        self._stream = sock.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the buffered stream that :class:`http.client.HTTPResponse` asks its socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what is there, or wait for it as long as there is time.

        Raises:
            TimeoutError: The time is over, or the server was silent for too long.
        """
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(min(left, LONGEST_SILENCE))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket, which lives on if its connection is kept."""
        self._stream.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(_TimedStream(sock), *args, **options)  # type: ignore[arg-type]

    def _read_status(self) -> tuple[str, int, str]:
        """Read a status line, and let http.client skip each interim answer as it does 100 (RFC 9110, 15.2)."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status == SWITCHING_PROTOCOLS:
            raise BadStatusLine("101, which nobody asked for")
        return version, CONTINUE if 100 <= status < 200 else status, reason


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse
    has_connected_to_proxy = True
    """For urllib3, which blames the proxy for a fault where this is false, and clears it before it looks."""

    def connect(self) -> None:
        """Connect, by way of the proxy if there is one.

        Raises:
            ProxyError: No connection came about through the proxy.
            Unconnected: No connection came about.
        """
        try:
            super().connect()
        except (HTTPError, HTTPException, OSError) as error:
            if self.proxy:
                raise ProxyError("no connection came about", error) from error
            raise Unconnected from error

    def _new_conn(self) -> socket.socket:
        """Connect within the timeout as a whole, of which the resolver knows nothing and each address gets all."""
        seconds = cast(float, self.timeout)
        ends = monotonic() + seconds
        made: Future[socket.socket] = Future()
        Thread(target=_fulfil, args=(made, super()._new_conn), daemon=True).start()
        try:
            sock = made.result(seconds)
        except FutureTimeout:
            made.add_done_callback(_close_late)
            raise ConnectTimeoutError(self, "no connection in time") from None
        sock.settimeout(max(ends - monotonic(), SHORTEST))
        return sock


class _SecureConnection(_PlainConnection, HTTPSConnection):
    """The same with TLS, whose handshake has what is left of the time."""


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


POOLS: dict[str, type] = {"http": _PlainPool, "https": _SecurePool}
"""What a urllib3 pool manager takes as its ``pool_classes_by_scheme``."""
