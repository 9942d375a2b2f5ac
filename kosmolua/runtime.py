"""The runtime: runs scripts, makes calls, and serves documentation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cache
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from kosmolua.broker.host import Host
from kosmolua.clock import Clock
from kosmolua.concurrency import ActiveThreads, forget, lazy
from kosmolua.errors import Busy, ConfigError, Interrupted, NetworkError, WorkerLost
from kosmolua.limits import Limits
from kosmolua.processes.pool import Load, Turn, WorkerPool
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runs.job import as_bytes
from kosmolua.runs.run import Run
from kosmolua.runs.supervisor import call_memory

# Modules that only a call needs are imported by the first call, so that a script without calls starts sooner.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, ThreadPoolExecutor
    from types import TracebackType

    from typing_extensions import Unpack

    from kosmolua.accounts.accounts import Accounts
    from kosmolua.accounts.sections import Recordings
    from kosmolua.broker.approvals import Approve
    from kosmolua.broker.backends import Backend
    from kosmolua.broker.broker import Broker
    from kosmolua.broker.planning import Plan
    from kosmolua.broker.recording import Recording
    from kosmolua.broker.records import Watch
    from kosmolua.broker.secrets import Given
    from kosmolua.broker.store import Store
    from kosmolua.broker.tenancy import Tenancy
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.catalog.mcp_servers.servers import Servers
    from kosmolua.catalog.plugins import Named, Plugins
    from kosmolua.catalog.scripts import Scripts
    from kosmolua.docs import Library
    from kosmolua.http.in_flight import InFlight
    from kosmolua.lua.check import Checker
    from kosmolua.runs.recorded import Take
    from kosmolua.runs.session import Session

DEFAULT_WORKERS = 32
CLOSE_TIMEOUT = 2.0
"""Seconds that closing waits for other threads to end their calls and to write them to the journal."""
NEEDED_BY_RUNS = (
    "kosmolua.broker.approvals",
    "kosmolua.broker.broker",
    "kosmolua.broker.pages",
    "kosmolua.lua.check",
    "kosmolua.lua.header",
    "kosmolua.processes.spares",
)
"""Modules that a run needs, and that a command imports late, since it may run no script."""


def _ignore(_: object) -> None:
    return


class Runtime:
    """Runs scripts with a user's accounts. Any number of threads may use one runtime; runs are independent.

    A process forked while no thread uses the runtime, such as a web server's, may use it too; it gets its own workers
    and connections.

    On Linux the first run makes this process undumpable, so that no process of the same user reads its memory:
    debuggers and profilers can attach as root only, and it leaves no core dump.

    Args:
        accounts: The accounts file, or a mapping of what it would contain; by default the file that
            ``KOSMOLUA_ACCOUNTS`` names, else the user's own, else none.
        simulate: Answer calls from the integrations' simulators: no network, no credentials. A path names the file that
            keeps their state: it is read at the start, and written when the runtime is closed.
        failures: How simulated functions fail, such as ``{"render2.trigger_deploy": "build_failed"}``.
        plugins: Integrations beside the installed ones, one or several: a file, a package folder or the integration
            itself. A :class:`kosmolua.catalog.plugins.Plugins` replaces the installed ones too.
        backend: Answers calls instead of the services and the simulators.
        read_only: Deny every call that writes or destroys.
        yes: Allow calls that the permissions say to ask about, except those that destroy.
        allow: Patterns of functions that need no approval, such as ``render2.delete_service`` or ``render2.*_env_var``.
        deny: Patterns of functions that are denied, whatever the permissions and other options say.
        approve: Asks a person about a call; without it, calls that need approval are refused.
        limits: The limits of each run; ``[kosmolua.limits]`` of the accounts file applies if None.
        journal: A file to which a line is appended for each call. True means the journal of the command line, in the
            user's state folder; it is off if calls are simulated or the accounts file turns it off.
        workers: How many scripts run at once; more wait. A callback that runs a script of its own needs one more; a
            script that waits for ``approve`` needs none.
        reuse: How many scripts one process runs, each in a fresh VM with limits of its own. The first limit, crash or
            irregularity ends it. With 1, no script gets a process that ran another. A higher number is for those who
            trust all their scripts: see "Many scripts in one process" in the guide ``sandbox``. It is always 1 where
                the system cannot fork.
        require_isolation: Run nothing if the system lacks one of the sandbox's isolation layers, such as ``seccomp``.
            If False, scripts run with the layers that there are; ``Outcome.usage["isolation"]`` lists them.
        warn: Called with a sentence about each setting that works but is unwise.
        environ: The environment that secrets may come from; that of the process if None.
        secrets: Secrets by the names that scripts use in ``secrets``, in addition to ``[kosmolua.secrets]``: each a
            :class:`kosmolua.plugin.Secret`, or its source, such as ``env:NAME`` or ``{"env": "NAME"}``.
        servers: MCP servers beside those of the accounts file, by name, each with the settings of its section.
        trace: Called, from another thread, with a line that an MCP server printed or logged.
        scripts: The folder of scripts that others find in ``app.scripts``; by default the user's own.
        share_limits: Tell other processes of this machine, by files in the user's state folder, that a service's rate
            limit is used up. The command line does, and so do the processes of a fleet.
        store: Keeps recordings for which no file is named; by default the user's state folder does. See
            :func:`kosmolua.broker.stores.open_stores`. It stays open when the runtime is closed.
        tenancy: The tenant that the runtime is for, if one server has runtimes of several tenants.

    Raises:
        NotConfigured: A secret is not found.
        ConfigError: A file cannot be read, or has an invalid key or value.
    """

    def __init__(
        self,
        accounts: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        simulate: bool | str | os.PathLike[str] = False,
        failures: Mapping[str, str] | None = None,
        plugins: Named | Sequence[Named] | Plugins = (),
        backend: Backend | None = None,
        read_only: bool = False,
        yes: bool = False,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        approve: Approve | None = None,
        limits: Limits | None = None,
        journal: str | os.PathLike[str] | bool | None = None,
        workers: int = DEFAULT_WORKERS,
        reuse: int = 1,
        require_isolation: bool = False,
        warn: Callable[[str], None] = _ignore,
        environ: Mapping[str, str] | None = None,
        secrets: Mapping[str, Given] | None = None,
        servers: Mapping[str, Mapping[str, Any]] | None = None,
        trace: Callable[[str], None] | None = None,
        scripts: str | os.PathLike[str] | None = None,
        share_limits: bool = False,
        store: Store | None = None,
        tenancy: Tenancy | None = None,
    ) -> None:
        self._pool = WorkerPool(workers, reuse)
        self._isolated = require_isolation
        self._settings: dict[str, Any] = {
            "accounts": accounts,
            "simulate": simulate,
            "failures": failures and dict(failures),
            "plugins": plugins,
            "backend": backend,
            "read_only": read_only,
            "yes": yes,
            "allow": allow,
            "deny": deny,
            "journal": journal,
            "workers": workers,
            "reuse": reuse,
            "require_isolation": require_isolation,
            "environ": environ,
            "servers": servers,
            "scripts": scripts,
        }
        self._host = Host(
            accounts,
            simulate=simulate,
            failures=failures or {},
            plugins=plugins,
            backend=backend,
            read_only=read_only,
            yes=yes,
            allow=allow,
            deny=deny,
            approve=approve,
            journal=journal,
            warn=warn,
            environ=environ,
            secrets=secrets,
            servers=servers,
            trace=trace,
            scripts=scripts,
            share_limits=share_limits,
            store=store,
            tenancy=tenancy,
        )
        self.limits = limits or self._host.limits(Limits())
        self._memory = call_memory()
        self._runs: set[Run] = set()
        self._active = ActiveThreads()
        self._is_closed = False
        self._lock = RLock()
        _runtimes.add(self)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[bytes], Runtime], tuple[bytes]]:
        """Pickle the options. A process that unpickles them opens one runtime for all that have equal options.

        Credentials are resolved in that process; ``approve`` and ``warn`` are not pickled.

        Raises:
            TypeError: An option could contain a credential or a connection, which are not pickled.
        """
        from kosmolua.fleet.travel import packed

        return _opened, (packed(self._settings, self.limits),)

    @property
    def catalog(self) -> Catalog:
        """Every integration, with its accounts and functions."""
        return self._host.catalog

    def checker(self, *, is_complete: bool = True) -> Checker:
        """Return the checker that compares scripts with the integrations, accounts and secrets.

        Args:
            is_complete: True if a run has only this runtime's secrets. If False and there is no accounts file, secrets
                are not checked.
        """
        return self._host.checker(is_complete=is_complete)

    @property
    def accounts(self) -> Accounts:
        """The accounts of every integration."""
        return self._host.accounts

    @property
    def servers(self) -> Servers:
        """The MCP servers."""
        return self._host.servers

    @property
    def scripts(self) -> Scripts:
        """The scripts that others find in ``app.scripts``."""
        return self._host.scripts

    @property
    def recordings(self) -> Recordings:
        """The settings in ``[kosmolua.recordings]`` of the accounts file."""
        return self._host.accounts.recordings

    @property
    def store(self) -> Store:
        """The store of recordings for which no file is named, and of questions that wait for a person."""
        return self._host.store

    @property
    def recordings_folder(self) -> str:
        """The folder of the recordings for which no file was named; it need not exist."""
        return self._host.recordings_folder

    @property
    def is_running(self) -> bool:
        """True if a script runs or waits to run."""
        with self._lock:
            return bool(self._runs)

    @property
    def is_simulated(self) -> bool:
        """True if calls are answered by simulators."""
        return self._host.mode == "simulated"

    @property
    def load(self) -> Load:
        """How many scripts run at once, and how many wait."""
        return self._pool.load

    @property
    def docs(self) -> Library:
        """The documentation: ``list``, ``search`` and ``read``."""
        return self._host.docs

    def warm(self) -> None:
        """Start what the first script needs, so that it need not wait: its sandbox boots in the background."""
        self._pool.warm()

    def run(self, source: str | bytes, **options: Unpack[RunOptions]) -> Outcome:
        """Run a script in a process of its own, or in one that ran others if ``reuse`` allows that.

        Args:
            source: Its text.
            options: As :class:`kosmolua.runs.RunOptions` names them.

        Returns:
            The outcome, also if the script failed or a limit ended it.

        Raises:
            ConfigError: A limit is out of bounds.
            TypeError: There is no such option, or it is of another type.
            RuntimeError: The runtime is closed.
        """
        return self._execute(self._prepare(source, options))

    def replay(
        self,
        path: str | os.PathLike[str] | Recording,
        script: str | bytes | None = None,
        **options: Unpack[RunOptions],
    ) -> Outcome:
        """Run a recorded script again, answered by its recording alone: no network, no accounts, no waiting.

        Args:
            path: The file of the recording, or a recording that was read already, such as one of the store.
            script: Another script to run against it; by default the recorded one.
            options: As :meth:`run` takes them; the recorded name, arguments and limits apply to those left out.

        Returns:
            The outcome, with the recorded calls. Its error has the code ``diverged`` if the script asks for something
            that was not recorded. A recorded session has one outcome for all of its chunks.

        Raises:
            ConfigError: The recording cannot be read, or a line of it is damaged.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.broker.recording import Recording, read
        from kosmolua.runs.recorded import options_of, replaying, source_of

        recording = path if isinstance(path, Recording) else read(path)
        limits = Limits(**recording.header["limits"])
        if recording.is_session and script is None:
            from kosmolua.runs.session_recording import repeat

            return repeat(
                recording,
                lambda source, given, take: self._execute(self._prepare(source, given, take, limits)),
                options,
            )
        recorded = source_of(recording.script)
        source = recorded if script is None else as_bytes(script)
        take = replaying(recording, is_changed=source != recorded)
        given: RunOptions = {**options_of(recording), **options, "check": False}  # type: ignore[typeddict-item]
        return self._execute(self._prepare(source, given, take, limits))

    def record_session(self, session: Session, path: str | os.PathLike[str] | None = None) -> str:
        """Record what a session does until its ``end_recording`` is called, and return the path of the recording.

        Args:
            session: The session.
            path: The file, which must not exist yet; by default one in the store.

        Raises:
            ConfigError: It cannot be written.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.runs.session_recording import SessionRecorder

        self._check_open()
        session.recorder = SessionRecorder(self._host, path, self.limits, session.input)
        return session.recorder.path

    def plan(self, source: str | bytes, **options: Unpack[RunOptions]) -> Plan:
        """Run a script whose writes are noted and not sent. Its reads are real.

        A write is answered by a placeholder of its declared type. A later call that takes one is noted as depending on
        it, and if the script reads a field of one, the plan says where.

        Args:
            source: Its text.
            options: As :meth:`run` takes them.

        Returns:
            The plan; its ``outcome`` is that of the script.

        Raises:
            ConfigError: A limit is out of bounds.
            TypeError: There is no such option, or it is of another type.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.broker.planning import Planner
        from kosmolua.runs.recorded import plan_of

        planner = Planner()
        given: RunOptions = {**options, "planning": planner}
        run = self._prepare(source, given)
        plan = plan_of(self._host, as_bytes(source), run.job)
        plan.outcome = self._execute(run)
        plan.fill(planner, self._host.redactor.value)
        return plan

    def apply(self, plan: Plan, *, again: bool = False, **options: Unpack[RunOptions]) -> Outcome:
        """Run the script of a plan. Exactly the planned writes are allowed, each once.

        A write that is not in the plan is denied before it is sent. The outcome's warnings list planned writes that the
        script did not make. Calls that the permissions deny stay denied.

        Args:
            plan: The plan, which is then marked as applied; save it to keep that.
            again: Apply the plan even if it was applied before.
            options: As :meth:`run` takes them; the planned name, arguments, ``input`` and ``params`` apply to those
                left out.

        Raises:
            ConfigError: The plan was applied before; or it was made with simulators and this runtime has real services,
                or the reverse.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.runs.recorded import applying, source_of

        application = applying(plan, self._host, again=again)
        named = {name: plan.run[name] for name in ("args", "input", "params")}
        given: dict[str, Any] = {"name": plan.script["name"], **named, **options, "planning": application}
        outcome = self._execute(self._prepare(source_of(plan.script), given))  # type: ignore[arg-type]
        outcome.warnings += application.warnings()
        return outcome

    def resume(
        self,
        path: str | os.PathLike[str] | Recording,
        *,
        script: str | bytes | None = None,
        approve: Sequence[int] | bool | Approve = (),
        deny: Sequence[int] | Sequence[str] | bool = (),
        done: Mapping[int, Any] | None = None,
        again: Sequence[int] = (),
        **options: Any,
    ) -> Outcome:
        """Continue a recorded run that was ended: by a limit, an interrupt, an error, a pause or a killed process.

        Recorded calls are answered from the recording; all others are made live and appended to it. A write that is
        recorded as done is never sent again. A call whose error ended the script is made again, unless the service may
        have carried it out.

        Args:
            path: The file of the recording, or a recording that was read, such as one of the store.
            script: A corrected script to continue with; by default the one that ran last.
            approve: The numbers of paused calls that may be made, or True for all; or a function that asks a person
                about further calls, as :meth:`run` takes it.
            deny: The numbers of paused calls that may not be made, or True for all; or patterns as :meth:`run` takes
                them.
            done: The results that the script gets for writes that were under way and count as done, by number.
            again: The numbers of writes that were under way and are to be sent again.
            options: As :meth:`run` takes them; the recorded name, arguments and limits apply to those left out. A run
                that was read-only stays so.

        Returns:
            The outcome of the whole run, earlier calls included. A finished run is repeated from its recording.

        Raises:
            ConfigError: The recording cannot be read, is damaged, or another run writes it.
            UnderWay: A write may have been done, and neither ``done`` nor ``again`` names it.
            Paused: The pause is too old to be approved.
            RuntimeError: The runtime is closed.
        """
        decided = {"approve": approve, "deny": deny, "done": done, "again": again}
        return self._execute(self._prepare_resumed(path, script, decided, options))

    async def resume_async(
        self,
        path: str | os.PathLike[str] | Recording,
        *,
        approve: Sequence[int] | bool | Approve | None = None,
        deny: Sequence[int] | Sequence[str] | bool = (),
        done: Mapping[int, Any] | None = None,
        again: Sequence[int] = (),
        **options: Any,
    ) -> Outcome:
        """Continue a recorded run like :meth:`resume`, from asyncio. Cancelling the task ends the script."""
        decided = {"approve": approve, "deny": deny, "done": done, "again": again}
        run = self._prepare_resumed(path, None, decided, options)
        return await self._execute_async(run, options.get("client"))

    def map(
        self,
        source: str | bytes,
        inputs: Iterable[Any] | Mapping[Any, Any],
        *,
        accounts: Sequence[str] | None = None,
        executor: Executor | None = None,
        limit: int | None = None,
        ordered: bool = False,
        retries: int = 0,
        recordings: str | os.PathLike[str] | None = None,
        **options: Unpack[RunOptions],
    ) -> Iterator[Outcome]:
        """Run a script once for each input, and yield the outcomes as they come.

        Args:
            source: Its text.
            inputs: The values that the runs find in ``input``, and in ``params`` if the script has a header. They are
                taken as they are needed; a mapping names them, others are counted from 0.
            accounts: Run each input once with each of these accounts as the default one.
            executor: Runs the scripts: any executor of :mod:`concurrent.futures`, such as that of a dask cluster. By
                default they run in threads of this process. Another process opens its own runtime with the same
                options.
            limit: The largest number of runs that are handed to the executor at once.
            ordered: Yield the outcomes in the order of the inputs.
            retries: How many times to repeat a run that failed for a temporary reason and has written nothing.
            recordings: A folder for a recording of each run. A run whose recording already exists goes on from it, so
                that an executor that repeats the tasks of a lost process, as dask does, repeats no write.
            options: As :class:`kosmolua.runs.RunOptions` names them, for each run.

        Yields:
            For each input an outcome with its ``key``, and its ``account`` if there are several.

        Raises:
            ConfigError: No integration has an account with a name in ``accounts``.
            TypeError: The runtime or an input cannot be sent to another process.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.fleet.executors import limit_of, opened
        from kosmolua.fleet.fleet import Fleet
        from kosmolua.fleet.tasks import Script, tasks_of

        self._check_open()
        for account in accounts or ():
            self.catalog.check_account(account)
        given = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
        tasks = tasks_of(given, accounts or (), recordings)
        script = Script(as_bytes(source), options)
        with nullcontext((executor, 0)) if executor else opened(None, limit or self._pool.workers) as (chosen, usual):
            fleet = Fleet(self, script, chosen, limit or usual or limit_of(chosen), retries=retries, ordered=ordered)
            yield from fleet.run(tasks)

    async def run_async(self, source: str | bytes, **options: Unpack[RunOptions]) -> Outcome:
        """Run a script like :meth:`run`, from asyncio. Cancelling the task ends the script.

        ``on_output``, ``watch`` and ``approve`` are called in a thread other than the event loop's.
        """
        return await self._execute_async(self._prepare(source, options), options.get("client"))

    async def _execute_async(self, run: Run, client: str | None) -> Outcome:
        import asyncio

        _import_what_runs_need()
        loop, has_come, thread = asyncio.get_running_loop(), asyncio.Event(), get_ident()

        def tell() -> None:
            if get_ident() == thread:
                has_come.set()
                return
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for it
                loop.call_soon_threadsafe(has_come.set)

        try:
            turn = self._pool.queue(client, tell)
        except Busy as error:
            self._forget(run)
            return Outcome([], "", error, [])
        try:
            await has_come.wait()
            work = loop.run_in_executor(self._threads, self._execute, run, turn)
        except asyncio.CancelledError:
            turn.end()
            self._forget(run)
            raise
        except RuntimeError as error:
            turn.end()
            self._forget(run)
            closed = Interrupted("The runtime was closed before the script began")
            return Outcome([], "", closed if self._is_closed else WorkerLost.unstartable(error), [])
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            run.stop()
            raise

    def call(
        self,
        path: str,
        args: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        watch: Watch | None = None,
    ) -> Any:
        """Make one call without Lua and return its value; a secret in it is a :class:`kosmolua.plugin.Secret`.

        A list that was cut at ``max_items`` is a :class:`kosmolua.protocol.Truncated`.

        Args:
            path: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``.
            args: Arguments by name, or in declared order; secrets may stand anywhere in them.
            watch: Called when the call starts and when it ends.

        Raises:
            CallError: The call was refused, or it failed.
            LimitExceeded: The service did not answer in time, or the value is larger than allowed.
            ConfigError: The accounts file has an invalid key or value.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.broker.secrets import revealed

        given = [dict(args)] if isinstance(args, Mapping) else list(args or ())
        clock = Clock(self.limits.timeout)
        if "opentelemetry.trace" in sys.modules:
            from kosmolua.runs import spans

            watch = spans.watching(watch)
        broker = self._broker(clock, watch)
        try:
            with self._active.one_more():
                answer = broker.call(path, revealed(given))
                return broker.handed_out(answer)
        except NetworkError as error:
            if clock.left:
                raise
            limit = self.limits.exceeded("wall", "call")
            if error.hint:
                limit.advise(error.hint)
            raise limit from error

    def redact(self, text: str) -> str:
        """Return text with a mask in place of each secret that is in use."""
        return self._host.redactor.text(text)

    def identify(self, integration: str, account: str) -> str:
        """Make one cheap call with an account and return the name that the service knows it by.

        Raises:
            CallError: The account cannot be used, or the call failed.
            PluginError: The integration cannot be loaded.
            RuntimeError: The runtime is closed.
        """
        broker = self._broker(Clock(self.limits.timeout))
        with self._active.one_more():
            return broker.identify(self.catalog.integration(integration), account)

    def reopen_journal(self) -> None:
        """Reopen the journal, for instance after its file was renamed; a server does this on SIGHUP."""
        self._host.journal.reopen()

    def close(self) -> None:
        """End all scripts and workers, and close connections and the journal. The runtime cannot be used afterwards.

        It waits up to :data:`CLOSE_TIMEOUT` for other threads to write their calls to the journal.
        """
        with self._lock:
            self._is_closed, runs = True, list(self._runs)
        for run in runs:
            run.stop()
        if threads := vars(self).get("_threads"):
            threads.shutdown(wait=False)
        self._pool.close()
        self._active.wait(CLOSE_TIMEOUT)
        self._host.close()

    def _prepare(
        self, source: str | bytes, options: RunOptions, take: Take | None = None, limits: Limits | None = None
    ) -> Run:
        run = Run(
            self._host,
            source,
            options,
            limits or self.limits,
            memory=self._memory,
            in_flight=lambda: self._in_flight,
            isolated=self._isolated,
            take=take,
        )
        with self._lock:
            self._check_open()
            self._runs.add(run)
        return run

    def _prepare_resumed(
        self,
        path: str | os.PathLike[str] | Recording,
        script: str | bytes | None,
        decided: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Run:
        """Prepare the run that :meth:`resume` continues or, for a finished run, one that repeats it."""
        from kosmolua.broker.recording import Recording, read
        from kosmolua.runs.recorded import (
            Decisions,
            options_of,
            patterns_among,
            replaying,
            resuming,
            script_fields,
            source_of,
        )

        recording = path if isinstance(path, Recording) else read(path)
        header = recording.header
        if recording.is_session:
            what = f"The recording {recording.path} is of a session, which cannot go on"
            raise ConfigError(what, hint="kosmolua replay repeats it")
        limits = Limits(**header["limits"])
        given: dict[str, Any] = {**options_of(recording), **options}
        source, mended = source_of(recording.script), None
        if script is not None and as_bytes(script) != source:
            source = as_bytes(script)
            mended = script_fields(given["name"], source)
        elif recording.status == "done":
            take = replaying(recording, is_changed=False)
            take.remark = f"the run of {recording.path} is finished already; this is its outcome"
            return self._prepare(source, given, take, limits)  # type: ignore[arg-type]
        given["read_only"] = given.get("read_only", False) or header["options"]["read_only"]
        given["deny"] = [*header["options"]["deny"], *patterns_among(decided.get("deny"))]
        if callable(decided.get("approve")):
            given["approve"] = decided["approve"]
        run = self._prepare(source, given, limits=limits)  # type: ignore[arg-type]
        try:
            run.take = resuming(self._host, recording, Decisions.of(**decided), mended)
        except BaseException:
            self._forget(run)
            raise
        return run

    def _execute(self, run: Run, turn: Turn | None = None) -> Outcome:
        try:
            with self._active.one_more():
                return run.execute(self._pool, turn)
        finally:
            self._forget(run)

    def _forget(self, run: Run) -> None:
        with self._lock:
            self._runs.discard(run)

    def _broker(self, clock: Clock, watch: Watch | None = None) -> Broker:
        """Return the broker of calls that no script makes."""
        from kosmolua.broker.broker import Broker

        self._check_open()
        return Broker(self._host, clock, self.limits, approve=self._host.approve, watch=watch)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("this runtime is closed")

    @lazy
    def _in_flight(self) -> InFlight:
        from kosmolua.http.in_flight import InFlight

        return InFlight()

    @lazy
    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self._pool.max_runs, thread_name_prefix="kosmolua-run")

    def _start_anew(self) -> None:
        """After a fork, drop the parent's locks, workers and connections; its threads do not exist in this process."""
        self._lock = RLock()
        self._memory = call_memory()
        self._runs = set()
        self._active = ActiveThreads()
        self._pool.start_anew()
        self._host.start_anew()
        forget(self, "_threads", "_in_flight")


@cache
def _import_what_runs_need() -> None:
    """Import what runs need. Later, many scripts at once may leave no file descriptor to read a module with."""
    from importlib import import_module

    for name in NEEDED_BY_RUNS:
        import_module(name)


def _opened(options: bytes) -> Runtime:
    """Return the runtime of this process for these options. All runtimes unpickled from them are this one."""
    from kosmolua.fleet.travel import unpacked

    with _opening:
        if options not in _by_options:
            settings, limits = unpacked(options)
            _by_options[options] = Runtime(limits=limits, **settings)
        return _by_options[options]


def _start_all_anew() -> None:
    for runtime in _runtimes:
        runtime._start_anew()


_runtimes: WeakSet[Runtime] = WeakSet()
_by_options: dict[bytes, Runtime] = {}
_opening = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)
