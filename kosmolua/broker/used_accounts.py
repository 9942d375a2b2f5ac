"""The accounts that a recorded run used: where they lead, and whether they are still the same when the run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kosmolua.errors import NOTHING_SENT, ConfigError, KosmoError

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.schema.integration import Integration

Used = dict[str, Any]
"""An account as a recording has it: ``integration``, ``account``, ``default`` (the name of the integration's default
account), ``origin``, and ``settings``, a digest of the fields that are not secret: a new secret is no other account."""

ACCEPT = "pass --accept-accounts to go on with the accounts as they are now"
"""The hint for a run whose accounts have changed."""

USED = ("integration", "account", "default", "origin", "settings")


def used_account(host: Host, name: str, account: str) -> Used | None:
    """Return what identifies an account; None for a simulated one, and if the integration has no such account."""
    if host.mode != "live":
        return None
    try:
        integration = host.catalog.integration(name)
        if not host.accounts.has(integration, account):
            return None
        written = host.accounts.sections.settings(integration, account)
        default = host.accounts.default(integration)
    except KosmoError:
        return None
    public = {
        field.name: written.get(field.name, None if field.required else field.default)
        for field in integration.account_fields
        if not (field.secret or field.many or field.login)
    }
    return {
        "integration": name,
        "account": account,
        "default": default,
        "origin": _origin(integration, public),
        "settings": sha256(json.dumps(public, sort_keys=True, default=str).encode()).hexdigest(),
    }


def used_accounts(host: Host, names: Iterable[tuple[str, str]]) -> list[Used]:
    """Return what identifies each of some accounts, given as integration and account, without simulated ones."""
    found = [used_account(host, *name) for name in sorted({*names})]
    return [each for each in found if each]


def refuse_others(
    subject: str, host: Host, recorded: Iterable[Used], *, accept: bool | Callable[[str], bool]
) -> list[str]:
    """Return the differences between recorded accounts and those of the host now, if they are accepted.

    ``subject`` is what used them, with a verb, such as ``The plan p-1 was made with``. ``accept`` can ask a person.

    Raises:
        ConfigError: An account has changed, and this was not accepted.
    """
    found = differences(host, recorded)
    said = f"{subject} other accounts: {'; '.join(found)}"
    if found and not (accept(said) if callable(accept) else accept):
        refusal = ConfigError(said, hint=ACCEPT)
        refusal.sent = NOTHING_SENT
        raise refusal
    return found


def _origin(integration: Integration, settings: Mapping[str, Any]) -> str | None:
    """Return the scheme, host and port that an account's requests go to, or None if its settings do not say."""
    address = settings.get("base_url") or settings.get("url")
    if not address and integration.address:
        address = integration.address(settings)
    parts = urlsplit(address) if isinstance(address, str) else None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts and parts.netloc else None


def differences(host: Host, recorded: Iterable[Used]) -> list[str]:
    """Return a phrase for each difference between the accounts that a run used and those of the host now.

    A later recorded account replaces an earlier one.
    """
    latest = {(each["integration"], each["account"]): each for each in recorded}
    defaults = {each["integration"]: each["default"] for each in latest.values()}
    found: list[str] = []
    for (name, account), before in latest.items():
        now = used_account(host, name, account)
        if now is None:
            found.append(f"there is no account {name}.{account} any more")
        elif now["origin"] != before["origin"]:
            found.append(f"{name}.{account} led to {before['origin']} and leads to {now['origin']}")
        elif now["settings"] != before["settings"]:
            found.append(f"the settings of {name}.{account} have changed")
    for name, default in defaults.items():
        if (now_default := _default(host, name)) != default:
            found.append(f"the default account of {name} was {default} and is {now_default}")
    return found


def _default(host: Host, name: str) -> str | None:
    try:
        return host.accounts.default(host.catalog.integration(name))
    except KosmoError:
        return None
