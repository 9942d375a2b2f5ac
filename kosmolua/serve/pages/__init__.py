"""The page for people."""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the page, which come after those of the protocol, the probes and the metrics.

    A page finds out whose it is by ``await tenants.authenticate(token)``, or by ``tenants.get(name)`` for a session
    that it has signed with ``tenants.key``; ``tenants.open_tenant`` is the one that needs no token, if there is one.

    A tenant has ``name``, ``runtime`` (look it up for each request, since a reload replaces it), ``recordings`` (the
    folder of its recordings), ``folder`` (what is kept for it alone), ``simulated()`` (a runtime with its integrations
    and simulated calls), and ``run`` and ``resume``, which run a script as one of a client: recorded, counted, audited.
    """
    return []
