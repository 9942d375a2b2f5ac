"""Tokens: authenticating requests by a tenant's configured tokens, or by tokens that an issuer signed (JWT)."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import jwt

from kosmolua.errors import ConfigError
from kosmolua.mcp.http import is_loopback_name
from kosmolua.secret import Secret
from kosmolua.serve.settings import Issuer

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""The accepted algorithms of signatures. All are asymmetric, so nobody can sign with the public keys."""
LEEWAY = 30
"""Seconds by which the clocks of issuer and server may differ."""
KEYS_LIFETIME = 600.0
"""Seconds after which an issuer's keys are fetched again."""
MIN_FETCH_INTERVAL = 30.0
"""Seconds between two fetches that an unknown key causes, since anybody can send the name of an unknown key."""
FETCH_TIMEOUT = 5
MAX_TOKEN = 16_384
"""The largest number of bytes of a signed token."""


class Tokens:
    """The configured tokens of a tenant. Only their digests are kept.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: Iterable[Secret]) -> None:
        self._digests = [sha256(token.reveal().encode()).digest() for token in tokens]

    def accept(self, given: bytes) -> bool:
        """Return True if a token is one of these. The time that it takes does not depend on the token."""
        digest = sha256(given).digest()
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        return any(matches)

    def marks(self, key: bytes) -> list[str]:
        """Return a mark for each token, made with a key. A session stores the mark, which does not reveal the token."""
        return [hmac.new(key, digest, sha256).hexdigest() for digest in self._digests]

    def overlap(self, other: Tokens) -> bool:
        """Return True if another tenant has one of these tokens too."""
        return not {*self._digests}.isdisjoint(other._digests)


class SignedTokens:
    """The signed tokens of a tenant.

    Args:
        issuer: The issuer who signs them.
        folder: The folder that the path of a file of keys is relative to.
        warn: Called with a sentence if the keys cannot be fetched.

    Raises:
        ConfigError: The keys would be fetched without TLS.
    """

    def __init__(self, issuer: Issuer, folder: Path, warn: Callable[[str], None]) -> None:
        self._issuer = issuer
        self._warn = warn
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()
        url = urlsplit(issuer.jwks)
        if url.scheme == "http" and not is_loopback_name(url.netloc):
            raise ConfigError(f"The keys of {issuer.issuer} would be fetched without TLS", hint="name a URL with https")
        self._file = folder / issuer.jwks if url.scheme not in ("http", "https") else None

    async def accept(self, given: bytes) -> bool:
        """Return True if a token is signed by the issuer, for this audience, valid now, and has the required claims."""
        try:
            header = jwt.get_unverified_header(given)
            if not self._may_fit(claims_of(given)):
                return False
            key = await self._key(header.get("kid"))
            if key is None:
                return False
            claims = jwt.decode(
                given,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer.issuer,
                audience=self._issuer.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return False
        return self._may_fit(claims)

    def may_fit(self, given: bytes) -> bool:
        """Return True if a token claims to be of this issuer. Only :meth:`accept` verifies the signature."""
        try:
            return self._may_fit(claims_of(given))
        except (jwt.PyJWTError, ValueError, TypeError):
            return False

    def _may_fit(self, claims: Mapping[str, Any]) -> bool:
        wanted = self._issuer.claims.items()
        return claims.get("iss") == self._issuer.issuer and all(claims.get(name) == value for name, value in wanted)

    async def _key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the key with this id; without an id, the only key. Return None if there is no such key."""
        if self._is_due(kid):
            async with self._fetching:
                if self._is_due(kid):
                    await self._fetch()
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _is_due(self, kid: str | None) -> bool:
        age = monotonic() - self._fetched if self._fetched is not None else KEYS_LIFETIME
        is_unknown = kid is not None and kid not in self._keys
        return age >= KEYS_LIFETIME or (is_unknown and age >= MIN_FETCH_INTERVAL)

    async def _fetch(self) -> None:
        self._fetched = monotonic()
        try:
            keys = jwt.PyJWKSet.from_dict(await asyncio.to_thread(self._read)).keys
        except (jwt.PyJWTError, OSError, ValueError, TypeError, AttributeError) as error:
            self._warn(f"the keys of {self._issuer.issuer} cannot be read from {self._issuer.jwks}: {error}")
            return
        self._keys = {key.key_id: key for key in keys}

    def _read(self) -> dict[str, Any]:
        if self._file:
            read: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            return read
        fetched: dict[str, Any] = jwt.PyJWKClient(self._issuer.jwks, timeout=FETCH_TIMEOUT).fetch_data()
        return fetched


def may_be_signed(given: bytes) -> bool:
    """Return True if a token has the form of a signed token."""
    return given.count(b".") == 2 and len(given) <= MAX_TOKEN


def claims_of(given: bytes) -> Mapping[str, Any]:
    """Return the claims of a token, without verifying its signature."""
    claims: Mapping[str, Any] = jwt.decode(given, options={"verify_signature": False})
    return claims
