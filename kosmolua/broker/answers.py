"""Answers: the recorded answers to the requests of a script that runs again."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kosmolua import protocol
from kosmolua.broker.recording import Event, Recording, events_of, question
from kosmolua.errors import ApiError, KosmoError

REPEATABLE = ("describe", "doc")
"""Kinds of requests whose answer is used again if a changed script makes them more often."""


@dataclass
class Answer:
    """The recorded answer to one request.

    Args:
        line: The line of its event in the recording.
        order: Its position: the script got all answers of a smaller order before this one.
        branch: The branch of ``parallel`` that made the request.
        ask: The request, as a recording stores it.
        value: The answer, as JSON; None if it is an error, or if there was no answer.
        error: The recorded error, or None.
        call: The recorded details of the call, if the request was a call.
        is_under_way: Whether it is a write that was sent and has no answer.
    """

    line: int
    order: int
    branch: str
    ask: list[Any]
    value: str | None = None
    error: Mapping[str, Any] | None = None
    call: Mapping[str, Any] | None = None
    is_under_way: bool = False
    is_taken: bool = False

    @property
    def is_write(self) -> bool:
        """True if it answers a call that writes or destroys."""
        return self.call is not None and self.call.get("effect") in ("write", "destroy")


class Answers:
    """The answers of a recording. Each is used once.

    An answer is found by the request, by the branch of ``parallel`` that makes it, and by how many times that branch
    made it before. If the script was changed, a branch without an answer of its own gets that of another branch.

    Args:
        recording: The recording; None for no answers.
        is_changed: Whether the script was changed.
    """

    def __init__(self, recording: Recording | None = None, *, is_changed: bool = False) -> None:
        self.all = _answers_of(recording) if recording else []
        self.is_changed = is_changed
        self._waiting: defaultdict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self._of_any_branch: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._repeatable: dict[str, Answer] = {}
        for answer in sorted(self.all, key=lambda each: each.line):
            key = question(answer.ask)
            self._waiting[answer.branch, key].append(answer)
            self._of_any_branch[key].append(answer)

    def take(self, branch: str, ask: list[Any]) -> Answer | None:
        """Return the answer to a request, or None if the recording has none."""
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

    @property
    def under_way(self) -> list[Answer]:
        """The writes that were under way when the run ended."""
        return [answer for answer in self.all if answer.is_under_way]

    @property
    def contents(self) -> dict[str, str]:
        """The bytes in base64 for which the script has handles, by the handles' names."""
        answers = (answer.value for answer in self.all if isinstance(answer.value, protocol.Answer))
        return {name: content for value in answers for _, name, content in value.contents}

    @property
    def left(self) -> list[Answer]:
        """The recorded calls that the script has not made again."""
        return [answer for answer in self.all if answer.call and not answer.is_taken]

    def done_already(self, path: str, account: str, arguments: object) -> Answer | None:
        """Return a recorded write that the script now makes in a different way, or None."""
        for answer in self.left:
            call = answer.call or {}
            same = (call.get("path"), call.get("account"), call.get("arguments")) == (path, account, arguments)
            if same and answer.is_write and answer.error is None:
                return answer
        return None


def _answers_of(recording: Recording) -> list[Answer]:
    """Return the answers of a recording. Writes under way are included, with what a person decided about them."""
    found: dict[int, Answer] = {}
    intents: dict[int, int] = {}
    given: dict[int, int] = {}
    for line, event in events_of(recording, "intent", "answer", "given", "resumed", "chunk", "decision", "end"):
        kind = event["event"]
        if kind in ("resumed", "chunk"):
            intents, given = {}, {}
        elif kind == "intent":
            found[line] = Answer(line, line, event["branch"], event["ask"], call=event, is_under_way=True)
            intents[event["id"]] = line
        elif kind == "answer":
            found.pop(intents.pop(event["id"], 0), None)
            value = protocol.encode(event["value"]) if "value" in event else None
            call = event.get("call")
            if value is not None and any(event.get(mark) for mark in ("secrets", "contents", "truncated")):
                secrets, contents = event.get("secrets", ()), event.get("contents", ())
                value = protocol.Answer(value, secrets, contents, truncated=event.get("truncated", False))
            found[line] = Answer(line, line, event["branch"], event["ask"], value, event.get("error"), call)
            given[event["id"]] = line
        elif kind == "given":
            if event["id"] in given:
                found[given[event["id"]]].order = line
        elif kind == "end":
            for call in event["calls"]:
                if call["status"] == "refused":  # nothing was sent after all
                    _drop(found, intents, call["number"])
        elif event["decision"] == "again":
            found.pop(event["line"], None)
        elif event["decision"] == "done" and event["line"] in found:
            answer = found[event["line"]]
            answer.value, answer.order, answer.is_under_way = protocol.encode(event.get("value")), line, False
            answer.error, answer.call = None, {**(answer.call or {}), "status": "ok", "error": None}
    return list(found.values())


def _drop(found: dict[int, Answer], intents: dict[int, int], number: int) -> None:
    """Remove the recorded intent of a call."""
    for request, line in list(intents.items()):
        if number_of(found[line]) == number:
            del found[line], intents[request]


def number_of(answer: Answer) -> int:
    """Return the number of a call in its run."""
    return int((answer.call or {}).get("number", 0))


def may_have_been_done(answer: Answer, error: KosmoError) -> bool:
    """Return True if a failed write may have been carried out, since no service said that it refused it."""
    call = answer.call or {}
    if not answer.is_write or call.get("status") == "refused":
        return False
    return not (isinstance(error, ApiError) and (error.status or 0) < 500)


def calls_of(recording: Recording) -> dict[int, Event]:
    """Return the recorded details of each call, by its number."""
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


def summaries(calls: Iterable[Event]) -> list[dict[str, object]]:
    """Return the calls as entries of an outcome, in the order of their numbers."""
    names = ("path", "account", "effect", "status", "duration_ms", "error")
    ordered = sorted(calls, key=lambda call: int(call.get("number", 0)))
    return [{name: call.get(name) for name in names} for call in ordered]
