"""The website for the people of a tenant: approvals, runs, documentation, a playground, accounts and usage.

The server renders all pages, and every page works without JavaScript. The templates escape all text from scripts,
services and documents. HTML inside Markdown is shown as text.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.pages.site import Site
from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the website. The last route answers every path that no other route answers.

    So these routes have to come after all other routes of the application.

    Args:
        tenants: The tenants of the server.
    """
    return Site(tenants).routes()
