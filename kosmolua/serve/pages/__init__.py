"""The website for the people of a tenant: approvals, runs, documentation, a playground, accounts and usage.

All pages are rendered on the server, and work without JavaScript. The templates escape all text from scripts, services
and documents. HTML in Markdown is shown as text.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from kosmolua.serve.pages.site import Website
from kosmolua.serve.tenants import Tenants


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Return the routes of the website, of which the last answers every path that no other route answers."""
    return Website(tenants).routes()
