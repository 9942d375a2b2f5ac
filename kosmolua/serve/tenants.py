"""Tenants: who is served, each with a runtime, recordings and a protocol server of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp

from kosmolua.broker.records import CallEnded, Event
from kosmolua.errors import Busy, ConfigError, Interrupted, KosmoError, WorkerLost
from kosmolua.limits import Limits
from kosmolua.mcp.clients import Clients
from kosmolua.mcp.http import MAX_SESSIONS, SESSION_TIMEOUT
from kosmolua.mcp.server import Handlers
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runs.run import DEFAULT_NAME
from kosmolua.runtime import Runtime
from kosmolua.serve.approvals import Approvals, Approver
from kosmolua.serve.grants import Grants
from kosmolua.serve.opened import Common, Opened
from kosmolua.serve.own import Own
from kosmolua.serve.runs import Observer, Running
from kosmolua.serve.settings import Settings, TenantSettings
from kosmolua.serve.tokens import Tokens, may_be_signed

OPEN_TENANT = "simulated"
"""The tenant of a server that has none and only simulates."""
POLL_INTERVAL = 0.05
RETIREMENT = 5.0
"""Seconds for which a runtime that was replaced is kept after its last run: somebody may have just looked it up."""


def _ignore(_: object) -> None:
    return


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
        own = self._own(settings)
        self._stores = own.stores()
        self.key = key or own.cookie_key(self._stores)
        self.settings, opened = self._open(settings)
        self.metrics_token, self.client_secret = own.metrics_token(), own.client_secret()
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
        own = self._own(settings)
        metrics_token = await asyncio.to_thread(own.metrics_token)
        client_secret = await asyncio.to_thread(own.client_secret)
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

    def _own(self, settings: Settings) -> Own:
        return Own(settings, self._common.environ, self._common.warn)

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


def _refuse_same_tokens(opened: Sequence[Opened]) -> None:
    for place, one in enumerate(opened):
        for other in opened[place + 1 :]:
            if one.tokens.overlap(other.tokens):
                raise ConfigError(f"The tenants {one.settings.name} and {other.settings.name} have the same token")


def _warn_of_shared_accounts(opened: Sequence[Opened], warn: Callable[[str], None]) -> None:
    names = [each.settings.name for each in opened if each.settings.accounts is None and each.server.path]
    if len(names) > 1 and not opened[0].runtime.is_simulated:
        warn(f"the tenants {', '.join(names)} share the accounts of {opened[0].server.path}, since they name no others")
