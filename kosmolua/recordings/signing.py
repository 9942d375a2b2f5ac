"""Signatures in recordings and plans, which show that they were written with the key of this store."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from kosmolua.concurrency import lazy

SIGNATURE = "signature"
UNSIGNED = (SIGNATURE, "sum")
"""The fields that a signature does not cover: itself, and the checksum, which is written after it."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def identity(header: Mapping[str, Any]) -> str:
    """Return a hash of the first line of a recording, to which the signatures in the recording are bound.

    A signature therefore does not hold under another first line, which may say, for instance, that the run is live
    although it was simulated.
    """
    return sha256(_canonical(_covered(header)).encode()).hexdigest()


class Keeper(Protocol):
    """Keeps the key. :class:`kosmolua.stores.store.Store` is one."""

    def key(self, *, create: bool) -> bytes | None:
        """Return the key; None if there is none and ``create`` is False, or if it cannot be kept."""


class Signer:
    """Signs, with a store's key, the first line of a recording, decisions of people, and plans; checks signatures."""

    def __init__(self, store: Keeper) -> None:
        self._store = store

    def signed(self, fields: Mapping[str, Any], *bound: object) -> dict[str, Any]:
        """Return a copy of some fields with a signature, or without one if the store can keep no key.

        The signature holds only where the fields stand: ``bound`` is such as the recording and the line.

        Raises:
            ConfigError: The store cannot be read, or its key is damaged.
        """
        key = self._made_key
        plain = {name: value for name, value in fields.items() if name != SIGNATURE}
        return {**plain, SIGNATURE: _code(key, plain, bound)} if key else plain

    def has_signed(self, fields: Mapping[str, Any], *bound: object) -> bool:
        """Return True if :meth:`signed` made the signature of these fields, for this place.

        Raises:
            ConfigError: The store cannot be read, or its key is damaged.
        """
        found = fields.get(SIGNATURE)
        if not isinstance(found, str) or not (key := self._store.key(create=False)):
            return False
        return hmac.compare_digest(found.encode("utf-8", "replace"), _code(key, fields, bound).encode())

    @lazy
    def _made_key(self) -> bytes | None:
        return self._store.key(create=True)


def _covered(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in UNSIGNED}


def _code(key: bytes, fields: Mapping[str, Any], bound: tuple[object, ...]) -> str:
    return hmac.new(key, _canonical([*bound, _covered(fields)]).encode(), "sha256").hexdigest()
