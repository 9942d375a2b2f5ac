"""Resumed runs: what a person decided about the calls of a recorded run, and the run that goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

from kosmolua import __version__
from kosmolua.broker.used_accounts import USED, Used, refuse_others, used_accounts
from kosmolua.clock import moment
from kosmolua.errors import ConfigError, KosmoError, Paused, Unavailable, UnderWay
from kosmolua.recordings.answers import Answers, RecordedAnswer, answer_that_ended, may_have_been_done, number_of
from kosmolua.recordings.recording import Event, Recording, Writer, events_of, revived, sound_part
from kosmolua.recordings.signing import identity
from kosmolua.runs.job import as_bytes
from kosmolua.runs.recorded import (
    RunRecording,
    is_about,
    limits_of,
    options_of,
    replaying,
    script_fields,
    source_of,
    was_made_here,
)
from kosmolua.stores.store import APPROVAL_DAYS

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.recordings.signing import Signer
    from kosmolua.runs.run import Run
    from kosmolua.runs.running import Runs
    from kosmolua.stores.store import Store

MAX_NAMED = 3
KEYS_LAST = timedelta(hours=23)
"""How long services remember the keys of writes: usually a day."""


@dataclass(frozen=True)
class Decisions:
    """What a person decided about calls of a recorded run: see :meth:`kosmolua.Runtime.resume`.

    In ``approve`` and ``deny``, only numbers of calls and True count. A function and patterns are options of the run.
    ``by`` is the name of the person, if it is known.
    """

    approve: object = ()
    deny: object = ()
    done: Mapping[int, Any] = field(default_factory=dict)
    again: Sequence[int] = ()
    accept_accounts: bool | Callable[[str], bool] = False
    by: str | None = None


def resumed(
    runs: Runs, recording: Recording, script: str | bytes | None, decisions: Decisions, options: Mapping[str, Any]
) -> Run:
    """Prepare the run that continues a recorded one, or that replays it if it is finished.

    ``script`` is the text of a corrected script, None for the one that ran last.

    Raises:
        ConfigError: The recording is that of a session, or as for :func:`resuming`; likewise the other errors.
    """
    header = recording.header
    if recording.is_session:
        what = f"The recording {recording.path} contains a session, which cannot be resumed"
        raise ConfigError(what, hint="to repeat the session, run kosmolua replay")
    limits = limits_of(recording, runs.host)
    given: dict[str, Any] = {**options_of(recording), **options}
    source, mended = source_of(recording.script), None
    if script is not None and as_bytes(script) != source:
        source = as_bytes(script)
        mended = script_fields(given["name"], source)
    elif recording.status == "done":
        replay = replaying(recording, is_changed=False)
        replay.remark = f"the run {header['run']} is already finished; this is its outcome"
        return runs.prepare(source, given, replay, limits)  # type: ignore[arg-type]
    given["read_only"] = given.get("read_only", False) or header["options"]["read_only"]
    given["deny"] = [*header["options"]["deny"], *patterns_among(decisions.deny)]
    given.setdefault("check", header["options"].get("check", False))
    among = decisions.approve if isinstance(decisions.approve, list) else [decisions.approve]
    if asks := next((each for each in among if callable(each)), None):
        given["approve"] = asks
    run = runs.prepare(source, given, limits=limits)  # type: ignore[arg-type]
    try:
        run.recording = resuming(runs.host, recording, replace(decisions, by=options.get("person")), mended)
    except BaseException:
        runs.forget(run)
        raise
    return run


def resuming(host: Host, recording: Recording, decisions: Decisions, script: Event | None) -> RunRecording:
    """Add the decisions to the recording of a run, and return the recording that resumes the run.

    ``script`` are the fields of a changed script, None for the script that ran last.

    Raises:
        ConfigError: The recording cannot be written, another run is writing to it, or another copy may go on. Or only
            one of the two runs is simulated: the recorded run or this one. Or a decision is about a call that needs no
            decision.
        UnderWay: A write has no answer and may have been done, and there is no decision about it.
        Paused: The run paused so long ago that its calls can no longer be approved.
    """
    if recording.header["mode"] != host.mode:
        hint = "pass --simulate" if recording.header["mode"] == "simulated" else "resume it without --simulate"
        what = f"The run in the recording {recording.path} is {recording.header['mode']}"
        raise ConfigError(f"{what}, so the run cannot be resumed as a {host.mode} run", hint=hint)
    run = recording.header["run"]
    is_kept = any(each.run == run for each in host.store.runs(beginning=run))
    if is_kept:
        _refuse_copy(recording, host.store)
    else:
        _refuse_former(recording, host.store)
    host.accounts  # noqa: B018 - read now, so that secrets in the file of accounts are masked in the recording
    recording = believed(recording, host.signer)
    writer = Writer(recording.place, host.redactor, recording, host.signer)
    try:
        resumed: Event = {"event": "resumed", "time": moment(), "kosmolua": __version__}
        events = [resumed, *([{"event": "script", **script}] if script else [])]
        decided = {*decisions.done, *decisions.again}
        accounts = _of_accounts(recording, host, accept=decisions.accept_accounts)
        # Another service cannot tell whether the first one has carried out a write.
        answers = Answers(recording)
        doubtful = _doubtful(recording, answers)
        told = [] if accounts else [*_told_by_services(host, recording, doubtful.keys() - decided)]
        again = [*decisions.again, *(event["number"] for event in told)]
        events += [*accounts, *_of_doubtful_writes(recording, answers, doubtful, replace(decisions, again=again))]
        events += _of_pause(recording, decisions)
        keys = {event["number"]: event["key"] for event in told}
        events = [{**each, "key": keys[each["number"]]} if each.get("number") in keys else each for each in events]
        events = [cast("Event", host.redactor.value(event)) for event in events]
        for event in events:
            writer.write(event)
        writer.sync()
        if not is_kept:
            _refuse_former(recording, host.store, writer)
    except BaseException:
        writer.close()
        raise
    recording.events += events
    # Writes that a service tells about were approved when they were sent for the first time.
    left = [*_left_approvals(recording), *((event, True) for event in told)]
    answers = Answers(recording, is_changed=recording.was_changed)
    path = recording.path
    return RunRecording(recording.header, path, answers, writer, host=host, recording=recording, decided=left)


def _refuse_copy(recording: Recording, store: Store) -> None:
    """Refuse a copy of a recording of the store, unless it goes on where that one ends, as one older than the copy."""
    run = recording.header["run"]
    place = store.place(run)
    if type(place) is type(recording.place) and os.path.realpath(place.name) == os.path.realpath(recording.path):
        return
    own, _ = sound_part(place, place.read())
    count = len(own.events)
    if own.events and identity(own.header) == identity(recording.header):
        if len(recording.events) > count and recording.events[count - 1] == own.events[-1]:
            return
        what = f"The recording {recording.path} is a copy of the run {run}, which may have gone on, or may later"
        raise ConfigError(
            f"{what}: writes would be sent twice", hint=f"nothing was sent; to continue the run, resume {run}"
        )


def _refuse_former(recording: Recording, store: Store, writer: Writer | None = None) -> None:
    """Refuse a recording in a file if another copy was resumed as often; with its writer, note that this one is now."""
    if recording.header["mode"] != "live":
        return
    times, kind = 1 + sum(1 for _ in events_of(recording, "resumed")), f"resumed-{identity(recording.header)[:32]}"
    is_former = False
    with suppress(Unavailable):  # nobody knows where nothing can be kept
        known = store.count(kind, 0, 0) or 0
        is_former = known >= times or (writer is not None and store.count(kind, 0, times - known, times) is None)
    if is_former:
        if writer:  # another copy was resumed at the same time: this one must not look resumed, too
            writer.take_back()
        what = f"Another copy of the recording {recording.path} has gone on: writes would be sent twice"
        raise ConfigError(what, hint="nothing was sent; to continue the run, resume that copy")


def _told_by_services(host: Host, recording: Recording, numbers: Iterable[int]) -> Iterator[Event]:
    """Yield those of the calls, as they were recorded, for which a service can tell whether they were done.

    Either the service takes a key with each write, and carries out writes with equal keys only once, or the integration
    can read whether the write was done. Services forget keys after a day.
    """
    if not was_made_here(recording, host.signer):
        return
    intents = {event["number"]: event for event in recording.events if event["event"] == "intent" and event.get("key")}
    for number in numbers:
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


def used_in(recording: Recording) -> list[Used]:
    """Return the accounts that a recorded run used, in the order in which they were recorded."""
    return [{name: event[name] for name in USED} for _, event in events_of(recording, "account")]


def _of_accounts(recording: Recording, host: Host, *, accept: bool | Callable[[str], bool]) -> list[Event]:
    """Return the events that record the accounts as they are now, if a run goes on with others than it used before."""
    used = used_in(recording)
    if not refuse_others(f"The run in the recording {recording.path} used", host, used, accept=accept):
        return []
    now = used_accounts(host, ((each["integration"], each["account"]) for each in used))
    return [{"event": "account", **each} for each in now]


def _of_doubtful_writes(
    recording: Recording, answers: Answers, doubtful: dict[int, RecordedAnswer], decisions: Decisions
) -> list[Event]:
    """Return the events that record a person's decisions about writes in doubt, which may have been done.

    A write is in doubt if it was sent and has no answer. It is also in doubt if its error ended the run and the service
    may have carried it out in spite of the error. A write that a person called done can get its result later. If the
    error of any other call ended the run, one of the events says that this call is made again.
    """
    events: list[Event] = []
    if (last := answer_that_ended(recording, answers)) and last not in doubtful.values():
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
    doubtful = {number_of(answer): answer for answer in answers.under_way}
    last = answer_that_ended(recording, answers)
    if last and last.error and may_have_been_done(last, revived(last.error)):
        doubtful[number_of(last)] = last
    return doubtful


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
    waiting, now = {call["number"]: call for call in recording.paused_calls}, recording.numbers_of_waiting
    chosen = {"approve": _numbers_among(decisions.approve), "deny": _numbers_among(decisions.deny)}
    said = {decision: waiting if given is True else given or () for decision, given in chosen.items()}
    named = {decision: {now.get(number, number) for number in numbers} for decision, numbers in said.items()}
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
            known = {"time": moment(), **({"by": decisions.by} if decisions.by else {})}
            about = {"decision": decision, "number": number, "call": waiting[number]}
            events.append({"event": "decision", **about, **known})
    age = datetime.now(timezone.utc) - datetime.fromisoformat(end["time"]) if events else timedelta()
    if age > timedelta(days=APPROVAL_DAYS):
        raise Paused(f"The run was paused more than {APPROVAL_DAYS} days ago, so its calls can no longer be approved")
    return events


def _twofold(number: int, what: str) -> ConfigError:
    return ConfigError(f"Call {number} cannot be both {what}", hint="decide only once about each call")


def _left_approvals(recording: Recording) -> list[tuple[Event, bool]]:
    """Return a person's unused decisions, each a call and whether it was approved, for when it is made again."""
    left: list[tuple[Event, bool]] = []
    for event in recording.events:
        if event.get("decision") in ("approve", "deny"):
            left.append((event["call"], event["decision"] == "approve"))
        made = event if event["event"] == "intent" else event.get("call") if event["event"] == "answer" else None
        if made:
            call: Event = made
            about = (each for each in left if is_about(each[0], call["path"], call["account"], call.get("arguments")))
            if spent := next(about, None):
                left.remove(spent)
    return left


def _numbers_of(calls: Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(calls))) or "none"


def patterns_among(deny: object) -> list[str]:
    """Return the patterns of functions in the argument ``deny`` of :meth:`kosmolua.Runtime.resume`, without numbers."""
    if isinstance(deny, str):
        return [deny]
    return [each for each in deny if isinstance(each, str)] if isinstance(deny, (list, tuple)) else []


def _numbers_among(given: object) -> Sequence[int] | bool:
    if isinstance(given, (list, tuple)):
        return [each for each in given if isinstance(each, int)]
    return given is True
