"""accounts.toml: which accounts there are, where their secrets come from, and what each may do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from kosmolua.accounts.sources import Sources
from kosmolua.accounts.toml import Permission, Sections, Table, parse, stanza
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.limits import Limits
from kosmolua.schema.integration import made_up
from kosmolua.schema.types import Mismatch
from kosmolua.secret import Redactor, Secret
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.schema.function import Effect
    from kosmolua.schema.integration import AccountField, Integration

USUAL: dict[Effect, Permission] = {"read": "allow", "write": "ask"}
SIMULATED = ("default", "production", "staging")


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
        self._sections = Sections(tables, path) if simulate else Sections(tables, path, warn)
        self._environ = environ
        self._redactor = redactor
        self._simulate = simulate
        self._sources = Sources(path.parent, environ, warn)
        self._settings: dict[tuple[str, str], _Settings] = {}
        self._lock = Lock()

    def sections(self) -> list[str]:
        """Return the integrations that the file speaks of."""
        return self._sections.names()

    def names(self, integration: Integration) -> list[str]:
        """Return the accounts of an integration, sorted.

        Raises:
            ConfigError: Something in the integration's section may not be there, or does not fit.
        """
        section = self._sections.of(integration)
        named = sorted(name for name, value in section.items() if isinstance(value, dict) and name != "permissions")
        if named:
            return named
        if self._simulate:
            return list(SIMULATED)
        return ["default"] if self._is_complete(integration) else []

    def has(self, integration: Integration, account: str) -> bool:
        """Return True if an integration has an account of this name."""
        return account in self.names(integration)

    def default(self, integration: Integration) -> str | None:
        """Return the account that ``app.integrations.NAME.FUNCTION`` uses, or None where it is not clear."""
        names = self.names(integration)
        chosen = self._sections.of(integration).get("default")
        if isinstance(chosen, str):
            if chosen not in names:
                what = f"[{integration.name}] default = {chosen!r} names no account"
                hint = did_you_mean(chosen, names)
                raise self._sections.wrong(what, integration.name, "default", hint=hint)
            return chosen
        if "default" in names:
            return "default"
        return names[0] if len(names) == 1 else None

    def permission(self, integration: Integration, account: str, effect: Effect) -> Permission:
        """Return what an account may do: its own word, else its integration's, else read is allowed and write asks."""
        section = self._sections.of(integration)
        given = {**section.get("permissions", {}), **section.get(account, {}).get("permissions", {})}
        return cast("Permission", given.get(effect, USUAL[effect]))

    def settings(self, integration: Integration, account: str, *, until: float = inf) -> Table:
        """Return the fields to make an account of, each secret resolved.

        They are resolved once for each account. Threads that need the same account wait meanwhile, others do not.

        Args:
            integration: Says which fields there are.
            account: One of :meth:`names`.
            until: When they have to be there, in terms of :func:`time.monotonic`.

        Raises:
            ConfigError: A key is unknown, or a value does not fit.
            NotConfigured: A field is missing, or a secret cannot be had in time.
        """
        with self._lock:
            settings = self._settings.setdefault((integration.name, account), _Settings())
        if not settings.lock.acquire(timeout=min(max(until - monotonic(), 0), TIMEOUT_MAX)):
            where = f"{integration.name}.{account}"
            raise NotConfigured(f"Another call fetches the secrets of {where}, and they did not come in time")
        try:
            if settings.table is None:
                settings.table = self._resolve(integration, account, until)
            return settings.table
        finally:
            settings.lock.release()

    def place(self, integration: Integration, account: str) -> str:
        """Return where an account's settings come from: the file, with the line where known, or the environment."""
        in_file = self._table(integration, account)
        return self._sections.place(integration.name, account) if in_file else "the environment"

    def limits(self, base: Limits) -> Limits:
        """Return limits with what ``[kosmolua.limits]`` says.

        Raises:
            ConfigError: A key is unknown, or a value does not fit.
        """
        return self._sections.limits(base)

    def check(self, integration: Integration) -> None:
        """Raise the first ConfigError of an integration's section, without resolving a secret."""
        self.default(integration)

    def _table(self, integration: Integration, account: str) -> Table:
        table: Table = self._sections.of(integration).get(account, {})
        return {key: value for key, value in table.items() if key != "permissions"}

    def _is_complete(self, integration: Integration) -> bool:
        required = [field for field in integration.account_fields if field.required]
        return all(self._environ.get(integration.variable(field)) for field in required)

    def _resolve(self, integration: Integration, account: str, until: float) -> Table:
        table = self._table(integration, account)
        settings: Table = {}
        for field in integration.account_fields:
            variable = integration.variable(field)
            if field.secret and self._simulate:
                settings[field.name] = Secret(str(made_up(integration.name, field)), holding=())
            elif field.secret and field.name in table:
                settings[field.name] = self._secret_in_file(integration, account, field, table[field.name], until)
            elif field.name in table:
                settings[field.name] = field.type.accept(table[field.name])
            elif not table and self._environ.get(variable) and (field.required or field.secret):
                settings[field.name] = self._from_environment(variable, field)
            elif field.required:
                settings[field.name] = self._missing(integration, account, field)
        return settings

    def _secret_in_file(
        self, integration: Integration, account: str, field: AccountField, given: str | Table, until: float
    ) -> Secret:
        try:
            return self._secret(f"{integration.name}.{account}.{field.name}", given, until)
        except NotConfigured as error:
            place = self._sections.place(integration.name, account, field.name)
            error.detail = f"{place}: {error.detail}" if error.detail else place
            raise

    def _missing(self, integration: Integration, account: str, field: AccountField) -> object:
        if self._simulate:
            return made_up(integration.name, field)
        raise NotConfigured(
            f"The account {integration.name}.{account} has no {field.name}; add it to the accounts file",
            hint=stanza(integration, account),
            detail=str(self.path),
        )

    def _from_environment(self, variable: str, field: AccountField) -> object:
        text = self._environ[variable]
        if field.secret:
            return self._secret(variable, text)
        try:
            return field.type.accept(field.type.read(text))
        except Mismatch as mismatch:
            what = f"The environment variable {variable}{mismatch.where} {mismatch.problem}"
            raise ConfigError(what) from None

    def _secret(self, where: str, given: str | Table, until: float = inf) -> Secret:
        secret = self._sources.read(where, given, until)
        self._redactor.learn(secret, owner=where)
        return secret


class _Settings:
    """The fields to make an account of, once somebody has resolved them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.table: Table | None = None


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
        environ: The environment that secrets may come from.
        redactor: Learns each secret.
        simulate: Whether made-up values stand for whatever is missing.
        warn: Told of what is unwise but works, as one sentence.

    Raises:
        ConfigError: The file is not there, or it is not TOML or not of this shape.
    """
    tables = dict(source or {}) if source is None or isinstance(source, Mapping) else parse(source)
    return Accounts(tables, Path(usual), environ=environ, redactor=redactor, simulate=simulate, warn=warn)
