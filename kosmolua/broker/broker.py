"""The broker of a run, which answers all requests that the script makes to the host."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from threading import Condition, RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from kosmolua import protocol
from kosmolua.broker.guards import Guards
from kosmolua.broker.open_accounts import ObjectNames, OpenAccounts, blamed
from kosmolua.broker.permissions import Permissions
from kosmolua.calls.facts import Facts
from kosmolua.calls.places import reach
from kosmolua.calls.records import (
    Call,
    CallEnded,
    CallRecord,
    CallStarted,
    FinishedCall,
    Origin,
    Waiting,
    Write,
    key_of,
)
from kosmolua.concurrency import GRACE, countdown, lazy
from kosmolua.errors import (
    CallError,
    CallTimeout,
    Interrupted,
    KosmoError,
    LimitExceeded,
    NetworkError,
    NotConfigured,
    PluginError,
    PluginFault,
    UnderWay,
    UnknownPath,
)
from kosmolua.flow.late import LateJudge
from kosmolua.limits import LIMITS
from kosmolua.memory import COPIES, SMALL, passage
from kosmolua.protocol import Json, NotJson
from kosmolua.schema.arguments import unsendable
from kosmolua.schema.function import FULL, NewSession
from kosmolua.schema.names import ROOT, SERVERS, parts_of, qualified
from kosmolua.secret import Redactor, SecretText

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.options import RunContext
    from kosmolua.broker.previews import Previews
    from kosmolua.broker.secrets import Handles
    from kosmolua.calls.contents import Contents
    from kosmolua.catalog.catalog import Target
    from kosmolua.flow.judge import Judge
    from kosmolua.schema.integration import Integration

CLOSE_TIMEOUT = 1.0
"""Seconds to wait, when a run is over, for threads that still write the records of their calls."""
MAX_NAMED_CALLS = 3
NO_WRITE = Write("")
UNCOUNTED = nullcontext()
MAX_SCRIPTS = 16
"""How deeply scripts may call each other."""


class Broker:
    """Answers the requests of one run's script with JSON text. Any number of threads may use it."""

    def __init__(self, host: Host, context: RunContext) -> None:
        self.run = context.id or os.urandom(6).hex()
        self._flows: list[tuple[int, str, str]] = []
        self.facts = Facts([], [], self._flows)
        self.warnings: list[str] = []
        """A sentence about each call that was left behind in its thread."""
        self._host = host
        self._catalog = host.catalog.preferring(context.account) if context.account else host.catalog
        self._clock = clock = context.clock
        self._origin = Origin(host.mode, context.name, context.source, context.title)
        self._limits = context.limits
        self._permissions = Permissions(host, context)
        self._watch = context.watch
        self._write = context.write
        self._contents = context.contents
        self._accounts = OpenAccounts(host, lambda: clock.ends, context.subject)
        self._guards = Guards(context.sites, self.facts) if context.sites else None
        self._judge = None if host.flow_mode == "off" else LateJudge(partial(_judge_of, host, context))
        if self._judge and context.seen:
            self._judge.begin()  # in a session, the order in which its scripts begin counts
        self._spending = host.budgets.of_one_run(clock) if host.budgets else None
        self._is_changed = context.is_changed
        # Guarded by the lock.
        self._lock = RLock()
        self._is_idle = Condition(self._lock)
        self._earlier = context.earlier
        self._summaries: list[CallRecord] = []
        self._under_way: dict[int, Call] = {}
        self._cut_off: list[FinishedCall] = []
        self._lookups = 0
        self._is_closed = False

    def describe(self, path: str) -> str:
        """Return a description, as JSON, of what is at a path under ``app``, such as an integration or a function.

        Raises:
            CallError: The path does not exist, or the integration cannot be loaded.
            LimitExceeded: The run has made too many lookups.
        """
        self._count_lookup()
        try:
            return protocol.encode(self._catalog.describe(path))
        except UnknownPath as error:
            self.redact_error(error)
            raise _with_a_way_to_list(error, path) from None
        except PluginError as error:
            raise PluginFault.unloadable(parts_of(path)[0], error) from error

    def doc(self, verb: str, given: Sequence[Any], fault: Mapping[str, str] | None) -> str:
        """List, search or read documentation, and return the result as JSON.

        ``verb`` is ``list``, ``search`` or ``read``. For ``fault``, see :meth:`call`.

        Raises:
            CallError: There is no such page, the arguments are wrong, or the integration cannot be loaded.
            LimitExceeded: The run has made too many lookups.
        """
        from kosmolua.docs.library import NAMES, answer

        self._count_lookup()
        if fault:
            raise unsendable(NAMES.get(verb, verb), fault)
        try:
            said = self._host.shown(answer(self._host.docs, verb, given))
        except PluginError as error:
            raise PluginFault.unloadable("of this page", error) from error
        except KosmoError as error:
            self.redact_error(error)
            raise
        if self._judge and f"{SERVERS}." in said:
            self._judge.note_page(said, str(given[0]) if given else verb, self._host.servers.names())
        return protocol.encode(said)

    def script(
        self,
        path: str,
        given: Sequence[Json],
        fault: Mapping[str, str] | None,
        *,
        through: tuple[str, ...] = (),
        line: int = 0,
        hidden: str = "",
        at: int = 0,
        **_: object,
    ) -> str:
        """Return, as JSON, what the sandbox needs to run another script that the script calls.

        The JSON has the fields ``source``, ``name``, ``params`` and ``through``. For the parameters, see :meth:`call`.

        Raises:
            CallError: There is no such script, the arguments are wrong, or scripts call each other in a circle or too
                deeply.
            LimitExceeded: The run has made too many lookups.
        """
        self._count_lookup()
        name = path.rpartition(".")[2]
        try:
            if fault:
                raise unsendable(path, fault)
            if name in through or len(through) >= MAX_SCRIPTS:
                chain = " -> ".join([*through, name])
                what = f"scripts call each other in a circle, or more than {MAX_SCRIPTS} levels deep: {chain}"
                raise CallError("script_cycle", what, hint=f"remove the call of {name} from the script {through[-1]}")
            self._permissions.refuse_script_if_denied(name)
            script = self._host.scripts.script(name)
            params = script.header.bind(name, given)
            if self._judge:
                self._judge.add(script.source)
            if self._guards:
                call = Call(self.run, 0, path)
                call.line, call.through, call.hidden, call.at = line, through, hidden, at
                call.effect = self._catalog.resolve(path).function.effect
                self._guards.check(call, given)
                self._guards.add(name, self._host.scripts.sites(script))
        except KosmoError as error:
            self.redact_error(error)
            raise
        answer = {"source": protocol.to_text(script.chunk), "name": script.file, "params": params}
        return protocol.encode({**answer, "through": [*through, name]})

    def call(
        self,
        path: str,
        given: Sequence[Json],
        fault: Mapping[str, str] | None = None,
        line: int = 0,
        through: tuple[str, ...] = (),
        secrets: Sequence[Any] = (),
        contents: Sequence[Any] = (),
        hidden: str = "",
        at: int = 0,
    ) -> str:
        """Make one call and return its value as JSON.

        Args:
            path: The path of the function: ``INTEGRATION.FUNCTION`` or ``INTEGRATION.ACCOUNT.FUNCTION``. It can begin
                with ``integrations.``.
            given: The arguments that the caller passed: nothing, one mapping of named arguments, or values in declared
                order.
            fault: Why the arguments could not be encoded, as ``where`` and ``problem``; None if they could.
            line: The line of the script that makes the call; 0 if it is not known.
            through: The names of the called scripts that led to the caller, the outermost first. Empty if the main
                script is the caller.
            secrets: For each handle that stands for a secret in the arguments, the handle's place and name.
            contents: For each handle that stands for bytes in the arguments, the place of the bytes and the handle's
                name.
            hidden: Why ``line`` may not be the line of the call itself: ``tail`` or ``chunk``; empty if it is.
            at: The line of the called script that makes the call; 0 if the main script makes it, or if it is not known.

        Raises:
            CallError: The call was refused, or it failed; the call's record says which.
            LimitExceeded: The run has made too many calls, or the value is too large.
        """
        call = self._begin(path)
        call.line, call.hidden, call.at = line, hidden, at
        call.through = through
        error: KosmoError | None = None
        try:
            if call.number > self._limits.max_calls:
                raise self._limits.exceeded("calls")
            return self._answer(call, given, fault, secrets, contents)
        except KosmoError as caught:
            error = caught
            call.complete(error)
            self.redact_error(error)
            raise
        except BaseException:
            error = Interrupted("The call was interrupted")
            raise
        finally:
            record = self._end(call, error)
            if record and self._watch:
                self._watch(CallEnded(record))

    def recall(
        self,
        path: str,
        given: Sequence[Json],
        answer: str,
        *,
        line: int = 0,
        through: tuple[str, ...] = (),
        hidden: str = "",
        at: int = 0,
        **_: object,
    ) -> None:
        """Note a call whose answer is in the recording, for the facts and for the guards of the calls that follow.

        For the parameters, see :meth:`call`.
        """
        call = Call(self.run, 0, path)
        call.line, call.through, call.hidden, call.at = line, through, hidden, at
        with suppress(KosmoError):  # the integration has changed since
            target = self._catalog.resolve(path)
            if target.function.acts_as:
                target = self._catalog.acting(target, target.function.acts_as(given))
            call.target, call.given = target, given
            call.path, call.effect = target.path, target.function.effect
            call.arguments = target.function.bind(target.path, given)
            if self._guards:
                self._guards.check(call, given)
            value = json.loads(answer)
            if isinstance(answer, protocol.Answer) and answer.truncated:
                value = protocol.Truncated(value)
            self._note(call, value, answer, is_earlier=self._is_changed)

    def recall_script(self, path: str, answer: str) -> None:
        """Guard the calls of a script whose call is answered by the recording, unless its file has changed since."""
        if self._guards:
            name = path.rpartition(".")[2]
            with suppress(KosmoError):  # it is gone
                script = self._host.scripts.script(name)
                if json.loads(answer)["source"] == protocol.to_text(script.chunk):
                    self._guards.add(name, self._host.scripts.sites(script))

    def content(self, name: str) -> str:
        """Return the bytes that a handle stands for, as a JSON string with their base64.

        If the bytes contain a secret, the part of the base64 that encodes the secret is masked.

        Raises:
            CallError: The bytes are no longer kept.
            LimitExceeded: The base64 is longer than a result may be, or the run has made more lookups than the limit
                ``max_lookups`` allows. Each call of this method is a lookup.
        """
        self._count_lookup()
        text = str(self.contents.text(name))
        if len(text) > self._limits.max_result:
            raise self._limits.exceeded("result")
        return protocol.encode(self._host.redactor.text(text))

    def handed_out(self, answer: str) -> Json:
        """Return the value of an answer for a Python program, with secrets and bytes in place of their handles."""
        value = self.handles.handed_out(json.loads(answer), answer)
        for place, _, content in answer.contents if isinstance(answer, protocol.Answer) else ():
            holder, key = reach([value], (1, *place))
            holder[key]["base64"] = self._host.redactor.text(str(content))
        return protocol.Truncated(value) if isinstance(answer, protocol.Answer) and answer.truncated else value

    def sleep(self, seconds: float, *, in_branch: bool = False, line: int = 0, is_for: bool = False) -> float:
        """Let ``seconds`` pass for a script that sleeps, and return how many it must really wait: 0 in a simulation.

        Simulated seconds count against the limit of wall-clock time. Those of branches pass at the same time, so that
        only one that is too long by itself ends the run. In ``wait_until``, ``is_for`` is True.

        Raises:
            LimitExceeded: So many simulated seconds are no longer left.
            PlanOpen: The run makes a plan, in which nothing more can come about.
        """
        real = self._host.backend.sleep(seconds)
        if seconds - real > self._clock.left:
            raise self._limits.exceeded("wall")
        if not in_branch:
            self._clock.skip(seconds - real)
        if real and self._watch:
            self._watch(Waiting(real))
        return real

    def time(self, clock: str, own: float) -> float:
        """Return the time for a script that uses the host's clocks.

        ``clock`` is ``wall``, for seconds since 1970, or ``cpu``, for which the sandbox's own reading is returned
        unchanged.
        """
        return self._host.backend.time() if clock == "wall" else own

    def peek(self, number: int, key: str, line: int) -> None:
        """Note that the script reads a field of a planned call's result, if the run makes a plan."""

    def identify(self, integration: Integration, account: str) -> str:
        """Return the name by which the service knows an account, such as a user's name. This makes one cheap call.

        Raises:
            CallError: The account cannot be used, or the call failed.
        """
        if integration.identify is None:
            raise NotConfigured(f"{integration.name} cannot tell whom an account belongs to")
        call = Call(self.run, 1, integration.name)
        call.account = account
        try:
            return self._host.redactor.text(str(self._invoke(call, integration, integration.identify)))
        except KosmoError as error:
            call.complete(error)
            self.redact_error(error)
            raise

    def redact(self, result: Sequence[Any]) -> list[Any]:
        """Return the values that a script returned, with known secrets masked."""
        knows = self._host.redactor.knows(protocol.encode(result))
        return [self._host.redactor.value(value) if knows else value for value in result]

    def redact_output(self, piece: bytes) -> bytes:
        """Return a piece of a script's output, with known secrets masked."""
        text = protocol.to_text(piece)
        return protocol.to_bytes(self._host.redactor.text(text)) if self._host.redactor.knows(text) else piece

    def redact_error(self, error: KosmoError) -> None:
        """Mask known secrets in an error, which names parameters from here on if no command line reads it."""
        self._host.tell(error)
        mask_in(error, self._host.redactor)

    def close(self, error: KosmoError | None) -> list[CallRecord]:
        """Refuse further calls, stop waiting for calls under way, and return a summary of each call in order.

        The calls that were cut off are added to the message of the error that ended the run.
        """
        with self._lock:
            self._is_closed = True
            left = list(self._under_way.values())
        ended = [record for call in left if (record := self._end(call, error or Interrupted("The run is over")))]
        if left:
            with self._is_idle:
                self._is_idle.wait_for(lambda: not self._under_way, CLOSE_TIMEOUT)
        for record in ended:
            if self._watch:
                self._watch(CallEnded(record))
        if self._spending:
            self._spending.close()
        if self._cut_off and isinstance(error, (Interrupted, LimitExceeded)):
            error.call = self._cut_off[0].path
            error.advise(_said_of(self._cut_off))
        return self._summaries

    def _answer(
        self,
        call: Call,
        given: Sequence[Json],
        fault: Mapping[str, str] | None,
        secrets: Sequence[Any],
        contents: Sequence[Any],
    ) -> str:
        try:
            target = self._catalog.resolve(call.path)
            if target.function.acts_as and not fault:
                call.path = target.path
                target = self._catalog.acting(target, target.function.acts_as(given))
        except KosmoError as error:
            call.path = ".".join(parts_of(call.path)) or call.path
            if isinstance(error, PluginError):
                raise PluginFault.unloadable(parts_of(call.path)[0], error) from error
            raise
        call.path, call.account, call.effect = target.path, target.account, target.function.effect
        self._permissions.refuse_if_denied(target)
        for each in target.acted:
            self._permissions.refuse_if_denied(replace(target, function=each))
        if fault:
            raise unsendable(target.path, fault)
        try:
            if secrets:
                given = self.handles.fill(target.path, given, secrets, self._clock.ends)
            if contents:
                given = self.contents.fill(target.path, given, contents)
            arguments = self._bind(target, given)
        except KosmoError as error:
            if self._judge and target.integration.root == SERVERS:  # it can say what the server says of itself
                self._judge.note(call.number, target, {"given": given}, protocol.encode([error.message, error.hint]))
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise blamed(target.path, target.integration.origin, error, self._host.redactor) from error
        if target.rule.among and len(self._known(arguments)) == len(arguments):
            target = target.of_call(arguments, self._host.redactor)
            self._permissions.refuse_if_denied(target)
        call.target, call.given, call.arguments = target, given, arguments
        call.credentials = target.function.credentials
        if self._guards:
            self._guards.check(call, given)
        if self._judge and (verdicts := self._judge.verdicts(target, self._known(arguments))):
            call.flows = verdicts
            self._flows.extend((call.line, call.path, self._host.redactor.text(each.text)) for each in verdicts)
        if call.effect != "read":
            self._host.journal.require()
        call.redact(self._host.redactor)
        return self._carry_out(call, target, arguments)

    def _known(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return the arguments whose values are known, which are all."""
        return arguments

    def _bind(self, target: Target, given: Sequence[Json]) -> dict[str, object]:
        arguments = target.function.bind(target.path, given)
        if arguments.get("extra"):
            from kosmolua.calls.extra import check_media_type

            check_media_type(target.function, arguments["extra"])
        return arguments

    def _carry_out(self, call: Call, target: Target, arguments: Mapping[str, object]) -> str:
        """Make a call that is not denied, once it is allowed, and return its value as JSON."""
        call.allowed_by = self._permissions.allow(
            target,
            call.redacted,
            number=call.number,
            details=lambda: self._asked_about(call, target, arguments),
            flows=call.flows,
        )
        if call.asked:
            call.answered = datetime.now(timezone.utc)
        if self._permissions.can_ask:
            call.confirm = partial(self._permissions.confirm, target, call.number)
        spent = self._spending.take(target) if self._spending else UNCOUNTED
        write, before = NO_WRITE, ""
        if call.effect != "read":
            write = self._write() if self._write else Write(key_of(self.run, call.number))
            before = self._previews.of(target, arguments).kept if self._write else ""
        call.key, call.idempotency = write.key, target.function.idempotency
        if self._watch:
            effect = target.function.effect
            self._watch(CallStarted(call.number, target.path, target.account, effect, call.redacted, write.key, before))
        is_done, value = self._read_back(call) if write.is_doubtful else (False, None)
        if not is_done:
            try:
                with spent:
                    value = self._invoke(call, target.integration, target.function.handler)
            except CallError as error:
                if self._judge and call.stage != "new":
                    self._judge.note(call.number, target, arguments, protocol.encode([error.what, error.body]))
                raise
        answer = self._encode(call, value)
        self._note(call, value, answer)
        return answer

    def _note(self, call: Call, value: object, answer: str, *, is_earlier: bool = False) -> None:
        """Note a call that has returned; ``is_earlier`` says that it did so to another script."""
        returned = call.returned(value, answer)
        self.facts.returned.append(returned)
        if self._guards:
            self._guards.note(call, returned)
        if self._judge:
            self._judge.note(call.number, call.target, call.arguments or {}, answer, is_earlier=is_earlier)

    def _read_back(self, call: Call) -> tuple[bool, object]:
        """Return whether a write under way was done, and its result; one with a key counts as not done."""
        target, function = call.target, call.target.function
        if function.was_done is None or function.idempotency:
            return False, None
        try:
            result = self._invoke(call, target.integration, function.was_done)
        except CallError as error:
            about = {"number": call.number, "path": target.path, "account": target.account, "effect": call.effect}
            raise UnderWay.unread({**about, "arguments": call.redacted}, error) from error
        call.stage = "new"  # this is about the write itself
        return result is not None, result if function.returns else None

    @lazy
    def handles(self) -> Handles:
        """The handles that stand for secrets in the script."""
        from kosmolua.broker.secrets import Handles

        hides_variables = self._host.accounts.sections.hides_variables
        return Handles(lambda: self._host.secrets, self._host.redactor, hides_variables=hides_variables)

    @lazy
    def contents(self) -> Contents:
        """The binary results for which the script has handles."""
        from kosmolua.calls.contents import Contents

        return self._contents or Contents()

    @lazy
    def _previews(self) -> Previews:
        from kosmolua.broker.previews import Previews

        return Previews(self._host, self._catalog, self._permissions, self._accounts, lambda: self._clock.ends)

    def _asked_about(self, call: Call, target: Target, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Return what a question about a call shows; only what a recorded run does can be undone."""
        call.asked = call.asked or datetime.now(timezone.utc)
        details = self._details(target, arguments)
        return details if self._write else {**details, "undoable": False}

    def _details(self, target: Target, arguments: Mapping[str, object], *, exists: bool = True) -> dict[str, Any]:
        """Return what a person needs to decide about a call, as fields of an approval and of a planned call."""
        preview, names = self._previews.of(target, arguments, exists=exists), self._names_behind(target, arguments)
        return {"names": names, "before": preview.before, "undoable": preview.undoable, "lost": preview.lost}

    @lazy
    def _names(self) -> ObjectNames:
        return ObjectNames(self._accounts)

    def _names_behind(self, target: Target, arguments: Mapping[str, object]) -> dict[str, str]:
        """Return the names of objects whose ids are in the arguments, by parameter, as far as they can be looked up."""
        naming = target.integration.naming
        if naming and self._host.accounts.permission(target.integration, target.holder, "read") == "deny":
            return {}
        found = {
            name: self._names.of(target.integration, target.account, name, value)
            for name, value in arguments.items()
            if name in naming and isinstance(value, str) and not isinstance(value, SecretText)
        }
        return {name: self._host.redactor.text(said) for name, said in found.items() if said}

    def _invoke(self, call: Call, integration: Integration, handler: Callable[..., object]) -> object:
        """Call an integration's function with the client of the call's account, and return the function's value."""
        ends, memory, limit = monotonic() + self._limits.call_timeout, passage.get(), countdown.get()

        def until() -> float:
            return min(ends + (memory.waited if memory else 0.0), self._clock.ends)

        def work(opened: Any) -> object:
            if until() <= monotonic():
                raise self._timeout(call) if self._clock.left else self._limits.exceeded("wall", "call")
            call.stage = "begun"
            value = handler(opened, **(call.arguments or {}))
            call.stage = "returned"
            return value

        if call.arguments and "extra" in call.arguments and call.target.function.extra:
            from kosmolua.calls.extra import Addition

            call.addition = Addition(cast("Any", call.arguments["extra"]), is_read=call.effect == "read")
            handler = call.addition.around(handler)
        use = partial(self._accounts.use, integration, str(call.account), call, until, work)
        try:
            if limit:
                limit.begin(until, partial(self._leave_behind, call))
                try:
                    return use()
                finally:
                    limit.end()
            if integration.root != ROOT:
                return use()  # a server's answer is waited for only until the deadline
            return self._host.helpers.call(use, lambda: until() + GRACE)
        except TimeoutError:
            raise self._left_behind(call) if self._clock.left else self._limits.exceeded("wall", "call") from None
        except NetworkError as error:
            if not self._clock.left:
                exceeded = self._limits.exceeded("wall", "call")
                if error.hint:
                    exceeded.advise(error.hint)
                raise exceeded from error
            if monotonic() < until():
                raise
            raise self._timeout(call, error.hint) from error

    def _timeout(self, call: Call, hint: str | None = None) -> CallTimeout:
        timeout = CallTimeout(call.path, self._limits.call_timeout, retryable=call.effect == "read", hint=hint)
        timeout.advise(LIMITS["call_timeout"].remedy)
        return timeout

    def _left_behind(self, call: Call) -> CallTimeout:
        """Return the error of a call whose function has not returned in time, and note what becomes of it."""
        call.give_place()
        may = "" if call.effect == "read" else f" and may still {call.effect}"
        self.warnings.append(f"{call.path} (call {call.number}) did not end in time: its Python code still runs{may}")
        timeout = self._timeout(call)
        timeout.advise("its Python code cannot be stopped and still runs")
        return timeout

    def _leave_behind(self, call: Call) -> CallTimeout:
        """End a call whose function has not returned in time, and return the error. Another thread makes the call."""
        error = self._left_behind(call)
        call.complete(error)
        self.redact_error(error)
        record = self._end(call, error)
        if record and self._watch:
            self._watch(CallEnded(record))
        return error

    def _encode(self, call: Call, value: object) -> str:
        """Return the value of a call as JSON with secrets masked, or raise an error if the value is too large."""
        places: Sequence[Any] = ()
        truncated = isinstance(value, protocol.Truncated)
        function = call.target.function
        if isinstance(value, NewSession):
            value = self._accounts.begin(call.target.integration, str(call.account), value)
        arguments = call.arguments or {}
        if function.returns_secrets or arguments.get(function.reply) == FULL:
            kind = function.returned(arguments)
            holder, rule = f"{call.target.integration.name}.{call.target.holder}", call.target.integration.session
            user = rule.user_in(call.redacted) if rule and function.name in rule.logins else ""
            value, places = self.handles.hide(kind, value, f"{call.path}#{call.number}", holder, user)
        try:
            text = protocol.encode(value)
        except NotJson as error:
            raise PluginFault(f"{call.path} returned something that cannot be passed to Lua: {error}") from None
        contents: Sequence[Any] = ()
        if '"base64":"' in text:
            value, contents = self.contents.hide(value)
            if any(content.size > self._limits.max_result for _, _, content in contents):
                raise self._limits.exceeded("result")
            text = protocol.encode(value)
        if self._host.redactor.knows(text):
            text = protocol.encode(self._host.redactor.value(value))
        if len(text) > self._limits.max_result:
            raise self._limits.exceeded("result")
        if len(text) > SMALL and (memory := passage.get()):
            try:
                memory.need(COPIES * len(text))
            except TimeoutError:
                raise self._limits.exceeded("wall", "call") from None
        if places or contents or truncated:
            return protocol.Answer(text, places, contents, truncated=truncated)
        return text

    def _count_lookup(self) -> None:
        with self._lock:
            self._lookups += 1
            if self._lookups > self._limits.max_lookups:
                raise self._limits.exceeded("lookups")

    def _begin(self, path: str) -> Call:
        """Return a new call with the next number, or raise Interrupted if the run is over."""
        with self._lock:
            if self._is_closed:
                raise Interrupted("The run is over")
            self._summaries.append(CallRecord())
            call = Call(self.run, self._earlier + len(self._summaries), path, self._origin)
            self._under_way[call.number] = call
            return call

    def _end(self, call: Call, error: KosmoError | None) -> FinishedCall | None:
        """Record how a call ended, and return the record; return None if this has been recorded already."""
        with self._lock:
            place = call.number - self._earlier - 1
            if self._summaries[place]:
                return None
            is_over = error is not None and not self._clock.left
            record = call.record(error, self._host.redactor, is_over=is_over)
            self._summaries[place] = record.summary()
            if record.status == "unknown" and not isinstance(error, CallTimeout):
                self._cut_off.append(record)
        self._host.journal.write(record)
        with self._lock:
            del self._under_way[call.number]
            if self._is_closed:
                self._is_idle.notify_all()
        return record


def _judge_of(host: Host, context: RunContext) -> Judge:
    from kosmolua.flow.judge import Judge

    judge = Judge(host.labels, host.accounts, context.seen, context.source, context.given, context.heard)
    if context.delivered is not None:
        from kosmolua.flow.texts import leaves

        judge.memory.note_text("\n".join(map(str, leaves(context.delivered))), "input")
    return judge


def mask_in(error: KosmoError, redactor: Redactor) -> None:
    """Mask the secrets that a redactor knows in an error. Remove the error's cause if the cause shows a secret."""
    from traceback import format_exception

    if body := getattr(error, "body", None):
        from kosmolua.broker.secrets import credentials_in

        for secret in credentials_in(body):
            redactor.learn(secret)
    for name, value in list(vars(error).items()):
        setattr(error, name, redactor.value(value))
    if error.__cause__ and redactor.knows("".join(format_exception(error.__cause__))):
        error.__cause__ = None


def _said_of(cut_off: Sequence[FinishedCall]) -> str:
    """Return a phrase for the message of an error. It names the calls that the error cut off."""
    names = [f"{record.path} with {record.account}" for record in cut_off[:MAX_NAMED_CALLS]]
    if len(cut_off) > MAX_NAMED_CALLS:
        names.append(f"{len(cut_off) - MAX_NAMED_CALLS} more")
    said = f"{' and '.join(names)} {'was' if len(cut_off) == 1 else 'were'} under way"
    is_read = all(record.effect == "read" for record in cut_off)
    return said if is_read else f"{said} and may have been done: check before you retry"


def _with_a_way_to_list(error: UnknownPath, path: str) -> UnknownPath:
    """Return the error for an unknown path, with a hint that says which call lists the existing names."""
    if "lua_list_docs" in error.message:
        return error
    root, *names = path.split(".")
    page = f'"{qualified(root, names[0])}"' if len(names) > 1 else ""
    way = f"lua_list_docs({page}) lists what there is"
    return UnknownPath(f"{error.message}; {way}") if error.hint else UnknownPath(error.what, hint=way)
