"""Tenants: who is served, each with a runtime, recordings and a protocol server of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp

from kosmolua.accounts.sources import Sources
from kosmolua.broker.tenancy import Tenancy
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import state_folder
from kosmolua.limits import Limits
from kosmolua.mcp.clients import Clients
from kosmolua.mcp.http import MAX_SESSIONS, SESSION_TIMEOUT
from kosmolua.mcp.server import Handlers
from kosmolua.runs.run import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.serve.grants import Grants
from kosmolua.serve.settings import Settings, TenantSettings
from kosmolua.serve.tokens import Tokens

FOLDER = "tenants"
OPEN_TENANT = "simulated"
"""The tenant of a server that has none and only simulates."""


def _ignore(_: object) -> None:
    return


@dataclass(frozen=True)
class Common:
    """What the command line gives to all tenants.

    Args:
        simulate: Answer calls from simulators.
        failures: How simulated functions fail.
        plugins: Integrations that all tenants have.
        read_only: Deny every write.
        deny: Patterns of functions that are denied.
        limits: Limits of scripts, where a tenant has no others.
        require_isolation: Run no script if the system lacks a layer around the sandbox.
        check: Refuse scripts that are certain to fail.
        environ: The environment that secrets may come from.
        warn: Called with a sentence about what is unwise but works.
        trace: Called with a line that an MCP server printed, or None.
    """

    simulate: bool = False
    failures: Mapping[str, str] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    read_only: bool = False
    deny: Sequence[str] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    require_isolation: bool = False
    check: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    warn: Callable[[str], None] = _ignore


class Tenant:
    """One of those who are served. Nothing of it is reached through another.

    Args:
        settings: What its section says.
        common: What all tenants have.
        server: What the file says of the server.

    ``name`` is its name, ``folder`` what is kept for it alone, ``grants`` what its people have allowed for good,
    ``runtime`` runs its scripts: look it up for each request, since a reload replaces it.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not; a token is missing or too short.
    """

    def __init__(self, settings: TenantSettings, common: Common, server: Settings) -> None:
        self.name = settings.name
        self.folder = os.path.join(state_folder(), FOLDER, self.name)
        self.settings = settings
        self.grants = Grants(os.path.join(self.folder, "grants.json"))
        self._common = common
        self._server = server
        self.tokens = self._read_tokens()
        self.runtime = self._open(simulate=common.simulate)
        self._handlers = Handlers(
            self.runtime,
            read_only=common.read_only,
            simulated=common.simulate,
            watch=_ignore,
            check=common.check,
            runner=self,
        )
        self._sessions = StreamableHTTPSessionManager(
            self._handlers.server(),
            session_idle_timeout=SESSION_TIMEOUT,
            max_sessions=MAX_SESSIONS,
            max_request_body_size=server.max_request,
        )
        self.mcp: ASGIApp = Clients(
            self._sessions.handle_request, has_runs=self._handlers.has_runs, end_runs=self._handlers.end_runs
        )
        """Answers requests of the protocol, once :meth:`start` has returned."""
        self._stopping = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @property
    def limits(self) -> Limits:
        """The limits of a script."""
        return self.runtime.limits

    @property
    def recordings(self) -> str:
        """The folder of its recordings, which need not exist."""
        return self.runtime.recordings_folder

    def simulated(self) -> Runtime:
        """Return a new runtime with its accounts and integrations, whose calls are simulated and in no journal."""
        return self._open(simulate=True)

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script as one of a client; it is recorded, unless it only plans."""
        if not options.get("planning"):
            options["record"] = True
        return await self.runtime.run_async(source, **await self._granted(options))

    async def resume(self, run: str, options: RunOptions, **decided: Any) -> Outcome:
        """Go on with a recorded run, of whichever client of this tenant.

        Args:
            run: Its id.
            options: As a run takes them.
            decided: What a person said of its calls: ``approve``, ``deny``, ``done`` and ``again``, as
                :meth:`kosmolua.Runtime.resume` takes them.

        Raises:
            ConfigError: There is none.
        """
        recording = await asyncio.to_thread(self.runtime.store.read, run)
        return await self.runtime.resume_async(recording, **{**await self._granted(options), **decided})

    async def _granted(self, options: RunOptions) -> RunOptions:
        """Return the options of a run, in which nobody is asked about what is allowed for good."""
        granted = await asyncio.to_thread(self.grants.patterns, self.runtime.catalog)
        return {**options, "allow": [*options.get("allow", ()), *granted]}

    async def start(self) -> None:
        """Begin to answer requests of the protocol."""
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """End its scripts and sessions."""
        self._stopping.set()
        if self._serving:
            await self._serving
        self._handlers.close()
        await asyncio.to_thread(self.runtime.close)

    async def _serve(self, ready: asyncio.Event) -> None:
        async with self._sessions.run():
            ready.set()
            await self._stopping.wait()

    def _open(self, *, simulate: bool) -> Runtime:
        settings, common = self.settings, self._common
        path = settings.accounts or self._server.path
        runtime = Runtime(
            path,
            simulate=simulate,
            failures=common.failures if simulate else None,
            plugins=[*common.plugins, *settings.plugins],
            read_only=common.read_only,
            deny=common.deny,
            journal=True,
            workers=self._server.workers_of(settings),
            require_isolation=common.require_isolation,
            warn=self._warn,
            environ=common.environ,
            scripts=settings.scripts,
            share_limits=True,
            tenancy=Tenancy(self.name, self.folder, settings.permissions),
        )
        runtime.limits = runtime.limits.but(**common.limits).but(**settings.limits)
        return runtime

    def _read_tokens(self) -> Tokens:
        where = f"tenants.{self.name}.token"
        folder = self._server.path.parent if self._server.path else Path()
        sources = Sources(folder, self._common.environ, self._warn)
        try:
            return Tokens(sources.read(where, given) for given in self.settings.token)
        except NotConfigured as error:
            raise ConfigError(error.message, hint=error.hint, detail=error.detail) from None

    def _warn(self, sentence: str) -> None:
        self._common.warn(f"{self.name}: {sentence}")


