"""Several processes behind one address: who owns which tenant, and how a connection is handed to its owner.

Each process can serve each tenant. So that sessions, parked questions and shares of workers stay in one place, a tenant
has one owner: whoever accepts a connection reads the head of its first request, and hands a connection of another's
tenant to that process, with what was read. A connection that was handed over stays.
"""

from __future__ import annotations

import array
import asyncio
import os
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
"""Seconds before a process takes the place of one that has died."""
_END = b"\r\n\r\n"


class Group:
    """The processes of a server.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]

    def run(self, work: Callable[[int], None], ended: Callable[[int], None]) -> None:
        """Do the work in each process, and return when all have ended after a signal to stop.

        One that ends by itself is replaced. SIGTERM, SIGINT and SIGHUP go to all of them.

        Args:
            work: Called in each process with its number.
            ended: Called with the id of a process that has ended.
        """
        numbers: dict[int, int] = {}
        stopping: list[int] = []

        def hand_on(received: int, _: FrameType | None) -> None:
            if received != signal.SIGHUP:
                stopping.append(received)
            for process in list(numbers):
                os.kill(process, received)

        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, hand_on)
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
        """Return what the process of a number knows of the others."""
        receiving = self._ends[number][0]
        receiving.settimeout(0)
        return Member(number, receiving, [sending for _, sending in self._ends], tenants)


class Member:
    """One process of a group, as its connections see it.

    Args:
        number: Its number.
        receiving: Where connections come from the others.
        sending: Where they go to, by number.
        tenants: Who is served.
    """

    def __init__(
        self, number: int, receiving: socket.socket, sending: Sequence[socket.socket], tenants: Tenants
    ) -> None:
        self._number = number
        self._receiving = receiving
        self._sending = sending
        self._tenants = tenants

    def listen(self, protocol: Callable[[], RoutedConnection]) -> None:
        """Serve the connections that others hand over.

        Args:
            protocol: Returns a connection.
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
        """Return the number of the process that a request belongs to, or None if any will do."""
        place = self._tenants.place_of(_bearer(head))
        return None if place is None else place % len(self._sending)

    def hand_over(self, owner: int, connection: socket.socket, read: bytes) -> bool:
        """Give a connection to another process, and return True; False if this one has to serve it.

        Args:
            owner: The number of the process.
            connection: The connection.
            read: What was read from it.
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
            except OSError:  # it has died, or has more than it can take
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
    """A connection that is handed to the process that owns the tenant of its first request.

    Args:
        config: The server's settings.
        server_state: What its connections share.
        app_state: What the application shares.
        _loop: The event loop; by default the one that runs.
    """

    member: Member
    """This process."""

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
        """Serve a connection that another process has handed over.

        Args:
            read: What that has read from it.
        """
        self._head = None
        super().data_received(read)

    def data_received(self, data: bytes) -> None:
        """Take what came, and once the first head is there, decide who serves it."""
        if self._head is None:
            super().data_received(data)
            return
        self._head += data
        if _END not in self._head and len(self._head) <= self._limit:
            return
        head, self._head = bytes(self._head), None
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
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
        status = 1
    flush_spans()
    os._exit(status)


def _bearer(head: bytes) -> bytes:
    """Return the token in the head of a request, or nothing."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            return token.strip() if scheme.lower() == b"bearer" else b""
    return b""
