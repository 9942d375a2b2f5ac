"""Several server processes at one address. A connection is passed to the process that serves the client's tenant.

Each tenant is assigned to one process, which is called the owner of the tenant. So the tenant's sessions, waiting
questions and workers are all in one process. The process that accepts a connection reads the head of the first request.
If a different process owns the tenant of this request, the connection is passed to that process, together with the data
that was read. The owner then serves all requests of the connection. A proxy, however, sends requests of several tenants
over one connection. So a connection that comes from a proxy ends after one request.
"""

from __future__ import annotations

import array
import asyncio
import os
import re
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, BinaryIO

from uvicorn.config import Config
from uvicorn.server import ServerState

from kosmolua.mcp.connections import Connection
from kosmolua.runs.telemetry import flush_spans
from kosmolua.serve.tenants import Tenants

RESTART_DELAY = 1.0
"""Seconds until a process that has died is replaced."""
_LINE, _END = b"\r\n", b"\r\n\r\n"
_FORWARDED = re.compile(rb"\r\n(?:x-forwarded-for|x-real-ip|forwarded|via)[ \t]*:", re.IGNORECASE)
"""Headers that proxies add to requests."""


class Group:
    """The processes of a server. Their parent process starts them, and replaces those that die.

    Args:
        count: The number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]

    def run(self, work: Callable[[int], None], ended: Callable[[int], None]) -> None:
        """Start the processes, and return once a signal to stop has arrived and all processes have ended.

        A process that ends before such a signal is replaced. SIGTERM, SIGINT and SIGHUP are forwarded to all processes.

        Args:
            work: A function that is called in each new process with the number of the process. The first process has
                the number 0.
            ended: A function that is called in the parent process with the process id of each process that has ended.
        """
        numbers: dict[int, int] = {}
        stopping: list[int] = []

        def forward(received: int, _: FrameType | None) -> None:
            if received != signal.SIGHUP:
                stopping.append(received)
            for process in list(numbers):
                os.kill(process, received)

        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, forward)
        for number in range(self.count):
            numbers[_start(work, number)] = number
        while numbers:
            process, _ = os.wait()
            number = numbers.pop(process)
            ended(process)
            if not stopping:
                time.sleep(RESTART_DELAY)
                if not stopping:
                    numbers[_start(work, number)] = number

    def member(self, number: int, tenants: Tenants) -> Member:
        """Return the object through which a process exchanges connections with the other processes.

        Args:
            number: The number of that process; the first process has the number 0.
            tenants: The tenants of the server.
        """
        receiving = self._ends[number][0]
        receiving.settimeout(0)
        return Member(number, receiving, [sending for _, sending in self._ends], tenants)


class Member:
    """Represents this process in a :class:`Group`: passes connections to the other processes, and receives theirs.

    Args:
        number: The number of this process.
        receiving: The socket on which connections from other processes arrive.
        sending: For each process, the socket with which connections are sent to that process.
        tenants: The tenants of the server.
    """

    def __init__(
        self, number: int, receiving: socket.socket, sending: Sequence[socket.socket], tenants: Tenants
    ) -> None:
        self._number = number
        self._receiving = receiving
        self._sending = sending
        self._tenants = tenants

    def listen(self, protocol: Callable[[], RoutedConnection]) -> None:
        """Begin to serve the connections that other processes pass to this process.

        Args:
            protocol: A function that makes the asyncio protocol object for a connection.
        """
        loop = asyncio.get_running_loop()
        taking: set[asyncio.Task[None]] = set()

        async def take(connection: socket.socket, read: bytes) -> None:
            _, made = await loop.connect_accepted_socket(protocol, connection)
            made.take_over(read)

        def receive() -> None:
            while taken := self._receive():
                task = loop.create_task(take(*taken))
                taking.add(task)
                task.add_done_callback(taking.discard)

        loop.add_reader(self._receiving, receive)

    def owner_of(self, head: bytes) -> int | None:
        """Return the number of the process that serves the tenant of a request, or None if any process can answer it.

        Args:
            head: The head of the request, which contains the tenant's token.
        """
        place = self._tenants.place_of(_bearer(head))
        return None if place is None else place % len(self._sending)

    def hand_over(self, owner: int, connection: socket.socket, read: bytes) -> bool:
        """Pass a connection to the process that serves its tenant.

        Args:
            owner: The number of the process that serves the tenant.
            connection: The connection.
            read: The data that this process has already read from the connection.

        Returns:
            True if the connection was passed. False if this process has to serve the connection, since it is itself the
            owner, or since the owner cannot receive connections now.
        """
        if owner == self._number:
            return False
        with tempfile.TemporaryFile() as file:
            file.write(read)
            file.flush()
            descriptors = array.array("i", [connection.fileno(), file.fileno()])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
            try:
                self._sending[owner].sendmsg([b"."], rights, socket.MSG_DONTWAIT)
            except OSError:  # the process has died, or its queue is full
                return False
        return True

    def _receive(self) -> tuple[socket.socket, bytes] | None:
        try:
            _, descriptors, _, _ = socket.recv_fds(self._receiving, 1, 2)
        except BlockingIOError:
            return None
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(0)
        file: BinaryIO
        with os.fdopen(descriptors[1], "rb") as file:
            file.seek(0)
            return connection, file.read()


class RoutedConnection(Connection):
    """A client's connection, which is passed to the process that serves the tenant of the first request.

    Args:
        config: The server's settings.
        server_state: The state that all connections of the server share.
        app_state: The state of the ASGI application.
        _loop: The event loop; by default the running event loop.
    """

    member: Member
    """The object through which this process exchanges connections with the other processes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head: bytearray | None = bytearray()
        self._limit = config.h11_max_incomplete_event_size or 0

    def take_over(self, read: bytes) -> None:
        """Serve the connection in this process, after another process has passed the connection to it.

        Args:
            read: The data that the other process has already read from the connection.
        """
        self._head = None
        super().data_received(read)

    def data_received(self, data: bytes) -> None:
        """Handle data from the client.

        Once the head of the first request is complete, pass the connection to the process that serves the tenant.
        """
        if self._head is None:
            super().data_received(data)
            return
        self._head += data
        if _END not in self._head and len(self._head) <= self._limit:
            return
        head, self._head = _for_one_request(bytes(self._head)), None
        owner = self.member.owner_of(head.partition(_END)[0])
        connection = self.transport.get_extra_info("socket")
        if owner is not None and self.member.hand_over(owner, connection, head):
            self.transport.abort()
            return
        super().data_received(head)


def _start(work: Callable[[int], None], number: int) -> int:
    process = os.fork()
    if process:
        return process
    try:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)
        work(number)
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here after any error
        traceback.print_exc()
        status = 1
    flush_spans()
    os._exit(status)


def _for_one_request(read: bytes) -> bytes:
    """Return the data of a request. If it came through a proxy, add the header ``Connection: close``.

    With this header, the connection ends after one request.

    Args:
        read: The data that was read from the connection, which begins with the head of the request.
    """
    head, end, rest = read.partition(_END)
    if not end or not _FORWARDED.search(head):
        return read
    request, _, headers = head.partition(_LINE)
    return request + _LINE + b"Connection: close" + _LINE + headers + end + rest


def _bearer(head: bytes) -> bytes:
    """Return the bearer token in the head of a request, or empty bytes if there is no such token."""
    for line in head.split(_LINE)[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            return token.strip() if scheme.lower() == b"bearer" else b""
    return b""
