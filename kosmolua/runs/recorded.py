"""Recorded runs: records a run, and replays it. (:mod:`kosmolua.runs.resuming` resumes one.)"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from threading import Event as ThreadEvent
from threading import Lock
from typing import TYPE_CHECKING, Any

from kosmolua import __version__, protocol
from kosmolua.broker.used_accounts import used_account
from kosmolua.calls.contents import Contents
from kosmolua.calls.records import waited_seconds
from kosmolua.calls.titles import deeds_of, made_of, title_of
from kosmolua.clock import moment
from kosmolua.errors import (
    CallError,
    ConfigError,
    Diverged,
    Exited,
    Interrupted,
    KosmoError,
    Parked,
    Paused,
    ScriptError,
    Unavailable,
)
from kosmolua.limits import NAMES, Limits
from kosmolua.recordings.answers import Answers, RecordedAnswer, calls_of, number_of, summaries
from kosmolua.recordings.events import is_same
from kosmolua.recordings.recording import FORMAT, Event, Recording, Writer, error_fields, events_of, revived
from kosmolua.recordings.sheets import File
from kosmolua.recordings.signing import identity
from kosmolua.recordings.tape import Tape

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.calls.approvals import Approval
    from kosmolua.calls.facts import Fact
    from kosmolua.recordings.notes import Notes
    from kosmolua.recordings.signing import Signer
    from kosmolua.runs.job import Job, Outcome

MAX_OUTPUT = 4_000
"""How many characters of a run's output its recording keeps, so that a search finds the run by them."""
STORE_PAUSE = 1.0
"""Seconds after which a run that cannot be parked tries it again, since the store is away."""


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
        writer: Writer | Notes | None = None,
        *,
        host: Host | None = None,
        recording: Recording | None = None,
        decided: Iterable[tuple[Event, bool]] = (),
        earlier: int = 0,
        is_chunk: bool = False,
        cut: KosmoError | None = None,
    ) -> None:
        identify = partial(used_account, host) if host and not is_chunk else lambda *_: None
        redactor = host.redactor if host else None
        super().__init__(header["run"], answers, writer, redactor, identify, is_chunk=is_chunk, cut=cut)
        self._header = header
        self.seed: str = header["seed"]
        self.heard: str = header.get("heard", "")
        self.path = path
        self.remark: str | None = None
        self.earlier = self.last_call = max(calls_of(recording), default=0) if recording else earlier
        self.can_pause = not is_chunk
        self._host = host
        self._recording = recording
        self._decided = list(decided)
        self._deciding = Lock()
        self.stopped = ThreadEvent()
        """Set once the run is to end at once, even if it waits for a store that is away."""

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
        """Return whether a person approved a call before this execution, or None if nobody decided about it.

        Each decision applies to one call only, so it is forgotten once it has been returned.
        """
        with self._deciding:
            for decision in self._decided:
                if is_about(decision[0], approval.path, approval.account, approval.arguments):
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
            if isinstance(outcome.error, (Parked, Paused)):
                outcome.error = self._at_rest(outcome.error)
            try:
                self.close(self._end(outcome))
            except KosmoError as error:  # a recording that cannot be written does not undo what the script did
                if isinstance(error, ConfigError) and error.is_unrecorded:
                    raise
                if not isinstance(outcome.error, Unavailable):  # which has said so
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
            outcome.facts = _facts_of(self._recording)
        outcome.calls = summaries(taken.values())
        if outcome.ok and (left := self.answers.left):
            outcome.warnings.append(f"{_not_made(left)}, the first of them {_words(left[0])}")

    def _at_rest(self, error: Parked | Paused) -> KosmoError:
        """Note until when the script sleeps, and let it be woken then; return how the run ends.

        The run waits for a store that is away, since nobody would wake it otherwise.
        """
        while True:
            try:
                self.note_asleep()
                if self.park and isinstance(error, Parked):
                    self.park(error.until)
                return error
            except Unavailable:
                if self.stopped.wait(STORE_PAUSE):
                    return _interrupted_asleep()
            except KosmoError as failed:
                return failed

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
        if not self._header.get("title"):
            end["title"] = deeds_of(outcome.calls)
        end |= {"made": made_of(outcome.calls), **self._seconds(outcome, end["time"])}
        end |= {"output": outcome.output[:MAX_OUTPUT]} if outcome.output else {}
        end |= {"facts": [vars(fact) for fact in outcome.facts]} if outcome.facts else {}
        if outcome.error:
            end["error"] = error_fields(outcome.error)
            end["by"] = self.question_that_raised(outcome.error)
        return end | {"usage": {name: outcome.usage[name] for name in ("wall_ms", "cpu_ms") if name in outcome.usage}}

    def _seconds(self, outcome: Outcome, until: str) -> dict[str, float]:
        """Return for how many seconds the run has worked, and waited for people, in all executions so far."""
        earlier = [event for _, event in events_of(self._recording, "end")] if self._recording else []
        waited = waited_seconds(self._questions, until)
        known = {"worked": (outcome.usage.wall_ms or 0.0) / 1000 - waited, "waited": waited}
        return {
            name: round(sum((end.get(name, 0.0) for end in earlier), max(0.0, now)), 3) for name, now in known.items()
        }


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
    check: bool = False,
    title: str | None = None,
    **more: Any,
) -> Writer:
    """Begin the recording of a run, or of a session without ``source``: write its first line, and return its writer.

    Without ``path``, where there must be no file yet, the recording is kept in the store. ``read_only``, ``deny`` and
    ``check`` hold even after the run is resumed. ``title`` is the one that the client gave the run. ``more`` are fields
    of the first line: ``account``, ``client``, ``software``, ``person``, ``input_of``, ``heard`` (the id of the session
    that had read texts by others before), ``session``, ``task`` (of an MCP client), and ``fleet``.

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
        "title": title_of(source, job.name, title),
        "script": script_fields(job.name.removeprefix("="), source),
        "args": list(job.arguments),
        "input": job.input,
        "secrets": list(job.secrets),
        "params": dict(job.params),
        "limits": vars(limits),
        "host": host.places(),
        "seed": os.urandom(16).hex(),
        "options": {"read_only": read_only or host.read_only, "deny": [*denied, *_list(deny)], "check": check},
        **more,
    }
    return Writer(place, host.redactor, None, host.signer, host.make_room if in_store else None, header)


def end_parked(host: Host, recording: Recording) -> None:
    """Append to the recording of a run that sleeps that it was interrupted.

    Raises:
        ConfigError: Another process is writing the recording, or it cannot be written.
    """
    writer = Writer(recording.place, host.redactor, recording, host.signer)
    error = error_fields(_interrupted_asleep())
    try:
        writer.write({"event": "end", "time": moment(), "status": "interrupted", "calls": [], "error": error})
    finally:
        writer.close()


def _interrupted_asleep() -> Interrupted:
    return Interrupted("The script was interrupted while it slept")


def replaying(recording: Recording, *, is_changed: bool) -> RunRecording:
    """Return the recording that replays what was recorded, for the same script or a changed one."""
    answers, cut = Answers(recording, is_changed=is_changed), None if is_changed else _what_cut(recording)
    return RunRecording(recording.header, recording.path, answers, recording=recording, cut=cut)


def was_made_here(recording: Recording, signer: Signer) -> bool:
    """Return True if the first line of a recording, with the settings of its run, was written by this store's user."""
    return signer.has_signed(recording.header, identity(recording.header), 1)


