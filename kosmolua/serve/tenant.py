"""A tenant of the server: its runs, with all that bounds them, and its MCP server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias

from starlette.types import ASGIApp

from kosmolua.calls.records import CallEnded, Event
from kosmolua.calls.titles import title_of
from kosmolua.errors import Busy, ConfigError, Interrupted, KosmoError, Paused, Unavailable, WorkerLost
from kosmolua.limits import Limits
from kosmolua.mcp.clients import Clients
from kosmolua.mcp.http import MAX_SESSIONS, SESSION_TIMEOUT
from kosmolua.mcp.runner import planned, with_asker
from kosmolua.mcp.server import Handlers
from kosmolua.mcp.transport import McpTransport
from kosmolua.memory import Endless, Passage, keep_what_is_there
from kosmolua.recordings.kept_plans import UNDO
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import Recording
from kosmolua.runs import DEFAULTS, Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.serve.approvals import Approvals, WebApprover
from kosmolua.serve.flow import Pace
from kosmolua.serve.grants import FRESHNESS, Grants
from kosmolua.serve.health import Health
from kosmolua.serve.orders import Orders
from kosmolua.serve.quotas import Quotas
from kosmolua.serve.runs import Observer, Running
from kosmolua.serve.settings import TenantSettings
from kosmolua.serve.signed_in import SignedIn
from kosmolua.serve.tenant_runtime import Common, TenantRuntime
from kosmolua.serve.tokens import SignedTokens, TenantTokens, claims_of, may_be_signed, person_in
from kosmolua.serve.work.settings import WorkSettings, personal_accounts
from kosmolua.stores.store import WaitingCall, approved_calls
from kosmolua.stores.tasks import SLEEP, WAITING, ServerTask, new_run
from kosmolua.truncation import weigh

SIMULATED = "simulated"
"""The mode of a run whose calls simulators answer."""
POLL_INTERVAL = 0.05
RETIREMENT = 5.0
"""Seconds for which a runtime that was replaced stays open, since a request may have looked it up just before."""
COPIES_OF_SOURCE = 2
"""How often the source of a script is in memory while it waits or runs: as text, and as bytes."""
Voter: TypeAlias = tuple[str, str]
"""The name and the ``sub`` in a person's token; both are empty for a tenant's token."""
NOBODY: Voter = ("", "")
_SOON = "nothing was run; try again in a moment"


class Tenant:
    """A tenant of the server: runs the tenant's scripts, and answers the MCP requests of the tenant's clients.

    While ``health`` says that the store cannot be used, runs are refused. ``approvals`` holds the calls of running
    scripts that wait for a person, ``grants`` the functions that people have permanently allowed, ``orders`` what
    people ask of all servers of the tenant, ``signed_in`` the sessions of the website, and ``pace`` that of large
    requests. ``retried`` are the runs that are tried again if they fail by an error that may pass. ``accepting`` is how
    many deliveries are being accepted.
    """

    def __init__(
        self, opened: TenantRuntime, common: Common, health: Health, observers: Sequence[Observer] = ()
    ) -> None:
        self._health = health
        self.name = opened.settings.name
        self.retried: set[str] = set()
        self.accepting = 0
        self.approvals = Approvals(lambda: self.runtime.store, lambda effect: self.people_for(effect) > 1)
        self.grants = Grants(lambda: self.runtime.store)
        self._opened = opened
        self._common = common
        self._observers = observers
        self._running: dict[str, Running] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._sources = 0
        self._quotas = Quotas(lambda: self.settings, lambda: self.runtime.store)
        self.pace = Pace()
        self.share = opened.held.shares.of(self.name)
        self.signed_in = SignedIn(lambda: self.runtime.store, lambda: self._opened.stores)
        self.orders = Orders(lambda: self.runtime.store)
        self._obeying: asyncio.Task[None] | None = None
        self._handlers = Handlers(
            self.runtime,
            read_only=common.read_only,
            simulated=common.simulate,
            watch=lambda event: None,
            check=common.check,
            runner=self,
            id_prefix=common.id_prefix,
        )
        self._transport = McpTransport(
            self._handlers.server(),
            session_idle_timeout=SESSION_TIMEOUT,
            max_sessions=max(1, MAX_SESSIONS // common.processes),
            max_request_body_size=opened.server.max_request,
        )
        runs = self._handlers.executions
        self.mcp: ASGIApp = Clients(self._transport, has_runs=runs.has_runs, end_runs=runs.end_runs)
        """The ASGI application that answers MCP requests, once :meth:`start` has returned."""
        self._stopping = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @property
    def runtime(self) -> Runtime:
        """The runtime that runs the tenant's scripts. Do not keep it: a reload of the settings replaces it."""
        return self._opened.runtime

    @property
    def settings(self) -> TenantSettings:
        """The tenant's settings in the accounts file."""
        return self._opened.settings

    @property
    def work(self) -> WorkSettings:
        """The tenant's schedules and hooks."""
        return self._opened.work

    @property
    def workers(self) -> int:
        """How many scripts of the tenant can run at once."""
        return self._opened.server.workers_of(self.settings)

    @property
    def tokens(self) -> TenantTokens:
        """The tenant's tokens in the accounts file."""
        return self._opened.tokens

    @property
    def limits(self) -> Limits:
        """The limits of each script of the tenant."""
        return self.runtime.limits

    @property
    def simulated(self) -> Runtime:
        """The runtime of the playground. It has the tenant's accounts, but simulators answer the calls."""
        return self._opened.simulated

    @property
    def signed(self) -> SignedTokens | None:
        """Verifies the tokens that the tenant's issuer signs; None if it has no issuer."""
        return self._opened.signed

    def person_of(self, token: bytes) -> str:
        """Return the name of the person in a token with which this tenant was found; empty if it names nobody."""
        is_signed = self.signed is not None and not self.tokens.accept(token)
        if not is_signed or self.settings.is_open or not may_be_signed(token):
            return ""
        person = person_in(token)
        if person and (sub := claims_of(token).get("sub")):
            self.approvals.know(person, str(sub))
        return person

    # Runs

    @property
    def saves(self) -> bool:
        """Whether clients can save scripts in the tenant's folder: not if other tenants have the same one."""
        folder = self.settings.scripts
        return folder is None or [each.scripts for each in self._opened.server.tenants.values()].count(folder) < 2

    @property
    def url(self) -> str | None:
        """The public URL of the server, if the settings tell it."""
        return self._opened.server.url

    def way_to_approve(self, site: str, path: str, run: str) -> str:
        """How a person approves calls of a paused run: with a link, by the server's own URL or that of the request."""
        base = self.url or site
        return f"at {base}/{path}" if base else "on the page of this server"

    def room(self) -> Passage:
        """Return what reserves memory for a request, or for the outcome of a run."""
        return Passage(lambda: self._opened.held.memory, object(), Endless(), self.name)

    def running(self) -> list[Running]:
        """Return the tenant's active runs, the oldest first."""
        return list(self._running.values())

    async def run(self, source: str, options: RunOptions, *, simulate: bool = False) -> Outcome:
        """Run a script for a client, record it, and return its outcome. With ``simulate``, simulators answer its calls.

        The observers are told about the run. A call that needs approval waits for a person on the website or at the
        client. If nobody answers in time, the run is paused. If the task is cancelled, the script ends, or is paused if
        it waits for a person.
        """
        options["record"] = True
        run = options["run"] = options.get("run") or new_run()
        options["park"] = options.get("park") or await self._parking(run, source, options)
        runtime = await self._runtime(simulate=simulate)
        return await self._begin(source, options, runtime, lambda given: runtime.run_async(source, **given))

    async def plan(self, source: str, options: RunOptions, *, simulate: bool = False) -> Outcome:
        """Make a plan of a script for a client and keep it; return the outcome of the script, with the plan."""
        runtime = await self._runtime(simulate=simulate)
        return await self._begin(source, options, runtime, lambda given: planned(runtime, source, given))

    async def undo(self, recording: Recording, options: RunOptions, accept: Callable[[str], bool]) -> Plan:
        """Make a plan of the calls that undo what a run wrote, and keep it if there are any.

        ``accept`` says whether to undo them although a sentence holds, such as that other values are there now.

        Raises:
            KosmoError: They cannot be undone now, or this was not accepted.
        """
        runtime = await self._runtime(simulate=recording.header["mode"] == SIMULATED)
        made: list[Plan] = []

        def plan(given: RunOptions) -> Outcome:
            made.append(runtime.undo(recording, accept_changes=accept, **given))
            outcome: Outcome = made[0].outcome
            if outcome.ok and made[0].writes:
                runtime.plans.keep(made[0])
            return outcome

        options["name"] = f"{UNDO}{recording.header['run']}"
        outcome = await self._begin("", options, runtime, lambda given: asyncio.to_thread(plan, given))
        if outcome.error:
            raise outcome.error
        return made[0]

    async def apply(self, plan: Plan, options: RunOptions, *, without: Sequence[int], agreed: bool) -> Outcome:
        """Apply a plan, like :meth:`run`; ``agreed`` says whether a person has agreed to its writes."""
        decided: dict[str, Any] = {"without": without, "agreed": agreed}
        options["name"] = plan.script["name"]
        runtime = await self._runtime(simulate=plan.run["mode"] == SIMULATED)
        return await self._begin(
            plan.script["source"], options, runtime, lambda given: runtime.apply_async(plan, **decided, **given)
        )

    async def _runtime(self, *, simulate: bool) -> Runtime:
        """Return the tenant's runtime or, to simulate on a server that does not, that of the playground."""
        return (
            await asyncio.to_thread(lambda: self.simulated)
            if simulate and not self.runtime.is_simulated
            else self.runtime
        )

    async def _begin(
        self, source: str, options: RunOptions, runtime: Runtime, begin: Callable[[RunOptions], Awaitable[Outcome]]
    ) -> Outcome:
        """Run a script, if the tenant may run one now."""
        run = options["run"] = options.get("run") or new_run()
        if refused := await self._refusal():
            return Outcome([], "", refused, [])
        left = self._quotas.calls_left
        if left is not None:
            options["max_calls"] = min(left, options.get("max_calls") or self.limits.max_calls)
        size = COPIES_OF_SOURCE * (len(source) + weigh(options.get("input"), self.limits.max_result))
        if not self._opened.held.sources.take(size, self._sources):
            return Outcome([], "", Busy("Too many large scripts are waiting or running", hint=_SOON), [])
        self._sources += size
        try:
            digest = sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
            name = options.get("name", DEFAULTS["name"])
            title = title_of(source.encode("utf-8", "surrogateescape"), name, options.get("title"))
            running = Running(self.name, run, options.get("client") or "", name, digest, title, *_about(options))
            return await self._attend(running, options, runtime, begin)
        finally:
            self._sources -= size
            self._opened.held.sources.give_back(size)

    def end_run(self, run: str) -> None:
        """Ask the server that has a run to end it."""
        self.orders.cancel(run)

    def settle(self) -> None:
        """Wait a moment for a store that was away: it may be back, and a person's decision is not to be lost."""
        self._health.settle()

    def _absence(self) -> KosmoError | None:
        """Return the error with which runs are refused while the store is away, or the server stops."""
        stops = self._is_draining
        return Unavailable("The server is about to stop", hint=_SOON) if stops else self._health.error

    def reads_drained(self) -> bool:
        """Read the orders if that was long ago, and return whether no run of the tenant may begin. This blocks."""
        if not self.orders.is_fresh:
            self.orders.read()
        return self.orders.is_drained

    async def _refusal(self) -> KosmoError | None:
        """Count a run that is about to start, and return None; or return the error with which it is refused."""
        if error := self._absence():
            return error
        try:
            if self.orders.is_drained if self.orders.is_fresh else await asyncio.to_thread(self.reads_drained):
                return Busy(
                    "This tenant is drained, so no script of it begins", hint="nothing was run; try again later"
                )
            return await asyncio.to_thread(self._quotas.admit) if self._quotas.uses_store else self._quotas.admit()
        except ConfigError as error:
            return error

    async def resume(self, run: str, options: RunOptions, *, voter: Voter | None = None, **decided: Any) -> Outcome:
        """Resume a recorded run of this tenant, whichever client started it, and return its outcome.

        ``voter`` is the person who decided, whose yes counts where several people have to approve a call; by default
        the one in ``options``. ``decided`` are arguments of :meth:`kosmolua.Runtime.resume`, such as ``approve``.

        Raises:
            ConfigError: There is no recorded run with this id.
        """
        if error := self._absence():
            return Outcome([], "", error, [])
        recording = await asyncio.to_thread(self.runtime.store.read, run)
        own = options.get("subject")
        if own and person_in(own.reveal().encode("latin-1")) != recording.header.get("person"):
            options["subject"] = None  # a run that one person began never acts on behalf of another
        options["park"] = options.get("park") or await self._parking(run, recording.script["source"], options)
        await asyncio.to_thread(
            self._vote, recording, decided.get("approve"), voter or (options.get("person") or "", "")
        )
        if not options.get("subject"):
            self._refuse_without_person(recording, decided.get("approve"))
        script = recording.script
        title = recording.header.get("title") or ""
        client, asks = options.get("client") or "", options.get("approve") is not None
        running = Running(self.name, run, client, script["name"], script["sha256"], title, *_about(options))

        def begin(given: RunOptions) -> Awaitable[Outcome]:
            known = with_asker(decided, given["approve"]) if asks else decided
            return runtime.resume_async(recording, **{**given, **known})

        runtime = await self._runtime(simulate=recording.header["mode"] == SIMULATED)
        return await self._attend(
            running,
            options,
            runtime,
            begin,
            is_resumed=True,
        )

    async def _parking(self, run: str, source: str, options: RunOptions) -> Callable[[float], None] | None:
        """Return what lets a run park; None for one that needs the token of its person, which no store keeps."""
        if options.get("subject"):
            personal = await asyncio.to_thread(personal_accounts, self.runtime, source)
            return None if personal else partial(self._park, run)
        return partial(self._park, run)

    def _refuse_without_person(self, recording: Recording, approved: object) -> None:
        """Refuse to go on with a paused run if an approved call acts on behalf of a person who is not logged in."""
        for call in approved_calls(recording, approved):
            account = call["path"].partition(".")[0], call["account"]
            if account in self.runtime.accounts.acting:
                what = f"{call['path']} acts on behalf of the person who is logged in, and nobody is here"
                hint = "approve it at the MCP client of the person who began the run, or there with resume"
                raise ConfigError(f"{what}. Nothing was sent, and the run still waits.", hint=hint)

    def _park(self, run: str, until: float) -> None:
        """Arrange for a run that sleeps to be resumed at its time, by any server with the store."""
        tasks = self.runtime.store.tasks
        task = ServerTask(f"{SLEEP}/{run}", SLEEP, "", run, until, until, WAITING)
        if not tasks.add(task) and (former := tasks.find(task.id)) and former.due is None:
            tasks.put(task)

    async def _attend(
        self,
        running: Running,
        options: RunOptions,
        runtime: Runtime,
        begin: Callable[[RunOptions], Awaitable[Outcome]],
        *,
        is_resumed: bool = False,
    ) -> Outcome:
        if error := self._absence():
            return Outcome([], "", error, [])
        granted = self.grants.recent_patterns(self.runtime.catalog)
        if granted is None:
            granted = await asyncio.to_thread(self.grants.patterns, self.runtime.catalog)
        self.share.use()
        own = None if options.get("room") else self.room()
        if own:
            options["room"] = own
        client = options.get("approve")
        options["allow"] = [*options.get("allow", ()), *granted]
        options["approve"] = WebApprover(
            self.approvals,
            running.id,
            running.script,
            lambda: self._opened.server.approval_wait,
            client,
            is_resumed=is_resumed,
            asked=partial(self._tell_of, running),
            person=running.person,
        )
        options["pace"] = self.share.pace
        options["observe"] = self._watch(running, options.get("observe") or (lambda event: None))
        running.interrupt = partial(runtime.interrupt, running.id)
        self._running[running.id] = running
        running.is_retried = running.id in self.retried
        if self._obeying is None or self._obeying.done():
            self._obeying = asyncio.create_task(self._obey())
        for each in self._observers:
            each.started(running)
        task = asyncio.ensure_future(begin(options))
        task.add_done_callback(partial(self._end, running))
        if own:
            task.add_done_callback(lambda _: own.close())
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self.approvals.release(running.id):
                task.cancel()
            raise
        if self._quotas.has_calls:
            await asyncio.to_thread(self._quotas.add_calls)
        return outcome

    def people_for(self, effect: str) -> int:
        """Return how many people must approve a call with this effect that is asked about."""
        return int(self.runtime.accounts.sections.approvals.get(effect, 1))

    def _vote(self, recording: Recording, approved: object, voter: Voter) -> None:
        """Keep the yes of a person to those calls of a paused run that several people have to approve."""
        for call in approved_calls(recording, approved):
            self.approvals.vote(recording.header["run"], call, *voter)

    def _tell_of(self, running: Running, questions: Sequence[WaitingCall]) -> None:
        for each in self._observers:
            each.asked(running, questions)

    def tell_of_failure(self, run: str, script: str, client: str, error: KosmoError) -> None:
        """Tell the observers of a run that cannot begin."""
        running = Running(self.name, run, client, script, None, software=client)
        for each in self._observers:
            each.started(running)
            each.ended(running, Outcome([], "", error, []))

    async def _obey(self) -> None:
        """Cancel the runs for which this is asked at any server, as long as there are active runs."""
        while self._running:
            with suppress(ConfigError):  # it is tried again
                for run in await asyncio.to_thread(self.orders.take, [*self._running]):
                    if running := self._running.get(run):
                        running.interrupt()
            await asyncio.sleep(FRESHNESS)

    def _watch(self, running: Running, watch: Callable[[Event], None]) -> Callable[[Event], None]:
        def note(event: Event) -> None:
            if isinstance(event, CallEnded):
                self._quotas.called(event.record)
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
        if isinstance(outcome.error, Paused):
            self._quotas.paused(len(outcome.error.calls))
            outcome.error.hints = ["to continue, somebody has to approve or deny that in the inbox of this server"]
        for each in self._observers:
            each.ended(running, outcome)

    # Starting and stopping

    @property
    def is_draining(self) -> bool:
        """True if the tenant runs no further scripts, since the server stops or its settings no longer have it."""
        return self._is_draining

    @property
    def is_stopped(self) -> bool:
        """True if the tenant no longer answers MCP requests."""
        return self._stopping.is_set()

    async def start(self) -> None:
        """Begin to answer the tenant's MCP requests."""
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            self._serving.result()

    def adopt(self, opened: TenantRuntime) -> None:
        """Use new settings from now on. Scripts that are running keep the settings with which they started."""
        former, self._opened = self._opened, opened
        self._handlers.adopt(opened.runtime, read_only=self._common.read_only, simulated=self._common.simulate)
        task = asyncio.create_task(_retire(former))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def drain(self, seconds: float) -> None:
        """Refuse new runs of the tenant. Wait until its active runs have ended, but at most ``seconds``."""
        self._is_draining = True
        ends = asyncio.get_running_loop().time() + seconds
        while self._running and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(POLL_INTERVAL)

    async def stop(self) -> None:
        """End the tenant's scripts and sessions. Runs that wait for a person are paused; all can be resumed."""
        self._is_draining = True
        await self._handlers.tasks.leave()
        if self.approvals.release():
            await self.drain(1.0)
        await asyncio.to_thread(self._opened.close)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self.drain(1.0)
        self._stopping.set()
        if self._serving:
            await self._serving
        self._handlers.close()

    async def _serve(self, ready: asyncio.Event) -> None:
        async with self._transport.run():
            ready.set()
            await self._stopping.wait()


def _about(options: RunOptions) -> tuple[str, str]:
    """Return the names of the client and of the person, for people."""
    return options.get("software") or options.get("client") or "", options.get("person") or ""


async def _retire(opened: TenantRuntime) -> None:
    """Close runtimes that were replaced, as soon as they have no active runs or this task is cancelled."""
    try:
        await asyncio.sleep(RETIREMENT)
        while opened.is_running:
            await asyncio.sleep(1.0)
    finally:
        await asyncio.to_thread(opened.close)
    del opened
    await asyncio.to_thread(keep_what_is_there)
