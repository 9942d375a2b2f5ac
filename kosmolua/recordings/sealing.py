"""Sealed secrets: old values that a run replaced, encrypted with the key of the store, so that they can be put back."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Any

from kosmolua.concurrency import lazy
from kosmolua.recordings.signing import Keeper
from kosmolua.secret import MASK, Secret, SecretText

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SEALED = "sealed:"
"""The beginning of a sealed secret, which is a text."""
DIGEST = 8
"""How many hexadecimal digits tell a sealed secret from others where it is shown."""


class Sealer:
    """Seals secrets with the key of a store. A sealed secret can be opened only for the account that it came from.

    Without the key, or without the package ``cryptography``, a secret becomes ``***``, and is lost.
    """

    def __init__(self, store: Keeper) -> None:
        self._store = store

    def seal(self, value: Any, account: str) -> Any:
        """Return a copy of a value with a sealed text in place of each :class:`Secret`."""

        def sealed(part: Any) -> Any:
            if not isinstance(part, Secret):
                return part
            text = json.dumps([account, part.reveal()]).encode()
            return SEALED + self._cipher.encrypt(text).decode() if self._cipher else MASK

        return _with(sealed, value)

    def open(self, value: Any, account: str) -> Any:
        """Return a copy of a value with a :class:`Secret` in place of each text that was sealed for this account."""
        return _with(lambda part: self._opened(part, account), value)

    def filled(self, value: Any, account: str, learn: Callable[[Secret], object]) -> Any:
        """Return a copy of arguments with the secret in place of each text that was sealed for this account.

        ``learn`` gets each secret, so that it is masked from now on.
        """

        def filled(part: Any) -> Any:
            secret = self._opened(part, account)
            if not isinstance(secret, Secret):
                return part
            learn(secret)
            return SecretText(secret.reveal(), f"replaced value {sha256(part.encode()).hexdigest()[:DIGEST]}")

        return _with(filled, value)

    def _opened(self, part: Any, account: str) -> Any:
        if not isinstance(part, str) or not part.startswith(SEALED) or self._cipher is None:
            return part
        from cryptography.fernet import InvalidToken

        try:
            owner, secret = json.loads(self._cipher.decrypt(part.removeprefix(SEALED)))
        except InvalidToken:
            return part
        return Secret(secret) if owner == account else part

    @lazy
    def _cipher(self) -> Fernet | None:
        try:
            from cryptography.fernet import Fernet
        except ImportError:
            return None
        key = self._store.key(create=True)
        return Fernet(urlsafe_b64encode(digest(key, b"sealed secrets", "sha256"))) if key else None


def _with(change: Callable[[Any], Any], value: Any) -> Any:
    """Return a copy of a JSON value in which ``change`` was applied to each part that is no list or table."""
    if isinstance(value, Mapping):
        return {key: _with(change, each) for key, each in value.items()}
    return [_with(change, each) for each in value] if isinstance(value, (list, tuple)) else change(value)
