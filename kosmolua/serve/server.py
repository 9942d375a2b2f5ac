"""The server: where it listens, and when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from kosmolua.errors import ConfigError
from kosmolua.mcp.addresses import Address, UnixAddress
from kosmolua.mcp.http import configured
from kosmolua.serve.app import Readiness, application
from kosmolua.serve.settings import STANZA, Settings
from kosmolua.serve.tenants import Common, Tenants


def serve(
    address: Address | UnixAddress, settings: Settings, common: Common, *, announce: Callable[[str], None]
) -> None:
    """Serve until the process receives a signal to stop.

    Args:
        address: Where to listen.
        settings: What the accounts file says.
        common: What the command line gives to all tenants.
        announce: Called with the server's address, once clients can connect.

    Raises:
        ConfigError: There is no tenant, or one cannot be opened, or the address cannot be listened on.
    """
    if not settings.tenants and not (common.simulate and _is_loopback(address)):
        raise ConfigError("No tenant is served", hint=STANZA)

    async def run() -> None:
        import uvicorn

        tenants = Tenants(settings, common)
        listener, bound = address.listen()
        with listener:
            announce(f"serving {', '.join(tenant.name for tenant in tenants)} on {bound.url}")
            app = application(tenants, Readiness())
            await uvicorn.Server(configured(app)).serve([listener])

    asyncio.run(run())


def _is_loopback(address: Address | UnixAddress) -> bool:
    return isinstance(address, UnixAddress) or ip_address(address.ip).is_loopback
