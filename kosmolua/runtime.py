"""The runtime: Python programs use it to run scripts, make calls, and read the documentation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from kosmolua.broker.host import Host
from kosmolua.broker.options import RunContext, RuntimeOptions, taking
from kosmolua.clock import Clock
from kosmolua.functions import IntegrationAttributes
from kosmolua.limits import Limits
from kosmolua.processes.pool import Load, WorkerPool
from kosmolua.runs import MapOptions, Outcome, RunOptions
from kosmolua.runs.job import as_bytes
from kosmolua.runs.running import Runs

# Modules that only a call needs are imported by the first call, so that a script without calls starts sooner.
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
    from concurrent.futures import Executor
    from types import TracebackType

    from typing_extensions import Unpack

    from kosmolua.accounts.accounts import Accounts
    from kosmolua.accounts.sections import Recordings
    from kosmolua.broker.broker import Broker
    from kosmolua.calls.approvals import Approve
    from kosmolua.calls.records import Watch
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.catalog.scripts import Scripts
    from kosmolua.check.checker import Checker
    from kosmolua.docs import Library
    from kosmolua.mcp_client.servers import Servers
    from kosmolua.protocol import Json
    from kosmolua.recordings.kept_plans import KeptPlans
    from kosmolua.recordings.plans import Plan
    from kosmolua.recordings.recording import Recording
    from kosmolua.runs.resuming import Decisions
    from kosmolua.runs.run import Run
    from kosmolua.runs.session import Session
    from kosmolua.stores.budgets import Budgets
    from kosmolua.stores.store import Slot, Store

CLOSE_TIMEOUT = 2.0
"""The most seconds that :meth:`Runtime.close` waits for other threads to write their calls to the journal."""


class Runtime(IntegrationAttributes):
    """Runs Lua scripts in a sandbox, with a user's accounts. Any number of threads may use one runtime.

    Functions of integrations are attributes: ``runtime.render2.list_services(limit=5)`` is the same as
    ``runtime.call("render2.list_services", limit=5)``.

    A runtime can also be used in a process that was forked after the runtime was created, such as a process of a web
    server. No thread may use the runtime during the fork. The new process gets its own workers and connections.

    On Linux the first run makes this process undumpable, so that other processes of the same user cannot read its
    memory. From then on, only root can attach a debugger or profiler, and a crash leaves no core dump.

    The options of the constructor are explained in :class:`kosmolua.broker.options.RuntimeOptions`.

    Raises:
        NotConfigured: A secret is not found at its source.
        ConfigError: A file cannot be read, or has an invalid key or value.
    """

    @taking(RuntimeOptions)
    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._pool = WorkerPool(options.workers, options.reuse, yields=options.tenancy is not None)
        self._host = Host(options)
        self._runs = Runs(self._host, self._pool, options.tenancy)
        _runtimes.add(self)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[bytes], Runtime], tuple[bytes]]:
        """Pickle the options of the runtime, so that another process can create a runtime with the same options.

        A process that unpickles several runtimes with equal options gets only one runtime. This process reads the
        credentials from their sources itself. It does without ``approve``, ``warn`` and ``trace``.

        Raises:
            TypeError: An option could contain a credential or a connection, which cannot be pickled.
        """
        return _opened, (self._options.but(limits=self.limits).packed(),)

    @property
    def limits(self) -> Limits:
        """The limits of each run."""
        return self._host.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._host.limits = limits

    @property
    def catalog(self) -> Catalog:
        """The catalog of all integrations, with their accounts and functions."""
        return self._host.catalog

    def checker(self, *, is_complete: bool = True) -> Checker:
        """Return a checker, which finds mistakes in a script without running it.

        The checker knows the integrations, accounts and secrets of this runtime.

        Args:
            is_complete: Whether scripts have no secrets besides those of this runtime. If this is False and there is no
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

    def denies_script(self, name: str) -> bool:
        """Return True if the option ``deny`` of the runtime denies calls of the user's script ``name``."""
        return any(patterns.fitting_script(name) for patterns in self._host.deny)

    @property
    def budgets(self) -> Budgets | None:
        """The budgets of the accounts file; None if it has none, or nothing is sent."""
        return self._host.budgets

    @property
    def recordings(self) -> Recordings:
        """The settings in ``[kosmolua.recordings]`` of the accounts file."""
        return self._host.accounts.sections.recordings

    @property
    def store(self) -> Store:
        """The store, which keeps recordings made without a file name, and calls that wait for approval."""
        return self._host.store

    @property
    def recordings_folder(self) -> str:
        """The path of the folder for recordings made without a file name. The folder need not exist yet."""
        return self._host.recordings_folder

    @property
    def plans(self) -> KeptPlans:
        """The plans that the store keeps by their ids."""
        return self._host.plans

    @property
    def is_running(self) -> bool:
        """True if a script is running or waits for a worker."""
        return self._runs.is_running

    @property
    def is_simulated(self) -> bool:
        """True if simulators answer the calls, instead of the services."""
        return self._host.mode == "simulated"

    @property
    def load(self) -> Load:
        """How many scripts can run at once, how many run now, and how many wait."""
        return self._pool.load

    def share_workers(self, enter: Callable[[], Slot], enter_queue: Callable[[], Slot], among: int = 1) -> None:
        """Share the workers with other processes: a script runs only while it also has one of their common slots.

        Call this before the first run. ``enter`` enters the line for a slot, ``enter_queue`` that for a place in the
        common queue of scripts that wait, each in a thread of its own. ``among`` processes of one server share this
        queue, in equal parts.
        """
        self._pool.share(enter, enter_queue, among)

    @property
    def docs(self) -> Library:
        """The documentation, with the methods ``list``, ``search`` and ``read``."""
        return self._host.docs

    def load_integrations(self) -> None:
        """Load all integrations, and compile the OpenAPI documents that have changed, before a call needs them.

        Another process compiles if the option ``apart`` provides one.
        """
        self._host.load_integrations()

    def warm(self) -> None:
        """Start a sandbox process in the background, so that the first script need not wait for its start."""
        self._pool.warm()

    def run(self, source: str | bytes | os.PathLike[str], **options: Unpack[RunOptions]) -> Outcome:
        """Run a script in a separate process, and wait until it has ended.

        The process is a new one, unless the runtime's option ``reuse`` is greater than 1.

        Args:
            source: The text of the script, or its file as a :class:`pathlib.Path`.
            options: The options of the run, which :class:`kosmolua.runs.RunOptions` describes.

        Returns:
            The outcome of the script. If the script failed or a limit ended it, the outcome has the error.

        Raises:
            ConfigError: A limit is out of bounds, a pattern matches no function, ``input`` is too large, or the file
                cannot be read.
            TypeError: An option is unknown or has a value of the wrong type.
        """
        return self._runs.execute(self._runs.prepare(source, options))

    def run_file(self, path: str | os.PathLike[str], **options: Unpack[RunOptions]) -> Outcome:
        """Run the script in a file, like :meth:`run`.

        Raises:
            ConfigError: The file cannot be read, or as for :meth:`run`.
        """
        from pathlib import Path

        return self.run(Path(path), **options)

    def replay(
        self,
        path: str | os.PathLike[str] | Recording,
        script: str | bytes | None = None,
        **options: Unpack[RunOptions],
    ) -> Outcome:
        """Run a recorded script again, with all answers from its recording. No network, accounts or waiting are needed.

        Args:
            path: The file of the recording, or a recording that was read already, for instance from the store.
            script: The text of a script to run instead of the recorded script.
            options: The options of the run, as for :meth:`run`. By default the script's name, arguments, ``input``,
                ``params``, account and limits are those in the recording.

        Returns:
            The outcome, with the recorded calls. If the script makes a request that was not recorded, the error of the
            outcome has the code ``diverged``. A recorded session has one outcome for all of its chunks.

        Raises:
            ConfigError: The recording cannot be read, or a line of it is damaged.
        """
        from kosmolua.recordings.recording import Recording, read
        from kosmolua.runs.recorded import limits_of, options_of, replaying, source_of

        runs = self._runs
        recording = path if isinstance(path, Recording) else read(path)
        limits = limits_of(recording, self._host)
        if recording.is_session and script is None:
            from kosmolua.runs.session_recording import repeat

            return repeat(
                recording,
                lambda source, given, replay: runs.execute(runs.prepare(source, given, replay, limits)),
                options,
            )
        recorded = source_of(recording.script)
        source = recorded if script is None else as_bytes(script)
        replay = replaying(recording, is_changed=source != recorded)
        given: RunOptions = {**options_of(recording), **options, "check": False}  # type: ignore[typeddict-item]
        return runs.execute(runs.prepare(source, given, replay, limits))

    def record_session(self, session: Session, path: str | os.PathLike[str] | None = None) -> str:
        """Begin to record the chunks of a session, and return the path of the recording.

        The session's method ``end_recording`` ends the recording.

        Args:
            session: The session.
            path: The file of the recording, which must not exist yet; by default the recording is kept in the store.

        Raises:
            ConfigError: The recording cannot be written.
        """
        from kosmolua.runs.session_recording import SessionRecorder

        self._runs.check_open()
        session.recorder = SessionRecorder(self._host, path, self._host.limits, session.input)
        return session.recorder.path

    def plan(self, source: str | bytes, **options: Unpack[RunOptions]) -> Plan:
        """Run a script, but only list its writes in a plan instead of sending them. Reads are sent to the services.

        As the result of a write the script gets a placeholder of the declared type. If the script passes a placeholder
        to a later call, the plan says that this call depends on the write. If the script reads a field of a
        placeholder, the plan names the line in which it does so. ``sleep`` passes at once.

        Args:
            source: The text of the script.
            options: The options of the run, as for :meth:`run`.

        Returns:
            The plan. Its attribute ``outcome`` is the outcome of the script.

        Raises:
            ConfigError: A limit is out of bounds, a pattern matches no function, or ``input`` is too large.
            TypeError: An option is unknown or has a value of the wrong type.
        """
        from kosmolua.runs.applying import planning

        return self._runs.carry_out(planning(self._runs, source, options))

    async def plan_async(self, source: str | bytes, **options: Unpack[RunOptions]) -> Plan:
        """Make a plan like :meth:`plan`, but without blocking the event loop."""
        from kosmolua.runs.applying import planning

        return await self._runs.carry_out_async(planning(self._runs, source, options))

    def apply(
        self,
        plan: Plan,
        *,
        without: Iterable[int] = (),
        accept_changes: bool = False,
        again: bool | Sequence[int] = False,
        done: Mapping[int, object] | None = None,
        accept_accounts: bool | Callable[[str], bool] = False,
        **options: Unpack[RunOptions],
    ) -> Outcome:
        """Run the script of a plan, and allow exactly the planned writes, each of them once.

        First the script runs without its writes, with the plan's readings of clocks and random numbers, and its reads
        are made again. If it would write something else than the plan lists, the plan is stale, and nothing is sent.

        A write that is not in the plan is denied before it is sent. Calls that the permissions deny stay denied.

        The run is recorded, by default in the store, and the plan is marked, also in its file, before the script
        begins. If its application ended early, for instance since its process was killed, this method continues it like
        :meth:`resume`.

        Args:
            plan: The plan. It is marked as applied, unless it is stale.
            without: The numbers of writes that are not made. Neither are those that take their results.
            accept_changes: Whether to apply the plan although what the script reads has changed, as long as no write
                would have other arguments than in the plan.
            again: True to apply the plan from the start even if it was applied before. Or the numbers of the writes
                without an answer that are sent again, see :meth:`resume`.
            done: For each write without an answer that was done: its number, and the result that the script gets.
            accept_accounts: Continue although an account has changed, see :meth:`resume`.
            options: The options of the run, as for :meth:`run`. A missing ``name``, ``args``, ``input``, ``params`` or
                ``account`` is taken from the plan.

        Returns:
            The outcome of the script. Its warnings list the planned writes that the script did not make. The error of
            a stale plan is a :class:`kosmolua.errors.Stale`.

        Raises:
            ConfigError: The plan was applied before, is being applied now, or cannot be marked. Or only one of the two
                uses simulators: the run that made the plan or this runtime. Or it has no such write.
            Denied: The plan is refused: a run would refuse one of its calls.
            UnderWay: A write has no answer and may have been done, and neither ``done`` nor ``again`` names it.
        """
        from kosmolua.recordings.planned import Application
        from kosmolua.runs.applying import applying
        from kosmolua.runs.resuming import Decisions

        numbers = () if isinstance(again, bool) else again
        decisions = Decisions(done=done or {}, again=numbers, accept_accounts=accept_accounts)
        steps = applying(
            self._runs,
            Application(plan, without),
            decisions,
            options,
            anew=again is True,
            accept_changes=accept_changes,
        )
        return self._runs.carry_out(steps)

    async def apply_async(
        self,
        plan: Plan,
        *,
        without: Iterable[int] = (),
        accept_changes: bool = False,
        again: bool | Sequence[int] = False,
        done: Mapping[int, object] | None = None,
        accept_accounts: bool | Callable[[str], bool] = False,
        agreed: bool = True,
        **options: Unpack[RunOptions],
    ) -> Outcome:
        """Apply a plan like :meth:`apply`, but without blocking the event loop.

        If no person has ``agreed`` to the plan, its writes need the usual permissions.
        """
        from kosmolua.recordings.planned import Application
        from kosmolua.runs.applying import applying
        from kosmolua.runs.resuming import Decisions

        numbers = () if isinstance(again, bool) else again
        decisions = Decisions(done=done or {}, again=numbers, accept_accounts=accept_accounts)
        steps = applying(
            self._runs,
            Application(plan, without, is_agreed=agreed),
            decisions,
            options,
            anew=again is True,
            accept_changes=accept_changes,
        )
        return await self._runs.carry_out_async(steps)

    def check_applicable(self, plan: Plan) -> None:
        """Refuse a plan that :meth:`apply` would refuse before it runs the script.

        Raises:
            ConfigError: The plan was applied before or is being applied now, it was made in another mode, or an account
                has changed.
            Denied: The plan is refused.
        """
        from kosmolua.runs.planned import applied_before, check_applicable

        with self._host.telling():
            check_applicable(plan, self._host)
            applied_before(plan, self._host)

    def undo(
        self,
        run: str | os.PathLike[str] | Recording,
        /,
        calls: Sequence[int] = (),
        *,
        accept_accounts: bool | Callable[[str], bool] = False,
        accept_changes: bool | Callable[[str], bool] = False,
        **options: Unpack[RunOptions],
    ) -> Plan:
        """Make a plan of the calls that undo what a recorded run wrote, the newest first. :meth:`apply` makes them.

        Args:
            run: The file of the recording, the run's id in the store, or a recording that was read already.
            calls: The numbers of the calls to undo; by default all that wrote.
            accept_accounts: Whether to undo them although an account has changed, see :meth:`resume`.
            accept_changes: Whether to undo them although another value is there now than the run wrote, or although
                they are undone already; a callback gets a sentence and can ask.
            options: The options of the run, as for :meth:`plan`.

        Returns:
            The plan. Its attribute ``lost`` has a sentence for each write that cannot be undone.

        Raises:
            ConfigError: The recording cannot be read, a call with such a number wrote nothing, or an account changed.
                Or only one of the two uses simulators: the recorded run or this runtime. Or they are undone already.
            Stale: Another value is there now than the run wrote.
        """
        from kosmolua.recordings.kept_plans import UNDO
        from kosmolua.recordings.recording import Recording, read
        from kosmolua.runs.undoing import SCRIPT, check_not_overwriting, way_back

        with self._host.telling():
            if not isinstance(run, Recording):
                run = read(run) if os.path.exists(run) else self.store.read(os.fspath(run))
            steps, lost = way_back(self._host, run, calls, accept_accounts=accept_accounts)
        title = f"Undo: {run.title or run.script['name'].removeprefix('=')}"
        named: RunOptions = {"name": f"{UNDO}{run.header['run']}", "title": title}
        given: RunOptions = {**named, **options, "input": steps}
        plan = self.plan(SCRIPT, **given)
        check_not_overwriting(plan, run, self.plans.undone(run.header["run"]), accept=accept_changes)
        plan.lost = lost
        plan.sign(self._host.signer)
        return plan

    def resume(
        self,
        path: str | os.PathLike[str] | Recording,
        *,
        script: str | bytes | None = None,
        approve: Sequence[int | Approve] | bool | Approve = (),
        deny: Sequence[int] | Sequence[str] | bool = (),
        done: Mapping[int, object] | None = None,
        again: Sequence[int] = (),
        accept_accounts: bool | Callable[[str], bool] = False,
        **options: object,
    ) -> Outcome:
        """Continue a recorded run that ended early, for instance at a limit, with an error, or when its process died.

        The script runs again from its start. Recorded calls are answered from the recording. All further calls are
        made, and are appended to the recording. A write that is recorded as done is never sent again. A call whose
        error ended the script is made again, unless it is a write that the service may have carried out.

        Args:
            path: The file of the recording, or a recording that was read already, for instance from the store.
            script: The text of a corrected script; by default the script that ran last.
            approve: The numbers of the waiting calls that are approved, or True for all of them. Or a function that
                asks a person to approve calls, like the option ``approve`` of :meth:`run`; or a list of both.
            deny: The numbers of the waiting calls that are denied, or True for all of them. Or patterns of functions
                that are denied, like the option ``deny`` of :meth:`run`.
            done: For each write that has no answer but was done: its number, and the result that the script gets for
                it.
            again: The numbers of the writes without an answer that are sent again.
            accept_accounts: Continue the run although an account that it used leads elsewhere, has other settings, or
                is no longer the default. Or a function that gets a sentence about this, and returns True to continue.
            options: The options of the run, as for :meth:`run`. By default the script's name, arguments, ``input``,
                ``params``, account and limits are those in the recording. A run that was read-only stays
                read-only, and functions that were denied stay denied.

        Returns:
            The outcome of the whole run, including the earlier calls. A run that is already finished is only replayed.

        Raises:
            ConfigError: The recording cannot be read, is damaged, or another run is writing to it. Or an account has
                changed.
            UnderWay: A write has no answer and may have been done, and neither ``done`` nor ``again`` names it.
            Paused: The run paused so long ago that its calls can no longer be approved.
        """
        from kosmolua.runs.resuming import Decisions

        decisions = Decisions(approve, deny, done or {}, again, accept_accounts)
        return self._runs.execute(self._resumed(path, script, decisions, options))

    async def resume_async(
        self,
        path: str | os.PathLike[str] | Recording,
        *,
        script: str | bytes | None = None,
        approve: Sequence[int | Approve] | bool | Approve = (),
        deny: Sequence[int] | Sequence[str] | bool = (),
        done: Mapping[int, object] | None = None,
        again: Sequence[int] = (),
        accept_accounts: bool | Callable[[str], bool] = False,
        **options: object,
    ) -> Outcome:
        """Continue a recorded run like :meth:`resume`, but without blocking the event loop.

        If the task is cancelled, the script ends.
        """
        from kosmolua.runs.resuming import Decisions

        decisions = Decisions(approve, deny, done or {}, again, accept_accounts)
        return await self._runs.execute_async(self._resumed(path, script, decisions, options))

    def _resumed(
        self,
        path: str | os.PathLike[str] | Recording,
        script: str | bytes | None,
        decisions: Decisions,
        options: Mapping[str, Any],
    ) -> Run:
        from kosmolua.recordings.recording import Recording, read
        from kosmolua.runs.resuming import resumed

        with self._host.telling():
            recording = path if isinstance(path, Recording) else read(path)
            return resumed(self._runs, recording, script, decisions, options)

    def map(
        self,
        source: str | bytes,
        inputs: Iterable[object] | Mapping[object, object],
        *,
        accounts: Sequence[str] | None = None,
        executor: Executor | None = None,
        limit: int | None = None,
        ordered: bool = False,
        retries: int = 0,
        recordings: str | os.PathLike[str] | None = None,
        **options: Unpack[RunOptions],
    ) -> Generator[Outcome, None, None]:
        """Run a script once for each input, several at a time, and yield each outcome as soon as its run has ended.

        Args:
            source: The text of the script.
            inputs: The inputs, in a list or another iterable, or in a mapping. Each is the value of the script's
                variable ``input`` in one run, and of ``params`` if the script declares its parameters in a header. In a
                mapping each input has a key; otherwise its key is its index. An iterable is read only as its inputs are
                needed.
            accounts: Names of accounts. Each input is run once with each of them as the default account.
            executor: An executor that runs the scripts, with the interface of :mod:`concurrent.futures`, such as that
                of a dask cluster. By default scripts run in threads of this process. If the executor uses other
                processes, each of them creates a runtime with the same options.
            limit: The most runs that are submitted to the executor at once; by default a few for each of its workers.
            ordered: Yield the outcomes in the order of the inputs.
            retries: How many times a run is repeated if it failed for a temporary reason and has written nothing.
            recordings: A folder in which each run is recorded. If the recording of a run already exists, the run is
                resumed. So no write is repeated, even if an executor such as dask repeats the tasks of a process that
                died. Other processes need this folder at the same path.
            options: The options of each run, which :class:`kosmolua.runs.RunOptions` describes.

        Yields:
            The outcome of each run. Its attributes ``key`` and ``account`` say which input and account the run had.

        Raises:
            ConfigError: A name in ``accounts`` is not the name of an account.
            TypeError: The runtime or an input cannot be sent to another process.
        """
        from kosmolua.fleet.executors import limit_of, opened
        from kosmolua.fleet.fleet import Fleet
        from kosmolua.fleet.recordings import FleetRecordings
        from kosmolua.fleet.tasks import FleetScript, tasks_of

        self._runs.check_open()
        for account in accounts or ():
            self.catalog.check_account(account)
        given = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
        kept = None if recordings is None else FleetRecordings(recordings, are_kept=True)
        tasks = tasks_of(given, accounts or (), kept)
        script = FleetScript(as_bytes(source), options)
        with nullcontext((executor, 0)) if executor else opened(None, limit or self._pool.workers) as (chosen, usual):
            fleet = Fleet(self, script, chosen, limit or usual or limit_of(chosen), retries=retries, ordered=ordered)
            yield from fleet.run(tasks)

    async def map_async(
        self, source: str | bytes, inputs: Iterable[object] | Mapping[object, object], **options: Unpack[MapOptions]
    ) -> AsyncIterator[Outcome]:
        """Run a script once for each input like :meth:`map`, without blocking the event loop.

        If the caller stops early, no further run begins, and those that are under way end.
        """
        import asyncio

        outcomes = self.map(source, inputs, **options)
        following: asyncio.Future[Outcome | None] | None = None
        try:
            while True:
                following = asyncio.ensure_future(asyncio.to_thread(next, outcomes, None))
                if (outcome := await asyncio.shield(following)) is None:
                    return
                yield outcome
        finally:
            if following:
                await asyncio.wait([following])
            await asyncio.to_thread(outcomes.close)

    async def run_async(self, source: str | bytes | os.PathLike[str], **options: Unpack[RunOptions]) -> Outcome:
        """Run a script like :meth:`run`, without blocking the event loop. If the task is cancelled, the script ends.

        The callbacks ``on_output``, ``watch`` and ``approve`` are not called in the thread of the event loop.
        """
        return await self._runs.execute_async(self._runs.prepare(source, options))

    def call(
        self, path: str, arguments: Mapping[str, object] | Sequence[object] | None = None, /, **named: object
    ) -> Json:
        """Call a function of an integration directly from Python, and return its result.

        A secret in the result is a :class:`kosmolua.plugin.Secret`. A list that was cut at the limit ``max_items`` is a
        :class:`kosmolua.protocol.Truncated`.

        Args:
            path: The function, as ``INTEGRATION.FUNCTION`` or ``INTEGRATION.ACCOUNT.FUNCTION``.
            arguments: A mapping with the arguments by name, or a list with the arguments in the order of the function's
                parameters. Both can contain secrets, as :class:`kosmolua.plugin.Secret`.
            named: Arguments by name, in place of the mapping or in addition to it.

        Raises:
            CallError: The call was refused, or it failed.
            LimitExceeded: The service did not answer in time, or the result is larger than allowed.
            ConfigError: The accounts file has an invalid key or value.
            TypeError: The arguments are given as a text, or as a list and by name.
        """
        if isinstance(arguments, (str, bytes)):
            raise TypeError(
                f"the arguments of a call are a mapping or a list, not {arguments!r}: write [{arguments!r}]"
            )
        if isinstance(arguments, Mapping) or (named and arguments is None):
            return self.call_watched(path, [{**(arguments or {}), **named}])
        if named:
            raise TypeError("the arguments of a call are either a list or named, not both")
        return self.call_watched(path, arguments or ())

    async def call_async(
        self, path: str, arguments: Mapping[str, object] | Sequence[object] | None = None, /, **named: object
    ) -> Json:
        """Make a call like :meth:`call`, without blocking the event loop. A call that was begun is not cancelled."""
        import asyncio

        return await asyncio.to_thread(self.call, path, arguments, **named)

    def call_watched(self, path: str, arguments: Sequence[object], watch: Watch | None = None) -> Json:
        """Make a call like :meth:`call`, with the arguments as a script passes them.

        ``watch`` is called when the call starts and when it ends.
        """
        from kosmolua.broker.secrets import revealed

        if "opentelemetry.trace" in sys.modules:
            from kosmolua.runs import spans

            watch = spans.watching(watch)
        broker = self._broker(Clock(self._host.limits.timeout), watch)
        with self._host.telling(), self._runs.active.one_more():
            return broker.handed_out(broker.call(path, revealed(arguments)))

    def redact(self, text: str) -> str:
        """Return a copy of a text in which each secret that the runtime uses is replaced by a mask."""
        return self._host.redactor.text(text)

    def identify(self, integration: str, account: str) -> str:
        """Ask the service whose account this is, with one cheap call. Return the answer, such as a user's name.

        Args:
            integration: The name of the integration.
            account: The name of the account in the accounts file.

        Raises:
            CallError: The account cannot be used, or the call failed.
            PluginError: The integration cannot be loaded.
        """
        broker = self._broker(Clock(self._host.limits.timeout))
        with self._runs.active.one_more():
            return broker.identify(self.catalog.integration(integration), account)

    def end_parked(self, recording: Recording) -> None:
        """End a recorded run that sleeps, instead of resuming it at its time: it is interrupted then.

        Raises:
            ConfigError: Another process is writing the recording, or it cannot be written.
        """
        from kosmolua.runs.recorded import end_parked

        end_parked(self._host, recording)

    def interrupt(self, run: str) -> None:
        """End the script of the run with this id, if it is active or waits for a worker. Its outcome says so."""
        self._runs.interrupt(run)

    def reopen_journal(self) -> None:
        """Reopen the journal, for instance after the journal's file was renamed. A server does this on SIGHUP."""
        self._host.journal.reopen()

    def close(self) -> None:
        """End all scripts and workers, and close the connections and the journal.

        What would run or call something afterwards raises RuntimeError. This waits up to :data:`CLOSE_TIMEOUT` seconds
        for other threads to write their calls to the journal.
        """
        self._runs.close()
        self._pool.close()
        self._runs.active.wait(CLOSE_TIMEOUT)
        self._host.close()

    def _broker(self, clock: Clock, watch: Watch | None = None) -> Broker:
        """Return a broker, which carries out a call that comes from Python and not from a script."""
        from kosmolua.broker.broker import Broker

        self._runs.check_open()
        return Broker(self._host, RunContext(clock, self._host.limits, approve=self._host.approve, watch=watch))

    def _start_anew(self) -> None:
        """Replace workers and connections in the child process after a fork: their threads do not exist here."""
        self._runs.start_anew()
        self._pool.start_anew()
        self._host.start_anew()


def _opened(options: bytes) -> Runtime:
    """Return the runtime of this process that has these packed options. The first call with the options creates it."""
    with _opening:
        if options not in _by_options:
            _by_options[options] = Runtime(**RuntimeOptions.unpacked(options))
        return _by_options[options]


def _start_all_anew() -> None:
    for runtime in _runtimes:
        runtime._start_anew()


_runtimes: WeakSet[Runtime] = WeakSet()
_by_options: dict[bytes, Runtime] = {}
_opening = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)
