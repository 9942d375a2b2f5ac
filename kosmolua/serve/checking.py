"""The check of a server's settings before it is started: store, secrets, tenants, and their accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from kosmolua.errors import ConfigError, KosmoError
from kosmolua.runtime import Runtime
from kosmolua.serve import settings as files
from kosmolua.serve.held import Held
from kosmolua.serve.secrets import ServerSecrets
from kosmolua.serve.settings import STANZA, Settings
from kosmolua.serve.tenant_runtime import Common, TenantRuntime, refuse_same_tokens
from kosmolua.stores.store import Stores


class SettingsCheck(NamedTuple):
    """The result of one check: a ``subject`` such as ``tenant acme``, a sentence, and what is wrong, if anything."""

    subject: str
    words: str
    error: KosmoError | None = None


def examine(accounts: str | None, common: Common) -> Iterator[SettingsCheck]:
    """Check whether a server could start with an accounts file and serve its tenants. Yield what was found.

    The store is read, and secrets are fetched from their sources. Nothing is sent to the services of integrations.
    """
    try:
        settings = files.read(accounts)
    except ConfigError as error:
        yield _wrong("accounts file", error)
        return
    yield SettingsCheck("accounts file", str(settings.path or "none"))
    own = ServerSecrets(settings, common.environ, common.warn)
    try:
        stores = own.stores()
    except ConfigError as error:
        yield _wrong("store", error)
        return
    try:
        yield _attempt("store", "can be reached", stores.ended_sessions)
        yield _attempt("cookie key", "is there", lambda: own.cookie_key(stores))
        for key, given in own.given.items():
            if given is not None:
                subject = key.rpartition(".")[2].replace("_", " ")
                yield _attempt(subject, "is there", partial(own.secret, f"serve.{key}", given))
        yield from _tenants(settings, common, stores)
    finally:
        stores.close()


def _tenants(settings: Settings, common: Common, stores: Stores) -> Iterator[SettingsCheck]:
    if not settings.tenants and not common.simulate:
        yield _wrong("tenants", ConfigError("No tenant is served", hint=STANZA))
    opened: list[TenantRuntime] = []
    alone = replace(common, processes=1)
    try:
        for tenant in settings.tenants.values():
            subject = f"tenant {tenant.name}"
            try:
                opened.append(TenantRuntime(tenant, alone, settings, stores, Held.within(settings.memory)))
            except KosmoError as error:
                yield _wrong(subject, error)
                continue
            ways = [f"tokens: {len(tenant.token)}"] if tenant.token else []
            ways += ["signed tokens"] if tenant.jwt else []
            yield SettingsCheck(subject, f"{', '.join(ways)}; workers: {settings.workers_of(tenant)}")
            if signed := opened[-1].signed:
                yield _attempt(f"{subject}, jwks", "is a key set, or a URL", signed.check_file)
            if opened[-1].runtime.accounts.sections.journal_required:
                yield SettingsCheck(f"{subject}, journal", "is required: a write that it cannot record is refused")
            yield from _accounts(subject, opened[-1].runtime)
        yield _attempt("tokens", "differ from tenant to tenant", lambda: refuse_same_tokens(opened))
    finally:
        for each in opened:
            each.close()


def _accounts(subject: str, runtime: Runtime) -> Iterator[SettingsCheck]:
    """Check the accounts of a tenant: their permissions, and whether their secrets can be fetched."""
    if runtime.is_simulated:
        return
    for name in runtime.catalog.names():
        try:
            accounts = runtime.catalog.accounts(name)
            runtime.catalog.permissions(name)
        except KosmoError as error:
            yield _wrong(f"{subject}, {name}", error)
            continue
        for account in accounts:
            where = f"{subject}, {name}.{account}"
            fetch = partial(runtime.accounts.settings, runtime.catalog.listed(name), account)
            yield _attempt(where, "has its secrets", fetch)


def _attempt(subject: str, words: str, work: Callable[[], object]) -> SettingsCheck:
    """Return a finding with these words, or with the error that a function raises."""
    try:
        work()
    except KosmoError as error:
        return _wrong(subject, error)
    return SettingsCheck(subject, words)


def _wrong(subject: str, error: KosmoError) -> SettingsCheck:
    return SettingsCheck(subject, str(error), error)
