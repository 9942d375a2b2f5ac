"""Recorded runs: records a run, and replays or resumes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from kosmolua import __version__, protocol
from kosmolua.broker.used_accounts import USED, differences, used_account
from kosmolua.calls.contents import Contents
from kosmolua.errors import NOTHING_SENT, ConfigError, Diverged, Interrupted, KosmoError, Paused, UnderWay, WorkerLost
from kosmolua.limits import NAMES, Limits
from kosmolua.recordings.answers import Answers, RecordedAnswer, calls_of, may_have_been_done, number_of, summaries
from kosmolua.recordings.events import is_same
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import FORMAT, Event, Recording, Writer, error_fields, events_of, read, revived
from kosmolua.recordings.sheets import File
from kosmolua.recordings.signing import identity
from kosmolua.recordings.tape import Tape
from kosmolua.stores.store import APPROVAL_DAYS

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.calls.approvals import Approval
    from kosmolua.recordings.signing import Signer
    from kosmolua.runs.job import Job, Outcome

MAX_NAMED = 3
KEYS_LAST = timedelta(hours=23)
"""How long services remember the keys of writes: usually a day."""


@dataclass(frozen=True)
class Decisions:
    """What a person decided about calls of a recorded run: see :meth:`kosmolua.Runtime.resume`.

    In ``approve`` and ``deny``, only numbers of calls and True count. A function and patterns are options of the run.
    """

    approve: object = ()
    deny: object = ()
    done: Mapping[int, Any] = field(default_factory=dict)
    again: Sequence[int] = ()
    accept_accounts: bool | Callable[[str], bool] = False


class RunRecording(Tape):
    """The recording of one execution of a script: the first one, a replay, or one that resumes the run.

    Args:
        header: The first event of the recording, with the run's id and the seed of its random numbers.
        path: The path of the recording.
        answers: The answers in the recording so far.
        writer: Appends to the recording; None in a replay.
        host: Makes the calls of the run; None in a replay.
        recording: The content of the recording before this execution; None for the first execution.
        decided: What a person decided before this execution: pairs of a call and True if it is approved, or False if it
            is denied.
        earlier: The number of the last call before this execution. It is ignored if ``recording`` is not None, since
            the recording says how many calls it has.
        is_chunk: Whether the execution is a chunk of a session: it does not pause, and the recording stays open.
        cut: In a replay, the error that stopped the recorded script from outside; None if the script ended by itself.

    ``remark`` is a sentence that is added to the warnings of the outcome of a replay, or None. ``can_pause`` is True if
    the run pauses when a call needs approval and nobody can be asked; otherwise the call is denied.
    """

    def __init__(
        self,
        header: Event,
        path: str,
        answers: Answers,
        writer: Writer | None = None,
        *,
        host: Host | None = None,
        recording: Recording | None = None,
        decided: Iterable[tuple[Event, bool]] = (),
        earlier: int = 0,
        is_chunk: bool = False,
        cut: KosmoError | None = None,
    ) -> None:
        redact = host.redactor.value if host else lambda value: value
        identify = partial(used_account, host) if host and not is_chunk else lambda integration, account: None
        super().__init__(header["run"], answers, writer, is_chunk=is_chunk, cut=cut, redact=redact, identify=identify)
        self.seed: str = header["seed"]
        self.path = path
        self.remark: str | None = None
        self.earlier = self.last_call = max(calls_of(recording), default=0) if recording else earlier
        self.can_pause = not is_chunk
        self._host = host
        self._recording = recording
        self._decided = list(decided)
        self._deciding = Lock()

    @property
    def secrets(self) -> Sequence[str] | None:
        """The names of the secrets that the script could use when its recording began; None for a new recording."""
        return self._recording.header["secrets"] if self._recording else None

    @property
    def contents(self) -> Contents | None:
        """A store of the recorded binary data, to which the script has handles; None if nothing was recorded."""
        recorded = self.answers.contents
        return Contents(recorded) if recorded else None

    def decided(self, approval: Approval) -> bool | None:
        """Return what a person decided about a call before this execution, or None if nobody decided about it.

        Each decision applies to one call only, so it is forgotten once it has been returned.

        Args:
            approval: The call, which needs approval.

        Returns:
            True if the call was approved, False if it was denied.
        """
        with self._deciding:
            for decision in self._decided:
                if _is_about(decision[0], approval.path, approval.account, approval.arguments):
                    self._decided.remove(decision)
                    return decision[1]
        return None

    def finish(self, outcome: Outcome) -> None:
        """Complete the outcome of this execution, and record how the execution ended.

        The calls of earlier executions are added to the outcome. A replay records nothing: only warnings and the
        recorded calls are added to its outcome.
        """
        recorded = calls_of(self._recording) if self._recording else {}
        if self.is_live:
            # A call that was refused since the run paused has been made again under another number.
            earlier = summaries(call for call in recorded.values() if call.get("error") != Paused.code)
            outcome.calls = [*earlier, *outcome.calls]
            outcome.recording = self.path
            outcome.warnings += self._unused(outcome)
            try:
                self.close(self._end(outcome))
            except KosmoError as error:  # a recording that cannot be written does not undo what the script did
                outcome.warnings.append(error.message)
            if self._host and not self._is_chunk:
                self._host.tidy()
            return
        assert self._recording
        outcome.warnings += [self.remark] if self.remark else []
        made_by = self._recording.header["kosmolua"]
        if isinstance(outcome.error, Diverged) and made_by != __version__:
            outcome.warnings.append(f"the recording was made by kosmolua {made_by}, and this is {__version__}")
        taken = {number_of(answer): dict(answer.call) for answer in self.answers.all if answer.is_taken and answer.call}
        if self._recording.status == outcome.status and not self.answers.is_changed:
            taken = recorded
        outcome.calls = summaries(taken.values())
        if outcome.ok and (left := self.answers.left):
            outcome.warnings.append(f"{_not_made(left)}, the first of them {_words(left[0])}")

    def _unused(self, outcome: Outcome) -> list[str]:
        """Return a sentence about recorded writes that a changed script did not make, and one about missing results."""
        answers, found = self.answers, []
        left = [answer for answer in answers.left if answer.is_write and answer.error is None]
        if outcome.ok and left:
            writes = "1 recorded write was" if len(left) == 1 else f"{len(left)} recorded writes were"
            found.append(f"{writes} not made by this script, the first of them {_words(left[0])}")
        assumed = [number_of(answer) for answer in answers.all if answer.is_assumed and answer.is_taken]
        if not outcome.ok and assumed:
            found.append(
                f"the script got nil as the result of call {assumed[0]}, which was counted as done without a result; "
                f"to give it one, resume the run with --done {assumed[0]}=JSON"
            )
        return found

    def _end(self, outcome: Outcome) -> Event:
        end: Event = {"event": "end", "time": moment(), "status": outcome.status, "calls": self.unanswered()}
        if outcome.error:
            end["error"] = error_fields(outcome.error)
            end["by"] = self.question_that_raised(outcome.error)
        return end | {"usage": {name: outcome.usage[name] for name in ("wall_ms", "cpu_ms") if name in outcome.usage}}


def begin(
    host: Host,
    path: str | os.PathLike[str] | None,
    source: bytes,
    job: Job,
    limits: Limits,
    *,
    run: str | None = None,
    read_only: bool = False,
    deny: Sequence[str] = (),
    **more: Any,
) -> Writer:
    """Begin the recording of a run or a session: write its first line, and return its writer.

    Args:
        host: Makes the calls of the run.
        path: The path of the recording, which must not exist yet; None to keep the recording in the store.
        source: The text of the script, unchanged; empty for a session.
        job: What the script's process has to run.
        limits: The limits of the run, or of each chunk of a session.
        run: The id of the run; by default a new one.
        read_only: Whether every write is denied, even after the run is resumed.
        deny: Patterns of functions that are denied, even after the run is resumed.
        more: Further fields of the first line: ``account``, ``client``, and for a session ``session``.

    Raises:
        ConfigError: The recording cannot be written.
        LimitExceeded: The recordings in the store use all of the room that they may use.
    """
    run = run or os.urandom(6).hex()
    place = host.store.place(run) if path is None else File(path)
    host.accounts  # noqa: B018 - read now, so that secrets in the file of accounts are masked in the recording
    in_store = path is None
    if in_store:
        host.make_room()
    denied = [pattern for given in host.deny for pattern in given.written]
    header = {
        "event": "run",
        "format": FORMAT,
        "kosmolua": __version__,
        "run": run,
        "time": moment(),
        "mode": host.mode,
        "script": script_fields(job.name.removeprefix("="), source),
        "args": list(job.arguments),
        "input": job.input,
        "secrets": list(job.secrets),
        "params": dict(job.params),
        "limits": limits.as_dict(),
        "host": host.places(),
        "seed": os.urandom(16).hex(),
        "options": {"read_only": read_only or host.read_only, "deny": [*denied, *_list(deny)]},
        **more,
    }
    return Writer(place, host.redactor, None, host.signer, host.make_room if in_store else None, header)


def replaying(recording: Recording, *, is_changed: bool) -> RunRecording:
    """Return the recording that replays what was recorded.

    Args:
        recording: The recording.
        is_changed: Whether the script that is run differs from the recorded one.
    """
    answers, cut = Answers(recording, is_changed=is_changed), None if is_changed else _what_cut(recording)
    return RunRecording(recording.header, recording.path, answers, recording=recording, cut=cut)


def resuming(host: Host, recording: Recording, decisions: Decisions, script: Event | None) -> RunRecording:
    """Add the decisions to the recording of a run, and return the recording that resumes the run.

    Args:
        host: Makes the calls of the run.
        recording: The recording.
        decisions: What a person decided about calls of the run.
        script: A changed script, as :func:`script_fields` returns it; None for the script that ran last.

    Raises:
        ConfigError: The recording cannot be written, or another run is writing to it. Or only one of the two runs is
            simulated: the recorded run or this one. Or a decision is about a call that needs no decision.
        UnderWay: A write has no answer and may have been done, and there is no decision about it.
        Paused: The run paused so long ago that its calls can no longer be approved.
    """
    if recording.header["mode"] != host.mode:
        hint = "pass --simulate" if recording.header["mode"] == "simulated" else "resume it without --simulate"
        what = f"The run in the recording {recording.path} is {recording.header['mode']}"
        raise ConfigError(f"{what}, so the run cannot be resumed as a {host.mode} run", hint=hint)
    host.accounts  # noqa: B018 - read now, so that secrets in the file of accounts are masked in the recording
    recording = believed(recording, host.signer)
    writer = Writer(recording.place, host.redactor, recording, host.signer)
    try:
        resumed: Event = {"event": "resumed", "time": moment(), "kosmolua": __version__}
        events = [resumed, *([{"event": "script", **script}] if script else [])]
        accounts = _of_accounts(recording, host, accept=decisions.accept_accounts)
        # Another service cannot tell whether the first one has carried out a write.
        told = [] if accounts else [*_told_by_services(host, recording, decisions)]
        again = [*decisions.again, *(event["number"] for event in told)]
        events += [*accounts, *_of_doubtful_writes(recording, replace(decisions, again=again))]
        events += _of_pause(recording, decisions)
        keys = {event["number"]: event["key"] for event in told}
        events = [{**each, "key": keys[each["number"]]} if each.get("number") in keys else each for each in events]
        events = [cast("Event", host.redactor.value(event)) for event in events]
        for event in events:
            writer.write(event)
        writer.sync()
    except BaseException:
        writer.close()
        raise
    recording.events += events
    # Writes that a service tells about were approved when they were sent for the first time.
    left = [*_left_approvals(recording), *((event, True) for event in told)]
    answers = Answers(recording, is_changed=_was_changed(recording))
    path = recording.path
    return RunRecording(recording.header, path, answers, writer, host=host, recording=recording, decided=left)


def _told_by_services(host: Host, recording: Recording, decisions: Decisions) -> Iterator[Event]:
    """Yield the writes in doubt, as they were recorded, for which a service can tell whether they were done.

    Either the service takes a key with each write, and carries out writes with equal keys only once, or the integration
    can read whether the write was done. Services forget keys after a day.
    """
    if not was_made_here(recording, host.signer):
        return
    intents = {event["number"]: event for event in recording.events if event["event"] == "intent" and event.get("key")}
    for number in _doubtful(recording, Answers(recording)).keys() - {*decisions.done, *decisions.again}:
        if intent := intents.get(number):
            integration, _, name = intent["path"].rpartition(".")
            try:
                function = host.catalog.resolve(f"{integration}.{intent['account']}.{name}").function
            except KosmoError:
                continue  # a person decides
            age = datetime.now(timezone.utc) - datetime.fromisoformat(intent["time"])
            if (function.idempotency and age < KEYS_LAST) or (function.was_done and not function.idempotency):
                yield intent


def believed(recording: Recording, signer: Signer) -> Recording:
    """Return a recording in which only those decisions of a person count that were made with the key of this store.

    A call that another decision is about waits, as if nobody had decided. To repeat a call that certainly changed
    nothing takes no decision of a person.
    """
    own = identity(recording.header)
    answers = {answer.line: answer for answer in Answers(recording, is_decided=False).all}

    def counts(line: int, event: Event) -> bool:
        if event["event"] != "decision":
            return True
        is_signed = signer.has_signed(event, own, line)
        if event["decision"] in ("approve", "deny"):
            return is_signed
        answer = answers.get(event["line"])
        if answer is None:
            return False
        if event["decision"] == "again" and answer.error and not may_have_been_done(answer, revived(answer.error)):
            return True
        return is_signed and event.get("call") == _about(answer)

    numbered = enumerate(recording.events, start=1)
    return replace(recording, events=[each if counts(line, each) else {"event": "claim"} for line, each in numbered])


def _about(answer: RecordedAnswer) -> Event:
    """Return the fields of a call that identify it in a decision about it."""
    return {name: (answer.call or {}).get(name) for name in ("path", "account", "arguments")}


def was_made_here(recording: Recording, signer: Signer) -> bool:
    """Return True if the first line of a recording, with the settings of its run, was written by this store's user."""
    return signer.has_signed(recording.header, identity(recording.header), 1)