class Tenants:
    """All who are served.

    Args:
        settings: What the accounts file says.
        common: What the command line gives to all of them.

    ``key`` signs the cookies of the page; it is another one at each start of the server.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not; two tenants have the same token.
    """

    def __init__(self, settings: Settings, common: Common) -> None:
        self.settings = settings
        self.key = secrets.token_bytes(32)
        given = settings.tenants
        if not given and common.simulate:
            given = {OPEN_TENANT: TenantSettings(OPEN_TENANT)}
            self.settings = settings = Settings(settings.path, given)
        self._by_name = {name: Tenant(each, common, settings) for name, each in given.items()}
        self._refuse_same_tokens()

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._by_name.values()))

    def get(self, name: str) -> Tenant | None:
        """Return a tenant by its name, or None."""
        return self._by_name.get(name)

    @property
    def open_tenant(self) -> Tenant | None:
        """The tenant that needs no token, whose calls are simulated; None if there are others."""
        return next((tenant for tenant in self if tenant.settings.is_open), None)

    async def authenticate(self, token: bytes) -> Tenant | None:
        """Return the tenant whose token this is, or None. It takes the same time whoever it is."""
        found = [tenant for tenant in self if tenant.tokens.accept(token)]
        return found[0] if found else self.open_tenant

    async def start(self) -> None:
        """Begin to answer requests of the protocol."""
        for tenant in self:
            await tenant.start()

    async def stop(self) -> None:
        """End all scripts and sessions."""
        await asyncio.gather(*(tenant.stop() for tenant in self))

    def _refuse_same_tokens(self) -> None:
        seen: list[Tenant] = []
        for tenant in self:
            for other in seen:
                if tenant.tokens.overlap(other.tokens):
                    raise ConfigError(f"The tenants {other.name} and {tenant.name} have the same token")
            seen.append(tenant)
