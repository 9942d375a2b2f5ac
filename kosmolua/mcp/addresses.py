"""The addresses that a server can listen on: HOST:PORT, or a Unix socket."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from kosmolua.errors import ConfigError, UsageError
from kosmolua.mcp.connections import Listener

PATH = "/mcp"
"""The path of the URL at which a server answers MCP requests."""
UNIX = "unix:"


@dataclass(frozen=True)
class SocketAddress:
    """A TCP address: a family of :mod:`socket`, an IP address, and a port; 0: the system chooses one."""

    family: int
    ip: str
    port: int

    @classmethod
    def read(cls, text: str) -> SocketAddress | UnixAddress:
        """Parse ``HOST:PORT`` or ``unix:PATH``; a host name is resolved, if possible to IPv4.

        Raises:
            UsageError: The text has neither of these forms.
            ConfigError: The host name cannot be resolved.
        """
        if text.startswith(UNIX):
            return UnixAddress(text.removeprefix(UNIX))
        host, port = _read(text)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"Cannot listen on {text}: {error.strerror}") from None
        family, *_, where = min(found, key=lambda each: each[0] != socket.AF_INET)
        return cls(family, str(where[0]), port)

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return f"http://{self}{PATH}"

    @property
    def is_loopback(self) -> bool:
        """True if only this host can connect."""
        return ip_address(self.ip).is_loopback

    def listen(self) -> tuple[Listener, SocketAddress]:
        """Return a listening socket, and the address with its actual port.

        Raises:
            ConfigError: The system does not allow listening on this address, for instance because it is in use.
        """
        listener = Listener(self.family)
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((self.ip, self.port))
            listener.listen()
        except OSError as error:
            listener.close()
            hint = "name another address with --listen HOST:PORT" if error.errno == errno.EADDRINUSE else None
            raise ConfigError(f"Cannot listen on {self}: {os.strerror(error.errno or 0)}", hint=hint) from None
        return listener, replace(self, port=listener.getsockname()[1])


@dataclass(frozen=True)
class UnixAddress:
    """A Unix socket, at the path of its file. Only programs of the same user can connect to it."""

    path: str
    is_loopback = True

    def __post_init__(self) -> None:
        if not self.path:
            raise UsageError(
                f"The address {UNIX!r} has no path of a socket file",
                hint=f"write for example {UNIX}/run/user/1000/kosmolua.sock",
            )
        if not hasattr(socket, "AF_UNIX"):
            raise UsageError("This system has no Unix sockets", hint="listen on HOST:PORT instead")

    def __str__(self) -> str:
        return UNIX + self.path

    @property
    def url(self) -> str:
        """The socket file, and the URL that clients use with it, for a person."""
        return f"{self}, as http://localhost{PATH}"

    def listen(self) -> tuple[Listener, UnixAddress]:
        """Return a listening socket, replacing an unused file, and the address.

        Raises:
            ConfigError: The system does not allow listening on this address, for instance because it is in use.
        """
        listener = Listener(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self._remove_unused()
            listener.bind(self.path)
            listener.listen()
        except OSError as error:
            listener.close()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"Cannot listen on {self}: {reason}") from None
        finally:
            os.umask(mask)
        return listener, self

    def _remove_unused(self) -> None:
        with suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe:
            if not stat.S_ISSOCK(os.stat(self.path).st_mode):
                return
            probe.connect(self.path)
            return
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def _read(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        if host and port is not None and parts.netloc == text and parts.username is None:
            return host, port
    except ValueError:
        pass
    raise UsageError(
        f"The address {text!r} is not of the form HOST:PORT",
        hint="write for example 127.0.0.1:8000, [::1]:8000 or unix:/path/of.sock",
    )
