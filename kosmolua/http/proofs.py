"""What an OAuth 2 client proves itself with: signed assertions (RFC 7523) and possession of a key (DPoP, RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import time
from secrets import token_urlsafe
from typing import Any

from kosmolua.errors import NotConfigured

LIFETIME = 300
"""Seconds for which an assertion is valid."""
ALGORITHM = "ES256"


def signed_assertion(client_id: str, audience: str, key: str, algorithm: str) -> str:
    """Return a token in which a client names itself, for the service with this issuer; ``key`` is PEM.

    Raises:
        NotConfigured: The key cannot be read, or is not one for this algorithm.
    """
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + LIFETIME}
    return _signed({**claims, "jti": token_urlsafe(16)}, key, algorithm, {})


def new_key() -> str:
    """Return a new key to bind tokens to, as PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def proof_of_possession(key: str, method: str, url: str, *, token: str = "", nonce: str = "") -> str:
    """Return the header ``DPoP`` of one request; ``token`` is what the request is signed with, if it has any."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from jwt.algorithms import ECAlgorithm

    public: Any = load_pem_private_key(key.encode(), None).public_key()
    claims: dict[str, Any] = {"jti": token_urlsafe(16), "htm": method, "iat": int(time.time())}
    claims["htu"] = url.partition("#")[0].partition("?")[0]
    if token:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if nonce:
        claims["nonce"] = nonce
    shown = {"typ": "dpop+jwt", "jwk": ECAlgorithm.to_jwk(public, as_dict=True)}
    return _signed(claims, key, ALGORITHM, shown)


def _signed(claims: dict[str, Any], key: str, algorithm: str, header: dict[str, Any]) -> str:
    try:
        import jwt
    except ImportError:
        raise NotConfigured("A signed login needs the package PyJWT", hint="pip install 'kosmolua[oauth]'") from None
    try:
        return jwt.encode(claims, key, algorithm=algorithm, headers=header)
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError):
        hint = "private_key is a key as PEM, and signing_algorithm its algorithm, such as ES256 or RS256"
        raise NotConfigured(f"The private key cannot sign with {algorithm}", hint=hint) from None
