"""Answers: the recorded answers that a replayed or resumed script gets to its requests, instead of new ones."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kosmolua import protocol
from kosmolua.calls.records import CallRecord
from kosmolua.errors import ApiError, KosmoError
from kosmolua.recordings.recording import Event, Recording, events_of, question
from kosmolua.schema.effects import changes
from kosmolua.secret import MASK

REPEATABLE = ("describe", "doc")
"""Kinds of requests whose last recorded answer is used again if the script makes them more often than before."""


@dataclass
class RecordedAnswer:
    """The recorded answer to one request of a script, or a recorded write that was sent and never answered.

    Args:
        line: The number of the recording's line that holds the answer, or the write if it was never answered.
        order: A number that sorts the answers: the script got every answer with a smaller ``order`` before this one.
        branch: The name of the branch of ``parallel`` that made the request.
        ask: The request, as a list that begins with its kind, such as ``call``.
        value: The answer, as JSON; None if the request failed or was never answered.
        error: The recorded error, if the request failed.
        call: The recorded details of the call, if the request was a call.
        is_under_way: True for a write that was sent and never answered.
        is_assumed: True for a write that was done, as a person said, who did not say what it returned.
        is_taken: True once the script, running again, has got this answer.
    """

    line: int
    order: int
    branch: str
    ask: list[Any]
    value: str | None = None
    error: Mapping[str, Any] | None = None
    call: Mapping[str, Any] | None = None
    is_under_way: bool = False
    is_assumed: bool = False
    is_taken: bool = False

    @property
    def is_write(self) -> bool:
        """True if the request was a call of a function that writes or destroys."""
        return self.call is not None and changes(self.call.get("effect"))


class Answers:
    """Finds the recorded answer to each request of a script that runs again.

    An answer is found by the request, by the branch of ``parallel`` that makes the request, and by how many times that
    branch made the same request before. If the script was changed and this branch has no answer left, an unused answer
    to the same request of another branch is taken.

    Each answer is used once. The exceptions are lookups of names and documentation: if no answer is left for a lookup,
    its last answer is used again. ``is_changed`` says that the script was changed after it was recorded. If
    ``is_decided`` is False, what persons decided about writes without an answer is left out.
    """

    def __init__(
        self, recording: Recording | None = None, *, is_changed: bool = False, is_decided: bool = True
    ) -> None:
        self.all = _answers_of(recording, is_decided=is_decided) if recording else []
        self.is_changed = is_changed
        self._waiting: defaultdict[tuple[str, str], deque[RecordedAnswer]] = defaultdict(deque)
        self._of_any_branch: defaultdict[str, deque[RecordedAnswer]] = defaultdict(deque)
        self._repeatable: dict[str, RecordedAnswer] = {}
        self._asleep = _asleep_in(recording) if recording else {}
        self._doubts: Mapping[tuple[str, str], deque[str]] = _doubts_of(recording) if recording else {}
        for answer in sorted(self.all, key=lambda each: each.line):
            key = question(answer.ask)
            self._waiting[answer.branch, key].append(answer)
            self._of_any_branch[key].append(answer)

    def take(self, branch: str, ask: list[Any]) -> RecordedAnswer | None:
        """Return the answer to the request ``ask`` of a branch of ``parallel``, or None if no answer is left."""
        key = question(ask)
        waiting = self._waiting.get((branch, key))
        answer = waiting.popleft() if waiting else None
        if answer is None and self.is_changed:
            answer = next((each for each in self._of_any_branch.get(key, ()) if not each.is_taken), None)
            if answer:
                self._waiting[answer.branch, key].remove(answer)
        if answer is None:
            return self._repeatable.get(key)
        answer.is_taken = True
        if ask[0] in REPEATABLE:
            self._repeatable[key] = answer
        return answer

    def take_asleep(self, branch: str, ask: list[Any]) -> float | None:
        """Return when a sleep of a branch ends that was under way when the run parked, or None."""
        asked, until = self._asleep.get(branch, ("", None))
        if asked != question(ask):
            return None
        del self._asleep[branch]
        return until

    def take_doubt(self, branch: str, ask: list[Any]) -> str | None:
        """Return the key of a write of a branch that is sent again although it may have been done, or None."""
        keys = self._doubts.get((branch, question(ask)))
        return keys.popleft() if keys else None

    def masked_doubt(self, branch: str) -> list[Any] | None:
        """Return the request, with ``***``, of a write in doubt that a branch has not made again; None if none has."""
        left = [ask for (of, ask), keys in self._doubts.items() if of == branch and keys and MASK in ask]
        return json.loads(left[0]) if left else None

    @property
    def under_way(self) -> list[RecordedAnswer]:
        """The writes that were sent and never answered, because the run ended first."""
        return [answer for answer in self.all if answer.is_under_way]

    @property
    def contents(self) -> dict[str, str]:
        """The bytes of all recorded binary results, in base64, by the names of the handles that the script got."""
        answers = (answer.value for answer in self.all if isinstance(answer.value, protocol.Answer))
        return {name: content for value in answers for _, name, content in value.contents}

    @property
    def left(self) -> list[RecordedAnswer]:
        """The answers to recorded calls that the script has not made again in this run."""
        return [answer for answer in self.all if answer.call and not answer.is_taken]

    def done_already(self, branch: str, path: str, account: str, arguments: object) -> RecordedAnswer | None:
        """Return the unused answer to a recorded write that succeeded, and that a new write would repeat, or None.

        A changed script can pass the same arguments, by name, in another form, such as in order. Its request then
        differs from the recorded one, and without this check the write would be sent again. A script that was not
        changed makes another request only if the recorded one has *** for a secret which is not known yet now: such a
        write of its branch may be this one.
        """
        for answer in self.left if self.all else ():
            call = answer.call or {}
            if self.is_changed:
                is_same = (call.get("path"), call.get("account"), call.get("arguments")) == (path, account, arguments)
            else:
                is_same = answer.branch == branch and MASK in question(answer.ask)
            if is_same and answer.is_write and answer.error is None:
                return answer
        return None


def _answers_of(recording: Recording, *, is_decided: bool = True) -> list[RecordedAnswer]:
    """Return the answers in a recording, and the unanswered writes, except those decided to be sent again."""
    found: dict[int, RecordedAnswer] = {}
    intents: dict[int, int] = {}
    given: dict[int, int] = {}
    pages: dict[str, str] = {}
    for line, event in events_of(recording, "intent", "page", "answer", "given", "resumed", "chunk", "decision", "end"):
        kind = event["event"]
        if kind in ("resumed", "chunk"):
            intents, given = {}, {}
        elif kind == "intent":
            found[line] = RecordedAnswer(line, line, event["branch"], event["ask"], call=event, is_under_way=True)
            intents[event["id"]] = line
        elif kind == "page":
            pages[event["digest"]] = protocol.encode(event["value"])
        elif kind == "answer":
            found.pop(intents.pop(event["id"], 0), None)
            value = protocol.encode(event["value"]) if "value" in event else pages.get(event.get("page", ""))
            call = event.get("call")
            if value is not None and any(event.get(mark) for mark in ("secrets", "contents", "truncated")):
                secrets, contents = event.get("secrets", ()), event.get("contents", ())
                value = protocol.Answer(value, secrets, contents, truncated=event.get("truncated", False))
            found[line] = RecordedAnswer(line, line, event["branch"], event["ask"], value, event.get("error"), call)
            given[event["id"]] = line
        elif kind == "given":
            if event["id"] in given:
                found[given[event["id"]]].order = line
        elif kind == "end":
            for call in event["calls"]:
                if call["status"] == "refused":  # nothing was sent after all
                    _drop(found, intents, call["number"])
        elif not is_decided:
            continue
        elif event["decision"] == "again":
            found.pop(event["line"], None)
        elif event["decision"] == "done" and event["line"] in found:
            answer = found[event["line"]]
            answer.value, answer.order, answer.is_under_way = protocol.encode(event.get("value")), line, False
            answer.is_assumed = event.get("value") is None
            answer.error, answer.call = None, {**(answer.call or {}), "status": "ok", "error": None}
    return list(found.values())


def _asleep_in(recording: Recording) -> dict[str, tuple[str, float]]:
    """Return the sleep of each branch that was under way when the run parked: the request, and when it ends."""
    found: dict[str, tuple[str, float]] = {}
    for _, event in events_of(recording, "asleep", "answer"):
        if event["event"] == "asleep":
            found[event["branch"]] = question(event["ask"]), event["until"]
        elif event["ask"][0] == "sleep":
            found.pop(event["branch"], None)
    return found


def _doubts_of(recording: Recording) -> Mapping[tuple[str, str], deque[str]]:
    """Return the keys of the writes whose service tells whether they were done, by branch and request.

    The recording has the decision to ask the service, and no later attempt to make the write.
    """
    open_ones: dict[str, tuple[str, str]] = {}
    sent: dict[int, tuple[str, tuple[str, str]]] = {}
    for _, event in events_of(recording, "decision", "intent", "end"):
        if event["event"] == "decision" and "key" in event:
            made = recording.events[event["line"] - 1]
            open_ones[event["key"]] = made["branch"], question(made["ask"])
        elif event["event"] == "intent" and event.get("key") in open_ones:
            sent[event["number"]] = event["key"], open_ones.pop(event["key"])
        elif event["event"] == "end":
            refused = [call["number"] for call in event["calls"] if call["status"] == "refused"]
            open_ones.update(sent[number] for number in refused if number in sent)
    found: defaultdict[tuple[str, str], deque[str]] = defaultdict(deque)
    for key, place in open_ones.items():
        found[place].append(key)
    return found


def _drop(found: dict[int, RecordedAnswer], intents: dict[int, int], number: int) -> None:
    """Remove a write that was recorded before it was to be sent, but was then refused, so that it was never sent."""
    for request, line in list(intents.items()):
        if number_of(found[line]) == number:
            del found[line], intents[request]


def number_of(answer: RecordedAnswer) -> int:
    """Return the number of the answered call in its run, or 0 if the request was not a call."""
    return int((answer.call or {}).get("number", 0))


def may_have_been_done(answer: RecordedAnswer, error: KosmoError) -> bool:
    """Return True if a service may have carried out a write that failed with this error.

    The service has not done so if nothing was sent, or if it refused the write with a status below 500.
    """
    call = answer.call or {}
    if not answer.is_write or call.get("status") == "refused":
        return False
    return not (isinstance(error, ApiError) and (error.status or 0) < 500)


def calls_of(recording: Recording) -> dict[int, Event]:
    """Return the recorded details of each call of a run, by the number of the call."""
    calls: dict[int, Event] = {}
    for _, event in events_of(recording, "intent", "answer", "decision", "end"):
        kind = event["event"]
        if kind == "intent":
            calls[event["number"]] = {**event, "status": "unknown", "duration_ms": 0.0, "error": None}
        elif kind == "answer" and "call" in event:
            calls[event["call"]["number"]] = event["call"]
        elif kind == "end":
            calls.update({call["number"]: call for call in event["calls"]})
        elif kind == "decision" and event["decision"] == "done" and event["number"] in calls:
            calls[event["number"]] = {**calls[event["number"]], "status": "ok", "error": None}
    return dict(sorted(calls.items()))


def summaries(calls: Iterable[Event]) -> list[CallRecord]:
    """Return a record of each recorded call, as the outcome of a run lists it, ordered by the calls' numbers."""
    names = ("path", "account", "effect", "status", "duration_ms", "error")
    ordered = sorted(calls, key=lambda call: int(call.get("number", 0)))
    return [CallRecord({name: call.get(name) for name in names} | _flows_of(call)) for call in ordered]


def _flows_of(call: Event) -> dict[str, object]:
    return {"flows": call["flows"]} if call.get("flows") else {}


def replaced_in(recording: Recording) -> Mapping[int, Sequence[Any]]:
    """Return what writes replaced, in a list of one, by the number of the call; a write sent again is the first one."""
    numbers: dict[int, Sequence[Any]] = {}
    by_key: dict[str, Sequence[Any]] = {}
    for _, event in events_of(recording, "intent"):
        if "before" in event:
            known = [event["before"]]
            numbers[event["number"]] = by_key.setdefault(event["key"], known) if event.get("key") else known
    return numbers


def answer_that_ended(recording: Recording, answers: Answers) -> RecordedAnswer | None:
    """Return the recorded answer whose error ended the script, or None if the script ended for a different reason."""
    by = (recording.end or {}).get("by")
    if not by:
        return None
    fitting = [each for each in answers.all if each.error and each.branch == by["branch"] and each.ask == by["ask"]]
    return max(fitting, key=lambda answer: answer.order, default=None)
