"""The accounts of a user: their names, permissions and settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from hashlib import sha256
from math import inf
from pathlib import Path
from threading import TIMEOUT_MAX, Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from kosmolua.accounts.permissions import Ceiling, Permission, Rule, Rules
from kosmolua.accounts.sections import Sections
from kosmolua.accounts.sources import Sources
from kosmolua.accounts.toml import stanza
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.expressions import regex
from kosmolua.schema.integration import made_up
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import SERVERS, holder_of, section_of
from kosmolua.schema.settings import Table, parse
from kosmolua.secret import MIN_SECRET, Redactor, Secret, looks_like_key
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.accounts.logins import Login
    from kosmolua.http.auth import OAuth2
    from kosmolua.http.oauth_services import Service
    from kosmolua.schema.effects import Effect
    from kosmolua.schema.integration import AccountField, Integration

_NAME_OF_SECRET = regex(r"key|token|secret|passw|credential|authorization|cookie|(^|_)pat($|_)", re.IGNORECASE)
"""Matches the name of an environment variable or a header whose value is a credential."""
_OF_RULES = {"permissions", "budgets"}
"""The keys of an account that are about what scripts may do; the rest may come from the environment."""
NOT_LOGGED_IN = "not logged in"
SIMULATED_ACCOUNTS = ["default", "production", "staging"]


class Accounts:
    """The accounts of every integration, from one file and the environment.

    A section is checked when it is first used. After that, finding an account takes the same time however many there
    are.

    Args:
        tables: The content of the file; empty if there is none.
        path: The file.
        environ: The environment that secrets may come from.
        redactor: Masks secrets.
        simulate: Whether simulators answer all calls. Accounts then need no credentials, and a few exist even without a
            file.
        warn: Gets sentences about readable files.
        ceiling: The ceiling; None without tenants. A tenant gets no accounts from environment variables such as
            ``RENDER_API_KEY``, which belong to the server.
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
        ceiling: Ceiling | None = None,
    ) -> None:
        self.path = path
        self._tables = tables
        self._ceiling = ceiling
        self.sections = Sections(tables, path) if simulate else Sections(tables, path, warn)
        """What the file says, section by section."""
        self._environ: Mapping[str, str] = {} if ceiling else environ
        self._redactor = redactor
        self._simulate = simulate
        self._sources = Sources(path.parent, environ, warn)
        self._rules: dict[tuple[str, str], Rules] = {}
        self._resolved: dict[tuple[str, str], _Resolved] = {}
        self._lock = Lock()
        self.acting: set[tuple[str, str]] = set()
        """The accounts that act on behalf of the person who is logged in, each with its integration."""
        for name, section in tables.items():
            for account, table in section.items() if isinstance(section, dict) and not simulate else ():
                if isinstance(table, dict) and "on_behalf" in table:
                    self.acting.add((name, account))
        self._exchanged: dict[tuple[str, bytes], _Exchanged] = {}
        self._exchanging = Lock()

    @property
    def digest(self) -> bytes:
        """A digest of the content, by which another process can tell that it has read the same."""
        return sha256(repr(self._tables).encode("utf-8", "surrogatepass")).digest()

    def names(self, integration: Integration) -> list[str]:
        """Return the names of an integration's accounts, sorted. The list is shared: do not change it.

        Raises:
            ConfigError: The integration's section has an unknown key or a value of the wrong type.
        """
        section = self.sections.of(integration)
        if section.names:
            return section.names
        if self._simulate:
            return SIMULATED_ACCOUNTS
        return ["default"] if self._is_complete(integration) else []

    def are_invented(self, integration: Integration) -> bool:
        """Return True if the accounts are those that every integration has in simulation, as no file names others."""
        return self._simulate and not self.sections.of(integration).names

    def has(self, integration: Integration, account: str) -> bool:
        known = self.sections.of(integration).accounts or self.names(integration)
        return account in known or (integration.session is not None and holder_of(account) in known)

    def default(self, integration: Integration) -> str | None:
        """Return the account that ``app.integrations.NAME.FUNCTION`` uses, or None.

        Raises:
            ConfigError: The key ``default`` names an account that does not exist.
        """
        chosen = self.sections.of(integration).default
        if chosen is not None:
            if not self.has(integration, chosen):
                raise self._no_such_default(integration, chosen)
            return chosen
        if self.has(integration, "default"):
            return "default"
        names = self.names(integration)
        return names[0] if len(names) == 1 else None

    def permission(self, integration: Integration, account: str, effect: Effect) -> Permission:
        """Return an account's permission for an effect; rules for functions and patterns take precedence."""
        return self.rules(integration, account).of_effect(effect).permission

    def rules(self, integration: Integration, account: str) -> Rules:
        """Return the permission rules of an account."""
        rules = self._rules.get((integration.name, account))
        if rules is None:
            account = holder_of(account)
            own = self.option(integration, account, "permissions") or {}
            shared = self.sections.of(integration).permissions
            tables = [(integration.name, shared), (section_of(integration.name, account), own)]
            rules = Rules(tables, integration.name, self._ceiling)
            self._rules[integration.name, account] = rules
        return rules

    def option(self, integration: Integration, account: str, key: str) -> Any:
        """Return a key of :data:`kosmolua.accounts.sections.ACCOUNT_KEYS` in an account's table, or None."""
        return self._table(integration, account).get(key)

    def settings(self, integration: Integration, account: str, *, until: float = inf) -> Table:
        """Return the values of an account's fields, with each secret fetched from its source.

        They are fetched once, and again if the account has logged in since; only threads that need the same account
        wait.

        Raises:
            ConfigError: A key is unknown, or a value is invalid.
            NotConfigured: A field is missing, or a secret cannot be fetched in time.
        """
        with self._lock:
            resolved = self._resolved.setdefault((integration.name, account), _Resolved(Lock()))
        if not resolved.lock.acquire(timeout=min(max(until - monotonic(), 0), TIMEOUT_MAX)):
            where = f"{integration.name}.{account}"
            raise NotConfigured(
                f"Another call was still fetching the secrets of {where} when the time for this call ran out"
            )
        try:
            logins = [field for field in integration.account_fields if field.login]
            known = resolved.settings
            if self._sources.leases and self.is_over(section_of(integration.name, account)):
                known = None
            if known is None or (logins and self._logged_in_since(integration, account, logins, known)):
                known = resolved.settings = self._resolve(integration, account, until)
            return known
        finally:
            resolved.lock.release()

    def _logged_in_since(
        self, integration: Integration, account: str, fields: Sequence[AccountField], settings: Table
    ) -> bool:
        """Return True if the settings lack the token of a login that now exists, for one of the fields with a login.

        If they have one and another process has changed the login, the token in memory is dropped.
        """
        for field in fields:
            if look_again := getattr(settings.get(field.name), "look_again", None):
                look_again()
        return any(field.name not in settings for field in fields) and self.login(integration, account).exists

    def login(self, integration: Integration, account: str) -> Login:
        """Return the login of an account, which need not exist."""
        from kosmolua.accounts.logins import Logins

        return Logins(self.path).of(section_of(integration.name, account), lambda: self.service(integration, account))

    def service(self, integration: Integration, account: str) -> Service:
        """Return the OAuth service of an account, with the client's id and secret.

        Raises:
            ConfigError: A key is unknown, or a value is invalid.
            NotConfigured: The integration has no OAuth login, or the client's secret cannot be fetched.
        """
        from kosmolua.http.oauth_services import Credentials, Service, discover

        table = self.sections.settings(integration, account)
        login = next(iter(_logins(integration, table).values()), None)
        if login is None:
            way = "" if table else "; add an account to the accounts file"
            hint = "" if table else stanza(integration, account)
            raise NotConfigured(f"{integration.name} has no OAuth login{way}", hint=hint)
        if integration.address:
            login = login.at(integration.address(table))
        service = discover(table["url"]) if "url" in table and not login.token else Service(login)
        secrets = {
            key: self._secret_in_file(integration, account, key, table[key], inf).reveal()
            for key in ("client_secret", "private_key", "assertion")
            if key in table
        }
        provider = {
            key: self.named_secret(integration, account, f"idp.{key}", given, inf).reveal()
            for key, given in table.get("idp", {}).items()
        }
        client_id = str(table.get("client_id") or service.login.client_id)
        kept = self.login(integration, account).service if secrets or provider else None
        if kept and kept.issuer and service.issuer not in ("", kept.issuer):
            section = section_of(integration.name, account)
            what = f"{section} now logs in at {service.issuer}, and its credentials are for {kept.issuer}"
            hint = f"if you trust {service.issuer}, set its credentials, and run 'kosmolua accounts logout {section}'"
            raise NotConfigured(f"{what}. Nothing was sent.", hint=hint)
        return replace(
            service,
            login=replace(service.login, scopes=tuple(table.get("scopes", service.login.scopes))),
            client_id=""
            if client_id.startswith("https://") and service.issuer and not service.takes_urls
            else client_id,
            client_secret=secrets.get("client_secret", ""),
            credentials=Credentials(
                secrets.get("private_key", ""),
                str(table.get("signing_algorithm", Credentials.algorithm)),
                secrets.get("assertion", ""),
                provider,
            ),
        )

    def login_state(self, integration: Integration, account: str) -> str | None:
        """Return whether and until when an account is logged in, as a phrase; None if it needs no login."""
        table = self.sections.settings(integration, account)
        written, logins = table.keys(), _logins(integration, table)
        if self._simulate or not logins or written & logins.keys():
            return None
        tokens = self.login(integration, account).tokens
        if tokens is None:
            others = {field.name for field in integration.account_fields if field.secret} - {"client_secret"}
            needs_login = any(login.needs_person for login in logins.values()) and not written & others
            return NOT_LOGGED_IN if needs_login else None
        if tokens.expires is None:
            return "logged in"
        until = datetime.fromtimestamp(tokens.expires, timezone.utc).isoformat(timespec="seconds")
        how = ", renewed automatically" if tokens.refresh else ""
        return f"logged in until {until}{how}"

    def place(self, integration: Integration, account: str) -> str:
        """Return where an account is defined: ``PATH:LINE``, ``PATH``, ``the environment`` or ``the simulator``."""
        if self._table(integration, account).keys() - _OF_RULES:
            return self.sections.place(integration.name, account)
        return "the simulator" if self._simulate else "the environment"

    def place_of(self, rule: Rule) -> str:
        """Return where a permission is set: ``PATH:LINE``, ``PATH``, or empty for a built-in one."""
        return self.sections.place(*rule.section.split("."), "permissions", rule.key) if rule.section else ""

    def secret(self, name: str, until: float = inf) -> Secret:
        """Return a secret of ``[kosmolua.secrets]``.

        Raises:
            NotConfigured: The source of the secret does not provide it, or takes too long.
        """
        return self.secret_of(f"kosmolua.secrets.{name}", self.sections.secrets[name], until)

    def is_over(self, where: str) -> bool:
        """Return True if a secret has to be fetched again whose key is, or begins with, ``where``."""
        now, leases = monotonic(), self._sources.leases
        return any(now > leases[key] for key in list(leases) if f"{key}.".startswith(f"{where}."))

    def check(self, integration: Integration) -> None:
        """Check an integration's section, without fetching a secret.

        Raises:
            ConfigError: The section has a mistake. The message names the first one.
        """
        self.default(integration)

    def _table(self, integration: Integration, account: str) -> Table:
        return self.sections.of(integration).accounts.get(account, {})

    def _no_such_default(self, integration: Integration, chosen: str) -> ConfigError:
        shown = "..., which looks like a secret," if looks_like_key(chosen) else repr(chosen)
        what = f"[{integration.name}] default = {shown} names no account"
        hint = did_you_mean(chosen, self.names(integration))
        return self.sections.wrong(what, integration.name, "default", hint=hint)

    def _is_complete(self, integration: Integration) -> bool:
        required = [field for field in integration.account_fields if field.required]
        return all(self._environ.get(integration.variable(field)) for field in required)

    def _resolve(self, integration: Integration, account: str, until: float) -> Table:
        table = self.sections.settings(integration, account)
        from_environment = not table.keys() - _OF_RULES
        settings: Table = {}
        exchanged = integration.token_field if (integration.name, account) in self.acting else ""
        for field in integration.account_fields:
            if field.name == exchanged:
                continue
            variable = integration.variable(field)
            if field.many:
                named = table.get(field.name, {}).items()
                settings[field.name] = {
                    key: self.named_secret(integration, account, f"{field.name}.{key}", each, until)
                    for key, each in named
                }
            elif field.secret and self._simulate:
                settings[field.name] = Secret(str(made_up(integration.name, field)), holding=())
            elif field.login and field.name not in table and self.login(integration, account).exists:
                section = section_of(integration.name, account)
                settings[field.name] = self.login(integration, account).secret(
                    partial(self._redactor.learn, owner=section)
                )
            elif field.secret and field.name in table:
                settings[field.name] = self._secret_in_file(integration, account, field.name, table[field.name], until)
            elif field.name in table:
                settings[field.name] = field.type.accept(table[field.name])
            elif from_environment and self._environ.get(variable) and (field.required or field.secret):
                settings[field.name] = self._value_in_environment(variable, field)
            elif field.required and self._simulate:
                settings[field.name] = made_up(integration.name, field)
            elif field.required and field.login:
                section = section_of(integration.name, account)
                hint = f"run 'kosmolua accounts login {section}'"
                raise NotConfigured(f"The account {section} is not logged in", hint=hint, detail=str(self.path))
            elif field.required:
                raise NotConfigured(
                    f"The account {integration.name}.{account} has no {field.name}; add it to the accounts file",
                    hint=stanza(integration, account),
                    detail=str(self.path),
                )
        return settings

    def on_behalf(self, integration: Integration, account: str, person: Secret | None) -> Table:
        """Return the field with the token for a person's own token, for an account of :attr:`acting`.

        The token is exchanged (RFC 8693), and kept until it expires, for this person alone.

        Raises:
            NetworkError: The service for tokens cannot be reached.
            NotConfigured: The run has no person who is logged in, or the service refuses.
        """
        given = self.option(integration, account, "on_behalf")
        section = section_of(integration.name, account)
        if person is None:
            what = f"The account {section} acts on behalf of the person who is logged in, and this run has none"
            hint = "run or resume it with an MCP client that is logged in at the tenant's issuer; schedules are not"
            raise NotConfigured(f"{what}. Nothing was sent.", hint=hint)
        from kosmolua.http.oauth import exchanged

        key = section, sha256(person.reveal().encode()).digest()
        with self._exchanging:
            kept = {each: one for each, one in self._exchanged.items() if one.ends > time() or one.lock.locked()}
            self._exchanged = kept
            own = kept.setdefault(key, _Exchanged(Lock()))
        with own.lock:  # other people need not wait
            if own.token is None or own.ends <= time():
                secret = given.get("client_secret")
                said = self.secret_of(f"{section}.on_behalf.client_secret", secret).reveal() if secret else ""
                token, seconds = exchanged({**given, "client_secret": said}, person.reveal())
                own.token, own.ends = Secret(token), time() + seconds
            found = own.token
        self._redactor.learn(found, owner=(section, key[1]))
        return {integration.token_field: found}

    def named_secret(
        self, integration: Integration, account: str, key: str, given: str | Table, until: float = inf
    ) -> Secret:
        """Return one of a field's table of credentials, such as HTTP headers.

        A value in the file itself is masked only if it looks like a key, or its name looks like that of a secret. A
        short one for a program on this machine is told, and not masked: it may be a word that everybody knows.
        """
        name = key.rpartition(".")[2]
        if isinstance(given, str) and not (looks_like_key(given) or _NAME_OF_SECRET.search(name)):
            return Secret(given, holding=())
        least = 1 if "command" in self.sections.settings(integration, account) else MIN_SECRET
        return self._secret_in_file(integration, account, key, given, until, least)

    def _secret_in_file(
        self,
        integration: Integration,
        account: str,
        key: str,
        given: str | Table,
        until: float,
        least: int = MIN_SECRET,
    ) -> Secret:
        try:
            return self.secret_of(f"{section_of(integration.name, account)}.{key}", given, until, least)
        except NotConfigured as error:
            place = self.sections.place(integration.name, account, *key.split(".", 1))
            error.detail = f"{place}: {error.detail}" if error.detail else place
            raise

    def _value_in_environment(self, variable: str, field: AccountField) -> object:
        text = self._environ[variable]
        if field.secret:
            return self.secret_of(variable, text)
        try:
            return field.type.accept(field.type.read(text))
        except Mismatch as mismatch:
            what = f"The environment variable {variable}{mismatch.where} {mismatch.problem}"
            raise ConfigError(what) from None

    def secret_of(self, where: str, given: str | Table, until: float = inf, least: int = MIN_SECRET) -> Secret:
        """Return the secret that a key ``where`` in the file gives, itself or by its source, unless it takes too long.

        Raises:
            NotConfigured: The source of the secret does not provide it.
        """
        secret = self._sources.read(where, given, until, least=least)
        if len(secret.reveal()) < MIN_SECRET:
            self._sources.warn(f"The secret {where} has fewer than {MIN_SECRET} characters, so it is not masked")
            return Secret(secret.reveal(), holding=())
        self._redactor.learn(secret, owner=where)
        return secret


