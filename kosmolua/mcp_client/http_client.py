"""The HTTP client of a server that has a URL, with the server's headers and token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx2

from kosmolua.accounts.logins import LoginSecret
from kosmolua.mcp_client.settings import Server
from kosmolua.secret import Secret

UNAUTHORIZED = 401


def http_client(server: Server, answered: Callable[[int], None]) -> httpx2.AsyncClient:
    """Return the client; ``answered`` gets the status of each response."""

    async def note(response: Any) -> None:
        answered(response.status_code)

    headers = {name: value.reveal() for name, value in server.headers.items()}
    auth = _Bearer(server.token) if server.token else None
    timeout = httpx2.Timeout(30.0, read=None)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, event_hooks={"response": [note]})


class _Bearer(httpx2.Auth):
    """Adds a token to each request. After status 401, a login's token is renewed, once."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Yield the request with the token, and once more with the renewed token if the first was refused."""
        sent = await asyncio.to_thread(self._token.reveal)
        request.headers["Authorization"] = f"Bearer {sent}"
        response = yield request
        if response.status_code == UNAUTHORIZED and isinstance(self._token, LoginSecret):
            fresh = await asyncio.to_thread(self._token.renewed, sent)
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request
