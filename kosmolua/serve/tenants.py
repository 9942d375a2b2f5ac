"""Tenants: who is served, each with a runtime, recordings and a protocol server of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp

from kosmolua.accounts.sources import Sources
from kosmolua.broker.records import CallEnded, Event
from kosmolua.broker.store import Stores
from kosmolua.broker.stores import open_stores
from kosmolua.broker.tenancy import Tenancy
from kosmolua.errors import Busy, ConfigError, Interrupted, KosmoError, NotConfigured, WorkerLost
from kosmolua.folders import expanded, state_folder
from kosmolua.limits import Limits
from kosmolua.mcp.clients import Clients
from kosmolua.mcp.http import MAX_SESSIONS, SESSION_TIMEOUT
from kosmolua.mcp.server import Handlers
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runs.run import DEFAULT_NAME
from kosmolua.runtime import Runtime
from kosmolua.secret import Secret
from kosmolua.serve.approvals import Approvals, Approver
from kosmolua.serve.grants import Grants
from kosmolua.serve.runs import Observer, Running
from kosmolua.serve.settings import Given, Settings, TenantSettings
from kosmolua.serve.tokens import SignedTokens, Tokens, may_be_signed

FOLDER = "tenants"
OPEN_TENANT = "simulated"
"""The tenant of a server that has none and only simulates."""
POLL_INTERVAL = 0.05
RETIREMENT = 5.0
"""Seconds for which a runtime that was replaced is kept after its last run: somebody may have just looked it up."""


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


class Opened:
    """A tenant's section with what it names: its tokens, and a runtime with its accounts.

    Args:
        settings: What its section says.
        common: What all tenants have.
        server: What the file says of the server.
        stores: Keep the recordings of all tenants; None if each keeps them in its folder.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not; a token is missing or too short.
    """

    def __init__(self, settings: TenantSettings, common: Common, server: Settings, stores: Stores | None) -> None:
        self.settings = settings
        self.server = server
        self._store = stores.of(settings.name) if stores else None
        self._common = common
        self.folder = os.path.join(state_folder(), FOLDER, settings.name)
        base = server.path.parent if server.path else Path()
        self.tokens = self._read_tokens(base)
        self.signed = SignedTokens(settings.jwt, base, self._warn) if settings.jwt else None
        self.runtime = self.open_runtime(simulate=common.simulate)

    def open_runtime(self, *, simulate: bool) -> Runtime:
        """Return a new runtime with the accounts and integrations of the tenant."""
        settings, common = self.settings, self._common
        runtime = Runtime(
            settings.accounts or self.server.path,
            simulate=simulate,
            failures=common.failures if simulate else None,
            plugins=[*common.plugins, *settings.plugins],
            read_only=common.read_only,
            deny=common.deny,
            journal=True,
            workers=self.server.workers_of(settings),
            require_isolation=common.require_isolation,
            warn=self._warn,
            environ=common.environ,
            scripts=settings.scripts,
            share_limits=True,
            tenancy=Tenancy(settings.name, self.folder, settings.permissions),
            store=self._store,
        )
        runtime.limits = runtime.limits.but(**common.limits).but(**settings.limits)
        return runtime

    def _read_tokens(self, base: Path) -> Tokens:
        where = f"tenants.{self.settings.name}.token"
        return Tokens(_secret(base, self._common, where, given, self._warn) for given in self.settings.token)

    def _warn(self, sentence: str) -> None:
        self._common.warn(f"{self.settings.name}: {sentence}")


class Tenant:
    """One of those who are served. Nothing of it is reached through another.

    Args:
        opened: Its section, with what that names.
        common: What all tenants have.
        observers: Who is told of its runs.

    ``name`` is its name, ``approvals`` has the calls of its running scripts that wait for a person, and ``grants`` what
    its people have allowed for good.
    """

    def __init__(self, opened: Opened, common: Common, observers: Sequence[Observer] = ()) -> None:
        self.name = opened.settings.name
        self.approvals = Approvals(lambda: self.runtime.store)
        self.grants = Grants(lambda: self.runtime.store)
        self._opened = opened
        self._common = common
        self._observers = observers
        self._running: dict[str, Running] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_draining = False
        modes = {"read_only": common.read_only, "simulated": common.simulate}
        self._handlers = Handlers(self.runtime, **modes, watch=_ignore, check=common.check, runner=self)
        self._sessions = StreamableHTTPSessionManager(
            self._handlers.server(),
            session_idle_timeout=SESSION_TIMEOUT,
            max_sessions=MAX_SESSIONS,
            max_request_body_size=opened.server.max_request,
        )
        self.mcp: ASGIApp = Clients(
            self._sessions.handle_request, has_runs=self._handlers.has_runs, end_runs=self._handlers.end_runs
        )
        """Answers requests of the protocol, once :meth:`start` has returned."""
        self._stopping = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @property
    def runtime(self) -> Runtime:
        """What runs its scripts. A reload replaces it, so look it up for each request."""
        return self._opened.runtime

    @property
    def settings(self) -> TenantSettings:
        """What its section says."""
        return self._opened.settings

    @property
    def tokens(self) -> Tokens:
        """The tokens that were given to it."""
        return self._opened.tokens

    @property
    def limits(self) -> Limits:
        """The limits of a script."""
        return self.runtime.limits

    @property
    def folder(self) -> str:
        """The folder of what is kept for it alone, which need not exist."""
        return self._opened.folder

    def simulated(self) -> Runtime:
        """Return a new runtime with its accounts and integrations, whose calls are simulated and in no journal."""
        return self._opened.open_runtime(simulate=True)

    def may_bear_signed(self, token: bytes) -> bool:
        """Return True if a token says that it is one of the tenant's issuer, which anybody could say."""
        return self._opened.signed is not None and may_be_signed(token) and self._opened.signed.may_fit(token)

    async def bears_signed(self, token: bytes) -> bool:
        """Return True if a token is one that the tenant's issuer signed for it."""
        return self._opened.signed is not None and await self._opened.signed.accept(token)

    # Its scripts

    way_to_approve = "on the page of this server"

    def running(self) -> list[Running]:
        """Return its runs under way, the oldest first."""
        return list(self._running.values())

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script as one of a client: recorded unless it only plans, counted, and in the audit.

        A call that must be approved waits for a person at the page or at the client, and pauses the run if nobody
        answers in time. Cancelling the task ends the script; if it waits for a person, it is paused.
        """
        run = options["run"] = options.get("run") or os.urandom(6).hex()
        if not options.get("planning"):
            options["record"] = True
        digest = sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
        running = Running(self.name, run, options.get("client") or "", options.get("name", DEFAULT_NAME), digest)
        return await self._attend(running, options, lambda runtime, given: runtime.run_async(source, **given))

    async def resume(self, run: str, options: RunOptions, **decided: Any) -> Outcome:
        """Go on with a recorded run, of whichever client of this tenant.

        Args:
            run: Its id.
            options: As a run takes them.
            decided: What a person decided about its calls: ``approve``, ``deny``, ``done`` and ``again``, as
                :meth:`kosmolua.Runtime.resume` takes them.

        Raises:
            ConfigError: There is none.
        """
        recording = await asyncio.to_thread(self.runtime.store.read, run)
        script = recording.script
        running = Running(self.name, run, options.get("client") or "", script["name"], script["sha256"])
        return await self._attend(
            running, options, lambda runtime, given: runtime.resume_async(recording, **{**given, **decided})
        )

    async def _attend(
        self, running: Running, options: RunOptions, begin: Callable[[Runtime, RunOptions], Awaitable[Outcome]]
    ) -> Outcome:
        granted = await asyncio.to_thread(self.grants.patterns, self.runtime.catalog)
        if self._is_draining:
            busy = Busy("The server is about to stop", hint="nothing was run; try again in a moment")
            return Outcome([], "", busy, [])
        runtime, client = self.runtime, options.get("approve")
        options["allow"] = [*options.get("allow", ()), *granted]
        options["approve"] = Approver(self.approvals, running.id, running.script, self._approval_wait, client)
        options["watch"] = self._watch(running, options.get("watch", _ignore))
        self._running[running.id] = running
        for each in self._observers:
            each.started(running)
        task = asyncio.ensure_future(begin(runtime, options))
        task.add_done_callback(partial(self._end, running))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self.approvals.release(running.id):
                task.cancel()
            raise

    def _approval_wait(self) -> float:
        return self._opened.server.approval_wait

    def _watch(self, running: Running, watch: Callable[[Event], None]) -> Callable[[Event], None]:
        def note(event: Event) -> None:
            if isinstance(event, CallEnded):
                for each in self._observers:
                    each.called(running, event.record)
            watch(event)

        return note

    def _end(self, running: Running, task: asyncio.Future[Outcome]) -> None:
        self._running.pop(running.id, None)
        if task.cancelled():
            outcome = Outcome([], "", Interrupted("The client disconnected, so the script was stopped"), [])
        elif error := task.exception():
            told = error if isinstance(error, KosmoError) else WorkerLost(f"The run failed: {error!r}")
            outcome = Outcome([], "", told, [])
        else:
            outcome = task.result()
        for each in self._observers:
            each.ended(running, outcome)

    # Its life

    @property
    def is_stopped(self) -> bool:
        """True if it answers no request of the protocol any more."""
        return self._stopping.is_set()

    async def start(self) -> None:
        """Begin to answer requests of the protocol."""
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()

    def adopt(self, opened: Opened) -> None:
        """Serve with another section from now on. Scripts that run go on with what they started with."""
        former, self._opened = self._opened, opened
        self._handlers.adopt(opened.runtime, read_only=self._common.read_only, simulated=self._common.simulate)
        task = asyncio.create_task(_retire(former.runtime))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def drain(self, seconds: float) -> None:
        """Begin no further run, and wait until those under way have ended, at most for so many seconds."""
        self._is_draining = True
        ends = asyncio.get_running_loop().time() + seconds
        while self._running and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(POLL_INTERVAL)

    async def stop(self) -> None:
        """End its scripts and sessions. What waits for a person is paused, and recorded runs can go on later."""
        self._is_draining = True
        if self.approvals.release():
            await self.drain(1.0)
        await asyncio.to_thread(self.runtime.close)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self.drain(1.0)
        self._stopping.set()
        if self._serving:
            await self._serving
        self._handlers.close()

    async def _serve(self, ready: asyncio.Event) -> None:
        async with self._sessions.run():
            ready.set()
            await self._stopping.wait()


async def _retire(runtime: Runtime) -> None:
    """Close a runtime once nothing runs with it, or when this task is cancelled."""
    try:
        await asyncio.sleep(RETIREMENT)
        while runtime.is_running:
            await asyncio.sleep(1.0)
    finally:
        await asyncio.to_thread(runtime.close)


async def _dismiss(tenant: Tenant) -> None:
    """Stop serving a tenant once its runs have ended, or when this task is cancelled."""
    try:
        await tenant.drain(tenant.limits.timeout)
    finally:
        await tenant.stop()


class Tenants:
    """All who are served.

    Args:
        settings: What the accounts file says.
        common: What the command line gives to all of them.
        observers: Who is told of their runs.
        key: Signs the cookies of the page, if the processes of a server share one.

    ``settings`` is what the file says, as it was read last, ``metrics_token`` the token for the metrics that it names,
    and ``client_secret`` that of the provider that people sign in at. ``key`` signs the cookies of the page: the one
    that the file has, or else that of the stores, which all replicas share, or else another one at each start.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not; two tenants have the same token.
    """

    def __init__(
        self, settings: Settings, common: Common, observers: Sequence[Observer] = (), key: bytes | None = None
    ) -> None:
        self._common = common
        self._observers = [*observers]
        self._leaving: set[asyncio.Task[None]] = set()
        self._stores = _open_stores(settings, common)
        self.key = key or _cookie_key(settings, common, self._stores)
        self.settings, opened = self._open(settings)
        self.metrics_token = _metrics_token(self.settings, common)
        self.client_secret = _client_secret(self.settings, common)
        self._by_name = {each.settings.name: Tenant(each, common, self._observers) for each in opened}

    def __iter__(self) -> Iterator[Tenant]:
        return iter(list(self._by_name.values()))

    def get(self, name: str) -> Tenant | None:
        """Return a tenant by its name, or None."""
        return self._by_name.get(name)

    @property
    def open_tenant(self) -> Tenant | None:
        """The tenant that needs no token, whose calls are simulated; None if there are others."""
        return next((tenant for tenant in self if tenant.settings.is_open), None)

    def place_of(self, token: bytes) -> int | None:
        """Return the place among the tenants of the one that a token may lead to, or None. It lets nobody in."""
        for place, tenant in enumerate(self):
            if tenant.tokens.accept(token) or tenant.may_bear_signed(token):
                return place
        return None

    async def authenticate(self, token: bytes) -> Tenant | None:
        """Return the tenant whose token this is, or None. For a token that was given it takes the same time."""
        found = [tenant for tenant in self if tenant.tokens.accept(token)]
        if not found and may_be_signed(token):
            found = [tenant for tenant in self if await tenant.bears_signed(token)]
        return found[0] if len(found) == 1 else self.open_tenant

    def observe(self, *observers: Observer) -> None:
        """Have further observers told of the runs of all tenants."""
        self._observers.extend(observers)

    async def start(self) -> None:
        """Begin to answer requests of the protocol."""
        for tenant in self:
            await tenant.start()

    async def reload(self, settings: Settings) -> None:
        """Serve by other settings from now on, without cutting a run. If one cannot be used, all stays as it is.

        Raises:
            ConfigError: A file cannot be read, or says something that it may not; two tenants have the same token.
        """
        metrics_token = await asyncio.to_thread(_metrics_token, settings, self._common)
        client_secret = await asyncio.to_thread(_client_secret, settings, self._common)
        read, opened = await asyncio.to_thread(self._open, settings)
        self.settings, self.metrics_token, self.client_secret = read, metrics_token, client_secret
        gone = [tenant for tenant in self if tenant.name not in read.tenants]
        for each in opened:
            if tenant := self._by_name.get(each.settings.name):
                tenant.adopt(each)
            else:
                fresh = Tenant(each, self._common, self._observers)
                await fresh.start()
                self._by_name[fresh.name] = fresh
        for tenant in gone:
            del self._by_name[tenant.name]
            task = asyncio.create_task(_dismiss(tenant))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def drain(self, seconds: float) -> None:
        """Begin no further run, and wait until those under way have ended, at most for so many seconds."""
        await asyncio.gather(*(tenant.drain(seconds) for tenant in self))

    def disconnect(self) -> None:
        """Close the connections of the stores. They are opened again if they are needed."""
        if self._stores:
            self._stores.close()

    async def stop(self) -> None:
        """End all scripts and sessions."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, *(tenant.stop() for tenant in self), return_exceptions=True)
        await asyncio.to_thread(self.disconnect)

    def reopen_journals(self) -> None:
        """Reopen the journals, as after their files were renamed."""
        for tenant in self:
            tenant.runtime.reopen_journal()

    def _open(self, settings: Settings) -> tuple[Settings, list[Opened]]:
        """Return the settings, and each tenant's section with what it names."""
        if not settings.tenants and self._common.simulate:
            settings = replace(settings, tenants={OPEN_TENANT: TenantSettings(OPEN_TENANT)})
        opened: list[Opened] = []
        try:
            for each in settings.tenants.values():
                opened.append(Opened(each, self._common, settings, self._stores))
            _refuse_same_tokens(opened)
        except ConfigError:
            for each_opened in opened:
                each_opened.runtime.close()
            raise
        _warn_of_shared_accounts(opened, self._common.warn)
        return settings, opened


