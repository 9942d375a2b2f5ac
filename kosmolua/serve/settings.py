"""The settings of the server: the sections ``[serve]`` and ``[tenants.NAME]`` of an accounts file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from urllib.parse import urlsplit

from kosmolua.accounts.permissions import Given as GivenPermission
from kosmolua.accounts.permissions import is_pattern, rule_of
from kosmolua.accounts.sections import HOOKS, NOTIFY, SCHEDULES, SERVE, TENANTS
from kosmolua.accounts.sources import check_secret
from kosmolua.catalog.plugins import Plugins
from kosmolua.folders import expanded
from kosmolua.limits import DURATION, MIB, SIZE
from kosmolua.mcp.hosts import is_loopback_name
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.labels import FLOW_MODES
from kosmolua.schema.mismatch import Mismatch, quoted
from kosmolua.schema.names import SERVERS
from kosmolua.schema.settings import (
    LIMIT_CHECKS,
    Check,
    SettingsFile,
    Table,
    choice,
    count,
    measure,
    parse,
    table_of,
    text,
    texts,
    unknown,
)
from kosmolua.suggestions import did_you_mean

SECTIONS = ("kosmolua", SERVE, TENANTS, SERVERS, NOTIFY, SCHEDULES, HOOKS)
"""The sections of the accounts file that are not those of integrations."""
ABSENT = ("webhooks",)
"""Sections that other servers of this kind have. To ignore one would be to miss what its writer relies on."""
MISSPELT = 0.8
"""How alike the name of a section must be to one of these, from 0 to 1, to count as a misspelt one."""

MAX_TOKENS = 2
"""How many tokens of a tenant can be valid at the same time. Two allow a change from an old token to a new one."""
DEFAULT_WORKERS = 32
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
MAX_NAME = 63
STANZA = """\
[tenants.NAME]
token = { env = "NAME_TOKEN" }               # or { file = "..." }, { command = [...] }, { keyring = "..." }
accounts = "NAME-accounts.toml"              # the accounts of its scripts
permissions = { write = "ask" }              # at most; its accounts may allow less"""
Given = str | Mapping[str, Any]
"""A secret in the accounts file: its text, or a table with its source."""


@dataclass(frozen=True)
class Issuer:
    """The conditions for the signed tokens (JWT) that a tenant accepts.

    Args:
        issuer: The value that a token must have for the claim ``iss``.
        audience: The value that a token must have for the claim ``aud``.
        jwks: The URL or the path of the JSON Web Key Set with the issuer's public keys.
        claims: Further claims that a token must have, each with its value.
    """

    issuer: Annotated[str, text]
    audience: Annotated[str, text]
    jwks: Annotated[str, text]
    claims: Annotated[Mapping[str, object], table_of('a table, such as { org = "acme" }')] = field(default_factory=dict)


@dataclass(frozen=True)
class OidcProvider:
    """The OpenID Connect provider where people sign in to the website.

    A person belongs to the tenant whose settings ``jwt`` accept the provider's token for this person.

    Args:
        issuer: The URL of the provider. Its configuration is at a well-known path below this URL.
        client_id: The client id of this server at the provider.
        client_secret: The client secret of this server at the provider; None if it has none.
        scopes: The scopes that the server requests.
    """

    issuer: Annotated[str, text]
    client_id: Annotated[str, text]
    client_secret: Annotated[Given | None, check_secret] = None
    scopes: Annotated[tuple[str, ...], texts] = ("openid",)


# Each of these functions takes the value of a key and returns it converted for the settings, or raises Mismatch.


def _hosts(value: object) -> tuple[str, ...]:
    names = texts(value)
    for name in names:
        if not _HOST.fullmatch(name):
            raise Mismatch(f'must have names such as "agents.example", without scheme and port, not {quoted(name)}')
    return tuple(map(str.lower, names))


def _url(value: object) -> str:
    url = urlsplit(text(value))
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise Mismatch('must be the URL at which people reach the server, such as "https://agents.example"')
    return url.geturl().rstrip("/")


def _tokens(value: object) -> tuple[Given, ...]:
    given = value if isinstance(value, list) else [value]
    if not 0 < len(given) <= MAX_TOKENS:
        raise Mismatch(
            f"must be one secret, or a list of two while a new token replaces an old one, not a list of {len(given)}"
        )
    return tuple(check_secret(each) for each in given)


def _permissions(value: object) -> dict[str, GivenPermission]:
    if not isinstance(value, dict):
        raise Mismatch('must be a table, such as { write = "ask" }')
    for key, permission in value.items():
        if key not in EFFECTS and "." not in key and not is_pattern(key):
            known = f'its keys are {", ".join(EFFECTS)}, and functions such as "render2.delete_service" or "github.*"'
            raise Mismatch(f"has the unknown key {unknown(key)} ({did_you_mean(key, EFFECTS) or known})")
        try:
            rule_of(permission, key, TENANTS)
        except Mismatch as mismatch:
            raise mismatch.inside(f".{key[:80]}") from None
    return dict(value)


