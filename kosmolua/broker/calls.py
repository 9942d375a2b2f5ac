"""One call, from start to end: budget, policy, arguments, the plugin's function, redaction, journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import BoundedSemaphore, Condition, Lock
from typing import Any

from kosmolua import protocol
from kosmolua.accounts.accounts import Accounts
from kosmolua.broker.backends import Backend, Sender
from kosmolua.broker.faults import blaming, unloadable
from kosmolua.broker.journal import Journal, Record, Summary, Watch
from kosmolua.broker.permissions import Policy
from kosmolua.catalog.catalog import Catalog, Target
from kosmolua.clock import Clock
from kosmolua.errors import (
    BadArguments,
    CallError,
    Interrupted,
    KosmoError,
    NetworkError,
    NotConfigured,
    PluginError,
    PluginFault,
)
from kosmolua.http.errors import LOOK_FIRST
from kosmolua.http.messages import Attempt, Request, Response
from kosmolua.limits import Limits
from kosmolua.protocol import Json, NotJson
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import parts_of
from kosmolua.secret import Redactor

MOST_AT_ONCE = 32
"""Calls of one run with one account that may be under way at once, whatever the script asks for."""

LONGEST_WRITING = 1.0
"""Seconds to wait, when a run is over, for records that are being written."""

_current_record: ContextVar[Record | None] = ContextVar("current_record", default=None)


class Dispatcher:
    """Answers the calls of one run.

    Args:
        run: The id of the run.
        clock: When it has to be over, and with it each call.
        limits: How many calls it may make, and how large a result may be.
        catalog: What paths mean.
        accounts: The settings of each account.
        backend: Returns what answers calls; asked on the first one only.
        policy: Says whether a call may be made.
        journal: Keeps a record of each call.
        redactor: Knows the secrets in use.
        watch: Told of each record when its call starts and again when it ends.
    """

    def __init__(
        self,
        *,
        run: str,
        clock: Clock,
        limits: Limits,
        catalog: Catalog,
        accounts: Accounts,
        backend: Callable[[], Backend],
        policy: Policy,
        journal: Journal,
        redactor: Redactor,
        watch: Watch | None = None,
    ) -> None:
        self._summaries: list[Summary] = []
        self._under_way: dict[int, tuple[Record, Summary]] = {}
        self._closed = False
        self._run = run
        self._clock = clock
        self._limits = limits
        self._catalog = catalog
        self._accounts = accounts
        self._backend = backend
        self._policy = policy
        self._journal = journal
        self._redactor = redactor
        self._watch = watch or (lambda record: None)
        self._accounts_in_use: dict[tuple[str, str], _OpenAccount] = {}
        self._lock = Lock()
        self._written = Condition(self._lock)

    def call(self, path: str, given: Sequence[Json], fault: Mapping[str, str] | None = None) -> str:
        """Make one call and return its value as JSON.

        Args:
            path: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``, also with ``integrations.`` before it.
            given: What the caller passed: nothing, one mapping of named arguments, or values in declared order.
            fault: What kept the caller from passing its arguments: ``where`` and ``problem``.

        Raises:
            CallError: The call was refused or failed; its record says which.
            LimitExceeded: The run may make no more calls, or the value is too large.
        """
        record = Record(self._run, ".".join(parts_of(path)) or path)
        number = self._register(record)
        error: KosmoError | None = None
        try:
            if number > self._limits.max_calls:
                raise self._limits.exceeded("calls")
            return self._answer(record, given, fault)
        except KosmoError as caught:
            error = caught
            self._finish_error(record, error)
            raise
        except BaseException:
            error = Interrupted("The call was interrupted")
            raise
        finally:
            if self._note_end(record, error):
                self._watch(record)

    def close(self, error: KosmoError | None) -> list[Summary]:
        """Return what an outcome says of each call, and make no more. One that is still under way is given up.

        Args:
            error: Why, as far as it was not the end of the script.
        """
        with self._lock:
            self._closed = True
            left = [record for record, _ in self._under_way.values()]
        ended = [record for record in left if self._note_end(record, error or Interrupted("The run is over"))]
        with self._written:
            self._written.wait_for(lambda: not self._under_way, LONGEST_WRITING)
        for record in ended:
            self._watch(record)
        return self._summaries

    def _register(self, record: Record) -> int:
        """Count a call, unless the run is over, and return which one it is."""
        summary: Summary = {}
        with self._lock:
            if self._closed:
                raise Interrupted("The run is over")
            self._summaries.append(summary)
            self._under_way[id(record)] = record, summary
            return len(self._summaries)

    def _note_end(self, record: Record, error: KosmoError | None) -> bool:
        """Write down how a call ended, and keep it no longer; say whether it was not written down before."""
        with self._lock:
            if record.status != "running":
                return False
            record.end(error)
            record.redact(self._redactor)
            self._under_way[id(record)][1].update(record.summary())
        self._journal.write(record)
        with self._written:
            del self._under_way[id(record)]
            self._written.notify_all()
        return True

    def _answer(self, record: Record, given: Sequence[Json], fault: Mapping[str, str] | None) -> str:
        target = self._resolve(record)
        self._policy.refuse_if_denied(target)
        with blaming(target.path, target.integration.origin):
            arguments = self._bind(target, given, fault)
        record.arguments = arguments
        self._policy.ask_if_needed(target, self._redacted(arguments))
        self._watch(record)
        handler = target.function.handler
        value = self._invoke(record, target.integration, target.account, lambda opened: handler(opened, **arguments))
        return self._encode(target, value)

    def _resolve(self, record: Record) -> Target:
        try:
            target = self._catalog.resolve(record.path)
        except PluginError as error:
            raise unloadable(record.path.partition(".")[0], error) from error
        record.path, record.account, record.effect = target.path, target.account, target.function.effect
        return target

    def _bind(self, target: Target, given: Sequence[Json], fault: Mapping[str, str] | None) -> dict[str, object]:
        if fault:
            raise unsendable(target.path, fault)
        return target.function.bind(target.path, given)

    def identify(self, integration: Integration, account: str) -> str:
        """Make one cheap call with an account and return who it is.

        Raises:
            CallError: The account cannot be used, or the call failed.
        """
        if integration.identify is None:
            raise NotConfigured(f"{integration.name} cannot say who an account is")
        record = Record(self._run, integration.name, account)
        try:
            return self._redactor.text(str(self._invoke(record, integration, account, integration.identify)))
        except KosmoError as error:
            self._finish_error(record, error)
            raise

    def _invoke(
        self, record: Record, integration: Integration, account: str, handler: Callable[[Any], object]
    ) -> object:
        token = _current_record.set(record)
        try:
            with blaming(record.path, integration.origin):
                in_use = self._in_use(integration, account)
                with in_use.gate:
                    if not self._clock.left:
                        raise self._limits.exceeded("wall", "call")
                    record.begun = True
                    return handler(in_use.opened)
        finally:
            _current_record.reset(token)

    def _in_use(self, integration: Integration, account: str) -> _OpenAccount:
        with self._lock:
            in_use = self._accounts_in_use.setdefault((integration.name, account), _OpenAccount())
        with in_use.opening:
            if not in_use.is_open:
                settings = self._accounts.settings(integration, account, until=self._clock.ends)
                sender = self._backend().sender(integration, account)
                opened: Any = integration.account(**settings)
                send = partial(self._send, (integration.name, account), sender)
                with self._naming_the_account(integration, account):
                    in_use.opened, in_use.is_open = opened.open(send), True
        return in_use

    @contextmanager
    def _naming_the_account(self, integration: Integration, account: str) -> Iterator[None]:
        """Say of a refusal which account it speaks of, and to the user where its settings stand."""
        try:
            yield
        except NotConfigured as error:
            error.what = f"The account {integration.name}.{account} cannot be used: {error.what}"
            error.detail = error.detail or self._accounts.place(integration, account)
            raise

    def _send(self, account: tuple[str, str], sender: Sender, request: Request) -> Response:
        for secret in request.secrets:
            self._redactor.learn(secret, owner=account)
        if not self._clock.left:
            raise NetworkError(f"{request.line} was not sent, since the time was over", retryable=False)
        record = _current_record.get()
        response = sender(request, until=lambda: self._clock.ends, observe=record.observe if record else _unobserved)
        if record and record.effect == "write" and response.is_success and not request.safe:
            record.wrote = True
        return response

    def _encode(self, target: Target, value: object) -> str:
        try:
            text = protocol.encode(value)
        except NotJson as error:
            raise PluginFault(f"{target.path} returned something that Lua cannot carry: {error}") from None
        if self._redactor.knows(text):
            text = protocol.encode(self._redactor.value(value))
        if len(text) > self._limits.max_result:
            raise self._limits.exceeded("result")
        return text

    def _redacted(self, arguments: Mapping[str, object]) -> dict[str, object]:
        return {name: self._redactor.value(value) for name, value in arguments.items()}

    def _finish_error(self, record: Record, error: KosmoError) -> None:
        if record.attempts:
            error.sent = ""
        if record.wrote:
            error.advise(LOOK_FIRST)
        for name, value in list(vars(error).items()):
            setattr(error, name, self._redactor.value(value))
        if error.__cause__ and self._redactor.knows(_spell(error.__cause__)):
            error.__cause__ = None
        if isinstance(error, CallError) and record.account:
            error.path, error.account = record.path, record.account


class _OpenAccount:
    """An account in use: what its ``open`` returned, and how many calls may use it at once."""

    def __init__(self) -> None:
        self.opening = Lock()
        self.is_open = False
        self.opened: Any = None
        self.gate = BoundedSemaphore(MOST_AT_ONCE)


def unsendable(subject: str, fault: Mapping[str, str]) -> BadArguments:
    """Return the refusal of arguments that could not leave the sandbox.

    Args:
        subject: What was called.
        fault: ``where`` in the arguments, and the ``problem``.
    """
    where = fault["where"]
    param = where.partition(".")[0].partition("[")[0] or None
    return BadArguments(f"{subject}: {where or 'an argument'} {fault['problem']}", param=param)


def _unobserved(_: Attempt) -> None:
    """Note nothing of a request that the integration makes in a thread of its own, for no call in particular."""


def _spell(error: BaseException) -> str:
    from traceback import format_exception

    return "".join(format_exception(error))