def limits_of(recording: Recording, host: Host) -> Limits:
    """Return the limits with which a recorded run is run again.

    A recording that was not made here cannot raise a limit: the stricter one of its limit and the host's applies.
    """
    recorded = Limits(**{name: value for name, value in recording.header["limits"].items() if name in NAMES})
    return recorded if was_made_here(recording, host.signer) else recorded.stricter(host.limits)


def plan_of(host: Host, source: bytes, job: Job) -> Plan:
    """Return a plan for a script, which lists no calls yet.

    Args:
        host: Makes the calls of the run.
        source: The text of the script, unchanged.
        job: What the script's process has to run.
    """
    run: Event = {"mode": host.mode, "host": host.places(), "args": list(job.arguments)}
    run |= {"input": job.input, "params": dict(job.params)}
    return Plan(script_fields(job.name, source), run, [], [], moment())


def applied_before(plan: Plan, host: Host, *, anew: bool) -> Recording | None:
    """Return the recording with which a plan was applied before and has to go on; None to apply it from the start.

    A plan is applied from the start if nothing was written when it was applied before.

    Args:
        plan: The plan.
        host: Makes the calls of the run.
        anew: True to apply the plan from the start even if it was applied before.

    Raises:
        ConfigError: The plan was applied to its end, is being applied now, or the recording cannot be read. Or only one
            of the two runs is simulated: the one that made the plan or this one.
    """
    if plan.run["mode"] != host.mode:
        hint = "pass --simulate" if plan.run["mode"] == "simulated" else "apply it without --simulate"
        what = f"The plan was made by a {plan.run['mode']} run"
        raise ConfigError(f"{what}, so the plan cannot be applied in a {host.mode} run", hint=hint)
    if plan.applied is None or anew:
        return None
    time, name = plan.applied["time"], plan.applied["recording"]
    what, hint = f"The plan was already applied at {time}", "pass --again to apply it once more"
    try:
        recording = name and (read(name) if os.path.dirname(name) else host.store.read(name))
    except ConfigError as error:
        raise ConfigError(f"{what}, and its recording does not say what was done: {error.what}", hint=hint) from None
    if recording is None or (recording.status == "done" and not recording.place.is_in_use()):
        raise ConfigError(what, hint=hint)
    if recording.place.is_in_use():
        raise ConfigError(f"The plan is being applied now, since {time}", hint="wait until that run ends")
    has_written = any(event["event"] == "intent" for event in recording.events)
    return recording if has_written else None