def limits_of(recording: Recording, host: Host) -> Limits:
    """Return the limits with which a recorded run is run again.

    A recording that was not made here cannot raise a limit: the stricter one of its limit and the host's applies.
    """
    recorded = Limits(**{name: value for name, value in recording.header["limits"].items() if name in NAMES})
    return recorded if was_made_here(recording, host.signer) else recorded.stricter(host.limits)


def _what_cut(recording: Recording) -> KosmoError | None:
    """Return the error that stopped a recorded script from outside, such as a limit; None if it ended by itself."""
    if recording.end is None:
        hint = f"to continue the run: kosmolua resume {recording.path}"
        what = "The recording ends here: the process of the run was killed, or could not write it any more"
        return Interrupted(what, hint=hint)
    error = revived(recording.end["error"]) if recording.end.get("error") else None
    return None if isinstance(error, (CallError, ScriptError, Exited)) else error


def options_of(recording: Recording) -> dict[str, Any]:
    """Return the recorded options with which the script of a run is run again: its name, values and default account."""
    header = recording.header
    account = {"account": header["account"]} if header["account"] else {}
    kept = {name: header[name] for name in ("args", "input", "params")}
    kept |= {name: header.get(name) for name in ("title", "input_of")}
    return {"name": recording.script["name"], **kept, **account}


def script_fields(name: str, source: bytes) -> Event:
    """Return the fields that a recording stores of a script: ``name``, ``sha256`` and ``source``."""
    return {"name": name, "sha256": sha256(source).hexdigest(), "source": protocol.to_text(source)}


def source_of(script: Mapping[str, Any]) -> bytes:
    """Return the text of a script from the fields that :func:`script_fields` returned."""
    return protocol.to_bytes(script["source"])


def _facts_of(recording: Recording) -> list[Fact]:
    """Return the facts about a recorded run; none if an earlier version has recorded it."""
    from kosmolua.calls.facts import Fact

    return [Fact(**each) for each in (recording.end or {}).get("facts", ())]


def is_about(call: Event, path: str | None, account: str | None, arguments: object) -> bool:
    """Return True if a recorded call is of this function, with this account and these arguments."""
    return (call.get("path"), call.get("account")) == (path, account) and is_same(call.get("arguments"), arguments)


def _not_made(left: Sequence[RecordedAnswer]) -> str:
    count = len(left)
    return f"{count} {'call' if count == 1 else 'calls'} of the recording {'was' if count == 1 else 'were'} not made"


def _words(answer: RecordedAnswer) -> str:
    call = answer.call or {}
    return f"call {call.get('number')}, {call.get('path')}"


def _list(given: Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
