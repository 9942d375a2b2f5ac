"""Sealed secrets: old values that a run replaced, encrypted with the key of the store, so that they can be put back."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hmac import digest
from typing import TYPE_CHECKING, Any

from kosmolua.concurrency import lazy
from kosmolua.recordings.signing import Keeper
from kosmolua.secret import MASK, Secret

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SEALED = "sealed:"
"""The beginning of a sealed secret, which is a text."""


class Sealer:
    """Seals secrets with the key of a store. A sealed secret can be opened only for the account that it came from.

    Without the key, or without the package ``cryptography``, a secret becomes ``***``, and is lost.

    Args:
        store: The store, which keeps the key.
    """

    def __init__(self, store: Keeper) -> None:
        self._store = store

    def seal(self, value: Any, account: str) -> Any:
        """Return a copy of a value with a sealed text in place of each :class:`Secret`.

        Args:
            value: The value.
            account: The account of the secrets, such as ``render2.production``.
        """
        if isinstance(value, Secret):
            text = json.dumps([account, value.reveal()]).encode()
            return SEALED + self._cipher.encrypt(text).decode() if self._cipher else MASK
        if isinstance(value, Mapping):
            return {key: self.seal(each, account) for key, each in value.items()}
        return [self.seal(each, account) for each in value] if isinstance(value, (list, tuple)) else value

    def open(self, value: Any, account: str) -> Any:
        """Return a copy of a value with a :class:`Secret` in place of each text that was sealed for this account."""
        if isinstance(value, str) and value.startswith(SEALED):
            return self._opened(value, account)
        if isinstance(value, Mapping):
            return {key: self.open(each, account) for key, each in value.items()}
        return [self.open(each, account) for each in value] if isinstance(value, (list, tuple)) else value

    def _opened(self, text: str, account: str) -> str | Secret:
        if self._cipher is None:
            return text
        from cryptography.fernet import InvalidToken

        try:
            owner, secret = json.loads(self._cipher.decrypt(text.removeprefix(SEALED)))
        except InvalidToken:
            return text
        return Secret(secret) if owner == account else text

    @lazy
    def _cipher(self) -> Fernet | None:
        try:
            from cryptography.fernet import Fernet
        except ImportError:
            return None
        key = self._store.key(create=True)
        return Fernet(urlsafe_b64encode(digest(key, b"sealed secrets", "sha256"))) if key else None