def _open_stores(settings: Settings, common: Common) -> Stores | None:
    """Return the stores that ``[serve] store`` names, or None."""
    if settings.store is None or settings.path is None:
        return None
    where = _secret(settings.path.parent, common, "serve.store", settings.store, common.warn).reveal()
    return open_stores(where if "://" in where else str(settings.path.parent / expanded(where)))


def _cookie_key(settings: Settings, common: Common, stores: Stores | None) -> bytes:
    if settings.cookie_key is None or settings.path is None:
        return stores.key() if stores else secrets.token_bytes(32)
    given = _secret(settings.path.parent, common, "serve.cookie_key", settings.cookie_key, common.warn)
    return sha256(given.reveal().encode()).digest()


def _metrics_token(settings: Settings, common: Common) -> Secret | None:
    if settings.metrics_token is None or settings.path is None:
        return None
    return _secret(settings.path.parent, common, "serve.metrics_token", settings.metrics_token, common.warn)


def _client_secret(settings: Settings, common: Common) -> Secret | None:
    given = settings.oidc.client_secret if settings.oidc else None
    if given is None or settings.path is None:
        return None
    return _secret(settings.path.parent, common, "serve.oidc.client_secret", given, common.warn)


def _secret(folder: Path, common: Common, where: str, given: Given, warn: Callable[[str], None]) -> Secret:
    """Return a secret of the server.

    Raises:
        ConfigError: Its source does not give it, or it is too short.
    """
    try:
        return Sources(folder, common.environ, warn).read(where, given)
    except NotConfigured as error:
        raise ConfigError(error.message, hint=error.hint, detail=error.detail) from None


def _refuse_same_tokens(opened: Sequence[Opened]) -> None:
    for place, one in enumerate(opened):
        for other in opened[place + 1 :]:
            if one.tokens.overlap(other.tokens):
                raise ConfigError(f"The tenants {one.settings.name} and {other.settings.name} have the same token")


def _warn_of_shared_accounts(opened: Sequence[Opened], warn: Callable[[str], None]) -> None:
    names = [each.settings.name for each in opened if each.settings.accounts is None and each.server.path]
    if len(names) > 1 and not opened[0].runtime.is_simulated:
        warn(f"the tenants {', '.join(names)} share the accounts of {opened[0].server.path}, since they name no others")
