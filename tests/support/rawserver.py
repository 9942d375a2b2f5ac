"""A server on a raw socket, which can do all that a web server must not."""

from __future__ import annotations

import json
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

Step = Callable[[socket.socket, "list[bytes]"], bool]
"""One exchange as the server plays it: it notes the request that it read and says whether the connection is kept."""
HUNDRED_MB = 100 * 1024 * 1024


@dataclass
class Service:
    """A server that plays its steps in order, the last one for ever."""

    steps: tuple[Step, ...]
    taken: int = 0
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0), backlog=128))
    lock: threading.Lock = field(default_factory=threading.Lock)
    sockets: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.sockets.append(connection)
                self.start(self.play, connection, self.next())  # in the order in which they came

    def start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def play(self, connection: socket.socket, step: Step) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while step(connection, self.heard) and connection.recv(1, socket.MSG_PEEK):
                step = self.next()

    def next(self) -> Step:
        with self.lock:
            self.taken += 1
            return self.steps[min(self.taken, len(self.steps)) - 1]

    def close(self) -> None:
        """Hang up everywhere, and wait until nobody plays any more."""
        hang_up_on(self.listener)
        self.listener.close()
        self.threads[0].join()
        for connection in self.sockets:
            hang_up_on(connection)
        for thread in self.threads:
            thread.join()


@contextmanager
def serving(*steps: Step) -> Iterator[Service]:
    """Serve as long as the block runs."""
    service = Service(steps)
    service.start(service.accept)
    try:
        yield service
    finally:
        service.close()


def hang_up_on(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket, heard: list[bytes]) -> bytes:
    """Read one request whole, so that closing the connection does not reset it."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += _receive(connection)
    length = re.search(rb"\r\ncontent-length: *(\d+)", request, re.IGNORECASE)
    whole = request.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(request) < whole:
        request += _receive(connection)
    heard.append(request)
    return request


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise OSError("the client left")
    return received


def answer(status: int, body: object = b"", **headers: str) -> Step:
    """Answer with a body, as JSON unless it is bytes, and a Content-Length that fits unless it is given."""
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": str(len(encoded))} | {name.replace("_", "-"): text for name, text in headers.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + encoded)
        return len(encoded) >= int(fields["Content-Length"])

    return step


def speak(words: bytes) -> Step:
    """Answer with these bytes, whatever they are, and hang up."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(words)
        return False

    return step


def interim(status: int, then: Step) -> Step:
    """Say that the answer is on its way, and let it follow a moment later."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        connection.sendall(f"HTTP/1.1 {status} Soon\r\nLink: </style.css>\r\n\r\n".encode())
        time.sleep(0.05)
        return then(connection, heard)

    return step


def over_tls(certificate: Path, *steps: Step) -> Step:
    """Shake hands with a certificate and its key, and play steps inside, in order."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        with context.wrap_socket(connection, server_side=True) as inside:
            return all(each(inside, heard) for each in steps) and False

    return step


def tunnel(connection: socket.socket, heard: list[bytes]) -> bool:
    """Be a proxy: connect to where the client wants, and carry what both say until one of them hangs up."""
    host, _, port = read_request(connection, heard).split()[1].decode().partition(":")
    with socket.create_connection((host, int(port))) as server:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        _carry(connection, server)


def forward_to(path: Path) -> Step:
    """Stand for the server on a Unix socket, and carry what both say until one of them hangs up."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(path))
            _carry(connection, server)

    return step


def _carry(client: socket.socket, server: socket.socket) -> NoReturn:
    while True:
        for source in select.select([client, server], [], [])[0]:
            (server if source is client else client).sendall(_receive(source))


def reset_before_request(connection: socket.socket, heard: list[bytes]) -> bool:
    """Reset the connection when the request's first byte is there, without reading it."""
    connection.recv(1, socket.MSG_PEEK)
    return _reset(connection)


def reset_after_request(connection: socket.socket, heard: list[bytes]) -> bool:
    """Take the request, and reset the connection instead of answering."""
    read_request(connection, heard)
    return _reset(connection)


def _reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def announce_100_mb(connection: socket.socket, heard: list[bytes]) -> bool:
    """Announce 100 MB and wait for the client to give up."""
    read_request(connection, heard)
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {HUNDRED_MB}\r\n\r\n".encode())
    connection.recv(1)
    return False


def endless_lines(head: bytes, line: bytes) -> Step:
    """Send a line again and again after the head, 100 MB of it, or as much as the client takes."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(head)
        many = line * (65536 // len(line))
        for _ in range(HUNDRED_MB // len(many)):
            connection.sendall(many)
        return False

    return step


def hang_up(connection: socket.socket, heard: list[bytes]) -> bool:
    """Take the request and close the connection politely, without an answer."""
    read_request(connection, heard)
    return False


def silence(connection: socket.socket, heard: list[bytes]) -> bool:
    """Take the request and say nothing until the client gives up."""
    read_request(connection, heard)
    connection.recv(1)
    return False


def trickle(head: bytes) -> Step:
    """Say something, then go on one byte at a time for a minute, each well within any timeout of a single read."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(head)
        for _ in range(600):
            time.sleep(0.1)
            connection.sendall(b"1")
        return False

    return step


def endless(head: bytes) -> Step:
    """Send 100 MB after the head, or as much of it as the client takes."""

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(head)
        for _ in range(HUNDRED_MB // 65536):
            connection.sendall(bytes(65536))
        return False

    return step
