"""The sections of accounts.toml, and the checks of their keys and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from kosmolua.accounts.permissions import is_pattern, rule_of
from kosmolua.accounts.sources import check_secret, check_secrets, warn_of_readers
from kosmolua.errors import ConfigError
from kosmolua.limits import DURATION, MIB, SIZE, Limits
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.labels import FLOW_MODES
from kosmolua.schema.mismatch import Mismatch, quoted
from kosmolua.schema.names import SERVERS, section_of
from kosmolua.schema.settings import (
    LIMIT_CHECKS,
    Check,
    SettingsFile,
    Table,
    above_zero,
    choice,
    count,
    flag,
    list_of,
    measure,
    origin_of_values,
    table_of,
    text,
    texts,
    unknown,
    without_keys,
)
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.schema.arguments import Parameter
    from kosmolua.schema.integration import AccountField, Integration


_OWN = "kosmolua"
SERVE, TENANTS = "serve", "tenants"
SCHEDULES, HOOKS = "schedules", "hooks"
"""The sections that ``kosmolua serve`` reads."""
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
TOOLKITS, NOTIFY = "toolkits", "notify"
EVENTS = {"approval": "asks", "failed": "failed", "paused": "is paused"}
"""What a channel of :data:`NOTIFY` can be told of a run, and the words for it."""
_RESERVED = {_OWN, SERVE, TENANTS, TOOLKITS, NOTIFY, SCHEDULES, HOOKS}


class Recordings(NamedTuple):
    """The settings in ``[kosmolua.recordings]``.

    Args:
        keep: For how many seconds recordings are kept.
        mcp: Whether the MCP server records each script.
        max_size: How many bytes they may use before the oldest are removed.
    """

    keep: float = 30 * 86400.0
    mcp: bool = False
    max_size: int = 10 * 1024 * MIB


class Section(NamedTuple):
    """The checked section of one integration.

    Args:
        accounts: The accounts' tables, sorted by name.
        names: The names, in the same order.
        default: The key ``default``, or None.
        permissions: The permissions, by effect, function or pattern.
    """

    accounts: dict[str, Table]
    names: list[str]
    default: str | None
    permissions: Table


class Sections:
    """The sections of an accounts file, whose ``tables`` are empty if there is none.

    ``[kosmolua]``, except for its limits, is checked at once, other sections when they are first read.

    Raises:
        ConfigError: A key at the top is not a table, or ``[kosmolua]`` has an unknown key or an invalid value.
    """

    def __init__(self, tables: Table, path: Path, warn: Callable[[str], None] = lambda sentence: None) -> None:
        self.path = path
        self._file = SettingsFile(path)
        self._tables = _with_servers(tables)
        self._own: Table = tables.get(_OWN, {})
        self._warn = warn
        self._has_warned = False
        self._checked: dict[str, Section] = {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise self.wrong(f"{name} must be a table, such as [{name}.production]", name)
        self._file.read(self._own, _KEYS, _OWN)
        secrets: Table = self._own.get("secrets", {})
        self._file.read(secrets, dict.fromkeys(secrets, _check_bound), _OWN, "secrets")
        self._warn_of_literal(self.secrets.values())
        self.flow = self._file.read(self._own.get("flow", {}), _FLOW, _OWN, "flow")
        """The settings in ``[kosmolua.flow]``."""
        budgets: Table = self._own.get("budgets", {})
        patterns = {key: _OF_PATTERN for key in budgets if "." in key}
        self.budgets = self._file.read(budgets, {**_BUDGETS, **patterns}, _OWN, "budgets")
        """The settings in ``[kosmolua.budgets]``."""
        self._with_budgets = [
            (name, account)
            for name, section in self._tables.items()
            for account, table in section.items()
            if isinstance(table, dict) and "budgets" in table
        ]
        self.has_budgets = bool(self.budgets or self._with_budgets)
        self.notify = {name: self._channel(name, table) for name, table in tables.get(NOTIFY, {}).items()}
        """Whom ``kosmolua serve`` tells of questions and of runs that fail, by the names in ``[notify.NAME]``."""
        self.recordings = Recordings(
            **self._file.read(self._own.get("recordings", {}), _RECORDINGS, _OWN, "recordings")
        )

    def account_budgets(self) -> dict[str, Table]:
        """Return the budgets of the accounts that have some, each by the account's section in the file.

        Raises:
            ConfigError: Those of an account have a mistake.
        """
        return {
            section_of(name, account): self._file.read(
                self._tables[name][account]["budgets"], _BUDGETS, name, account, "budgets"
            )
            for name, account in self._with_budgets
        }

    def names(self) -> list[str]:
        """Return the integrations that have a section."""
        return [name for name in self._tables if name not in _RESERVED and not name.startswith(f"{SERVERS}.")]

    def toolkit(self, name: str) -> Sequence[str]:
        """Return the functions and patterns of ``[toolkits.NAME]``.

        Raises:
            ConfigError: There is no such section, or it has a mistake.
        """
        toolkits: Table = self._tables.get(TOOLKITS, {})
        if name not in toolkits:
            hint = did_you_mean(name, toolkits) or 'add it, with functions = ["render2.list_*"] for example'
            raise ConfigError(f"{self.path} has no [{TOOLKITS}.{name}]", hint=hint)
        table = self._file.read(toolkits[name], {"functions": texts}, TOOLKITS, name)
        patterns: Sequence[str] = table.get("functions", ())
        if not patterns or not all("." in each for each in patterns):
            what = f'[{TOOLKITS}.{name}] functions must list functions, such as ["render2.list_services", "github.*"]'
            raise self.wrong(what, TOOLKITS, name)
        return patterns

    def _channel(self, name: str, table: object) -> Table:
        channel = self._file.read(table, _CHANNEL, NOTIFY, name)
        self._warn_of_literal(channel.get(key) for key in ("url", "secret"))
        for key in ("url", *(("secret",) if channel.get("kind") == "webhook" else ())):
            if key not in channel:
                raise self.wrong(f"[{NOTIFY}.{name}] must have the key {key}", NOTIFY, name)
        return channel

    def servers(self) -> list[str]:
        """Return the MCP servers that have a section, sorted."""
        prefix = f"{SERVERS}."
        return sorted(name.removeprefix(prefix) for name in self._tables if name.startswith(prefix))

    def settings(self, integration: Integration, account: str) -> Table:
        """Return the table of an account, after checking this one alone.

        Raises:
            ConfigError: A key is unknown, or a value is invalid.
        """
        if integration.name in self._checked:
            return self._checked[integration.name].accounts.get(account, {})
        table: Table = self._tables.get(integration.name, {}).get(account, {})
        self._check_account(integration, account, table)
        return table

    def of(self, integration: Integration) -> Section:
        """Return the section of an integration, empty if the file has none. It is checked on first use.

        Raises:
            ConfigError: Somewhere in the section, an account is named like a function, a key is unknown, or a value is
                invalid. One mistake makes the whole section unusable, since a typo must not widen what scripts may do.
        """
        section = self._checked.get(integration.name)
        if section is None:
            section = self._checked[integration.name] = self._check(integration)
        return section

    def limits(self, base: Limits) -> Limits:
        """Return a copy of ``base`` with the limits of ``[kosmolua.limits]``.

        Raises:
            ConfigError: A key is unknown, or a value is invalid.
        """
        return base.but(**self._file.read(self._own.get("limits", {}), LIMIT_CHECKS, _OWN, "limits"))

    @property
    def approvals(self) -> Table:
        """How many people must approve a call that is asked about, by its effect."""
        found: Table = self._own.get("approvals", {})
        return found

    @property
    def keeps_journal(self) -> bool:
        return bool(self._own.get("journal", True))

    @property
    def journal_required(self) -> bool:
        return bool(self._own.get("journal_required", False))

    @property
    def hides_variables(self) -> bool:
        return self._own.get("env_vars") == "secret"

    def wrong(self, what: str, *keys: str, hint: str | None = None) -> ConfigError:
        """Return the error for a mistake at these nested keys, with its place."""
        return ConfigError(f"{self.place(*keys)}: {what}", hint=hint)

    def place(self, *keys: str) -> str:
        """Return ``PATH:LINE`` of nested keys, or the path."""
        return self._file.place(*_keys(*keys))

    def _warn_of_literal(self, values: Iterable[object]) -> None:
        """Warn once if others can read the file, and one of the values is itself a secret."""
        if not self._has_warned and any(isinstance(value, str) for value in values):
            self._has_warned = True
            warn_of_readers(self.path, self._warn)

    @property
    def secrets(self) -> Table:
        """The sources of the secrets for scripts, by name, as written."""
        return {name: _without_bound(given) for name, given in self._own.get("secrets", {}).items()}

    def functions_for(self, secret: str) -> tuple[str, ...] | None:
        """Return the patterns of the functions that a secret is for, its key ``for``; None if it is for all."""
        given = self._own.get("secrets", {}).get(secret)
        return texts(given[_FOR]) if isinstance(given, dict) and _FOR in given else None

    def _check(self, integration: Integration) -> Section:
        table: Table = self._tables.get(integration.name, {})
        for key, value in table.items():
            self._check_entry(integration, key, value)
        accounts = {key: value for key, value in sorted(table.items()) if _is_account(key, value)}
        default = table.get("default")
        return Section(
            accounts, list(accounts), default if isinstance(default, str) else None, table.get("permissions", {})
        )

    def _check_entry(self, integration: Integration, key: str, value: object) -> None:
        name = integration.name
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            hint = f"write [{name}.{key}], with single brackets"
            raise self.wrong(f"[[{name}.{key}]] is a list, but an account is a single table", name, key, hint=hint)
        if key == "permissions":
            self._check_permissions(integration, value, name)
        elif isinstance(value, dict):
            if integration.whole.short(key):
                raise self.wrong(f"[{name}.{key}]: an account cannot be named like a function", name, key)
            self._check_account(integration, key, value)
        elif key != "default":
            instead = f"an account is a table, such as [{name}.production]"
            hint = did_you_mean(key, ["default", "permissions"]) or instead
            raise self.wrong(f"unknown key {unknown(key)} in [{name}]", name, key, hint=hint)
        elif not isinstance(value, str):
            raise self.wrong(f'[{name}] default must be a string, such as "production"', name, key)

    def _check_account(self, integration: Integration, account: str, table: Table) -> None:
        name = integration.name
        if "." in account or not account.isprintable() or not account:
            what = f"[{name}.{account!r}]: an account's name cannot contain a dot or be empty"
            raise self.wrong(what, name, account)
        checks = {field.name: _check_of(field) for field in integration.account_fields}
        if not name.startswith(f"{SERVERS}."):
            for key, check in ACCOUNT_KEYS.items():
                checks[key] = lambda value, check=check: check(self, integration, value, name, account)  # type: ignore
        self._file.read(table, checks, *_keys(name, account), shown=section_of(name, account))
        self._warn_of_literal(table.get(field.name) for field in integration.account_fields if field.secret)

    def _check_permissions(self, integration: Integration, permissions: object, *where: str) -> None:
        said, keys = f"[{'.'.join(where)}] permissions", (*where, "permissions")
        if not isinstance(permissions, dict):
            raise self.wrong(f'{said} must be a table, such as {{ write = "ask" }}', *keys)
        name = ".".join(where)
        for key, value in permissions.items():
            if is_pattern(key):
                if not any(fnmatchcase(name, key) for name in integration.spellings()):
                    raise self.wrong(f"{said}: {unknown(key)} matches no function of {integration.name}", *keys, key)
            elif key not in EFFECTS and not integration.whole.short(key):
                known = [*EFFECTS, *integration.spellings()]
                hint = did_you_mean(key, known) or f"its keys are {', '.join(EFFECTS)}, functions and patterns"
                raise self.wrong(f"unknown key {unknown(key)} in {said}", *keys, key, hint=hint)
            try:
                condition = rule_of(value, key, name).condition
                if condition:
                    condition.check(_parameters(integration, key))
            except Mismatch as mismatch:
                problem = without_keys(mismatch.problem, value)
                raise self.wrong(f"{said}: {key}{mismatch.where} {problem}", *keys, key) from None

    def _check_proxy(self, _: Integration, proxy: object, name: str, account: str) -> None:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        if not parts or parts.scheme not in PROXY_SCHEMES or not parts.hostname:
            shown = "a URL that holds a password" if parts and parts.password else quoted(proxy)
            raise Mismatch(f'must be a URL such as "http://proxy.example:3128", not {shown}')
        if parts.password:
            what = f"[{section_of(name, account)}] proxy holds a password, which does not belong in this file"
            hint = "remove the key proxy, and set the environment variable HTTPS_PROXY instead"
            raise self.wrong(what, name, account, "proxy", hint=hint)


def _parameters(integration: Integration, key: str) -> list[tuple[Parameter, ...]]:
    named = {integration.whole.short(name) for name in integration.spellings() if fnmatchcase(name, key)}
    return [integration.whole.functions[name].parameters for name in sorted(filter(None, named))]


_FOR = "for"


def _without_bound(given: object) -> object:
    return {key: each for key, each in given.items() if key != _FOR} if isinstance(given, dict) else given


def _check_bound(given: object) -> None:
    """Check the source of a secret, and the patterns of the functions that it is for."""
    check_secret(_without_bound(given))
    if isinstance(given, dict) and _FOR in given:
        texts(given[_FOR])


_KEYS: dict[str, Check] = {
    "limits": table_of("a table, such as [kosmolua.limits]"),
    "options": table_of("a table, such as [kosmolua.options]"),
    "secrets": table_of("a table, such as [kosmolua.secrets]"),
    "journal": flag,
    "recordings": table_of("a table, such as [kosmolua.recordings]"),
    "flow": table_of("a table, such as [kosmolua.flow]"),
    "budgets": table_of("a table, such as [kosmolua.budgets]"),
    "approvals": table_of("a table, such as { destroy = 2 }", dict.fromkeys(EFFECTS, count)),
    "journal_required": flag,
    "env_vars": choice(("plain", "secret")),
}
"""The keys of ``[kosmolua]``."""
_RECORDINGS: dict[str, Check] = {
    "keep": measure(DURATION, 'an age such as "30d"', bare=False),
    "mcp": flag,
    "max_size": measure(SIZE, 'a size such as "10G"'),
}
"""The keys of ``[kosmolua.recordings]``."""
_FLOW: dict[str, Check] = {
    "mode": choice(FLOW_MODES),
    "trusted": texts,
    "origins": table_of("a table", each=origin_of_values),
}
"""The keys of ``[kosmolua.flow]``."""


def _events(value: object) -> tuple[str, ...]:
    return tuple(list_of('a list such as ["approval", "failed"]', choice(EVENTS))(value))


_CHANNEL: dict[str, Check] = {
    "url": check_secret,
    "events": _events,
    "kind": choice(("apprise", "webhook")),
    "secret": check_secret,
    "person": text,
}
"""The keys of ``[notify.NAME]``."""
_AMOUNT = 'a table, such as { max = 10, per = "day" }'
_BUDGETS: dict[str, Check] = {
    kind: table_of(_AMOUNT, {"max": check, "per": choice(("hour", "day"))}, ("max", "per"))
    for kind, check in {"calls": count, "writes": count, "destroys": count, "minutes": above_zero}.items()
}
"""The kinds of budgets."""
_OF_PATTERN = table_of("a table of budgets", _BUDGETS)

_ON_BEHALF = table_of(
    'a table, such as { token_url = "https://login.example/token", client_id = "kosmolua", audience = "shop" }',
    {
        "token_url": text,
        "client_id": text,
        "client_secret": check_secret,
        "audience": text,
        "resource": text,
        "scopes": texts,
    },
    ("token_url",),
)

ACCOUNT_KEYS: dict[str, Callable[[Sections, Integration, Any, str, str], None]] = {
    "permissions": Sections._check_permissions,
    "budgets": lambda self, integration, value, *where: _OF_PATTERN(value),
    "proxy": Sections._check_proxy,
    "on_behalf": lambda self, integration, value, *where: _ON_BEHALF(value),
}
"""The keys that every account's table can have besides the fields of its integration, each with its check.

MCP servers have none of these keys. :meth:`kosmolua.accounts.accounts.Accounts.option` returns the value of a key.
"""


def _with_servers(tables: Table) -> Table:
    """Turn each ``[mcp.NAME]`` into a section like an integration's: ``permissions``, and an account ``default``."""
    servers = tables.get(SERVERS, {})
    if not isinstance(servers, dict) or not all(isinstance(table, dict) for table in servers.values()):
        return tables
    sections: Table = {}
    for name, table in servers.items():
        rest = {key: value for key, value in table.items() if key != "permissions"}
        permissions = {"permissions": table["permissions"]} if "permissions" in table else {}
        sections[f"{SERVERS}.{name}"] = {"default": rest, **permissions}
    return {name: table for name, table in tables.items() if name != SERVERS} | sections


def _is_account(key: str, value: object) -> bool:
    return isinstance(value, dict) and key != "permissions"


def _keys(*keys: str) -> tuple[str, ...]:
    """Return where these keys are in the file: an MCP server has no table for its account."""
    return tuple(key for key in keys if key != "default") if keys and keys[0].startswith(f"{SERVERS}.") else keys


def _check_of(field: AccountField) -> Check:
    return field.type.accept if not field.secret else check_secrets if field.many else check_secret
