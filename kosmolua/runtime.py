"""The runtime puts the rooms together once, and runs scripts, makes calls and serves documentation."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kosmolua import accounts as accounts_file
from kosmolua import values
from kosmolua.catalog import Catalog
from kosmolua.dispatch import Dispatcher
from kosmolua.errors import PluginError, PluginFault
from kosmolua.journal import Journal, Record
from kosmolua.limits import Limits
from kosmolua.outcome import Outcome
from kosmolua.plugins import Plugins
from kosmolua.policy import Approve, Policy
from kosmolua.secret import Redactor
from kosmolua.supervisor import Child, Supervision

if TYPE_CHECKING:
    from kosmolua.backends import Backend
    from kosmolua.docs import Library

Warn = Callable[[str], None]


def _ignore(_: object) -> None:
    return


class Runtime:
    """Runs scripts with a user's accounts. Any number of threads may use one runtime; runs are independent.

    Args:
        accounts: The accounts file; by default ``KOSMOLUA_ACCOUNTS``, else the user's own, else none.
        simulate: Answer calls from the integrations' simulators: no network, no credentials.
        plugins: Integrations to load beside the installed ones: a file or a package folder each.
        read_only: Deny every write.
        yes: Allow what the permissions say to ask about.
        approve: Asks a person about a call; without it, what has to be asked is refused.
        limits: The limits of each run; ``[kosmolua.limits]`` of the accounts file applies where None.
        journal: A file to which a line is appended for each call.
        warn: Told of what is unwise but works, as one sentence.
        environ: The environment that secrets may come from.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not.
    """

    def __init__(
        self,
        accounts: str | os.PathLike[str] | None = None,
        *,
        simulate: bool = False,
        plugins: Sequence[str | os.PathLike[str]] = (),
        read_only: bool = False,
        yes: bool = False,
        approve: Approve | None = None,
        limits: Limits | None = None,
        journal: str | os.PathLike[str] | None = None,
        warn: Warn = _ignore,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._redactor = Redactor()
        self._accounts = accounts_file.read(
            accounts, environ=environ, redactor=self._redactor, simulate=simulate, warn=warn
        )
        self.limits = limits or self._accounts.limits(Limits())
        self._plugins = Plugins([Path(path) for path in plugins])
        self.catalog = Catalog(self._plugins, self._accounts)
        self._simulate = simulate
        self._read_only = read_only
        self._yes = yes
        self._approve = approve
        self._journal = Journal(journal, self._redactor, warn)
        self._check_sections()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the journal."""
        if "_backend" in self.__dict__:
            self._backend.close()
        self._journal.close()

    @cached_property
    def docs(self) -> Library:
        """The documentation: ``list``, ``search`` and ``read``."""
        from kosmolua.docs import Library

        return Library(self.catalog)

    def run(
        self,
        source: str | bytes,
        *,
        name: str = "script.lua",
        args: Sequence[str] = (),
        read_only: bool = False,
        on_output: Callable[[bytes], None] = _ignore,
        watch: Callable[[Record], None] = _ignore,
        child: Child | None = None,
        timeout: float | None = None,
        cpu: float | None = None,
        memory: int | None = None,
        max_calls: int | None = None,
        max_output: int | None = None,
    ) -> Outcome:
        """Run a script in a process of its own.

        Args:
            source: Its text.
            name: Its name in messages and tracebacks.
            args: What it finds in ``arg`` and ``...``.
            read_only: Deny every write of this run.
            on_output: Is given what it prints, piece by piece, as it happens.
            watch: Told of each call's record when it starts and when it ends.
            child: A worker that was started earlier.
            timeout: Seconds on the wall, for this run only; so for the others, which :class:`Limits` explains.
            cpu: Seconds of processor time.
            memory: Bytes in the Lua VM.
            max_calls: Calls of integration functions.
            max_output: Bytes printed.

        Returns:
            The outcome; a script that fails, or meets a limit, is an outcome too.
        """
        bounds = self.limits.but(timeout=timeout, cpu=cpu, memory=memory, max_calls=max_calls, max_output=max_output)
        printed: list[bytes] = []
        started = monotonic()
        dispatcher = self._dispatcher(bounds, started + bounds.timeout, watch, read_only=read_only)

        def output(piece: bytes) -> None:
            printed.append(piece)
            on_output(piece)

        supervision = Supervision(child or Child(), bounds, _Desk(self, dispatcher), output)
        text = source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source
        ending = supervision.run(text, name, args)
        output_bytes = b"".join(printed)
        return Outcome(
            result=self._redactor.value(ending.result),  # type: ignore[arg-type]
            output=output_bytes.decode("utf-8", "replace"),
            error=ending.error,
            calls=[record.summary() for record in dispatcher.records],
            usage={
                "wall_ms": round((monotonic() - started) * 1000, 1),
                **ending.usage,
                "calls": len(dispatcher.records),
                "output_bytes": len(output_bytes),
            },
        )

    def call(
        self,
        path: str,
        args: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        watch: Callable[[Record], None] = _ignore,
    ) -> Any:
        """Make one call without Lua and return its value.

        Args:
            path: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``.
            args: Arguments by name, or in declared order.
            watch: Told of the call's record when it starts and when it ends.

        Raises:
            CallError: The call was refused, or it failed.
        """
        given = [dict(args)] if isinstance(args, Mapping) else list(args or ())
        dispatcher = self._dispatcher(self.limits, monotonic() + self.limits.timeout, watch)
        return json.loads(dispatcher.call(path, given))

    def identify(self, integration: str, account: str) -> str:
        """Make one cheap call with an account and return who it is, in the service's words.

        Raises:
            CallError: The account cannot be used, or the call failed.
        """
        dispatcher = self._dispatcher(self.limits, monotonic() + self.limits.timeout, _ignore)
        return dispatcher.identify(self.catalog.integration(integration), account)

    def _dispatcher(
        self,
        limits: Limits,
        deadline: float,
        watch: Callable[[Record], None],
        *,
        read_only: bool = False,
    ) -> Dispatcher:
        policy = Policy(self._accounts, read_only=self._read_only or read_only, yes=self._yes, approve=self._approve)
        return Dispatcher(
            run=uuid.uuid4().hex[:12],
            deadline=deadline,
            limits=limits,
            catalog=self.catalog,
            accounts=self._accounts,
            backend=lambda: self._backend,
            policy=policy,
            journal=self._journal,
            redactor=self._redactor,
            watch=watch,
        )

    @cached_property
    def _backend(self) -> Backend:
        if self._simulate:
            from kosmolua.backends.simulated import Simulated

            return Simulated()
        from kosmolua.backends.live import Live

        return Live()

    def _check_sections(self) -> None:
        for name in self._accounts.sections():
            self._plugins.require(name, f"{self._accounts.path}: [{name}]")


class _Desk:
    """Answers a script: the catalog describes, the dispatcher calls, the library documents."""

    def __init__(self, runtime: Runtime, dispatcher: Dispatcher) -> None:
        self._runtime = runtime
        self._dispatcher = dispatcher

    def describe(self, path: str) -> str:
        try:
            return values.encode(self._runtime.catalog.describe(path))
        except PluginError as error:
            name = path.split(".")[1]
            raise PluginFault(f"The integration {name} cannot be loaded: {error.message}") from error

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        return self._dispatcher.call(path, given, fault)

    def doc(self, verb: str, given: Sequence[Any]) -> str:
        from kosmolua.docs.request import answer

        return values.encode(answer(self._runtime.docs, verb, given))
