"""The tenants of the server, each with a separate runtime, separate recordings and a separate MCP server."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kosmolua.errors import ConfigError
from kosmolua.processes.readers import Readers
from kosmolua.serve.health import Health
from kosmolua.serve.held import Held
from kosmolua.serve.runs import Observer
from kosmolua.serve.secrets import ServerSecrets
from kosmolua.serve.settings import Settings, TenantSettings
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenant_runtime import Common, TenantRuntime, refuse_same_tokens
from kosmolua.serve.tokens import claims_of, digest_of, may_be_signed

OPEN_TENANT = "simulated"
"""The name of the only tenant of a server that simulates and has no tenants in its settings."""


async def _dismiss(tenant: Tenant) -> None:
    """Stop a tenant that was removed from the settings, as soon as its runs have ended or this task is cancelled."""
    try:
        await tenant.drain(tenant.limits.timeout)
    finally:
        await tenant.stop()


class Tenants:
    """All tenants of the server.

    ``settings`` holds the settings that were read last, and ``credentials`` the secrets in them. ``stores`` are of
    all tenants. ``key`` signs the website's cookies. ``held`` bounds the bytes that all runs hold. ``health`` says
    whether the store can be used.

    Raises:
        ConfigError: A file cannot be read or has an invalid value, or two tenants have the same token.
    """

    def __init__(self, settings: Settings, common: Common, observers: Sequence[Observer] = ()) -> None:
        self.held = Held.within(settings.memory, common.processes)
        self._readers = Readers()
        self._common = common
        self._observers = [*observers]
        self._leaving: set[asyncio.Task[None]] = set()
        own = self._own(settings)
        self.stores = own.stores()
        self.key = own.cookie_key(self.stores)
        self.health = Health(self.stores.probe, self.stores.drop)
        self.settings, opened = self._open(settings)
        self.credentials = own.credentials()
        self._by_name = {each.settings.name: Tenant(each, common, self.health, self._observers) for each in opened}
        self._by_token = self._tenants_by_token()

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._by_name.values()))

    def get(self, name: str) -> Tenant | None:
        """Return the tenant with this name, or None if there is no such tenant."""
        return self._by_name.get(name)

    @property
    def open_tenant(self) -> Tenant | None:
        """The tenant whose requests need no token; None if there is none. Only a server that simulates can have one."""
        return next((tenant for tenant in self if tenant.settings.is_open), None)

    async def authenticate(self, token: bytes) -> Tenant | None:
        """Return the tenant to which a valid token belongs, or None if the token is not valid.

        If there is a tenant that needs no token, return this tenant for any token that belongs to no other tenant.
        """
        if found := self._by_token.get(digest_of(token)):
            return found
        claims = claims_of(token) if may_be_signed(token) else {}
        verifiers = [(each, each.signed) for each in self if each.signed] if claims else []
        signed = [each for each, by in verifiers if by.may_fit(claims) and await by.accept(token)]
        return signed[0] if len(signed) == 1 else self.open_tenant

    def _tenants_by_token(self) -> dict[bytes, Tenant]:
        return {digest: tenant for tenant in self for digest in tenant.tokens.digests}

    def is_operator(self, token: bytes) -> bool:
        """Return True if a token is that of those who operate the server."""
        own = self.credentials.operator
        return own is not None and hmac.compare_digest(token, own.reveal().encode())

    def observe(self, *observers: Observer) -> None:
        """Add objects that are told when a run of any tenant starts, makes a call and ends."""
        self._observers.extend(observers)

    async def start(self) -> None:
        """Begin to answer the MCP requests of all tenants, and to watch the store."""
        self.health.start()
        for tenant in self:
            await tenant.start()

    async def reload(self, settings: Settings) -> None:
        """Use new settings from now on, without ending any run. If this raises an error, the old settings stay in use.

        Raises:
            ConfigError: A file cannot be read or has an invalid value, or two tenants have the same token.
        """
        own = self._own(settings)
        credentials = await asyncio.to_thread(own.credentials)
        read, opened = await asyncio.to_thread(self._open, settings)
        self.settings, self.credentials = read, credentials
        gone = [tenant for tenant in self if tenant.name not in read.tenants]
        for each in opened:
            if tenant := self._by_name.get(each.settings.name):
                tenant.adopt(each)
            else:
                fresh = Tenant(each, self._common, self.health, self._observers)
                await fresh.start()
                self._by_name[fresh.name] = fresh
        for tenant in gone:
            del self._by_name[tenant.name]
        self._by_token = self._tenants_by_token()
        for tenant in gone:
            task = asyncio.create_task(_dismiss(tenant))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def drain(self, seconds: float) -> None:
        """Refuse new runs of all tenants. Wait until the active runs have ended, but at most ``seconds``."""
        await asyncio.gather(*(tenant.drain(seconds) for tenant in self))

    def disconnect(self) -> None:
        """End the processes for checks, and close the connections of the stores, which connect again when used."""
        self._readers.close()
        self.stores.close()

    async def stop(self) -> None:
        """Stop all tenants: end their scripts and sessions, and close the connections of the stores."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, *(tenant.stop() for tenant in self), return_exceptions=True)
        await asyncio.to_thread(self.health.stop)
        await asyncio.to_thread(self.disconnect)

    def reopen_journals(self) -> None:
        """Reopen the journals of all tenants. This is for journals whose files have been renamed."""
        for tenant in self:
            tenant.runtime.reopen_journal()

    def _own(self, settings: Settings) -> ServerSecrets:
        return ServerSecrets(settings, self._common.environ, self._common.warn)

    def _open(self, settings: Settings) -> tuple[Settings, list[TenantRuntime]]:
        """Return the settings, and each tenant's runtime and tokens; one without token for a server that only
        simulates. All integrations are loaded.
        """
        if not settings.tenants and self._common.simulate:
            settings = replace(settings, tenants={OPEN_TENANT: TenantSettings(OPEN_TENANT)})
        opened: list[TenantRuntime] = []
        try:
            for each in settings.tenants.values():
                opened.append(TenantRuntime(each, self._common, settings, self.stores, self.held, self._readers))
                opened[-1].runtime.load_integrations()
            refuse_same_tokens(opened)
        except ConfigError:
            for each_opened in opened:
                each_opened.close()
            raise
        _warn_of_shared_accounts(opened, self._common.warn)
        return settings, opened


def _warn_of_shared_accounts(opened: Sequence[TenantRuntime], warn: Callable[[str], None]) -> None:
    names = [each.settings.name for each in opened if each.settings.accounts is None and each.server.path]
    if len(names) > 1 and not opened[0].runtime.is_simulated:
        warn(
            f"the tenants {', '.join(names)} share the accounts in {opened[0].server.path}, "
            "since their settings name no accounts file"
        )
