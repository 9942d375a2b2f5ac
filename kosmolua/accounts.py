"""accounts.toml: which accounts there are, where their secrets come from, and what each may do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.limits import BYTES, NAMES, SECONDS, Limits, parse_size
from kosmolua.secret import Redactor, Secret
from kosmolua.sources import Sources
from kosmolua.spec.placeholder import made_up
from kosmolua.stanza import stanza
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.spec.function import Effect
    from kosmolua.spec.integration import AccountField, Integration

Permission: TypeAlias = Literal["allow", "ask", "deny"]
Table: TypeAlias = dict[str, Any]

PERMISSIONS = ("allow", "ask", "deny")
USUAL: dict[Effect, Permission] = {"read": "allow", "write": "ask"}
SIMULATED = ("default", "production", "staging")
_OWN_SECTION = "kosmolua"


class Accounts:
    """The accounts of every integration, as one file and the environment give them.

    Args:
        tables: The content of the file; empty where there is none.
        path: The file, or where it would be.
        environ: The environment that secrets may come from.
        simulate: Whether accounts need no credentials, and exist also where the file has none.
        redactor: Learns each secret that is resolved.
        warn: Told of what is unwise but works, as one sentence.
    """

    def __init__(
        self,
        tables: Table,
        path: Path,
        *,
        environ: Mapping[str, str],
        redactor: Redactor,
        simulate: bool = False,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.path = path
        self._tables = tables
        self._environ = environ
        self._redactor = redactor
        self._simulate = simulate
        self._sources = Sources(path.parent, environ, warn)
        self._settings: dict[tuple[str, str], Table] = {}
        self._checked: set[str] = set()
        self._lock = Lock()
        self._check_sections()

    def sections(self) -> list[str]:
        """Return the integrations that the file speaks of."""
        return [name for name in self._tables if name != _OWN_SECTION]

    def names(self, integration: Integration) -> list[str]:
        """Return the accounts of an integration, sorted.

        Raises:
            ConfigError: An account is named like a function, or a key of the section, or of one of its accounts or
                permissions, is unknown. A typo must not widen what a script may do.
        """
        section = self._section(integration)
        named = sorted(name for name, value in section.items() if isinstance(value, dict) and name != "permissions")
        if named:
            return named
        if self._simulate:
            return list(SIMULATED)
        return ["default"] if self._is_complete(integration) else []

    def default(self, integration: Integration) -> str | None:
        """Return the account that ``app.integrations.NAME.FUNCTION`` uses, or None where it is not clear."""
        names = self.names(integration)
        chosen = self._section(integration).get("default")
        if isinstance(chosen, str):
            if chosen not in names:
                raise self._wrong(
                    f"[{integration.name}] default = {chosen!r} names no account", did_you_mean(chosen, names)
                )
            return chosen
        if "default" in names:
            return "default"
        return names[0] if len(names) == 1 else None

    def permission(self, integration: Integration, account: str, effect: Effect) -> Permission:
        """Return what an account may do: its own word, else its integration's, else read is allowed and write asks."""
        section = self._section(integration)
        given = {**section.get("permissions", {}), **section.get(account, {}).get("permissions", {})}
        return cast("Permission", given.get(effect, USUAL[effect]))

    def settings(self, integration: Integration, account: str) -> Table:
        """Return the fields to make an account of, each secret resolved.

        Raises:
            ConfigError: A key is unknown, or a value does not fit.
            NotConfigured: A field is missing, or a secret cannot be had.
        """
        key = (integration.name, account)
        with self._lock:
            if key not in self._settings:
                self._settings[key] = self._resolve(integration, account)
            return self._settings[key]

    def limits(self, base: Limits) -> Limits:
        """Return limits with what ``[kosmolua.limits]`` says.

        Raises:
            ConfigError: A key is unknown, or a value does not fit.
        """
        table = self._tables.get(_OWN_SECTION, {}).get("limits", {})
        given = {name: self._limit(name, value) for name, value in table.items()}
        try:
            return base.but(**given)
        except ConfigError as error:
            raise self._wrong(f"[kosmolua.limits]: {error.message}") from None

    def check(self, integration: Integration) -> None:
        """Raise the first ConfigError of an integration's section, without resolving a secret."""
        self.default(integration)

    # Sections and keys

    def _check_sections(self) -> None:
        for name, table in self._tables.items():
            if not isinstance(table, dict):
                raise self._wrong(f"{name} must be a table, such as [{name}.production]")
        own = self._tables.get(_OWN_SECTION, {})
        for key in own:
            if key != "limits" or not isinstance(own[key], dict):
                raise self._wrong(f"[{_OWN_SECTION}] has no key {key!r}", "its only table is [kosmolua.limits]")

    def _section(self, integration: Integration) -> Table:
        section: Table = self._tables.get(integration.name, {})
        if integration.name not in self._checked:
            for key, value in section.items():
                self._check_entry(integration, key, value)
            self._checked.add(integration.name)
        return section

    def _check_entry(self, integration: Integration, key: str, value: object) -> None:
        if key == "default" and isinstance(value, str):
            return
        if key == "permissions":
            self._check_permissions(integration.name, value)
        elif isinstance(value, dict):
            self._check_name(integration, key)
            self._check_keys(integration, key, value)
            self._check_permissions(f"{integration.name}.{key}", value.get("permissions", {}))
        else:
            hint = did_you_mean(key, ["default", "permissions"])
            instead = f"an account is a table, such as [{integration.name}.production]"
            raise self._wrong(f"[{integration.name}] has no key {key!r}", hint or instead)

    def _check_name(self, integration: Integration, account: str) -> None:
        if integration.function(account):
            line = self._line_of(integration.name, account)
            raise self._wrong(f"[{integration.name}.{account}]: an account cannot be named like a function", line=line)
        if "." in account or not account.isprintable() or not account:
            raise self._wrong(f"[{integration.name}.{account!r}]: an account's name cannot hold a dot or be empty")

    def _table(self, integration: Integration, account: str) -> Table:
        table: Table = self._section(integration).get(account, {})
        return {key: value for key, value in table.items() if key != "permissions"}

    def _check_keys(self, integration: Integration, account: str, table: Table) -> None:
        known = [*(field.name for field in integration.account_fields), "permissions"]
        for key in table:
            if key not in known:
                hint = did_you_mean(key, known) or f"its keys are {', '.join(known)}"
                raise self._wrong(f"[{integration.name}.{account}] has no key {key!r}", hint)

    def _check_permissions(self, where: str, permissions: object) -> None:
        if not isinstance(permissions, dict):
            raise self._wrong(f'[{where}] permissions must be a table, such as {{ write = "ask" }}')
        for effect, value in permissions.items():
            if effect not in USUAL:
                hint = did_you_mean(effect, USUAL) or "its keys are read and write"
                raise self._wrong(f"[{where}] permissions has no key {effect!r}", hint)
            if value not in PERMISSIONS:
                raise self._wrong(f"[{where}] permissions: {effect} cannot be {value!r}", "write allow, ask or deny")

    def _limit(self, name: str, value: object) -> float:
        if name not in NAMES:
            hint = did_you_mean(name, NAMES) or f"its keys are {', '.join(NAMES)}"
            raise self._wrong(f"[kosmolua.limits] has no key {name!r}", hint)
        if name in BYTES and isinstance(value, str):
            try:
                return parse_size(value)
            except ValueError as error:
                raise self._wrong(f"[kosmolua.limits] {name}: {error}") from None
        whole = name not in SECONDS
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise self._wrong(f"[kosmolua.limits] {name} must be a {'whole ' if whole else ''}number, not {value!r}")
        return cast("float", value)

    def _wrong(self, what: str, hint: str | None = None, *, line: str = "") -> ConfigError:
        return ConfigError(f"{self.path}{line}: {what}", hint=hint)

    def _line_of(self, *keys: str) -> str:
        """Return ``:`` and the line of a table's head in the file; nothing where it is not there in so many words."""
        if not self.path.is_file():
            return ""
        heads = [line.partition("]")[0] for line in self.path.read_text(encoding="utf-8").splitlines()]
        spelt = ["".join(head.split()).replace('"', "").replace("'", "") for head in heads]
        wanted = "[" + ".".join(keys)
        return f":{spelt.index(wanted) + 1}" if wanted in spelt else ""

    # Values and secrets

    def _is_complete(self, integration: Integration) -> bool:
        required = [field for field in integration.account_fields if field.required]
        return all(self._environ.get(integration.variable(field)) for field in required)

    def _resolve(self, integration: Integration, account: str) -> Table:
        table = self._table(integration, account)
        where = f"{integration.name}.{account}"
        settings: Table = {}
        for field in integration.account_fields:
            variable = integration.variable(field)
            if field.secret and self._simulate:
                settings[field.name] = Secret(str(made_up(integration.name, field)), holding=())
            elif field.name in table:
                settings[field.name] = self._from_file(where, field, table[field.name])
            elif not table and self._environ.get(variable) and (field.required or field.secret):
                settings[field.name] = self._from_environment(variable, field)
            elif field.required:
                settings[field.name] = self._missing(integration, account, field)
        return settings

    def _missing(self, integration: Integration, account: str, field: AccountField) -> object:
        if self._simulate:
            return made_up(integration.name, field)
        raise NotConfigured(
            f"The account {integration.name}.{account} has no {field.name}; add it to the accounts file",
            hint=stanza(integration, account),
            detail=str(self.path),
        )

    def _from_file(self, where: str, field: AccountField, given: object) -> object:
        if field.secret:
            return self._secret(f"{where}.{field.name}", given)
        return _fitting(f"{self.path}: [{where}] {field.name}", field, given)

    def _from_environment(self, variable: str, field: AccountField) -> object:
        text = self._environ[variable]
        if field.secret:
            return self._secret(variable, text)
        return _fitting(f"The environment variable {variable}", field, field.type.read(text))

    def _secret(self, where: str, given: object) -> Secret:
        secret = self._sources.read(where, given)
        self._redactor.learn(secret, owner=where)
        return secret


def _fitting(what: str, field: AccountField, given: object) -> object:
    from kosmolua.spec.types import Mismatch

    try:
        return field.type.fits(given)
    except Mismatch as mismatch:
        raise ConfigError(f"{what}{mismatch.where} {mismatch.problem}") from None


def read(
    source: str | os.PathLike[str] | Mapping[str, Any] | None,
    *,
    usual: str | os.PathLike[str],
    environ: Mapping[str, str],
    redactor: Redactor,
    simulate: bool = False,
    warn: Callable[[str], None] = lambda sentence: None,
) -> Accounts:
    """Return the accounts of a file, or those that the environment gives where there is none.

    Args:
        source: The file, or what would be in it; None for none.
        usual: Where a file would be, for messages.

    Raises:
        ConfigError: The file is not there, or it is not TOML or not of this shape.
    """
    tables = dict(source or {}) if source is None or isinstance(source, Mapping) else _parse(Path(source))
    return Accounts(tables, Path(usual), environ=environ, redactor=redactor, simulate=simulate, warn=warn)


def _parse(path: Path) -> Table:
    import tomli

    try:
        return tomli.loads(path.read_text(encoding="utf-8"))
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}") from None
