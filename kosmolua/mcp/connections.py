"""The connections of the HTTP server: limits on their number, and on the time for sending a request."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_TIMEOUT = 10.0
"""Seconds that a client has to send the head of a request, after it has connected or sent the beginning of one."""
IDLE_TIMEOUT = 130.0
"""Seconds for which a connection is kept after an answer: longer than clients keep it (nginx 60, Caddy 120), since a
request that is under way when the server ends its connection is lost."""
BODY_TIMEOUT = 30.0
"""Seconds that a client has to send the body of a request, after it has sent the head."""
MAX_CONNECTIONS = 1_000
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""TCP keep-alive: seconds of silence before the first probe, seconds between probes, and how many probes can fail."""
UNACKNOWLEDGED_TIMEOUT = 30
"""Seconds after which a connection ends if its client does not acknowledge data."""
BACKLOG = 1_024
"""How many connections the system queues until they are accepted. If the queue is full, clients retry later."""
_SORRY = b"All connections are in use; try again in a moment.\n"
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(_SORRY), _SORRY)
)
"""The answer to a client that connects when all connections are in use."""


def max_connections() -> int:
    """Return at most half of the file descriptors that the process can have."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MAX_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if allowed == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, allowed // 2))


_UNIX = getattr(socket, "AF_UNIX", None)


class Listener(socket.socket):
    """A listening socket that keeps one descriptor in reserve.

    Without a free one, the event loop would try to accept without a pause. So such a connection is accepted and closed.
    """

    def __init__(self, family: int) -> None:
        # asyncio sets TCP_NODELAY only on sockets that name their protocol
        super().__init__(family, socket.SOCK_STREAM, 0 if family == _UNIX else socket.IPPROTO_TCP)
        self._spare = os.open(os.devnull, os.O_RDONLY)

    def listen(self, backlog: int = BACKLOG) -> None:
        """Listen with a queue of :data:`BACKLOG`; ``backlog``, which asyncio passes, would be too small."""
        super().listen(BACKLOG)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raise BlockingIOError if no client is waiting, or there was no descriptor for it."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        os.close(self._spare)
        try:
            super().accept()[0].close()
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY)
        raise BlockingIOError(errno.EAGAIN, "the process has no free file descriptor")

    def close(self) -> None:
        """Close the socket, and remove the file of a Unix socket."""
        if self.fileno() >= 0:
            os.close(self._spare)
            if self.family == _UNIX and (path := self.getsockname()):
                with suppress(OSError):
                    os.unlink(path)
        super().close()


class Connection(H11Protocol):
    """A client's connection, closed if no request comes in time, or for a new one if there are too many.

    Then the one that has waited longest is replaced, so that idle clients do not keep others out.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.owes: float | None = None
        """Seconds that the client has to send the next head or body of a request; None while it waits for an answer."""
        self.owes_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, and wait for its first request."""
        super().connection_made(transport)
        _watch(transport.get_extra_info("socket"))
        if len(self.connections) > max_connections():
            self._make_room()
        self._note_what_it_owes()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle data that arrived; after the head, count the time for the body."""
        super().handle_events()
        self._note_what_it_owes()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._note_what_it_owes()

    def _note_what_it_owes(self) -> None:
        owes = self._what_it_owes()
        if owes == self.owes:
            return
        self.owes, self.owes_since = owes, self.loop.time()
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(owes, self.transport.abort) if owes else None

    def _what_it_owes(self) -> float | None:
        if self.conn.their_state is h11.SEND_BODY:
            return BODY_TIMEOUT
        if self.cycle is None or (self.cycle.response_complete and self.conn.trailing_data[0]):
            return HEAD_TIMEOUT
        return IDLE_TIMEOUT if self.cycle.response_complete else None

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, Connection) and each.owes and each is not self]
        others = [each for each in others if not each.transport.is_closing()]
        if others:
            min(others, key=lambda other: other.owes_since).transport.abort()
        else:
            self.transport.write(FULL)
            self.transport.close()


def _watch(connection: socket.socket | None) -> None:
    """Use TCP keep-alive, which ends the connection of a client that disappears."""
    if connection is None or connection.family == _UNIX:
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNACKNOWLEDGED_TIMEOUT)
