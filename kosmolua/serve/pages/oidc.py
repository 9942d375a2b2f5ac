"""Signing in with OpenID Connect: a person signs in at a provider, and the provider sends a token that it has signed.

Authlib implements the protocol, which uses an authorization code with PKCE (RFC 7636). A state binds the sign-in to the
browser, and a nonce binds it to the token. The token is verified elsewhere. The person belongs to the tenant whose
settings accept the token.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kosmolua.errors import ConfigError, KosmoError, NetworkError
from kosmolua.http.oauth_services import reaching
from kosmolua.mcp.hosts import is_loopback_name
from kosmolua.secret import Secret
from kosmolua.serve.settings import OidcProvider

DESCRIPTION = "/.well-known/openid-configuration"
DESCRIPTION_LIFETIME = 600.0
"""Seconds for which the published configuration of a provider is cached."""
TIMEOUT = 5.0
"""The timeout of a request to the provider, in seconds."""


class Begun(NamedTuple):
    """A sign-in that has begun. While the person is at the provider, the browser keeps it in a signed cookie.

    The provider must send ``state`` back, and ``nonce`` in the token. The PKCE ``verifier`` proves that this server has
    requested the authorization code. ``following`` is the path of the page to show then.
    """

    state: str
    verifier: str
    nonce: str
    following: str


class OidcLogin:
    """Signs people in at an OpenID Connect provider. Any thread may use this object."""

    def __init__(self, provider: OidcProvider, secret: Secret | None) -> None:
        self.provider = provider
        self._secret = secret
        self._lock = Lock()
        self._described: tuple[float, Mapping[str, Any]] | None = None

    def begin(self, back: str, following: str) -> tuple[Begun, str]:
        """Begin a sign-in. Return what the browser has to keep, and the URL of the provider's sign-in page.

        The provider sends the person back to the URL ``back``.

        Raises:
            KosmoError: The provider cannot be reached, or its configuration cannot be used.
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
        """Complete a sign-in: exchange the authorization code for the person's signed token, and return the token.

        The caller has to verify the token. ``back`` is that of :meth:`begin`, and ``answer`` the query with which the
        provider has sent the person there.

        Raises:
            KosmoError: The person or the provider refused the sign-in, the provider cannot be reached or redirects, or
                the answer does not belong to this sign-in.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise KosmoError("The provider's answer does not belong to a sign-in of this browser", hint="sign in again")
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:
            raise KosmoError(
                "The answer to the sign-in does not come from the provider that this server uses", hint="sign in again"
            )
        if "code" not in answer:
            raise KosmoError(f"The provider refused the sign-in: {answer.get('error', 'it sent no code')[:200]}")
        endpoint = self._endpoint("token_endpoint")
        try:
            with self._client(back) as client, reaching(endpoint):
                given = client.fetch_token(endpoint, code=answer["code"], code_verifier=begun.verifier, timeout=TIMEOUT)
        except NetworkError:
            raise
        except Exception as error:  # noqa: BLE001 - after any error of Authlib or requests, nobody is signed in
            raise KosmoError(
                f"The provider sent no token for the sign-in: {type(error).__name__}", detail=str(error)
            ) from None
        return str(given.get("id_token", "")).encode()

    def is_answer(self, begun: Begun, claims: Mapping[str, Any]) -> bool:
        """Return True if the provider made a token with these claims for this server and for this sign-in."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        nonce = str(claims.get("nonce", "")).encode()
        is_meant = claims.get("iss") == self.provider.issuer and self.provider.client_id in audiences
        return is_meant and hmac.compare_digest(nonce, begun.nonce.encode())

    def _client(self, back: str) -> Any:
        """Return Authlib's client. It follows no redirect, since its request contains the authorization code."""
        from authlib.integrations.requests_client import OAuth2Session

        client = OAuth2Session(
            self.provider.client_id,
            self._secret.reveal() if self._secret else None,
            scope=" ".join(self.provider.scopes),
            redirect_uri=back,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
        )
        client.max_redirects = 0
        return client

    def _endpoint(self, name: str) -> str:
        """Return a URL from the published configuration of the provider."""
        address = str(self._description().get(name, ""))
        url = urlsplit(address)
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback_name(url.netloc)):
            raise ConfigError(f"The configuration of the provider {self.provider.issuer} has no https URL for {name}")
        return address

    def _description(self) -> Mapping[str, Any]:
        with self._lock:
            if self._described is None or monotonic() - self._described[0] > DESCRIPTION_LIFETIME:
                self._described = monotonic(), self._fetch_description()
            return self._described[1]

    def _fetch_description(self) -> Mapping[str, Any]:
        from authlib.integrations.requests_client import OAuth2Session

        address = self.provider.issuer.rstrip("/") + DESCRIPTION
        try:
            with OAuth2Session() as client:
                found = client.get(address, withhold_token=True, timeout=TIMEOUT, allow_redirects=False).json()
        except Exception as error:  # noqa: BLE001 - an error of requests, or an answer that is not JSON
            raise KosmoError("The provider cannot be reached", hint="try again later", detail=str(error)) from None
        if not isinstance(found, dict) or found.get("issuer") != self.provider.issuer:
            raise ConfigError(f"The configuration at {address} does not name {self.provider.issuer} as its issuer")
        return found
