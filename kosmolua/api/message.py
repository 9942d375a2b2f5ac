"""One request to a web service and one answer, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from kosmolua.secret import Secret
from kosmolua.values import Json

SAFE_METHODS = ("GET", "HEAD")
"""Methods that may be sent twice without harm (RFC 9110, 9.2.1)."""


@dataclass(frozen=True)
class Request:
    """A request that is ready to be sent, but for its secrets, which only the transport reveals.

    Args:
        method: In capitals.
        url: Absolute and percent-encoded, without a query.
        query: Names and values in order, not yet encoded.
        headers: Names and values; the credential is one of them.
        body: The encoded body, or None for none.
    """

    method: str
    url: str
    query: tuple[tuple[str, str | Secret], ...] = ()
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def safe(self) -> bool:
        """Whether sending it twice changes nothing."""
        return self.method in SAFE_METHODS


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
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)

    def text(self) -> str:
        """Return the body as text; bytes that are not UTF-8 become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """Return the body as JSON, or None when it is empty.

        Raises:
            ValueError: It is not JSON, or it holds NaN or infinity.
        """
        return json.loads(self.body, parse_constant=_refuse) if self.body.strip() else None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


Send: TypeAlias = Callable[[Request], Response]
"""Whatever answers a request: a transport, a simulator, or a function in a test."""
