"""The runtime puts the rooms together once, and runs scripts, makes calls and serves documentation."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from kosmolua.clock import Clock
from kosmolua.concurrency import LOCK, Occupancy, computed, once
from kosmolua.errors import NetworkError
from kosmolua.folders import accounts_file
from kosmolua.limits import ADJUSTABLE, Limits
from kosmolua.processes.pool import Workers
from kosmolua.runs.run import OPTIONS, Outcome, Run, lend

# What only a call needs is imported by the first call: a script that makes none starts without it.
if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from types import TracebackType

    from typing_extensions import Unpack

    from kosmolua.accounts.accounts import Accounts
    from kosmolua.broker.backends import Backend
    from kosmolua.broker.broker import FrontDesk
    from kosmolua.broker.calls import Dispatcher
    from kosmolua.broker.journal import Journal, Watch
    from kosmolua.broker.permissions import Approve
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.catalog.plugins import Named, Plugins
    from kosmolua.docs import Library
    from kosmolua.runs.run import RunOptions
    from kosmolua.secret import Redactor

Warn = Callable[[str], None]
DEFAULT_WORKERS = 32
LONGEST_FAREWELL = 2.0
"""Seconds for which closing waits until other threads have ended what they were doing, and noted it."""


def _ignore(_: object) -> None:
    return


class Runtime:
    """Runs scripts with a user's accounts. Any number of threads may use one runtime; runs are independent.

    A fork of the process that is made while no thread uses it, such as a web server's, may use it too, with workers and
    connections of its own.

    On Linux the first run makes this process undumpable, so that no process of the same user reads its memory:
    debuggers and profilers can attach as root only, and it leaves no core dump.

    Args:
        accounts: The accounts file, or what would be in it; by default ``KOSMOLUA_ACCOUNTS``, else the user's own, else
            none.
        simulate: Answer calls from the integrations' simulators: no network, no credentials.
        plugins: Integrations beside the installed ones, one or several: a file, a package folder or the integration
            itself. A :class:`kosmolua.catalog.plugins.Plugins` says what there is in place of the installed ones too.
        backend: Answers calls, in place of the services and the simulators.
        read_only: Deny every write.
        yes: Allow what the permissions say to ask about.
        approve: Asks a person about a call; without it, what has to be asked is refused.
        limits: The limits of each run; ``[kosmolua.limits]`` of the accounts file applies where None.
        journal: A file to which a line is appended for each call.
        workers: How many scripts run at once; more wait in the order in which they came. A callback that runs a script
            of its own needs one more.
        require_isolation: Run nothing where the system lacks a layer of those around the sandbox, such as ``seccomp``;
            without it, ``Outcome.usage["isolation"]`` says which there were.
        warn: Told of what is unwise but works, as one sentence.
        environ: The environment that secrets may come from.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not.
    """

    def __init__(
        self,
        accounts: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        simulate: bool = False,
        plugins: Named | Sequence[Named] | Plugins = (),
        backend: Backend | None = None,
        read_only: bool = False,
        yes: bool = False,
        approve: Approve | None = None,
        limits: Limits | None = None,
        journal: str | os.PathLike[str] | None = None,
        workers: int = DEFAULT_WORKERS,
        require_isolation: bool = False,
        warn: Warn = _ignore,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._environ = environ
        self._accounts_source, self._accounts_path = _source_of(accounts, environ)
        self._given_plugins = plugins
        self._given_backend = backend
        self._simulate = simulate
        self._read_only = read_only
        self._yes = yes
        self._approve = approve
        self._journal_path = journal
        self._warn = warn
        self._workers = Workers(workers)
        self._most = workers
        self._runs: set[Run] = set()
        self._at_work = Occupancy()
        self._is_closed = False
        self._lock = RLock()
        self._isolated = require_isolation
        self.limits = limits or (Limits() if self._accounts_source is None else self._accounts.limits(Limits()))
        if self._given_plugins or self._accounts_source is not None:
            self._check_sections()
        if journal is not None:
            self._journal  # noqa: B018 - opens the file, so that it fails here where it cannot be opened
        _runtimes.add(self)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all scripts and workers, and close connections and the journal; nothing can be run or called any more.

        It waits, not for long, until other threads have noted what became of their calls.
        """
        with self._lock:
            self._is_closed, runs = True, list(self._runs)
        for run in runs:
            run.stop()
        if computed(self, "_threads"):
            self._threads.shutdown(wait=False)
        self._workers.close()
        self._at_work.wait(LONGEST_FAREWELL)
        if computed(self, "_backend"):
            self._backend.close()
        if computed(self, "_journal"):
            self._journal.close()

    def _start_anew(self) -> None:
        """In a fork of the process: drop the parent's locks, workers and connections; its threads are not here."""
        self._lock = RLock()
        self._runs = set()
        self._at_work = Occupancy()
        self._workers.start_anew()
        vars(self).pop("_threads", None)
        vars(self).pop(LOCK, None)
        if not (self._given_backend or self._simulate):
            vars(self).pop("_backend", None)

    @once
    def catalog(self) -> Catalog:
        """Every integration, with its accounts and functions."""
        from kosmolua.catalog.catalog import Catalog

        return Catalog(self._plugins, self._accounts)

    @once
    def _accounts(self) -> Accounts:
        from kosmolua.accounts import accounts

        return accounts.read(
            self._accounts_source,
            usual=self._accounts_path,
            environ=self._environ,
            redactor=self._redactor,
            simulate=self._simulate,
            warn=self._warn,
        )

    @once
    def _redactor(self) -> Redactor:
        from kosmolua.secret import Redactor

        return Redactor()

    @once
    def docs(self) -> Library:
        """The documentation: ``list``, ``search`` and ``read``."""
        from kosmolua.docs import Library

        return Library(self.catalog)

    def run(self, source: str | bytes, **options: Unpack[RunOptions]) -> Outcome:
        """Run a script in a process of its own.

        Args:
            source: Its text.
            options: As :class:`kosmolua.runs.run.RunOptions` names them.

        Returns:
            The outcome; a script that fails, or meets a limit, is an outcome too.

        Raises:
            ConfigError: A limit is out of bounds.
            TypeError: There is no such option, or it is of another type.
            WorkerLost: No process can be started for the script.
            RuntimeError: The runtime is closed.
        """
        return self._execute(self._prepare(source, options))

    async def run_async(self, source: str | bytes, **options: Unpack[RunOptions]) -> Outcome:
        """Run a script like :meth:`run`, from asyncio. Cancelling the task ends the script.

        ``on_output``, ``watch`` and ``approve`` are called in another thread than the event loop's.
        """
        import asyncio

        run = self._prepare(source, options)
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._execute, run)
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
        """Make one call without Lua and return its value.

        Args:
            path: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``.
            args: Arguments by name, or in declared order.
            watch: Told of the call's record when it starts and when it ends.

        Raises:
            CallError: The call was refused, or it failed.
            LimitExceeded: The service had not answered when the time was over, or the value is larger than allowed.
            ConfigError: The accounts file says something that it may not.
            RuntimeError: The runtime is closed.
        """
        self._check_open()
        given = [dict(args)] if isinstance(args, Mapping) else list(args or ())
        clock = Clock(self.limits.timeout)
        dispatcher = self._dispatcher(clock, self.limits, watch, self._approve)
        try:
            with self._at_work.one_more():
                return json.loads(dispatcher.call(path, given))
        except NetworkError as error:
            if clock.left:
                raise
            limit = self.limits.exceeded("wall", "call")
            if error.hint:
                limit.advise(error.hint)
            raise limit from error

    def identify(self, integration: str, account: str) -> str:
        """Make one cheap call with an account and return who it is, in the service's words.

        Raises:
            CallError: The account cannot be used, or the call failed.
            PluginError: The integration cannot be loaded.
            RuntimeError: The runtime is closed.
        """
        self._check_open()
        dispatcher = self._dispatcher(Clock(self.limits.timeout), self.limits, None, self._approve)
        with self._at_work.one_more():
            return dispatcher.identify(self.catalog.integration(integration), account)

    def redact(self, text: str) -> str:
        """Return text with a mask in place of each secret that is in use."""
        return self._redactor.text(text)

    def _prepare(self, source: str | bytes, options: RunOptions) -> Run:
        _check_options(options)
        changes: dict[str, Any] = {name: options.get(name) for name in ADJUSTABLE}
        limits = self.limits.but(**changes)
        child = options.get("child")
        run = Run(
            source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source,
            name=options.get("name", "script.lua"),
            arguments=options.get("args", ()),
            limits=limits,
            make_desk=partial(self._make_desk, limits, read_only=options.get("read_only", False)),
            take=lend(child) if child else self._workers.take,
            on_output=options.get("on_output", _ignore),
            watch=options.get("watch"),
            approve=options.get("approve") or self._approve,
            isolated=self._isolated,
        )
        with self._lock:
            self._check_open()
            self._runs.add(run)
        return run

    def _execute(self, run: Run) -> Outcome:
        try:
            with self._at_work.one_more():
                return run.execute()
        finally:
            with self._lock:
                self._runs.discard(run)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("this runtime is closed")

    def _make_desk(
        self, limits: Limits, clock: Clock, watch: Watch | None, approve: Approve | None, *, read_only: bool
    ) -> FrontDesk:
        from kosmolua.broker.broker import FrontDesk

        dispatcher = self._dispatcher(clock, limits, watch, approve, read_only=read_only)
        return FrontDesk(self.catalog, dispatcher, lambda: self.docs, self._redactor, limits)

    def _dispatcher(
        self,
        clock: Clock,
        limits: Limits,
        watch: Watch | None,
        approve: Approve | None,
        *,
        read_only: bool = False,
    ) -> Dispatcher:
        from kosmolua.broker.calls import Dispatcher
        from kosmolua.broker.permissions import Policy

        read_only = self._read_only or read_only
        policy = Policy(self._accounts, clock, read_only=read_only, yes=self._yes, approve=approve)
        return Dispatcher(
            run=os.urandom(6).hex(),
            clock=clock,
            limits=limits,
            catalog=self.catalog,
            accounts=self._accounts,
            backend=lambda: self._backend,
            policy=policy,
            journal=self._journal,
            redactor=self._redactor,
            watch=watch,
        )

    @once
    def _journal(self) -> Journal:
        from kosmolua.broker.journal import Journal

        return Journal(self._journal_path, self._redactor, self._warn)

    @once
    def _plugins(self) -> Plugins:
        from kosmolua.catalog.plugins import Plugins

        return self._given_plugins if isinstance(self._given_plugins, Plugins) else Plugins(self._given_plugins)

    @once
    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self._most, thread_name_prefix="kosmolua-run")

    @once
    def _backend(self) -> Backend:
        if self._given_backend:
            return self._given_backend
        if self._simulate:
            from kosmolua.broker.backends import Simulated

            return Simulated()
        from kosmolua.broker.backends import Live

        return Live()

    def _check_sections(self) -> None:
        plugins = self._plugins
        for name in self._accounts.sections():
            plugins.require(name, f"{self._accounts.path}: [{name}]")


def _check_options(options: RunOptions) -> None:
    for option in options:
        if option not in OPTIONS:
            raise TypeError(f"a run has no option {option!r}")
    name, arguments = options.get("name", ""), options.get("args", ())
    if not isinstance(name, str):
        raise TypeError(f"the name of a script must be a string, not {name!r}")
    if isinstance(arguments, str) or not all(isinstance(argument, str) for argument in arguments):
        raise TypeError(f"the arguments of a script must be a list of strings, not {arguments!r}")


def _source_of(
    accounts: str | os.PathLike[str] | Mapping[str, Any] | None, environ: Mapping[str, str]
) -> tuple[str | Mapping[str, Any] | None, str]:
    """Return what to read accounts from, or None, and what messages call it."""
    if isinstance(accounts, Mapping):
        return accounts, "the accounts given"
    path, exists = accounts_file(accounts, environ)
    return (path if exists else None), path


def _start_all_anew() -> None:
    for runtime in _runtimes:
        runtime._start_anew()


_runtimes: WeakSet[Runtime] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)
