"""Logs an account in to its service, or out, for ``kosmolua accounts login`` and ``logout``."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import replace

from kosmolua.accounts.toml import stanza
from kosmolua.cli import console
from kosmolua.errors import ConfigError, KosmoError, NotConfigured, UnknownPath
from kosmolua.http import oauth
from kosmolua.http.oauth import Tokens
from kosmolua.http.oauth_services import Service
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SERVERS, integration_in, parts_of, section_of
from kosmolua.suggestions import did_you_mean


def find(runtime: Runtime, name: str) -> tuple[Integration, str]:
    """Return the integration and the account that a name such as ``render2.production`` means.

    An MCP server counts as an integration with one account, and is not started.

    Raises:
        UnknownPath: There is no such account.
        NotConfigured: The name contains no account, and the integration has several accounts but no default one.
    """
    integration_name, rest = integration_in(parts_of(name), runtime.catalog.names())
    if integration_name.startswith(f"{SERVERS}."):
        return runtime.servers.declared(integration_name.partition(".")[2]), "default"
    integration = runtime.catalog.integration(integration_name)
    account = rest[0] if rest else runtime.accounts.default(integration)
    names = runtime.accounts.names(integration)
    if account is None and not names:
        what = f"{integration_name} has no account; add one to the accounts file"
        raise NotConfigured(what, hint=stanza(integration), detail=str(runtime.catalog.accounts_path))
    if account is None:
        raise NotConfigured(f"{integration_name} has several accounts: name one of {', '.join(names)}")
    if not runtime.accounts.has(integration, account) and account != "default":
        raise UnknownPath(f"{integration_name} has no account '{account}'", hint=did_you_mean(account, names))
    return integration, account


def log_in(
    runtime: Runtime, name: str, *, by_device: bool, as_client: bool, scopes: Sequence[str] = ()
) -> tuple[str, str]:
    """Log an account in to its service, and store the token. Return the account's section, and where the token is.

    With ``by_device``, the person types a code on another device. With ``as_client``, what the account's section has is
    enough, without a person. ``scopes`` are asked for in addition to those of the login that is there.

    Raises:
        NotConfigured: The account lacks a setting for the login, or the service does not support device codes.
    """
    integration, account = find(runtime, name)
    service = runtime.accounts.service(integration, account)
    if scopes:
        granted = runtime.accounts.login(integration, account).tokens
        wanted = [*(granted.scope.split() if granted else service.login.scopes), *scopes]
        service = replace(service, login=replace(service.login, scopes=tuple(dict.fromkeys(wanted))))
    if as_client or service.credentials or not service.login.needs_person:
        if not (service.client_id and (service.client_secret or service.credentials)):
            section = section_of(integration.name, account)
            problem = f"{section} needs its client_id and client_secret to log in as a client"
            raise NotConfigured(problem, hint="add client_id and client_secret to the accounts file")
        service, tokens = oauth.log_in_as_client(service)
    else:
        service, tokens = _tokens(service, by_device=by_device)
    kept = runtime.accounts.login(integration, account).keep(service, tokens)
    return section_of(integration.name, account), kept


def log_out(runtime: Runtime, name: str) -> tuple[str, bool]:
    """Remove the token of an account's login. Return the account's section, and whether the service revoked the token.

    Raises:
        ConfigError: The account is not logged in.
    """
    integration, account = find(runtime, name)
    section = section_of(integration.name, account)
    found = runtime.accounts.login(integration, account).forget()
    if found is None:
        raise ConfigError(f"{section} is not logged in")
    try:
        return section, oauth.revoke(*found)
    except KosmoError as error:
        console.warn(error.message)
        return section, False


def _tokens(service: Service, *, by_device: bool) -> tuple[Service, Tokens]:
    """Let a person log in, if possible in a browser. The returned service has the id that was registered for it."""
    login = service.login
    if login.authorize and not by_device:
        try:
            return oauth.log_in_by_browser(service, lambda url: _open(url, must=not login.device))
        except _NoBrowser:
            console.complain("no browser opens here, so log in with a code")
    if not login.device:
        raise NotConfigured("The service does not support device codes", hint="leave --device out")
    said = "open {} on any device, and type the code {}"
    return oauth.log_in_by_device(service, lambda page, code: console.complain(said.format(page, code)))


class _NoBrowser(Exception):
    """Raised when no browser can be opened on this machine."""


def _open(url: str, *, must: bool) -> None:
    """Open a page in a browser: the one that ``$BROWSER`` names, or the default one."""
    if webbrowser.open(url):
        console.complain("a page opens in your browser: log in there, and come back")
    elif must:
        console.complain(f"open this page in a browser on this machine, and log in: {url}")
    else:
        raise _NoBrowser
