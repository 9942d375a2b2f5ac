"""The metadata of the server as a protected resource (RFC 9728), from which clients learn where they log in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kosmolua.mcp.addresses import PATH
from kosmolua.serve.settings import Settings
from kosmolua.serve.tenants import Tenants

WELL_KNOWN = "/.well-known/"
METADATA = f"{WELL_KNOWN}oauth-protected-resource{PATH}"


def challenge(settings: Settings, request: Request) -> str:
    """Return the header ``WWW-Authenticate`` for a request without a valid token."""
    if not _issuers(settings):
        return "Bearer"
    return f'Bearer resource_metadata="{_base(settings, request)}{METADATA}"'


def routes(tenants: Tenants) -> list[Route]:
    """Return the route of the metadata, and one that answers every other well-known path with 404."""

    async def metadata(request: Request) -> Response:
        settings = tenants.settings
        if not (issuers := _issuers(settings)):
            return await missing(request)
        found: dict[str, object] = {
            "resource": _base(settings, request) + PATH,
            "resource_name": "KosmoLua",
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
        }
        if settings.oidc and settings.oidc.issuer in issuers:
            found["scopes_supported"] = [*settings.oidc.scopes]
        return JSONResponse(found, headers={"Access-Control-Allow-Origin": "*"})

    async def missing(_: Request) -> Response:
        return PlainTextResponse("There is nothing here.\n", 404)

    return [Route(METADATA, metadata), Route(f"{WELL_KNOWN}{{rest:path}}", missing)]


def _issuers(settings: Settings) -> list[str]:
    """Return the authorization servers whose tokens some tenant accepts."""
    return [*dict.fromkeys(tenant.jwt.issuer for tenant in settings.tenants.values() if tenant.jwt)]


def _base(settings: Settings, request: Request) -> str:
    return settings.url or str(request.base_url).rstrip("/")
