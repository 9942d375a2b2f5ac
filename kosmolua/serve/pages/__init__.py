"""The website for people: approvals, runs, documentation, a playground, accounts and usage, rendered on the server.

Every page works without JavaScript. The templates escape all text from scripts, services and documents. HTML inside
Markdown is shown as text.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.pages.site import Site
from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the website, which come after the routes of MCP, the probes and the metrics.

    The last route answers every other path.
    """
    return Site(tenants).routes()
