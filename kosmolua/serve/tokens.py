"""Tokens: whether a request is a tenant's."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

from kosmolua.secret import Secret


class Tokens:
    """The tokens of a tenant, of which only digests are kept.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: Iterable[Secret]) -> None:
        self._digests = [sha256(token.reveal().encode()).digest() for token in tokens]

    def accept(self, given: bytes) -> bool:
        """Return True if a token is one of these. It takes the same time whatever is given and whichever it is."""
        digest = sha256(given).digest()
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return any(matches)

    def marks(self, key: bytes) -> list[str]:
        """Return what stands for each token in a session that is signed with a key, and tells nobody the token."""
        return [hmac.new(key, digest, sha256).hexdigest() for digest in self._digests]

    def overlap(self, other: Tokens) -> bool:
        """Return True if another tenant has one of these too."""
        return not {*self._digests}.isdisjoint(other._digests)
