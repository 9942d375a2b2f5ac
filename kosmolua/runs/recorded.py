"""Recorded runs: what a run that is recorded, repeated or resumed has beside its options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from kosmolua import __version__, protocol
from kosmolua.broker.answers import Answer, Answers, calls_of, number_of, summaries
from kosmolua.broker.recording import FORMAT, Event, Recording, Writer, error_fields, revived
from kosmolua.errors import ConfigError, Interrupted, KosmoError, Paused, WorkerLost
from kosmolua.folders import recordings_folder
from kosmolua.runs.tape import Tape

if TYPE_CHECKING:
    from kosmolua.broker.approvals import Approval
    from kosmolua.broker.host import Host
    from kosmolua.limits import Limits
    from kosmolua.runs.job import Job

MAX_NAMED = 3
APPROVAL_DAYS = 7
"""How long a paused run waits for its approvals."""


@dataclass
class Decisions:
    """What a person decided about calls of a recording, by their numbers.

    Args:
        approve: Calls that wait for an approval and may be made; True for all of them.
        deny: Those that may not; True for all of them.
        done: Writes that were under way and count as done, each with what the script gets.
        again: Writes that were under way and are to be sent again.
    """

    approve: Sequence[int] | bool = ()
    deny: Sequence[int] | bool = ()
    done: Mapping[int, Any] = field(default_factory=dict)
    again: Sequence[int] = ()


class Outcome(Protocol):
    """How a take ended, see :class:`kosmolua.runs.run.Outcome`."""

    error: KosmoError | None
    calls: list[dict[str, object]]
    usage: dict[str, Any]
    warnings: list[str]
    recording: str | None

    @property
    def ok(self) -> bool:
        """Whether the script ran to its end."""

    @property
    def status(self) -> str:
        """How it ended."""


class Take:
    """One run of a recorded script: the first one, a repetition, or one that goes on.

    Args:
        run: The id of the run; all takes have the same.
        seed: Where its random numbers begin, in hex.
        tape: Keeps and repeats what the script learns.
        path: The recording.
        recording: What the recording held before this take.
        decided: Approvals given and refused beforehand, each with the call.
    """

    def __init__(
        self,
        run: str,
        seed: str,
        tape: Tape,
        path: str,
        recording: Recording | None = None,
        decided: Iterable[tuple[Event, bool]] = (),
    ) -> None:
        self.run = run
        self.seed = seed
        self.tape = tape
        self.path = path
        self._recording = recording
        self._decided = list(decided)
        self._lock = Lock()

    @property
    def secrets(self) -> Sequence[str] | None:
        """The names that the script finds in ``secrets``, if it ran before: they stay the same."""
        return self._recording.header["secrets"] if self._recording else None

    @property
    def earlier(self) -> int:
        """The number of the last call of earlier takes."""
        return max(calls_of(self._recording), default=0) if self._recording else 0

    def decided(self, approval: Approval) -> bool | None:
        """Return what a person said beforehand of a call; each decision is for one call."""
        with self._lock:
            for decision in self._decided:
                if _is_about(decision[0], approval.path, approval.account, approval.arguments):
                    self._decided.remove(decision)
                    return decision[1]
        return None

    def finish(self, outcome: Outcome) -> None:
        """Complete an outcome by what earlier takes did, and write down how this one ended."""
        recorded = calls_of(self._recording) if self._recording else {}
        if self.tape.is_live:
            fresh = outcome.calls
            # What was refused by a pause was asked for again, by another number.
            outcome.calls = [*summaries(call for call in recorded.values() if call.get("error") != Paused.code), *fresh]
            outcome.recording = self.path
            self.tape.close(self._end(outcome))
            return
        self.tape.close()
        assert self._recording
        answers = [answer for answer in self.tape.answers.all if answer.is_taken]
        taken = {number_of(answer): dict(answer.call) for answer in answers if answer.call}
        if self._recording.status == outcome.status and not self.tape.answers.is_changed:
            taken = recorded
        outcome.calls = summaries(taken.values())
        if outcome.ok and (left := self.tape.answers.left):
            outcome.warnings.append(f"{_not_made(left)}, the first of them {_words(left[0])}")

    def _end(self, outcome: Outcome) -> Event:
        end: Event = {"event": "end", "time": _now(), "status": outcome.status, "calls": self.tape.unanswered()}
        if outcome.error:
            end["error"] = error_fields(outcome.error)
            end["by"] = self.tape.question_that_raised(outcome.error)
        return end | {"usage": {name: outcome.usage[name] for name in ("wall_ms", "cpu_ms") if name in outcome.usage}}


def begin(
    host: Host,
    path: str | os.PathLike[str] | None,
    source: bytes,
    job: Job,
    limits: Limits,
    *,
    read_only: bool,
    deny: Sequence[str],
) -> Take:
    """Begin a recording.

    Args:
        host: What the run makes its calls with.
        path: The file, which must not be there; None for one in the user's state folder, named by the run's id.
        source: The script as it was given.
        job: What its process is told.
        limits: The limits of the run.
        read_only: Whether every write is denied, also when the run goes on.
        deny: What is denied, also when it goes on.

    Raises:
        ConfigError: The file cannot be written.
    """
    run, seed = os.urandom(6).hex(), os.urandom(16).hex()
    file = default_path(run) if path is None else os.fspath(path)
    host.accounts  # noqa: B018 - so that secrets in its file are known, and masked in what follows
    writer = Writer(file, host.redactor)
    writer.write(
        {
            "event": "run",
            "format": FORMAT,
            "kosmolua": __version__,
            "run": run,
            "time": _now(),
            "mode": host.mode,
            "script": script_fields(job.name.removeprefix("="), source),
            "args": list(job.arguments),
            "input": job.input,
            "secrets": list(job.secrets),
            "limits": limits.as_dict(),
            "options": {"read_only": read_only or host.read_only, "deny": _list(deny)},
            "host": host.places(),
            "seed": seed,
        }
    )
    return Take(run, seed, Tape(Answers(), writer, redact=host.redactor.value), file)


def replaying(recording: Recording, *, is_changed: bool) -> Take:
    """Return the take that repeats a recording.

    Args:
        recording: The recording.
        is_changed: Whether another script runs.
    """
    cut = None if is_changed else _what_cut(recording)
    tape = Tape(Answers(recording, is_changed=is_changed), None, cut=cut)
    return Take(recording.header["run"], recording.header["seed"], tape, recording.path, recording)


def _what_cut(recording: Recording) -> KosmoError | None:
    """Return the error that ended a run from outside, or None if the script came to its own end."""
    if recording.end is None:
        hint = f"kosmolua resume {recording.path} goes on with it"
        return Interrupted("The recording ends here, since the process of the run was killed", hint=hint)
    error = revived(recording.end["error"]) if recording.end.get("error") else None
    came_to_its_end = recording.status in ("done", "failed") and not isinstance(error, WorkerLost)
    return None if came_to_its_end else error


def default_path(run: str) -> str:
    """Return the file that keeps a run's recording unless another is named, in a folder that is made if missing.

    Raises:
        ConfigError: The folder cannot be made.
    """
    folder = recordings_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Recordings cannot be kept in {folder}: {error.strerror}") from None
    return os.path.join(folder, f"{run}.jsonl")


def options_of(recording: Recording) -> dict[str, Any]:
    """Return the options with which a recorded script runs again."""
    return {"name": recording.script["name"], "args": recording.header["args"], "input": recording.header["input"]}


def script_fields(name: str, source: bytes) -> Event:
    """Return what a recording keeps of a script."""
    return {"name": name, "sha256": sha256(source).hexdigest(), "source": protocol.to_text(source)}


def source_of(script: Mapping[str, Any]) -> bytes:
    """Return the text of a script that a recording keeps."""
    return protocol.to_bytes(script["source"])


def _is_about(call: Event, path: str | None, account: str | None, arguments: object) -> bool:
    return (call.get("path"), call.get("account"), call.get("arguments")) == (path, account, arguments)


def _not_made(left: Sequence[Answer]) -> str:
    count = len(left)
    return f"{count} {'call' if count == 1 else 'calls'} of the recording {'was' if count == 1 else 'were'} not made"


def _words(answer: Answer) -> str:
    call = answer.call or {}
    return f"call {call.get('number')}, {call.get('path')}"


def _list(given: Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