def _was_changed(recording: Recording) -> bool:
    """Return True if script or version have changed since the recording, so that requests can differ."""
    header, script = recording.header, recording.script
    return bool(header["kosmolua"] != __version__ or script["sha256"] != header["script"]["sha256"])


def _of_accounts(recording: Recording, host: Host, *, accept: bool | Callable[[str], bool]) -> list[Event]:
    """Return the events that record the accounts as they are now, if a run goes on with others than it used before."""
    used = [{name: event[name] for name in USED} for _, event in events_of(recording, "account")]
    found = differences(host, used)
    if not found:
        return []
    said = f"The run in the recording {recording.path} used other accounts: {'; '.join(found)}"
    if not (accept(said) if callable(accept) else accept):
        refusal = ConfigError(said, hint="pass --accept-accounts to go on with the accounts as they are now")
        refusal.sent = NOTHING_SENT
        raise refusal
    names = {(each["integration"], each["account"]) for each in used}
    now = [used_account(host, *name) for name in sorted(names)]
    return [{"event": "account", **each} for each in now if each]


def _of_doubtful_writes(recording: Recording, decisions: Decisions) -> list[Event]:
    """Return the events that record a person's decisions about writes in doubt, which may have been done.

    A write is in doubt if it was sent and has no answer. It is also in doubt if its error ended the run and the service
    may have carried it out in spite of the error. A write that a person called done can get its result later. If the
    error of any other call ended the run, one of the events says that this call is made again.
    """
    answers = Answers(recording)
    doubtful = _doubtful(recording, answers)
    events: list[Event] = []
    if (last := _answer_that_ended(recording, answers)) and last not in doubtful.values():
        events.append(_decision(last, "again"))
    assumed = {number_of(answer): answer for answer in answers.all if answer.is_assumed and number_of(answer)}
    doubtful = {number: answer for number, answer in assumed.items() if number in decisions.done} | doubtful
    if both := {*decisions.done} & {*decisions.again}:
        raise _twofold(min(both), "counted as done and sent again")
    for number in {*decisions.done, *decisions.again}:
        if number not in doubtful:
            what = f"Call {number} is not a write that may have been done"
            raise ConfigError(what, hint=f"calls whose writes may have been done: {_numbers_of(doubtful)}")
    if lost := next((number for number in decisions.done if _is_lost(doubtful[number])), None):
        what = f"Call {lost} cannot be counted as done: its line cannot be read, so the script would send it again"
        raise ConfigError(what, hint=f"pass --again {lost} if it was not done; else use an undamaged copy")
    open_ones = [doubtful[number] for number in doubtful if number not in {*decisions.done, *decisions.again}]
    if open_ones:
        raise _under_way(open_ones)
    events += [_decision(doubtful[number], "again") for number in decisions.again]
    done = decisions.done.items()
    return events + [{**_decision(doubtful[number], "done"), "value": value} for number, value in done]