def _issuer(value: object) -> Issuer:
    required = ("issuer", "audience", "jwks")
    return Issuer(**table_of("a table with issuer, audience and jwks", checks_of(Issuer), required)(value))


def _provider(value: object) -> OidcProvider:
    required = ("issuer", "client_id")
    given = table_of("a table with issuer and client_id", checks_of(OidcProvider), required)(value)
    url = urlsplit(given["issuer"])
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback_name(url.netloc)):
        raise Mismatch("must be a URL with https", ".issuer")
    return OidcProvider(**given)


_LIMITS = table_of('a table, such as { timeout = "60s" }', LIMIT_CHECKS)
_SECONDS = measure(DURATION, 'a duration such as 30 or "30s"')
_BYTES = measure(SIZE, 'a size such as "4MiB"')


def checks_of(settings: type[object]) -> dict[str, Check]:
    """Return the checks of the keys that the accounts file can set, which are the annotations of the fields."""
    hints = get_type_hints(settings, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


@dataclass(frozen=True)
class TenantSettings:
    """The settings of a tenant, in ``[tenants.NAME]``.

    Args:
        name: The name of the tenant.
        token: The tenant's tokens, at most two; empty if the tenant uses only signed tokens.
        jwt: The conditions for signed tokens of the tenant; None if signed tokens are not accepted.
        accounts: The tenant's accounts file; None for the accounts in the server's accounts file.
        plugins: The files or folders of integrations that only this tenant can use.
        scripts: The folder of the tenant's scripts; None for a folder in the server's state folder.
        permissions: The most that the tenant's scripts are permitted. The permissions of the tenant's accounts can be
            stricter.
        limits: The limits of the tenant's scripts, as far as they differ from the server's limits.
        workers: How many scripts of the tenant run at once; None for an equal share of the server's workers.
        runs_per_minute: How many scripts the tenant can start in a minute; None for any number.
        calls_per_day: How many calls the tenant's scripts can make in a day (UTC); None for any number.
        max_waiting: How many calls of the tenant can wait for a person.
        max_disk: How many bytes the tenant's recordings can use; None if only its accounts file limits them.
        flow: The mildest mode of ``[kosmolua.flow]`` for the tenant; None for that of the server's accounts file, and
            without it for the mode of the tenant's.
    """

    name: str
    token: Annotated[tuple[Given, ...], _tokens] = ()
    jwt: Annotated[Issuer | None, _issuer] = None
    accounts: Annotated[str | None, text] = None
    plugins: Annotated[tuple[str, ...], texts] = ()
    scripts: Annotated[str | None, text] = None
    permissions: Annotated[Mapping[str, GivenPermission], _permissions] = field(default_factory=dict)
    limits: Annotated[Mapping[str, float], _LIMITS] = field(default_factory=dict)
    workers: Annotated[int | None, count] = None
    runs_per_minute: Annotated[int | None, count] = None
    calls_per_day: Annotated[int | None, count] = None
    max_waiting: Annotated[int, count] = 1_000
    max_disk: Annotated[int | None, measure(SIZE, 'a size such as "2GiB"')] = None
    flow: Annotated[str | None, choice(FLOW_MODES)] = None

    @property
    def is_open(self) -> bool:
        """True if requests to this tenant need no token, since no token is configured."""
        return not self.token and self.jwt is None


@dataclass(frozen=True)
class Settings:
    """The settings of the server and of its tenants in an accounts file.

    Args:
        path: The path of the accounts file; None if there is none.
        tenants: The settings of each tenant, by the tenant's name.
        url: The URL at which people and clients reach the server; None for that of each request.
        hosts: The host names that the server accepts in the header ``Host``, besides IP addresses and ``localhost``.
        metrics_token: The token that requests for ``/metrics`` need; None if only requests from this machine are
            answered.
        operator_token: The token with which the HTTP API serves those who operate the server; None if nobody can.
        approval_wait: Seconds that a call waits for an approval before its run is paused.
        max_request: The maximum size of a request's body, in bytes.
        max_headers: The maximum size of a request's head, in bytes.
        memory: How many bytes requests, outputs, results and answers of services can take together in one process of
            the server; None for a part of the memory of its container or machine.
        workers: How many scripts run at once. Tenants without the setting ``workers`` get equal shares of this number.
        log: The log file; None for standard output.
        syslog: The address of a syslog server that gets the lines of the audit log too; None for no such server.
        store: The folder or the URL of the database for recordings, questions to people and grants, which all replicas
            of the server share; None for the user's state folder.
        cookie_key: The key that signs the website's cookies; None for the key in the store.
        audit_key: The key that binds the lines of the audit; None for digests that need no key.
        oidc: The OpenID Connect provider where people sign in; None if people can sign in only with a tenant's token.
    """

    path: Path | None
    tenants: Mapping[str, TenantSettings]
    url: Annotated[str | None, _url] = None
    hosts: Annotated[tuple[str, ...], _hosts] = ()
    metrics_token: Annotated[Given | None, check_secret] = None
    operator_token: Annotated[Given | None, check_secret] = None
    approval_wait: Annotated[float, _SECONDS] = 30.0
    max_request: Annotated[int, _BYTES] = 4 * MIB
    max_headers: Annotated[int, _BYTES] = 64 * 1024
    memory: Annotated[int | None, _BYTES] = None
    workers: Annotated[int, count] = DEFAULT_WORKERS
    log: Annotated[str | None, text] = None
    syslog: Annotated[str | None, text] = None
    store: Annotated[Given | None, check_secret] = None
    cookie_key: Annotated[Given | None, check_secret] = None
    audit_key: Annotated[Given | None, check_secret] = None
    oidc: Annotated[OidcProvider | None, _provider] = None

    def workers_of(self, tenant: TenantSettings) -> int:
        """Return how many scripts of a tenant can run at once: its own setting, or else an equal share."""
        return tenant.workers or max(1, self.workers // len(self.tenants))


def read(path: str | None) -> Settings:
    """Read and check the settings of the server in an accounts file; without a file, all are the defaults.

    Raises:
        ConfigError: The file cannot be read, a key is unknown, or a value is invalid.
    """
    if path is None:
        return Settings(None, {})
    file = SettingsFile(path)
    tables = parse(path)
    refuse_unknown(file, tables, lambda: Plugins().names())
    own = file.read(tables.get(SERVE, {}), checks_of(Settings), SERVE)
    tenants = named_tables(file, tables, TENANTS, MAX_NAME)
    read = {name: _tenant(file, name, {**flow_of(tables), **table}) for name, table in tenants.items()}
    _refuse_same_issuers(file, read)
    return Settings(file.path, read, **own)


def named_tables(file: SettingsFile, tables: Table, kind: str, most: int) -> Table:
    """Return the tables of a kind, such as tenants, by their names, which have ``most`` characters at most.

    Raises:
        ConfigError: One of them is no table, or its name is not valid.
    """
    found = tables.get(kind, {})
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise file.wrong(f"each of the {kind} must be a table, such as [{kind}.NAME]", kind)
    for name in found:
        if not _NAME.fullmatch(name) or len(name) > most:
            hint = f"a-z, 0-9, _ and -, a letter or digit first, at most {most} in all"
            raise file.wrong(f"{name[:80]!r} cannot be the name of one of the {kind}", kind, name, hint=hint)
    return found


def flow_of(tables: Table) -> Table:
    """Return the mode of ``[kosmolua.flow]`` in the server's file as the setting of a tenant, if it says one."""
    own = tables.get("kosmolua")
    flow = own.get("flow") if isinstance(own, dict) else None
    return {"flow": flow["mode"]} if isinstance(flow, dict) and "mode" in flow else {}


def refuse_unknown(file: SettingsFile, sections: Iterable[str], integrations: Callable[[], Collection[str]]) -> None:
    """Refuse a section that seems to be meant for the server, which would ignore it.

    ``integrations`` returns the names of the integrations, whose sections may have any name.

    Raises:
        ConfigError: A name is almost that of a section of the server, or of one that servers do not have.
    """
    for name in sections:
        near = [] if name in SECTIONS else get_close_matches(name, (*SECTIONS, *ABSENT), n=1, cutoff=MISSPELT)
        if near and name not in integrations():
            hint = "hooks are in [hooks.NAME], notices in [notify.NAME]"
            hint = hint if near[0] in ABSENT else f"did you mean '{near[0]}'?"
            raise file.wrong(f"unknown section [{name}]", name, hint=hint)


def _tenant(file: SettingsFile, name: str, table: Table) -> TenantSettings:
    checked = file.read(table, checks_of(TenantSettings), TENANTS, name)
    if "token" not in checked and "jwt" not in checked:
        raise file.wrong(f"[tenants.{name}] has neither token nor jwt", TENANTS, name, hint=STANZA)
    for key in ("accounts", "scripts"):
        if key in checked:
            checked[key] = str(file.path.parent / expanded(checked[key]))
    checked["plugins"] = tuple(str(file.path.parent / expanded(each)) for each in checked.get("plugins", ()))
    return TenantSettings(name, **checked)


def _refuse_same_issuers(file: SettingsFile, tenants: Mapping[str, TenantSettings]) -> None:
    """Raise a ConfigError if two tenants would accept the same signed token."""
    issuers = [(name, each.jwt) for name, each in tenants.items() if each.jwt]
    for place, (name, one) in enumerate(issuers):
        for other_name, other in issuers[place + 1 :]:
            same = (one.issuer, one.audience) == (other.issuer, other.audience)
            shared = one.claims.keys() & other.claims.keys()
            if same and all(one.claims[key] == other.claims[key] for key in shared):
                what = f"the tenants {name} and {other_name} would accept the same token (JWT)"
                hint = "give each its own audience, or claims that differ"
                raise file.wrong(what, TENANTS, other_name, "jwt", hint=hint)
