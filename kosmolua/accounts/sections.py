"""The sections of accounts.toml, and the checks of their keys and values."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from kosmolua.accounts.permissions import PERMISSIONS, is_pattern
from kosmolua.accounts.sources import check_secret, check_secrets, warn_of_readers
from kosmolua.accounts.toml import Table, line_of
from kosmolua.errors import ConfigError
from kosmolua.limits import BYTES, LIMITS, MIB, NAMES, SECONDS, Limits, parse_duration, parse_size
from kosmolua.schema.function import EFFECTS
from kosmolua.schema.mismatch import Mismatch, quoted
from kosmolua.schema.names import SERVERS, section_of
from kosmolua.secret import looks_like_key
from kosmolua.suggestions import did_you_mean, key_hint

if TYPE_CHECKING:
    from kosmolua.schema.integration import AccountField, Integration


_OWN = "kosmolua"
SERVE, TENANTS = "serve", "tenants"
"""The sections that ``kosmolua serve`` reads."""
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_RESERVED = {_OWN, SERVE, TENANTS}


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
        self._tables = _with_servers(tables)
        self._own: Table = tables.get(_OWN, {})
        self._warn = warn
        self._has_warned = False
        self._checked: dict[str, Section] = {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise self.wrong(f"{name} must be a table, such as [{name}.production]", name)
        for key, value in self._own.items():
            self._check_own(key, value)

    def names(self) -> list[str]:
        """Return the integrations that have a section."""
        return [name for name in self._tables if name not in _RESERVED and not name.startswith(f"{SERVERS}.")]

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
        return base.but(**{name: self._limit(name, value) for name, value in self._own.get("limits", {}).items()})

    @property
    def keeps_journal(self) -> bool:
        return bool(self._own.get("journal", True))

    @property
    def journal_required(self) -> bool:
        return bool(self._own.get("journal_required", False))

    @property
    def recordings(self) -> Recordings:
        given = self._own.get("recordings", {})
        usual = Recordings()
        keep = parse_duration(given["keep"]) if "keep" in given else usual.keep
        size = parse_size(given["max_size"]) if "max_size" in given else usual.max_size
        return Recordings(keep, bool(given.get("mcp", False)), size)

    def _check_recordings(self, given: Table) -> None:
        keys = (_OWN, "recordings")
        for key, value in given.items():
            if key not in Recordings._fields:
                hint = key_hint(key, Recordings._fields)
                raise self.wrong(f"unknown key {key!r} in [kosmolua.recordings]", *keys, key, hint=hint)
            if key == "mcp" and not isinstance(value, bool):
                raise self.wrong(f"[kosmolua.recordings] mcp must be true or false, not {quoted(value)}", *keys, key)
            if key == "max_size":
                try:
                    parse_size(value if isinstance(value, str) else "")
                except ValueError:
                    what = f'[kosmolua.recordings] max_size must be a size such as "10G", not {quoted(value)}'
                    raise self.wrong(what, *keys, key) from None
            if key == "keep":
                try:
                    parse_duration(value if isinstance(value, str) else "")
                except ValueError:
                    what = f'[kosmolua.recordings] keep must be an age such as "30d", not {quoted(value)}'
                    raise self.wrong(what, *keys, key) from None

    def wrong(self, what: str, *keys: str, hint: str | None = None) -> ConfigError:
        """Return the error for a mistake at these nested keys, with its place."""
        return ConfigError(f"{self.place(*keys)}: {what}", hint=hint)

    def place(self, *keys: str) -> str:
        """Return ``PATH:LINE`` of nested keys, or the path."""
        if keys and keys[0].startswith(f"{SERVERS}."):
            keys = (keys[0], *(key for key in keys[1:] if key != "default"))
        line = line_of(self.path, *keys)
        return f"{self.path}:{line}" if line else str(self.path)

    def _check_own(self, key: str, value: object) -> None:
        if key not in OWN_KEYS:
            hint = key_hint(key, OWN_KEYS)
            raise self.wrong(f"unknown key {key!r} in [{_OWN}]", _OWN, key, hint=hint)
        kind, words = OWN_KEYS[key]
        if not isinstance(value, kind):
            raise self.wrong(f"[{_OWN}] {key} must be {words}, not {quoted(value)}", _OWN, key)
        if key == "recordings":
            self._check_recordings(self._own[key])
        if key == "secrets":
            self._check_secrets(self._own[key])

    def _check_secrets(self, secrets: Table) -> None:
        for name, source in secrets.items():
            try:
                check_secret(source)
            except Mismatch as mismatch:
                what = f"[{_OWN}.secrets] {_shown(name)}{mismatch.where} {mismatch.problem}"
                raise self.wrong(what, _OWN, "secrets", name) from None
            if isinstance(source, str) and not self._has_warned:
                self._has_warned = True
                warn_of_readers(self.path, self._warn)

    @property
    def secrets(self) -> Table:
        """The secrets for scripts, by name, as written."""
        return dict(self._own.get("secrets", {}))

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
            if integration.short(key):
                raise self.wrong(f"[{name}.{key}]: an account cannot be named like a function", name, key)
            self._check_account(integration, key, value)
        elif key != "default":
            instead = f"an account is a table, such as [{name}.production]"
            hint = did_you_mean(key, ["default", "permissions"]) or instead
            raise self.wrong(f"unknown key {_shown(key)} in [{name}]", name, key, hint=hint)
        elif not isinstance(value, str):
            raise self.wrong(f'[{name}] default must be a string, such as "production"', name, key)

    def _check_account(self, integration: Integration, account: str, table: Table) -> None:
        name = integration.name
        if "." in account or not account.isprintable() or not account:
            what = f"[{name}.{account!r}]: an account's name cannot contain a dot or be empty"
            raise self.wrong(what, name, account)
        checks = {} if name.startswith(f"{SERVERS}.") else ACCOUNT_KEYS
        known = [*(field.name for field in integration.account_fields), *checks]
        for key in table:
            if key not in known:
                hint = key_hint(key, known)
                what = f"unknown key {_shown(key)} in [{section_of(name, account)}]"
                raise self.wrong(what, name, account, key, hint=hint)
        for field in integration.account_fields:
            if field.name in table:
                self._check_value(field, table[field.name], name, account)
        for key, check in checks.items():
            if key in table:
                check(self, integration, table[key], name, account)

    def _check_value(self, field: AccountField, value: object, name: str, account: str) -> None:
        try:
            if field.secret:
                (check_secrets if field.many else check_secret)(value)
            else:
                field.type.accept(value)
        except Mismatch as mismatch:
            what = f"[{section_of(name, account)}] {field.name}{mismatch.where} {mismatch.problem}"
            raise self.wrong(what, name, account, field.name) from None
        if field.secret and isinstance(value, str) and not self._has_warned:
            self._has_warned = True
            warn_of_readers(self.path, self._warn)

    def _check_permissions(self, integration: Integration, permissions: object, *where: str) -> None:
        said, keys = f"[{'.'.join(where)}] permissions", (*where, "permissions")
        if not isinstance(permissions, dict):
            raise self.wrong(f'{said} must be a table, such as {{ write = "ask" }}', *keys)
        for key, value in permissions.items():
            if is_pattern(key):
                if not any(fnmatchcase(name, key) for name in integration.spellings()):
                    raise self.wrong(f"{said}: {key!r} matches no function of {integration.name}", *keys, key)
            elif key not in EFFECTS and not integration.short(key):
                known = [*EFFECTS, *integration.spellings()]
                hint = did_you_mean(key, known) or f"its keys are {', '.join(EFFECTS)}, functions and patterns"
                raise self.wrong(f"unknown key {key!r} in {said}", *keys, key, hint=hint)
            if value not in PERMISSIONS:
                what = f'{said}: {key} must be "allow", "ask" or "deny", not {quoted(value)}'
                raise self.wrong(what, *keys, key)

    def _check_proxy(self, _: Integration, proxy: object, *where: str) -> None:
        said, keys = f"[{section_of(*where)}]", (*where, "proxy")
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        if not parts or parts.scheme not in PROXY_SCHEMES or not parts.hostname:
            shown = "a URL that holds a password" if parts and parts.password else quoted(proxy)
            raise self.wrong(f'{said} proxy must be a URL such as "http://proxy.example:3128", not {shown}', *keys)
        if parts.password:
            hint = "remove the key proxy, and set the environment variable HTTPS_PROXY instead"
            raise self.wrong(f"{said} proxy holds a password, which does not belong in this file", *keys, hint=hint)

    def _limit(self, name: str, value: object) -> float:
        keys = (_OWN, "limits", name)
        if name not in NAMES:
            hint = key_hint(name, NAMES)
            raise self.wrong(f"unknown key {name!r} in [kosmolua.limits]", *keys, hint=hint)
        try:
            if isinstance(value, str) and name in (*BYTES, *SECONDS):
                given: float = LIMITS[name].unit.read(value)
            else:
                given = _number(name, value)
            Limits(**{name: given})
        except (ValueError, ConfigError) as error:
            raise self.wrong(f"[kosmolua.limits] {name}: {error}", *keys) from None
        return given


OWN_KEYS: dict[str, tuple[type, str]] = {
    "limits": (dict, "a table, such as [kosmolua.limits]"),
    "options": (dict, "a table, such as [kosmolua.options]"),
    "secrets": (dict, "a table, such as [kosmolua.secrets]"),
    "journal": (bool, "true or false"),
    "recordings": (dict, "a table, such as [kosmolua.recordings]"),
    "journal_required": (bool, "true or false"),
}
"""The keys of ``[kosmolua]``, each with the type of its value, and a phrase that describes the type in messages."""

ACCOUNT_KEYS: dict[str, Callable[[Sections, Integration, Any, str, str], None]] = {
    "permissions": Sections._check_permissions,
    "proxy": Sections._check_proxy,
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


def _shown(name: str) -> str:
    return "*** (hidden, since it looks like a secret)" if looks_like_key(name) else repr(name)


def _number(name: str, value: object) -> float:
    whole = name not in SECONDS
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError(f"it must be a {'whole ' if whole else ''}number, not {quoted(value)}")
    return cast("float", value)
