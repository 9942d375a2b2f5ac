"""Names of headers: which of them a caller may set, and which belong to the transport, a proxy or the account."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from kosmolua.expressions import regex

_T = TypeVar("_T")
_TOKEN = regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEVER_IN_A_VALUE = regex(r"[^\t -~\x80-\xff]")
_OF_THE_TRANSPORT = regex(
    r"host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|http2-settings|expect|proxy(-.*)?"
)
_OF_A_PROXY = regex(r"forwarded|x-(forwarded|original|rewrite|http-method|http-host|envoy)(-.*)?|x-method-override")
_OF_A_READ = regex(r"if-.*|accept(-.*)?|prefer|range")
CREDENTIALS = frozenset({"authorization", "cookie"})
"""The headers that carry credentials at most services, as :func:`plain` spells them."""
SIGNED = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "content-sha256", "credential", "date", "security-token", "signature", "signedheaders")
)
"""The headers, and parts of a query, with which a signature of AWS is sent, as :func:`plain` spells them."""
OF_A_READ = "If-*, Accept*, Prefer and Range"
"""The headers that a script can add to a request that only reads, in words."""


IDEMPOTENCY = "idempotency-key"
"""The header in which services usually take the key of a write, in the form of :func:`plain`."""


def plain(name: str) -> str:
    """Return a header's name for comparisons: in lower case, with ``-`` for ``_``.

    Many services make no difference between the two, since they hand headers on as variables (RFC 3875).
    """
    return name.lower().replace("_", "-")


def fault_in(name: str, value: str = "") -> str:
    """Return why no request can carry a header, in words that follow its name, or an empty string."""
    if not _TOKEN.fullmatch(name):
        return "is not the name of a header"
    if _OF_THE_TRANSPORT.fullmatch(plain(name)):
        return "cannot be set, since the HTTP client sets it"
    return "has a value with characters that a header cannot contain" if _NEVER_IN_A_VALUE.search(value) else ""


def objection(name: str, value: str = "", keys: Collection[str] = ()) -> str:
    """Return why a caller cannot set a header, in words that follow its name, or an empty string.

    An empty value is not judged. ``keys`` are the :func:`plain` names of headers that carry the account's credential.
    """
    if fault := fault_in(name, value):
        return fault
    if _OF_A_PROXY.fullmatch(plain(name)):
        return "cannot be set, since it changes which request the service sees"
    return "cannot be set, since it is for the account's credential" if plain(name) in keys else ""


def is_of_a_read(name: str) -> bool:
    """Return True if a script can add a header to a request that only reads; see :data:`OF_A_READ`."""
    return bool(_OF_A_READ.fullmatch(plain(name)))


def taken_along(headers: Mapping[str, _T]) -> dict[str, _T]:
    """Return the headers of a read that a redirect to another host keeps: ``Range``, ``Accept*``, ``If-*``."""
    return {
        name: value
        for name, value in headers.items()
        if isinstance(value, str) and is_of_a_read(name) and plain(name) != "prefer"
    }


def twice(names: Iterable[str]) -> str:
    """Return the first name that means the same header as an earlier one, or an empty string."""
    seen: set[str] = set()
    for name in names:
        if plain(name) in seen:
            return name
        seen.add(plain(name))
    return ""


def merged(usual: Mapping[str, _T], own: Mapping[str, _T]) -> dict[str, _T]:
    """Return all headers, those of ``own`` in place of ``usual`` ones."""
    names = {plain(name) for name in own}
    return {**{name: value for name, value in usual.items() if plain(name) not in names}, **own}
