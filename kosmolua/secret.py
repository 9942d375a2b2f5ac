"""A credential that shows itself to nobody, and the redactor that keeps known ones out of every text.

Only the transport reveals a secret, at the moment it writes a request.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from json import dumps
from urllib.parse import quote

MASK = "***"
SHORTEST_REDACTED = 6
"""Shorter secrets are not looked for in other texts: ``1234`` would blot out half of every reply."""


class Secret:
    """A credential: an API key, a token, a password.

    Printing, formatting or logging it gives ``***``.

    Args:
        value: The credential itself.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")

    def prefixed(self, scheme: str) -> Secret:
        """Return a secret that reads ``scheme value``, as an ``Authorization`` header has it."""
        return Secret(f"{scheme} {self._value}")

    def as_password_of(self, user: str) -> Secret:
        """Return the secret of HTTP basic authentication (RFC 7617) for this user name."""
        return Secret("Basic " + b64encode(f"{user}:{self._value}".encode()).decode())

    def reveal(self) -> str:
        """Return the credential itself. Nothing but a transport should need this."""
        return self._value


class Redactor:
    """Knows the secrets in use and takes them out of any text or JSON value."""

    def __init__(self) -> None:
        self._spellings: tuple[str, ...] = ()

    def learn(self, secret: Secret) -> None:
        """Redact this secret from now on, also where it is quoted for JSON or a URL, or within base64."""
        value = secret.reveal()
        if len(value) < SHORTEST_REDACTED:
            return
        quoted = {quote(value, safe=""), dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]}
        spellings = {value, *quoted, *_within_base64(value.encode()), *self._spellings}
        self._spellings = tuple(sorted(spellings, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return the text with each known secret as ``***``."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text

    def value(self, value: object) -> object:
        """Return a copy of a JSON value with each known secret in its strings and keys as ``***``."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return MASK if isinstance(value, Secret) else value

    def knows(self, encoded: str) -> bool:
        """Say whether this JSON text holds a known secret, much faster than redacting it."""
        return any(spelling in encoded for spelling in self._spellings)


def _within_base64(value: bytes) -> Iterator[str]:
    """Yield the characters that stand for a value inside a longer text in base64, by where in the text it starts."""
    for before in range(3):
        encoded = b64encode(bytes(before) + value).decode()
        yield encoded[-(-before * 4 // 3) : (before + len(value)) * 4 // 3]
