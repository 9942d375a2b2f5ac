"""The names of hosts: in the Host headers of requests, and in the addresses of servers."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.datastructures import Headers

MAX_ADDRESS = 45
_HOST = re.compile(r"(?:\[([0-9A-Fa-f]*:[0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?", re.ASCII)


def is_loopback_name(host: str) -> bool:
    """Return True if a Host header is ``localhost`` or a loopback address."""
    try:
        name = _name_in(host)
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_host(headers: Headers, names: Collection[str]) -> bool:
    """Return True if the only Host header is an IP address, ``localhost`` or one of ``names`` (in lower case)."""
    try:
        (host,) = headers.getlist("host")
        name = _name_in(host)
    except ValueError:
        return False
    return name == "localhost" or name in names or (len(name) <= MAX_ADDRESS and _is_address(name))


@lru_cache(256)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name_in(host: str) -> str:
    """Return the name or address in a Host header, in lower case; empty if the header is malformed (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def host_names(listen: str) -> tuple[str, ...]:
    """Return the host of an address as a tuple, empty for an IP address."""
    try:
        host = urlsplit(f"//{listen}").hostname
    except ValueError:
        host = None
    return (host,) if host else ()