def _is_lost(answer: RecordedAnswer) -> bool:
    """Return True for a write whose arguments are not known, since the line that had them is damaged."""
    return (answer.call or {}).get("is_readable") is False


def _doubtful(recording: Recording, answers: Answers) -> dict[int, RecordedAnswer]:
    """Return the writes in doubt by their numbers."""
    doubtful = {number_of(answer): answer for answer in answers.under_way}
    last = _answer_that_ended(recording, answers)
    if last and last.error and may_have_been_done(last, revived(last.error)):
        doubtful[number_of(last)] = last
    return doubtful


def _answer_that_ended(recording: Recording, answers: Answers) -> RecordedAnswer | None:
    """Return the recorded answer whose error ended the script, or None if the script ended for a different reason."""
    by = (recording.end or {}).get("by")
    if not by:
        return None
    fitting = [each for each in answers.all if each.error and each.branch == by["branch"] and each.ask == by["ask"]]
    return max(fitting, key=lambda answer: answer.order, default=None)


def _decision(answer: RecordedAnswer, decision: str) -> Event:
    return {
        "event": "decision",
        "line": answer.line,
        "number": number_of(answer),
        "decision": decision,
        "call": _about(answer),
        "time": moment(),
    }


def _under_way(answers: Sequence[RecordedAnswer]) -> UnderWay:
    calls = [answer.call or {} for answer in answers]
    shown = ("number", "path", "account", "effect", "arguments")
    named = [f"call {call['number']}, {call['path']} with {call['account']}" for call in calls[:MAX_NAMED]]
    more = f" and {len(calls) - MAX_NAMED} more" if len(calls) > MAX_NAMED else ""
    has, them = ("was sent and has", "it") if len(calls) == 1 else ("were sent and have", "each")
    number = calls[0]["number"]
    return UnderWay(
        f"The run cannot continue without a decision: {', '.join(named)}{more} {has} no answer, "
        f"so {them} may have been done",
        calls=[{name: call.get(name) for name in shown} for call in calls],
        hint=f"check, then pass --done {number} if it was done, or --again {number} to send it again",
    )


