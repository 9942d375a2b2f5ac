"""The runtime, with which Python programs run scripts, make calls, and read the documentation."""

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
"""Seconds that :meth:`Runtime.close` waits until other threads have written their calls to the journal."""
NEEDED_BY_RUNS = (
    "kosmolua.broker.approvals",
    "kosmolua.broker.broker",
    "kosmolua.broker.pages",
    "kosmolua.lua.check",
    "kosmolua.lua.header",
    "kosmolua.processes.spares",
)
"""Modules that a run needs. They are imported late, since many uses of a runtime run no script."""


def _ignore(_: object) -> None:
    return


class Runtime:
    """Runs Lua scripts in a sandbox, with a user's accounts. Any number of threads may use one runtime.

    A runtime can also be used after a fork, as by the processes of a web server, if no thread used it during the fork.
    The new process gets separate workers and connections.

    On Linux the first run makes this process undumpable, so that other processes of the same user cannot read its
    memory. Only root can then attach a debugger or profiler, and the process leaves no core dump.

    Args:
        accounts: The accounts file, or a mapping with the content of one. By default the file that the environment
            variable ``KOSMOLUA_ACCOUNTS`` names, or else the file in the user's configuration folder, if there is one.
        simulate: Answer calls from the integrations' simulators, without network and credentials. A path instead of
            True names the file that keeps the state of the simulators: it is read at the start, and written when the
            runtime is closed.
        failures: How simulated functions fail, such as ``{"render2.trigger_deploy": "build_failed"}``.
        plugins: Integrations in addition to the installed ones, one or several: a file, a package folder or the
            integration itself. A :class:`kosmolua.catalog.plugins.Plugins` also replaces the installed ones.
        backend: Answers calls instead of the services and the simulators.
        read_only: Deny every call that writes or destroys something.
        yes: Allow calls for which the permissions require approval, except those that destroy something.
        allow: Patterns of functions that need no approval, such as ``render2.delete_service`` or ``render2.*_env_var``.
        deny: Patterns of functions that are denied, whatever the permissions and other options say.
        approve: A function that asks a person to approve a call. Without it, calls that need approval are refused.
        limits: The limits of each run; by default the limits in ``[kosmolua.limits]`` of the accounts file.
        journal: The file to which a line is appended for each call. True stands for the journal of the command line, in
            the user's state folder; this journal is off if calls are simulated or the accounts file turns it off.
        workers: How many scripts run at once; further scripts wait. A callback that runs another script needs one more
            worker. A script that waits for ``approve`` needs none.
        reuse: How many scripts one process runs one after another, each in a new Lua VM with separate limits. The
            process ends early if a script crashes, reaches a limit or does not end normally. With 1, each script gets a
            new process. Use a higher number only if you trust all scripts: see "Many scripts in one process" in the
            guide ``sandbox``. It is always 1 where the system cannot fork.
        require_isolation: Run no script if the system lacks an isolation layer of the sandbox, such as ``seccomp``. If
            False, scripts run with the layers that the system has; ``Outcome.usage["isolation"]`` lists them.
        warn: Called with a sentence about each setting that works but is unwise.
        environ: The environment variables that secrets can come from; by default those of the process.
        secrets: Secrets for the variable ``secrets`` of scripts, by name, in addition to ``[kosmolua.secrets]``. Each
            is a :class:`kosmolua.plugin.Secret`, or a source of it, such as ``env:NAME`` or ``{"env": "NAME"}``.
        servers: MCP servers in addition to those in the accounts file: a mapping of each server's name to its settings.
        trace: Called, from another thread, with each line that an MCP server printed or logged.
        scripts: The folder of the scripts that other scripts can call in ``app.scripts``; by default the folder of
            scripts in the user's configuration folder.
        share_limits: Tell other processes on this machine when the rate limit of a service is used up, with files in
            the user's state folder. The command line and the processes of :meth:`map` do this.
        store: The store of recordings for which no file is named; by default the user's state folder. It stays open
            when the runtime is closed. See :func:`kosmolua.broker.stores.open_stores`.
        tenancy: The tenant that uses the runtime, on a server with several tenants.

    Raises:
        NotConfigured: A secret is not found at its source.
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
        """Pickle the options of the runtime, so that another process can open a runtime with the same options.

        If a process unpickles several runtimes with equal options, it gets the same runtime each time. That process
        reads the credentials from their sources. The options ``approve`` and ``warn`` are not pickled.

        Raises:
            TypeError: An option could contain a credential or a connection, which cannot be pickled.
        """
        from kosmolua.fleet.travel import packed

        return _opened, (packed(self._settings, self.limits),)

    @property
    def catalog(self) -> Catalog:
        """The catalog of all integrations, with their accounts and functions."""
        return self._host.catalog

    def checker(self, *, is_complete: bool = True) -> Checker:
        """Return a checker, which finds mistakes in a script without running it.

        The checker knows the integrations, accounts and secrets of this runtime.

        Args:
            is_complete: True if scripts have no secrets besides those of this runtime. If False and there is no
                accounts file, the names of secrets are not checked.
        """
        return self._host.checker(is_complete=is_complete)

    @property
    def accounts(self) -> Accounts:
        """The accounts of every integration."""
        return self._host.accounts

    @property
    def servers(self) -> Servers:
        """The MCP servers whose tools scripts can call."""
        return self._host.servers

    @property
    def scripts(self) -> Scripts:
        """The scripts that other scripts can call in ``app.scripts``."""
        return self._host.scripts

    @property
    def recordings(self) -> Recordings:
        """The settings in ``[kosmolua.recordings]`` of the accounts file."""
        return self._host.accounts.recordings

    @property
    def store(self) -> Store:
        """The store of recordings for which no file is named, and of calls that wait for a person's approval."""
        return self._host.store

    @property
    def recordings_folder(self) -> str:
        """The path of the folder for recordings for which no file is named. The folder may not exist yet."""
        return self._host.recordings_folder

    @property
    def is_running(self) -> bool:
        """True if a script is running or waits for a worker."""
        with self._lock:
            return bool(self._runs)

    @property
    def is_simulated(self) -> bool:
        """True if simulators answer the calls, instead of the services."""
        return self._host.mode == "simulated"

    @property
    def load(self) -> Load:
        """How many scripts can run at once, how many run now, and how many wait."""
        return self._pool.load

    @property
    def docs(self) -> Library:
        """The documentation, with the methods ``list``, ``search`` and ``read``."""
        return self._host.docs

    def warm(self) -> None:
        """Start a sandbox process in the background, so that the first script need not wait for one."""
        self._pool.warm()

    def run(self, source: str | bytes, **options: Unpack[RunOptions]) -> Outcome:
        """Run a script in a separate process, and wait for its end.

        If the option ``reuse`` of the runtime allows it, the process may have run other scripts before.

        Args:
            source: The text of the script.
            options: The options of the run, which :class:`kosmolua.runs.RunOptions` describes.

        Returns:
            The outcome of the script. If the script failed or a limit ended it, the outcome has the error.

        Raises:
            ConfigError: A limit is out of bounds, a pattern matches no function, or ``input`` is too large.
            TypeError: An option is unknown or has a value of the wrong type.
            RuntimeError: The runtime is closed.
        """
        return self._execute(self._prepare(source, options))

    def replay(
        self,
        path: str | os.PathLike[str] | Recording,
        script: str | bytes | None = None,
        **options: Unpack[RunOptions],
    ) -> Outcome:
        """Run a recorded script again with all answers from its recording: without network, accounts and waiting.

        Args:
            path: The file of the recording, or a recording that was read already, for instance from the store.
            script: The text of a script to run instead of the recorded script.
            options: The options of the run, as for :meth:`run`. For a missing option, the recorded name, arguments or
                limit applies.

        Returns:
            The outcome, with the recorded calls. If the script makes a request that was not recorded, the error of the
            outcome has the code ``diverged``. A recorded session has one outcome for all of its chunks.

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
        """Begin to record the chunks of a session, and return the path of the recording.

        The session's method ``end_recording`` ends the recording.

        Args:
            session: The session.
            path: The file of the recording, which must not exist yet; by default the recording is kept in the store.

        Raises:
            ConfigError: The recording cannot be written.
            RuntimeError: The runtime is closed.
        """
        from kosmolua.runs.session_recording import SessionRecorder

        self._check_open()
        session.recorder = SessionRecorder(self._host, path, self.limits, session.input)
        return session.recorder.path

    def plan(self, source: str | bytes, **options: Unpack[RunOptions]) -> Plan:
        """Run a script with its writes only listed in a plan, not sent. Reads are sent to the services.

        As the result of a write the script gets a placeholder of the declared type. If the script passes a placeholder
        to a later call, the plan says that the later call depends on the write. If the script reads a field of a
        placeholder, the plan has the line of the script.

        Args:
            source: The text of the script.
            options: The options of the run, as for :meth:`run`.

        Returns:
            The plan. Its attribute ``outcome`` is the outcome of the script.

        Raises:
            ConfigError: A limit is out of bounds, a pattern matches no function, or ``input`` is too large.
            TypeError: An option is unknown or has a value of the wrong type.
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
        """Run the script of a plan, with its writes allowed. Exactly the planned writes are allowed, each once.

        A write that is not in the plan is denied before it is sent. Calls that the permissions deny stay denied.

        Args:
            plan: The plan. This marks it as applied; save the plan afterwards to keep the mark.
            again: Apply the plan even if it was applied before.
            options: The options of the run, as for :meth:`run`. For a missing option, the planned name, arguments,
                ``input`` or ``params`` apply.

        Returns:
            The outcome of the script. Its warnings list the planned writes that the script did not make.

        Raises:
            ConfigError: The plan was applied before; or it was made with simulators and this runtime uses the real
                services, or the reverse.
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
        """Continue a recorded run that ended early: at a limit, an interrupt, an error, a pause, or a killed process.

        The script runs again from its start. Recorded calls are answered from the recording; all further calls are made
        and appended to the recording. A write that is recorded as done is never sent again. A call whose error ended
        the script is made again, unless the service may have carried it out.

        Args:
            path: The file of the recording, or a recording that was read already, for instance from the store.
            script: The text of a corrected script; by default the script that ran last.
            approve: The numbers of the paused calls that are approved, or True for all; or a function that asks a
                person to approve further calls, as the option of :meth:`run`.
            deny: The numbers of the paused calls that are denied, or True for all; or patterns of functions that are
                denied, as the option of :meth:`run`.
            done: The results that the script gets for writes without an answer, by the numbers of the writes. These
                writes count as done.
            again: The numbers of writes without an answer that are sent again.
            options: The options of the run, as for :meth:`run`. For a missing option, the recorded name, arguments or
                limit applies. A run that was read-only stays read-only.

        Returns:
            The outcome of the whole run, including earlier calls. If the run was finished already, it is only replayed.

        Raises:
            ConfigError: The recording cannot be read, is damaged, or another run is writing to it.
            UnderWay: A write has no answer and may have been done, and neither ``done`` nor ``again`` names it.
            Paused: The run paused so long ago that its calls can no longer be approved.
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
        """Continue a recorded run like :meth:`resume`, without blocking the event loop.

        Cancelling the task ends the script. The parameters are those of :meth:`resume`.
        """
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
        """Run a script once for each input, several at a time, and yield each outcome as soon as its run has ended.

        Args:
            source: The text of the script.
            inputs: The value of the script's variable ``input`` for each run, and of ``params`` if the script declares
                its parameters in a header. An iterable is read only as far as needed. The key of an input is its key in
                a mapping, or its index.
            accounts: Names of accounts. Each input is run once with each of them as the default account.
            executor: Runs the scripts: any executor of :mod:`concurrent.futures`, such as that of a dask cluster. By
                default scripts run in threads of this process. In another process, a runtime with the same options is
                opened.
            limit: How many runs are submitted to the executor at once, at most.
            ordered: Yield the outcomes in the order of the inputs.
            retries: How many times a run is repeated that failed for a temporary reason and has written nothing.
            recordings: A folder in which each run is recorded. A run whose recording already exists is resumed from it.
                So no write is repeated if an executor repeats the tasks of a lost process, as dask does.
            options: The options of each run, which :class:`kosmolua.runs.RunOptions` describes.

        Yields:
            For each input, or each input and account, the outcome with its ``key`` and ``account``.

        Raises:
            ConfigError: A name in ``accounts`` is not the name of an account.
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
        """Run a script like :meth:`run`, without blocking the event loop. Cancelling the task ends the script.

        The callbacks ``on_output``, ``watch`` and ``approve`` are called in another thread than that of the event loop.
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
        """Call a function of an integration from Python, without a script, and return its result.

        A secret in the result is a :class:`kosmolua.plugin.Secret`. A list that was cut at the limit ``max_items`` is a
        :class:`kosmolua.protocol.Truncated`.

        Args:
            path: The function: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``, with the name of the integration.
            args: The arguments by name, or in the order in which the function declares them. Secrets can be anywhere in
                them.
            watch: Called when the call starts and when it ends.

        Raises:
            CallError: The call was refused, or it failed.
            LimitExceeded: The service did not answer in time, or the result is larger than allowed.
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
        """Return a text in which each secret that the runtime uses is replaced by a mask."""
        return self._host.redactor.text(text)

    def identify(self, integration: str, account: str) -> str:
        """Find out whose account this is: make one cheap call, and return the service's name for the account.

        Args:
            integration: The name of the integration.
            account: The name of the account in the accounts file.

        Raises:
            CallError: The account cannot be used, or the call failed.
            PluginError: The integration cannot be loaded.
            RuntimeError: The runtime is closed.
        """
        broker = self._broker(Clock(self.limits.timeout))
        with self._active.one_more():
            return broker.identify(self.catalog.integration(integration), account)

    def reopen_journal(self) -> None:
        """Reopen the journal, for instance after the journal's file was renamed. A server does this on SIGHUP."""
        self._host.journal.reopen()

    def close(self) -> None:
        """End all scripts and workers, and close the connections and the journal.

        The runtime cannot be used afterwards. This waits up to :data:`CLOSE_TIMEOUT` seconds until other threads have
        written their calls to the journal.
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
        """Prepare the run with which :meth:`resume` continues a recorded run, or replays it if it is finished.

        Args:
            path: The file of the recording, or the recording.
            script: The text of a corrected script, or None.
            decided: The arguments ``approve``, ``deny``, ``done`` and ``again`` of :meth:`resume`.
            options: The options of the run.
        """
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
            what = f"The recording {recording.path} is of a session, which cannot be resumed"
            raise ConfigError(what, hint="to repeat it, run kosmolua replay")
        limits = Limits(**header["limits"])
        given: dict[str, Any] = {**options_of(recording), **options}
        source, mended = source_of(recording.script), None
        if script is not None and as_bytes(script) != source:
            source = as_bytes(script)
            mended = script_fields(given["name"], source)
        elif recording.status == "done":
            take = replaying(recording, is_changed=False)
            take.remark = f"the run in {recording.path} is already finished; this is its outcome"
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
        """Return a broker, which makes calls, for a call that comes from Python and not from a script."""
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
        """Drop locks, workers and connections in the child process after a fork.

        They belong to the parent process, whose threads do not exist in the child.
        """
        self._lock = RLock()
        self._memory = call_memory()
        self._runs = set()
        self._active = ActiveThreads()
        self._pool.start_anew()
        self._host.start_anew()
        forget(self, "_threads", "_in_flight")


@cache
def _import_what_runs_need() -> None:
    """Import the modules for runs in advance, since many scripts at once may use up the file descriptors."""
    from importlib import import_module

    for name in NEEDED_BY_RUNS:
        import_module(name)


def _opened(options: bytes) -> Runtime:
    """Return the runtime of this process with the given options, which is opened on first use.

    Args:
        options: The options that :meth:`Runtime.__reduce__` has pickled.
    """
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
