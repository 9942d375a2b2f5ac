"""Tokens that authenticate a tenant's requests: those in the accounts file, and those signed by an issuer (JWT)."""

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
from kosmolua.mcp.hosts import is_loopback_name
from kosmolua.secret import Secret
from kosmolua.serve.settings import Issuer

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""The signature algorithms that are accepted. All are asymmetric, so nobody can sign tokens with the public keys."""
LEEWAY = 30
"""Seconds by which the clocks of the issuer and of this server can differ."""
KEYS_LIFETIME = 600.0
"""Seconds after which an issuer's keys are fetched again."""
MIN_FETCH_INTERVAL = 30.0
"""The shortest interval between two fetches because of an unknown key id, in seconds. Anybody can send such ids."""
FETCH_TIMEOUT = 5
MAX_PERSON = 100
MAX_TOKEN = 16_384
"""The maximum length of a signed token, in bytes."""


class TenantTokens:
    """The tokens in a tenant's section of the accounts file, of which only ``digests`` are kept in memory."""

    def __init__(self, tokens: Iterable[Secret]) -> None:
        self.digests = {digest_of(token.reveal().encode()): None for token in tokens}

    def accept(self, given: bytes) -> bool:
        """Return True if a request's token is one of the tenant's. The duration reveals nothing about those."""
        return digest_of(given) in self.digests

    def marks(self, key: bytes) -> list[str]:
        """Return a keyed hash of each token. A session of the website stores the hash of the token that began it.

        The hash shows whether this token is still configured, and does not reveal the token.
        """
        return [hmac.new(key, digest, sha256).hexdigest() for digest in self.digests]


class SignedTokens:
    """Verifies signed tokens (JWT) for one tenant, with the public keys of their issuer.

    Raises:
        ConfigError: The URL of the keys neither begins with ``https`` nor is on this machine.
    """

    def __init__(self, issuer: Issuer, folder: Path, warn: Callable[[str], None]) -> None:
        self._issuer = issuer
        self._warn = warn
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched: float | None = None
        self._fetching = asyncio.Lock()
        url = urlsplit(issuer.jwks)
        if url.scheme == "http" and not is_loopback_name(url.netloc):
            raise ConfigError(
                f"The keys of {issuer.issuer} would be fetched without TLS", hint="set jwks to a URL with https"
            )
        self._file = folder / issuer.jwks if url.scheme not in ("http", "https") else None

    async def accept(self, given: bytes) -> bool:
        """Return True if a token was signed by the issuer for the audience, is valid now, and has the claims."""
        try:
            header = jwt.get_unverified_header(given)
            if not self.may_fit(claims_of(given)):
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
        return self.may_fit(claims)

    def may_fit(self, claims: Mapping[str, Any]) -> bool:
        """Return True if a token with these claims is for the tenant, should its signature be right."""
        wanted = self._issuer.claims.items()
        return claims.get("iss") == self._issuer.issuer and all(claims.get(name) == value for name, value in wanted)

    async def _key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return the issuer's key with this id, or None if there is no such key. Fetch the keys if necessary."""
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
            self._keys = await asyncio.to_thread(self._read)
        except ConfigError as error:
            self._warn(str(error))

    def check_file(self) -> None:
        """Read the issuer's keys, if they are in a file.

        Raises:
            ConfigError: The file cannot be read, or is no JSON Web Key Set.
        """
        if self._file:
            self._read()

    def _read(self) -> dict[str | None, jwt.PyJWK]:
        try:
            if self._file:
                given = json.loads(self._file.read_text(encoding="utf-8"))
            else:
                given = jwt.PyJWKClient(self._issuer.jwks, timeout=FETCH_TIMEOUT).fetch_data()
            return {key.key_id: key for key in jwt.PyJWKSet.from_dict(given).keys}
        except (jwt.PyJWTError, OSError, ValueError, TypeError, AttributeError) as error:
            where = self._file or self._issuer.jwks
            raise ConfigError(f"The keys of {self._issuer.issuer} cannot be read from {where}: {error}") from None


def digest_of(given: bytes) -> bytes:
    """Return the digest of a token. A search by it reveals nothing about tokens, since nobody can choose digests."""
    return sha256(given).digest()


def may_be_signed(given: bytes) -> bool:
    """Return True if a token looks like a signed token: it has three parts and is not too long. Nothing is verified."""
    return given.count(b".") == 2 and len(given) <= MAX_TOKEN


def person_in(given: bytes) -> str:
    """Return the name of the person in a signed token that was verified; empty if it names nobody."""
    claims = claims_of(given)
    found = (claims.get(name) for name in ("email", "preferred_username", "name", "sub"))
    return next((each[:MAX_PERSON] for each in found if isinstance(each, str) and each), "")


def claims_of(given: bytes) -> Mapping[str, Any]:
    """Return the claims of a signed token (JWT) without verifying its signature; none if it is malformed."""
    try:
        claims: Mapping[str, Any] = jwt.decode(given, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return {}
    return claims
