"""The application: which request is answered by what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kosmolua.mcp.addresses import PATH
from kosmolua.mcp.http import bearer
from kosmolua.serve import pages
from kosmolua.serve.tenants import Tenants

TENANT = "kosmolua.tenant"
"""Where a request's scope has the name of the tenant whose it is."""


class Readiness:
    """Whether the server takes on work."""

    def __init__(self) -> None:
        self.is_ready = False


class Door:
    """Lets requests of the protocol in to the tenant whose token they bear.

    Args:
        tenants: Who is served.
    """

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        tenant = await self._tenants.authenticate(bearer(Headers(scope=scope)))
        if tenant is None:
            await _unauthorized()(scope, receive, send)
            return
        scope[TENANT] = tenant.name
        await tenant.mcp(scope, receive, send)


def application(tenants: Tenants, readiness: Readiness) -> ASGIApp:
    """Return the application.

    Args:
        tenants: Who is served.
        readiness: What ``/readyz`` says.
    """

    async def is_alive(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def is_ready(request: Request) -> Response:
        ready = readiness.is_ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        await tenants.start()
        readiness.is_ready = True
        try:
            yield
        finally:
            readiness.is_ready = False
            await tenants.stop()

    routes = [
        Route("/healthz", is_alive),
        Route("/readyz", is_ready),
        Route(PATH, Door(tenants)),
        *pages.routes(tenants),
    ]
    return Starlette(routes=routes, lifespan=running)


def _unauthorized() -> Response:
    challenge = {"WWW-Authenticate": "Bearer"}
    return PlainTextResponse("Authorization: Bearer TOKEN is missing or wrong.\n", 401, challenge)
