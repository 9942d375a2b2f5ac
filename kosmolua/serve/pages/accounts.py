"""The accounts page: a tenant's accounts with their permissions, and the functions that people always allow."""

from __future__ import annotations

import os
from typing import Any

from starlette.responses import Response

from kosmolua.errors import KosmoError, PluginError
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import page_of
from kosmolua.serve.pages.page_request import PageRequest


def listed(request: PageRequest) -> Response:
    """Return the page that lists the tenant's accounts, and the functions that people have permanently allowed."""
    unloadable: list[tuple[str, str]] = []

    def note(name: str, error: PluginError) -> None:
        unloadable.append((name, error.message))

    runtime = request.own.runtime
    accounts = [each for found in runtime.catalog.loadable(note) for each in _accounts_of(runtime, found, unloadable)]
    return request.page(
        "accounts.html", "accounts", accounts=accounts, unloadable=unloadable, grants=list(request.own.tenant.grants)
    )


def revoked(request: PageRequest) -> Response:
    """Revoke the permanent approval of the function that is named in the form, and redirect to the accounts page."""
    request.own.tenant.grants.revoke(request.form.get("path", ""), request.form.get("account", ""))
    return request.redirect("/accounts")


def _accounts_of(runtime: Runtime, integration: Integration, unloadable: list[tuple[str, str]]) -> list[dict[str, Any]]:
    name = integration.name
    try:
        entries = runtime.catalog.permissions(name)
        default = runtime.accounts.default(integration) if entries else None
    except KosmoError as error:
        unloadable.append((name, error.message))
        return []
    return [
        {
            **entry,
            "page": page_of(name),
            "is_default": entry["account"] == default,
            "place": os.path.basename(runtime.accounts.place(integration, str(entry["account"]))),
            "login": runtime.accounts.login_state(integration, str(entry["account"])),
        }
        for entry in entries
    ]
