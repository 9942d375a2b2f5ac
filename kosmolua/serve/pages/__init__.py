"""The website for the people of a tenant: approvals, runs, documentation, a playground, accounts and usage.

All pages are rendered on the server, and work without JavaScript. The templates escape all text from scripts, services
and documents. HTML in Markdown is shown as text.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.pages.site import Website
from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the website, which have to come after all other routes of the application.

    The last of them answers every path that no other route answers.

    Args:
        tenants: The tenants of the server.
    """
    return Website(tenants).routes()
