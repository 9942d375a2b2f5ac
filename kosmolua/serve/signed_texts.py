"""Signed texts, such as cookies and links: each has a tuple of one kind, and only this server can make it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Generic, TypeVar

from itsdangerous import BadData, URLSafeTimedSerializer

_T = TypeVar("_T")


class SignedTexts(Generic[_T]):
    """Makes and reads the texts of one purpose, which ``kind`` makes tuples of; ``key`` is that of the stores.

    A text is valid for ``seconds``.
    """

    def __init__(self, key: bytes, purpose: str, kind: Callable[..., _T], seconds: float) -> None:
        self._kind = kind
        self._seconds = int(seconds)
        self._signer = URLSafeTimedSerializer(
            key, salt=f"kosmolua {purpose}", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )

    def sign(self, value: _T) -> str:
        return str(self._signer.dumps(value))

    def read(self, text: Any) -> _T | None:
        """Return what a text has; None if it is forged or too old."""
        try:
            return self._kind(*self._signer.loads(text, max_age=self._seconds))
        except (BadData, TypeError):
            return None
