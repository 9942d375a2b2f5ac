"""One request to a web service and one answer, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias
from urllib.parse import urlsplit

from kosmolua.secret import Secret
from kosmolua.values import Json

SAFE_METHODS = ("GET", "HEAD")
"""Methods that may be sent twice without harm (RFC 9110, 9.2.1)."""
REQUEST_ID_HEADERS = ("Render-Request-Id", "X-GitHub-Request-Id", "X-Request-Id", "Request-Id", "X-Correlation-Id")
"""Where services put their own name for a request, the most telling first."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

Pairs: TypeAlias = "tuple[tuple[str, str | Secret], ...]"
"""Names and values in order, not yet encoded."""


@dataclass(frozen=True)
class Request:
    """A request that is ready to be sent, but for its secrets, which only the transport reveals.

    Args:
        method: In capitals.
        url: Absolute and percent-encoded, without a query.
        query: Names and values in order, not yet encoded.
        headers: Names and values; the credential is one of them.
        body: The encoded body, or None for none.
        form: Names and values to send as the body instead, as HTML forms do.
        route: What the path is a case of, such as ``/services/{service_id}``; empty where that is not known.
    """

    method: str
    url: str
    query: Pairs = ()
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: bytes | None = None
    form: Pairs = ()
    route: str = ""

    @property
    def safe(self) -> bool:
        """Whether sending it twice changes nothing."""
        return self.method in SAFE_METHODS

    @property
    def line(self) -> str:
        """The method and the address for a message, without user, query or anything else that may be a credential."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class Response:
    """A complete answer.

    Args:
        status: The HTTP status.
        headers: Names in any case; read them with :meth:`header`.
        body: Decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name, or None."""
        return self._by_name.get(name.lower())

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {name.lower(): value for name, value in reversed(list(self.headers.items()))}

    @property
    def request_id(self) -> str | None:
        """The service's own name for the request, or None where it gives none."""
        return next(filter(None, map(self.header, REQUEST_ID_HEADERS)), None)

    def text(self) -> str:
        """Return the body as text; bytes that are not UTF-8 become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """Return the body as JSON, or None when it is empty.

        Raises:
            ValueError: It is not JSON, or it holds NaN or infinity.
        """
        text = self.body.decode(json.detect_encoding(self.body))
        return _DECODER.decode(text) if text.strip() else None


@dataclass(frozen=True)
class Attempt:
    """What came of sending a request once; a call can need several.

    Args:
        number: Counted from 1 within one call of ``send``.
        seconds: From the first byte sent to the last one received.
        waited: Seconds spent before it, for the service's rate limit or after a failed attempt.
        status: The HTTP status, or None where no complete answer came.
        request_id: The service's own name for the request.
        fault: Why no complete answer came.
    """

    number: int
    seconds: float
    waited: float = 0.0
    status: int | None = None
    request_id: str | None = None
    fault: str | None = None


def origin(url: str) -> str:
    """Return scheme, host and port of an absolute URL in one spelling (RFC 6454), or nothing where there is none.

    A credential must never leave its origin.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, " "))


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)

Send: TypeAlias = Callable[[Request], Response]
"""Whatever answers a request: a transport, a simulator, or a function in a test."""
