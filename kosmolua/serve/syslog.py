"""Sends the lines of the audit log to a syslog server too, in the format of RFC 5424."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from queue import Empty, Full, Queue
from threading import Thread
from urllib.parse import urlsplit

from kosmolua.errors import ConfigError

PRIORITY = 13 * 8 + 6
"""The facility 13 (log audit) with the severity 6 (informational)."""
MAX_PENDING = 10_000
TIMEOUT = 5.0
PORTS = {"udp": 514, "tcp": 601}
HINT = 'write it as in "udp://logs.example:514", "tcp://logs.example:601" or "unix:///dev/log"'


class Syslog:
    """A syslog server, to which a thread sends messages, so that a slow network delays nobody.

    Args:
        address: The server, as ``udp://HOST:PORT``, ``tcp://HOST:PORT`` or ``unix://PATH``.
        warn: A function that is called with a sentence when a message cannot be sent, and when it works again.

    Raises:
        ConfigError: The address is not valid.
    """

    def __init__(self, address: str, warn: Callable[[str], None]) -> None:
        url = urlsplit(address)
        try:
            self._place: tuple[str, int] | str = url.path
            if url.scheme in PORTS:
                self._place = (url.hostname or "", url.port or PORTS[url.scheme])
            if url.scheme not in (*PORTS, "unix") or not all([self._place, url.scheme == "unix" or url.hostname]):
                raise ValueError
        except ValueError:
            raise ConfigError(
                f"[serve] syslog: {address[:100]!r} is not an address of a syslog server", hint=HINT
            ) from None
        self._kind = url.scheme
        self._warn = warn
        self._is_lost = False
        self._socket: socket.socket | None = None
        self._lines: Queue[bytes | None] = Queue(MAX_PENDING)
        self._head = f"{socket.gethostname() or '-'} kosmolua {os.getpid()} audit -"
        self._thread = Thread(target=self._send_all, name="kosmolua-syslog", daemon=True)
        self._thread.start()

    def send(self, text: bytes) -> None:
        """Send a message. If too many messages wait to be sent, drop it, and warn."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            self._lines.put_nowait(f"<{PRIORITY}>1 {moment} {self._head} ".encode() + text.rstrip(b"\n"))
        except Full:
            self._lose("too many messages wait")

    def close(self) -> None:
        """Send the messages that still wait, and end the thread. Give up after a few seconds."""
        with suppress(Full):
            self._lines.put(None, timeout=TIMEOUT)
        self._thread.join(TIMEOUT)
        with suppress(Empty):
            while True:
                self._lines.get_nowait()

    def _send_all(self) -> None:
        while (line := self._lines.get()) is not None:
            for is_last in (False, True):  # a connection that the server has closed is opened anew
                try:
                    self._send(line)
                    if self._is_lost:
                        self._is_lost = False
                        self._warn("the audit reaches the syslog server again")
                    break
                except OSError as error:
                    self._disconnect()
                    if is_last:
                        self._lose(error.strerror or str(error))
        self._disconnect()

    def _send(self, line: bytes) -> None:
        if self._socket is None:
            self._socket = self._connected()
        if self._kind == "tcp":
            self._socket.sendall(b"%d %s" % (len(line), line))  # RFC 6587: the length comes first
        else:
            self._socket.send(line)

    def _connected(self) -> socket.socket:
        if isinstance(self._place, str):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.connect(self._place)
            return made
        if self._kind == "tcp":
            return socket.create_connection(self._place, TIMEOUT)
        family, kind, protocol, _, place = socket.getaddrinfo(*self._place, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind, protocol)
        made.connect(place)
        return made

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _lose(self, why: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._warn(f"the audit does not reach the syslog server: {why}; the file has all lines")
