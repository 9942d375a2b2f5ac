"""One run of a script: prepares it from its options, executes it, and makes its outcome."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext, suppress
from threading import Event as ThreadEvent
from threading import RLock
from time import monotonic
from typing import TypeVar

from kosmolua import protocol
from kosmolua.broker.options import RunContext
from kosmolua.clock import Clock
from kosmolua.concurrency import MemoryBound
from kosmolua.errors import (
    BadArguments,
    Busy,
    CallError,
    CheckFailed,
    ConfigError,
    Interrupted,
    KosmoError,
    LimitExceeded,
    NotConfigured,
    PluginFault,
    ScriptError,
    Unavailable,
    WorkerLost,
)
from kosmolua.expressions import regex
from kosmolua.limits import ADJUSTABLE, Limits, spell_size
from kosmolua.protocol import NotJson
from kosmolua.runs import DEFAULTS, Outcome, RunOptions
from kosmolua.runs.job import Job, as_bytes, chunk_of
from kosmolua.runs.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from kosmolua.broker.broker import Broker
    from kosmolua.broker.host import Host
    from kosmolua.calls.records import Event
    from kosmolua.lua.site import Site
    from kosmolua.memory import Memory
    from kosmolua.processes.child import Child
    from kosmolua.processes.pool import Turn, WorkerPool
    from kosmolua.runs.job import Ending
    from kosmolua.runs.printed import Printed
    from kosmolua.runs.recorded import RunRecording
    from kosmolua.runs.spans import RunSpan

_T = TypeVar("_T")
_RETURN = regex(rb"\breturn\b")
_PATH = regex(rb"[\w./\\:~ -]+\.lua")
"""Matches a script that is probably the path of a file."""


class Run:
    """A script with its options, which can be executed once.

    ``limits`` apply where the options have no value. The runs of a runtime share ``memory``, for calls that wait for an
    answer, and ``in_flight``, for large answers of services. ``recording`` replays or resumes a run.

    Raises:
        ConfigError: A limit is out of bounds, or a pattern matches no function.
        TypeError: An option is unknown or has a value of the wrong type.
    """

    def __init__(
        self,
        host: Host,
        source: str | bytes,
        options: RunOptions,
        limits: Limits,
        *,
        memory: MemoryBound,
        in_flight: Callable[[], Memory],
        recording: RunRecording | None = None,
    ) -> None:
        self.recording = recording
        self._memory = memory
        self._in_flight = in_flight
        changes: dict[str, Any] = {name: value for name in ADJUSTABLE if (value := options.get(name)) is not None}
        self._host = host
        self._given = as_bytes(source)
        self._source = chunk_of(self._given)
        self._options: RunOptions = {**DEFAULTS, **options}
        self._name = self._options["name"]
        allow, deny, given = self._options["allow"], self._options["deny"], self._options["input"]
        self._allow = host.patterns("--allow", allow) if allow else []
        self._deny = host.patterns("--deny", deny, takes_scripts=True) if deny else []
        self._limits = limits.but(**changes) if changes else limits
        self._input = None if given is None else self._checked_input(given)
        self._params: dict[str, object] = dict(self._options["params"] or {})
        self._printed: list[bytes] | Printed = []
        if room := options.get("room"):
            from kosmolua.runs.printed import Printed

            self._printed = Printed(room)
        self._is_output_refused = False
        self._supervisor: Supervisor | None = None
        self._broker: Broker | None = None
        self._turn: Turn | None = None
        self._stopped = ThreadEvent()
        self._warnings: list[str] = []
        self._dropped: frozenset[str] = frozenset()
        self._sites: Sequence[Site] = self._options["sites"]
        self._lock = RLock()
        self._opening, self._observing = RLock(), RLock()
        self._span = self._prepared_span() if "opentelemetry.trace" in sys.modules else None

    @property
    def id(self) -> str | None:
        """The id of the run, as far as it is known before the run begins."""
        return self.recording.run if self.recording else self._options["run"]

    @property
    def client(self) -> str | None:
        """The client that the run belongs to, in a server with several clients."""
        return self._options["client"]

    def queued(self, turn: Turn) -> None:
        """Tell the run which turn it has in the pool's queue, so that :meth:`stop` takes it out of the queue."""
        with self._lock:
            self._turn = turn

    def execute(self, pool: WorkerPool, turn: Turn | None = None) -> Outcome:
        """Run the script in this thread, in a process of the pool unless the options have one, and return its outcome.

        ``turn`` is the run's place in the pool's queue if it was queued earlier. It is given up at the end of the run.
        """
        if self._stopped.is_set():
            if turn:
                turn.end()
            return Outcome([], "", Interrupted("The script was interrupted before it began"), [])
        with ExitStack() as stack:
            if turn:
                stack.callback(turn.end)
            try:
                if b"---@" in self._source:
                    self._params = self._bound_params()
                if self._options["check"]:
                    self._check()
                child = self._options["child"]
                if child is None:
                    self._turn = stack.enter_context(pool.take(self._options["client"], turn, self._limits))
                    child = self._turn.child
                if self._span:
                    return self._span.around(lambda: self._supervise(child))
                return self._supervise(child)
            except (BadArguments, CheckFailed, NotConfigured, PluginFault, ScriptError) as error:
                if self._host.knows_secrets:
                    from kosmolua.broker.broker import mask_in

                    mask_in(error, self._host.redactor)
                return self._refused(Outcome([], "", error, []))
            except (Busy, Interrupted, LimitExceeded, WorkerLost) as error:  # nothing to run it with
                return Outcome([], "", error, [], warnings=self._warnings)

    def _refused(self, outcome: Outcome) -> Outcome:
        """Record in the store, where people look for what was run, that the check refused the script."""
        if isinstance(outcome.error, CheckFailed) and self._options["record"] is True and not self.recording:
            with suppress(KosmoError):  # what is wrong with the script is told in any case
                self.begin_recording()
                assert self.recording
                self.recording.finish(outcome)
        return outcome

    @property
    def _title(self) -> str:
        from kosmolua.calls.titles import title_of

        return self._host.shown(title_of(self._given, self._name, self._options["title"]))

    def _prepared_span(self) -> RunSpan | None:
        """Return the span for the run, or None. Only a program that uses OpenTelemetry has one."""
        from kosmolua.runs import spans

        tracer = spans.tracer()
        return spans.RunSpan(tracer, self._name.removeprefix("="), self._host.mode, self._title) if tracer else None

    def _checked_input(self, given: object) -> object:
        """Return the option ``input`` as a JSON value. Bytes that are not UTF-8 become lone surrogates."""
        text = protocol.to_text(given) if isinstance(given, bytes) else given
        try:
            size = len(protocol.encode(text))
        except NotJson as error:
            raise TypeError(f"the input of a script must be a value that JSON can represent: {error}") from None
        if size > self._limits.max_result:
            what = f"The input of the script is larger than {spell_size(self._limits.max_result)}"
            raise ConfigError(what, hint="pass less, or split it over several runs")
        return text

    def _bound_params(self) -> dict[str, object]:
        from kosmolua.lua.header import read_header, script_name

        header = read_header(self._source, self._name.removeprefix("="))
        return header.bind(script_name(self._name), self._params)

    def stop(self) -> None:
        """End the script. If it has not started yet, prevent its start. Any thread may call this."""
        with self._lock:
            self._stopped.set()
            if self._supervisor:
                self._supervisor.interrupt()
            if self._turn:
                self._turn.cancel()

    def _check(self) -> None:
        """Check the script before it runs, and keep what was found for the warnings of the outcome."""
        try:
            account, secrets, names = self._options["account"], self.job.secrets, self._options["known"]
            if names is None:
                report = self._host.report(self._source, account, secrets)
            else:
                from kosmolua.lua.values import UNKNOWN

                report = self._host.checker(account, secrets).check(self._source, dict.fromkeys(names, UNKNOWN))
        except ConfigError:
            return  # the first call raises the same error
        except WorkerLost as error:
            self._warnings = [f"The script was not checked before it ran: {error}"]
            return
        except OSError as error:  # such as no file descriptor for a module that the check needs
            raise WorkerLost.unstartable(error) from None
        if not report.is_lua:
            return  # Lua reports the syntax error
        if report.findings and (seen := self._options["seen"]):
            said = "\n".join(f"{each.message} {each.hint}" for each in report.findings)
            seen.note_page(said, "the check", self._host.servers.names(), self._source)
        answers = self.recording.answers if self.recording else None
        goes_on = answers and answers.all and not answers.is_changed  # it was checked when it began
        if not goes_on and (refusal := report.refusal()):
            raise refusal
        place = self._name.removeprefix("=")
        self._warnings = [self._host.shown(f"{place}:{each.place}: {each.advice}") for each in report.findings]
        self._dropped, self._sites = report.dropped, report.sites

    def _supervise(self, child: Child) -> Outcome:
        plan = self._options["planning"]
        if plan and plan.replaces_writes:
            from kosmolua.runs.planned import PlanningTape

            self.recording = PlanningTape(plan, self._host, self._options["run"])
        elif recorder := self._options["recorder"]:
            self.recording = recorder.take(self._given, self._name, self._options["args"][0])
        elif self._options["record"] and not self.recording:
            self.begin_recording()
        if self.recording and (park := self._options["park"]):
            self.recording.park, self.recording.stopped = park, self._stopped
        started = monotonic()
        self._context = self._made_context()
        self._clock = self._context.clock
        with self._lock:
            self._supervisor = Supervisor(
                child,
                self._context,
                self._open_broker,
                self._output,
                memory=self._memory,
                in_flight=self._in_flight,
                tape=self.recording,
                room=self._options.get("room"),
                pace=self._options.get("pace"),
                start=self._host.helpers.start,
            )
            if self._stopped.is_set():
                self._supervisor.interrupt()
        try:
            ending = self._supervisor.run(self.job)
            outcome = self._outcome(ending, monotonic() - started)
            if self.recording:
                self.recording.finish(outcome)
            return outcome
        except Unavailable as error:
            error.retryable = _only_reads(self._broker.close(None) if self._broker else ())
            raise
        finally:
            if self._broker:
                self._broker.close(None)
            if self.recording:
                self.recording.detach()
            # These refer to this: only the garbage collector would free the run.
            with self._lock:
                self._supervisor = None
            with self._opening, self._observing:  # an observer can take long: who stops the run does not wait for it
                self._broker = None
                del self._context

    def _open_broker(self) -> Broker:
        """Return the broker, which answers the script's requests. The first call of this method creates it."""
        if broker := self._broker:
            return broker
        with self._opening:
            if self._broker:
                return self._broker
            if self._supervisor is None:
                raise Interrupted("The run is over")
            from kosmolua.broker.broker import Broker
            from kosmolua.calls.approvals import Asker

            approve, plan = self._options["approve"] or self._host.approve, self._options["planning"]
            context = self._context._replace(approve=approve and Asker(approve, self._ask))
            if plan:
                from kosmolua.broker.planning import broker_of

                self._broker = broker_of(plan, self._host, context)
            else:
                self._broker = Broker(self._host, context)
            return self._broker

    def _made_context(self) -> RunContext:
        options, recording = self._options, self.recording
        watch = self._tell_tape_first if recording else self._tell if options["watch"] or options["observe"] else None
        return RunContext(
            Clock(self._limits.timeout),
            self._limits,
            id=recording.run if recording else options["run"],
            name=self._name.removeprefix("="),
            source=self._given,
            account=options["account"],
            read_only=options["read_only"],
            allow=self._allow,
            deny=self._deny,
            decided=recording.decided if recording and recording.can_pause else None,
            watch=self._span.calls.watching(watch) if self._span else watch,
            write=recording.write if recording else None,
            contents=(recording and recording.contents) or options["contents"],
            earlier=recording.earlier if recording else 0,
            sites=self._sites,
            require_isolation=self._host.require_isolation,
            given=(options["args"], None if options["input_of"] else self._input, self._params),
            delivered=self._input if options["input_of"] and not options["seen"] else None,
            seen=options["seen"],
            heard=recording.heard if recording else "",
            title=options["title"],
            person=options["person"],
            subject=options["subject"],
            is_changed=recording is not None and recording.answers.is_changed,
        )

    @property
    def job(self) -> Job:
        """What the script's process has to run: the script, and the values of its variables."""
        secrets = self.recording.secrets if self.recording else None
        return Job(
            self._source,
            self._name,
            self._options["args"],
            self._input,
            self._params,
            self._host.secret_names if secrets is None else secrets,
            asks_time=self.recording is not None or self._host.mode == "simulated",
            seed=self.recording.seed if self.recording else None,
            is_planned=(plan := self._options["planning"]) is not None and plan.replaces_writes,
        )

    def begin_recording(self) -> None:
        """Begin the recording that the option ``record`` asks for.

        Raises:
            ConfigError: The recording cannot be written.
        """
        from kosmolua.recordings.answers import Answers
        from kosmolua.runs.recorded import RunRecording, begin

        path = self._options["record"]
        names = ("run", "read_only", "deny", "check", "account", "client", "title", "software", "person", "input_of")
        kept = {name: self._options[name] for name in names}  # type: ignore[literal-required]
        kept |= {name: dict(given) for name in ("task", "fleet") if (given := self._options[name])}
        seen = self._options["seen"]
        if seen and (self._options["input_of"] or not seen.is_own):
            kept["heard"] = seen.id
        path = None if isinstance(path, bool) else path
        if plan := self._options["planning"]:
            kept["seed"] = plan.seed
        writer = begin(self._host, path, self._given, self.job, self._limits, **kept)
        self.recording = RunRecording(writer.header, writer.path, Answers(), writer, host=self._host)

    def _tell_tape_first(self, event: Event) -> None:
        assert self.recording
        self.recording.watch(event)
        self._tell(event)

    def _ask(self, ask: Callable[[], _T]) -> _T:
        """Call a function that asks a person. Until the person answers, another run can use this run's worker."""

        def ask_in_owner() -> _T:
            if not self._clock.left:
                raise Interrupted("The run is over")
            with self._turn.waiting() if self._turn else nullcontext():
                return ask()

        answer = self._in_owner(ask_in_owner)
        if not self._clock.left:
            raise Interrupted("The run is over")
        return answer

    def _tell(self, event: Event) -> None:
        if observe := self._options["observe"]:
            with self._observing:
                if self._supervisor is None:
                    raise Interrupted("The run is over")
                observe(event)
        if watch := self._options["watch"]:
            self._in_owner(lambda: watch(event))

    def _in_owner(self, work: Callable[[], _T]) -> _T:
        """Call a function in the thread that executes the run, and return its result. Any thread may call this."""
        supervisor = self._supervisor
        if supervisor is None:
            raise Interrupted("The run is over")
        return supervisor.ask(work)

    def _output(self, piece: bytes) -> None:
        if self._broker or self._host.knows_secrets:
            piece = self._open_broker().redact_output(piece)
        self._printed.append(piece)
        if self._is_output_refused:
            return
        try:
            if on_output := self._options["on_output"]:
                on_output(piece)
        except BaseException:
            self._is_output_refused = True
            raise

    def _taken(self) -> tuple[bytes, KosmoError | None]:
        """Return the output and, if it was cut, the error for that."""
        if isinstance(self._printed, list):
            return b"".join(self._printed), None
        try:
            return self._printed.take()
        except TimeoutError:  # nobody needs the outcome
            return b"", None

    def _explain(self, error: ScriptError) -> None:
        """Let a syntax error say what to write instead of another language's syntax."""
        from kosmolua.check.checker import syntax_hint

        if _PATH.fullmatch(self._source):
            error.what = f"{error.what}: to run a file, pass its path as a pathlib.Path"
        elif hint := syntax_hint(self._source, error.what):
            error.what = f"{error.what}: {hint}"

    def _outcome(self, ending: Ending, seconds: float) -> Outcome:
        if isinstance(ending.error, (CallError, ScriptError)) and ending.error.line is None:
            ending.error.line = _line_of_only_return(self._source)
        if isinstance(ending.error, ScriptError) and ending.error.is_syntax:
            self._explain(ending.error)
        output, cut = self._taken()
        error = ending.error or cut
        broker = self._open_broker() if self._broker or self._host.knows_secrets else None
        pages = broker.facts.warnings(self._dropped) if broker and self._options["check"] else []
        calls = broker.close(error) if broker else []
        losses = broker.redact(list(ending.losses)) if broker else ending.losses
        if broker and error:
            broker.redact_error(error)
        if isinstance(error, Unavailable):
            error.retryable = _only_reads(calls)
        outcome = Outcome(
            result=broker.redact(ending.result) if broker else list(ending.result),
            output=output.decode("utf-8", "replace"),
            error=error,
            calls=calls,
            usage={
                "wall_ms": round(seconds * 1000, 1),
                **ending.usage,
                "calls": len(calls),
                "output_bytes": len(output),
            },
            warnings=[*self._warnings, *losses, *pages, *(broker.warnings if broker else ())],
            exit=ending.exit,
            facts=broker.facts if broker else None,
        )
        outcome.run = self.recording.run if self.recording else broker.run if broker else None
        return outcome


def _only_reads(calls: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if the calls have changed nothing, so that a script that is run again writes nothing twice."""
    return all(call["effect"] in ("read", None) for call in calls)


def _line_of_only_return(source: bytes) -> int | None:
    """Return the line of a script's only ``return``, for errors after which Lua knows none, or None."""
    lines = [number for number, line in enumerate(source.split(b"\n"), start=1) if _RETURN.search(line)]
    return lines[0] if len(lines) == 1 else None
