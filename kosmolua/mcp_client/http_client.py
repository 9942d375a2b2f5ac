"""The HTTP client of a server that has a URL, with the server's headers and token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx2

from kosmolua.accounts.logins import LoginSecret
from kosmolua.http.oauth_services import challenge_of
from kosmolua.http.proofs import proof_of_possession
from kosmolua.mcp_client.settings import Server
from kosmolua.secret import Secret

UNAUTHORIZED = 401


def http_client(server: Server, answered: Callable[[int, str], None]) -> httpx2.AsyncClient:
    """Return the client; ``answered`` gets the status of each response, and the scopes that it says are missing."""

    async def note(response: Any) -> None:
        challenge = challenge_of(response.headers.get("WWW-Authenticate", ""))
        is_missing = challenge.get("error") == "insufficient_scope"
        answered(response.status_code, challenge.get("scope", "") if is_missing else "")

    headers = {name: value.reveal() for name, value in server.headers.items()}
    auth = _Signature(server.token) if server.token else None
    timeout = httpx2.Timeout(30.0, read=None)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, event_hooks={"response": [note]})


class _Signature(httpx2.Auth):
    """Adds a token to each request, and if it is bound to a key, a proof (DPoP).

    After status 401, the proof is made with the nonce that the server wants, and a login's token is renewed, once.
    """

    def __init__(self, token: Secret) -> None:
        self._token = token
        self._nonce = ""

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Yield the request, signed, and once more with another nonce or token if the first was refused."""
        sent = await asyncio.to_thread(self._token.reveal)
        self._sign(request, sent)
        response = yield request
        nonce, self._nonce = self._nonce, response.headers.get("DPoP-Nonce", self._nonce)
        if response.status_code == UNAUTHORIZED and self._nonce != nonce:
            self._sign(request, sent)
            response = yield request
        if response.status_code == UNAUTHORIZED and isinstance(self._token, LoginSecret):
            self._sign(request, await asyncio.to_thread(self._token.renewed, sent))
            yield request

    def _sign(self, request: Any, token: str) -> None:
        key = self._token.key if isinstance(self._token, LoginSecret) else ""
        request.headers["Authorization"] = f"{'DPoP' if key else 'Bearer'} {token}"
        if key:
            url = str(request.url)
            request.headers["DPoP"] = proof_of_possession(key, request.method, url, token=token, nonce=self._nonce)