@dataclass(eq=False, repr=False)
class _Resolved:
    """An account's field values, None until they are fetched, and the lock for that."""

    lock: Lock
    settings: Table | None = None


@dataclass(eq=False, repr=False)
class _Exchanged:
    """The token for a person, when it ends in seconds of the clock, and the lock for its exchange."""

    lock: Lock
    token: Secret | None = None
    ends: float = 0.0


def _logins(integration: Integration, table: Table) -> dict[str, OAuth2]:
    """Return the logins of an account's fields: those whose service is known, or has the address of the account."""
    fields = ((field.name, field.login) for field in integration.account_fields)
    return {name: login for name, login in fields if login and (login.token or "url" in table)}


def read(
    source: str | os.PathLike[str] | Mapping[str, Any] | None,
    *,
    usual: str | os.PathLike[str],
    servers: Mapping[str, Table] | None = None,
    **given: Any,
) -> Accounts:
    """Return the accounts that a file defines, by its path or its content, or, without a file, the environment.

    ``usual`` is the path for messages, in whose folder relative paths of secret files start. ``servers`` are the
    sections of more MCP servers, which replace those of the file. ``given`` are other arguments of :class:`Accounts`.

    Raises:
        ConfigError: The file is missing, is not TOML, or has the wrong shape.
    """
    tables = dict(source or {}) if source is None or isinstance(source, Mapping) else parse(source)
    if servers:
        tables[SERVERS] = {**tables.get(SERVERS, {}), **servers}
    return Accounts(tables, Path(usual), **given)