def _of_pause(recording: Recording, decisions: Decisions) -> list[Event]:
    """Return the events that record a person's decisions about calls that wait for an approval.

    A decision about all calls leaves out those that the other decision names.
    """
    end = recording.end or {}
    waiting = {call["number"]: call for call in _paused_calls(recording)}
    chosen = {"approve": _numbers_among(decisions.approve), "deny": _numbers_among(decisions.deny)}
    named = {decision: set(waiting if given is True else given or ()) for decision, given in chosen.items()}
    for decision, other in (("approve", "deny"), ("deny", "approve")):
        if chosen[decision] is True and chosen[other] is not True:
            named[decision] -= named[other]
    if both := named["approve"] & named["deny"]:
        raise _twofold(min(both), "approved and denied")
    events: list[Event] = []
    for decision, numbers in named.items():
        for number in sorted(numbers):
            if number not in waiting:
                what = f"Call {number} does not wait for an approval"
                raise ConfigError(what, hint=f"calls that wait for an approval: {_numbers_of(waiting)}")
            events.append({"event": "decision", "decision": decision, "number": number, "call": waiting[number]})
    age = datetime.now(timezone.utc) - datetime.fromisoformat(end["time"]) if events else timedelta()
    if age > timedelta(days=APPROVAL_DAYS):
        raise Paused(f"The run was paused more than {APPROVAL_DAYS} days ago, so its calls can no longer be approved")
    return events


