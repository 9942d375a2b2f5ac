"""A syslog server that gets the lines of the audit log too, in the format of RFC 5424."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from kosmolua.clock import moment
from kosmolua.errors import ConfigError
from kosmolua.serve.forwarding import TIMEOUT, Forwarder

PRIORITY = 13 * 8 + 6
"""The facility 13 (log audit) with the severity 6 (informational)."""
PORTS = {"udp": 514, "tcp": 601}
HINT = 'write it as in "udp://logs.example:514", "tcp://logs.example:601" or "unix:///dev/log"'


class Syslog(Forwarder):
    """A syslog server at ``udp://HOST:PORT``, ``tcp://HOST:PORT`` or ``unix://PATH``, to which a thread sends messages.

    Raises:
        ConfigError: The address is not valid.
    """

    receiver = "syslog server"

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
        self._socket: socket.socket | None = None
        self._head = f"{socket.gethostname() or '-'} kosmolua {os.getpid()} audit -"
        super().__init__(warn)

    def send(self, line: bytes) -> None:
        """Send a line of the audit log soon."""
        super().send(f"<{PRIORITY}>1 {moment()} {self._head} ".encode() + line.rstrip(b"\n"))

    def close(self) -> None:
        """Send the lines that still wait, and close the connection."""
        super().close()
        self._disconnect()

    def deliver(self, messages: Sequence[bytes]) -> None:
        try:
            self._socket = self._socket or self._connected()
            for message in messages:
                if self._kind == "tcp":
                    self._socket.sendall(b"%d %s" % (len(message), message))  # RFC 6587: the length comes first
                else:
                    self._socket.send(message)
        except OSError:
            self._disconnect()
            raise

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
