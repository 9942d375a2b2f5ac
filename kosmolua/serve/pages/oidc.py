"""Signing in by OpenID Connect: a person proves to a provider who they are, and comes back with its signed token.

Authlib speaks the protocol: a code with PKCE (RFC 7636), bound to the browser by a state and to the token by a nonce.
Whether the token is good, and whose the person is, the tenants say.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from authlib.integrations.requests_client import OAuth2Session

from kosmolua.errors import ConfigError, KosmoError
from kosmolua.mcp.http import is_loopback_name
from kosmolua.secret import Secret
from kosmolua.serve.settings import Provider

DESCRIPTION = "/.well-known/openid-configuration"
DESCRIPTION_LIFETIME = 600.0
"""Seconds for which what a provider says of itself is believed."""
TIMEOUT = 5.0
"""Seconds for a request to the provider."""


class Begun(NamedTuple):
    """A sign-in that was begun, as the browser keeps it, signed.

    Args:
        state: Comes back with the person.
        verifier: Proves that who brings the code is who asked for it.
        nonce: Stands in the token.
        following: The page to go on to.
    """

    state: str
    verifier: str
    nonce: str
    following: str


class Login:
    """Signs people in at a provider. Any thread may use it.

    Args:
        provider: The provider.
        secret: What this server proves with that it is the client, or None.
    """

    def __init__(self, provider: Provider, secret: Secret | None) -> None:
        self.provider = provider
        self._secret = secret
        self._lock = Lock()
        self._described: tuple[float, Mapping[str, Any]] | None = None

    def begin(self, back: str, following: str) -> tuple[Begun, str]:
        """Return a sign-in, and the address at the provider where it goes on.

        Args:
            back: The address to which the provider sends the person back.
            following: The page to go on to.

        Raises:
            KosmoError: The provider cannot be reached, or says something of itself that cannot be used.
        """
        state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        begun = Begun(state, verifier, nonce, following)
        endpoint = self._endpoint("authorization_endpoint")
        with self._client(back) as client:
            address, _ = client.create_authorization_url(
                endpoint, state=begun.state, nonce=begun.nonce, code_verifier=begun.verifier
            )
        return begun, str(address)

    def finish(self, begun: Begun, back: str, answer: Mapping[str, str]) -> bytes:
        """Return the signed token of a person who came back. The tenants have to say whether it is good.

        Args:
            begun: The sign-in, as it was begun in the same browser.
            back: The same address as then.
            answer: What came back with the person.

        Raises:
            KosmoError: The person or the provider refused, or the answer is not that to this sign-in.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise KosmoError("The answer is not that to a sign-in of this browser", hint="try again")
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:
            raise KosmoError("The answer is another provider's", hint="try again")
        if "code" not in answer:
            raise KosmoError(f"The provider refused: {answer.get('error', 'it sent no code')[:200]}")
        endpoint = self._endpoint("token_endpoint")
        try:
            with self._client(back) as client:
                given = client.fetch_token(endpoint, code=answer["code"], code_verifier=begun.verifier, timeout=TIMEOUT)
        except Exception as error:  # noqa: BLE001 - whatever Authlib and requests raise, nobody was signed in
            raise KosmoError(f"The provider gave no token: {type(error).__name__}", detail=str(error)) from None
        return str(given.get("id_token", "")).encode()

    def is_answer(self, begun: Begun, claims: Mapping[str, Any]) -> bool:
        """Return True if a token whose signature is good was made for this sign-in and this client."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        nonce = str(claims.get("nonce", "")).encode()
        is_meant = claims.get("iss") == self.provider.issuer and self.provider.client_id in audiences
        return is_meant and hmac.compare_digest(nonce, begun.nonce.encode())

    def _client(self, back: str) -> Any:
        return OAuth2Session(
            self.provider.client_id,
            self._secret.reveal() if self._secret else None,
            scope=" ".join(self.provider.scopes),
            redirect_uri=back,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
        )

    def _endpoint(self, name: str) -> str:
        """Return an address of the provider, which has to be protected as its own is."""
        address = str(self._description().get(name, ""))
        url = urlsplit(address)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback_name(url.netloc)):
            raise ConfigError(f"The provider {self.provider.issuer} has no {name} that can be used")
        return address

    def _description(self) -> Mapping[str, Any]:
        with self._lock:
            if self._described is None or monotonic() - self._described[0] > DESCRIPTION_LIFETIME:
                self._described = monotonic(), self._fetch_description()
            return self._described[1]

    def _fetch_description(self) -> Mapping[str, Any]:
        address = self.provider.issuer.rstrip("/") + DESCRIPTION
        try:
            with OAuth2Session() as client:
                found = client.get(address, withhold_token=True, timeout=TIMEOUT, allow_redirects=False).json()
        except Exception as error:  # noqa: BLE001 - requests, or an answer that is not JSON
            raise KosmoError("The provider cannot be reached", hint="try again later", detail=str(error)) from None
        if not isinstance(found, dict) or found.get("issuer") != self.provider.issuer:
            raise ConfigError(f"What describes itself at {address} is not {self.provider.issuer}")
        return found