def _twofold(number: int, what: str) -> ConfigError:
    return ConfigError(f"Call {number} cannot be both {what}", hint="decide only once about each call")


def _paused_calls(recording: Recording) -> list[Event]:
    error = (recording.end or {}).get("error") or {}
    return list(error["fields"]["calls"]) if error.get("type") == Paused.__name__ else []


def _left_approvals(recording: Recording) -> list[tuple[Event, bool]]:
    """Return a person's unused decisions, each a call and whether it was approved, for when it is made again."""
    left: list[tuple[Event, bool]] = []
    for event in recording.events:
        if event.get("decision") in ("approve", "deny"):
            left.append((event["call"], event["decision"] == "approve"))
        made = event if event["event"] == "intent" else event.get("call") if event["event"] == "answer" else None
        if made:
            call: Event = made
            about = (each for each in left if _is_about(each[0], call["path"], call["account"], call.get("arguments")))
            if spent := next(about, None):
                left.remove(spent)
    return left


def _numbers_of(calls: Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(calls))) or "none"


def _what_cut(recording: Recording) -> KosmoError | None:
    """Return the error that stopped a recorded script from outside, such as a limit; None if it ended by itself."""
    if recording.end is None:
        hint = f"to continue the run: kosmolua resume {recording.path}"
        return Interrupted("The recording ends here, since the process of the run was killed", hint=hint)
    error = revived(recording.end["error"]) if recording.end.get("error") else None
    came_to_its_end = recording.status in ("done", "failed") and not isinstance(error, WorkerLost)
    return None if came_to_its_end else error


def options_of(recording: Recording) -> dict[str, Any]:
    """Return the recorded options with which the script of a run is run again: its name, values and default account."""
    header = recording.header
    account = {"account": header["account"]} if header["account"] else {}
    kept = {name: header[name] for name in ("args", "input", "params")}
    return {"name": recording.script["name"], **kept, **account}


def script_fields(name: str, source: bytes) -> Event:
    """Return the fields that a recording stores of a script: ``name``, ``sha256`` and ``source``."""
    return {"name": name, "sha256": sha256(source).hexdigest(), "source": protocol.to_text(source)}


def source_of(script: Mapping[str, Any]) -> bytes:
    """Return the text of a script that is stored in a recording.

    Args:
        script: The fields that :func:`script_fields` returned.
    """
    return protocol.to_bytes(script["source"])


def _is_about(call: Event, path: str | None, account: str | None, arguments: object) -> bool:
    return (call.get("path"), call.get("account")) == (path, account) and is_same(call.get("arguments"), arguments)


def _not_made(left: Sequence[RecordedAnswer]) -> str:
    count = len(left)
    return f"{count} {'call' if count == 1 else 'calls'} of the recording {'was' if count == 1 else 'were'} not made"


def _words(answer: RecordedAnswer) -> str:
    call = answer.call or {}
    return f"call {call.get('number')}, {call.get('path')}"


def patterns_among(deny: object) -> list[str]:
    """Return the patterns of functions that are in the argument ``deny`` of :meth:`kosmolua.Runtime.resume`.

    The argument can also contain numbers of calls, or be True for all calls that wait. Both are ignored here.
    """
    if isinstance(deny, str):
        return [deny]
    return [each for each in deny if isinstance(each, str)] if isinstance(deny, (list, tuple)) else []


def _numbers_among(given: object) -> Sequence[int] | bool:
    if isinstance(given, (list, tuple)):
        return [each for each in given if isinstance(each, int)]
    return given is True


def _list(given: Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def moment() -> str:
    """Return the current time in the format of recordings: ISO 8601, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
