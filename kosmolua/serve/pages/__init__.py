"""The page for people: approvals, runs, documentation, a playground, accounts and usage, rendered on the server.

Every page works without JavaScript. What comes from scripts, services and documents is text to the templates, which
escape it; Markdown becomes HTML without any HTML of its own.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.pages.site import Site
from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the page, which come after those of the protocol, the probes and the metrics.

    The last of them takes every other address.
    """
    return Site(tenants).routes()
