"""Questions to a person about calls that need approval: text, form, and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import unified_diff
from functools import partial
from itertools import count
from threading import Event
from typing import Any

from mcp_types import ClientCapabilities, ElicitResult

from kosmolua.calls.approvals import Approval, Consent, grouped, shown_arguments
from kosmolua.escaping import exposed
from kosmolua.limits import whole_number
from kosmolua.recordings.outlines import numbers_in
from kosmolua.recordings.plans import Plan

ONCE, EVERY = "this call", "every call of this function in this script"
THESE, EACH, ALIKE = "these calls", "none yet: ask about each", "every call of these functions in this script"
MORE = "nothing yet: show the rest"
MAX_PAGE = 4_000
"""The maximum length of a question, in characters. A longer text is divided, without loss, into several questions."""


class Question:
    """A question about one or more calls, for whose answer a thread waits; ``page`` is the part that is shown."""

    def __init__(self, *approvals: Approval, page: int = 0) -> None:
        pages = _pages(approvals)
        self._approvals = approvals
        self._page = page
        self._is_last = page + 1 >= len(pages)
        self._answer: Consent | None = None
        self._answered = Event()
        self.message = pages[page]
        """The text for the person."""

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the form."""
        choices = [THESE, EACH, ALIKE] if self._is_list else [ONCE, EVERY]
        choices = choices if self._is_last else [MORE, *choices]
        choice = {"type": "string", "title": "Allow", "enum": choices, "default": choices[0]}
        return {"type": "object", "properties": {"allow": choice}}

    @property
    def key(self) -> str:
        """The key, which no other question of the run has."""
        count = len(self._approvals)
        page = f".{self._page}" if self._page else ""
        return f"call-{self._approvals[0].number}{f'-{count}' if count > 1 else ''}{page}"

    def next_page(self) -> Question:
        """Return the question for the next part, or the last again."""
        return Question(*self._approvals, page=self._page + (not self._is_last))

    def wait(self, seconds: float) -> Consent | None:
        """Wait at most ``seconds`` for the answer, or None."""
        self._answered.wait(seconds)
        return self._answer

    def answer(self, answer: Consent) -> None:
        """Set the answer, unless there is one."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def meaning(self, reply: object) -> Consent:
        """Return what a client's reply means: dismissed is :attr:`Consent.NEVER`, invalid :attr:`Consent.NO`.

        A client that cannot show choices may accept without one: that approves the calls on the last part of the text,
        and shows the next on any other.
        """
        if not isinstance(reply, ElicitResult) or reply.action == "decline":
            return Consent.NO
        if reply.action == "cancel":
            return Consent.NEVER
        allowed = (reply.content or {}).get("allow")
        if allowed in (EVERY, ALIKE):
            return Consent.ALWAYS
        if self._is_list and allowed == EACH:
            return Consent.EACH
        return Consent.YES if self._is_last or allowed in (ONCE, THESE) else Consent.MORE

    @property
    def _is_list(self) -> bool:
        return len(self._approvals) > 1


class _Decision(Question):
    """A question that is not about calls of a script, and has a form of its own."""

    def __init__(self, *lines: str) -> None:
        self._is_last = True
        self._answer: Consent | None = None
        self._answered = Event()
        self.message = "\n".join(lines)

    @property
    def key(self) -> str:
        return "decision"


class PlanQuestion(_Decision):
    """The question whether a plan is applied, and without which of its calls; ``without`` has their numbers."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"Apply the plan {plan.id}?", *(line.text for line in plan.outline()))
        self.without: tuple[int, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        about = "The numbers of calls to leave out, such as 3, 7; those that take their results are left out too"
        without = {"type": "string", "title": "Without", "description": about, "default": ""}
        return {"type": "object", "properties": {"without": without}}

    def meaning(self, reply: object) -> Consent:
        """Return what a client's reply means; numbers that cannot be read mean no."""
        if not isinstance(reply, ElicitResult) or reply.action != "accept":
            return Consent.NO
        without = numbers_in(str((reply.content or {}).get("without") or ""))
        self.without = without or ()
        return Consent.NO if without is None else Consent.YES


class SaveQuestion(_Decision):
    """The question whether a script is saved under a name, with the difference to the ``former`` one if there is.

    ``doubts`` say which addresses in it others have written, since later sessions will not know that.
    """

    def __init__(self, name: str, code: str, former: str | None, doubts: Iterable[str] = ()) -> None:
        lines = code.splitlines()
        if former is None:
            asked = f"Save this script as app.scripts.{name}, for later scripts?"
        else:
            asked = f"Replace the script app.scripts.{name}? This is the difference:"
            lines = list(unified_diff(former.splitlines(), lines, "before", "after", lineterm=""))
        super().__init__(asked, *map(exposed, (*doubts, *lines)))

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"save": {"type": "boolean", "title": "Save", "default": True}}}

    def meaning(self, reply: object) -> Consent:
        """Return yes for a form that is accepted without the choice taken back."""
        if not isinstance(reply, ElicitResult) or reply.action != "accept":
            return Consent.NO
        return Consent.YES if (reply.content or {}).get("save", True) is True else Consent.NO


class DoubtQuestion(_Decision):
    """The question whether a write was done whose process died before it had the answer; ``call`` are its fields."""

    PREFIX = "doubt-"
    DONE, AGAIN = "it was done", "it was not done: send it again"

    def __init__(self, call: Mapping[str, Any]) -> None:
        given = [exposed(f"{name} = {json.dumps(value, default=str)}") for name, value in call["arguments"].items()]
        said = "The script was stopped after this call was sent, and its answer is not known. Was it done?"
        super().__init__(said, f"{call['effect']} with {call['path']}, account {call['account']}", *given)
        self._number = call["number"]

    @property
    def key(self) -> str:
        return f"{self.PREFIX}{self._number}"

    @property
    def schema(self) -> dict[str, Any]:
        choice = {"type": "string", "title": "Done", "enum": [self.DONE, self.AGAIN]}
        return {"type": "object", "properties": {"done": choice}, "required": ["done"]}

    @classmethod
    def settled(cls, replies: Mapping[str, object]) -> dict[str, Any]:
        """Return what replies decide: ``done`` and ``again`` of :meth:`kosmolua.Runtime.resume`."""
        chosen = {
            number: (reply.content or {}).get("done")
            for key, reply in replies.items()
            if isinstance(reply, ElicitResult) and reply.action == "accept"
            if (number := whole_number(key.removeprefix(cls.PREFIX))) is not None
        }
        done = {number: None for number, choice in chosen.items() if choice == cls.DONE}
        return {"done": done, "again": [number for number, choice in chosen.items() if choice == cls.AGAIN]}


def can_be_asked(client: ClientCapabilities | None) -> bool:
    """Return True if a client can show forms (elicitation), as one that names no mode can."""
    mode = client.elicitation if client else None
    return mode is not None and (mode.form is not None or mode.url is None)


def _pages(approvals: Sequence[Approval]) -> list[str]:
    """Return the text in parts, each beginning with what the script wants to do."""
    if len(approvals) == 1:
        subject, sentence = f"A script wants to {_deed(approvals[0])}", approvals[0].about
        lines, what = [*map(exposed, approvals[0].notes), *_arguments(approvals[0])], "arguments"
    else:
        subject, sentence = f"A script wants to make {len(approvals)} calls", ""
        lines, what = list(_list(approvals)), "calls"
    text = "\n".join(lines)
    if len(text) <= MAX_PAGE:
        return ["\n".join([f"{subject}.", *filter(None, [exposed(sentence)]), *lines])]
    parts = [text[start : start + MAX_PAGE] for start in range(0, len(text), MAX_PAGE)]
    return [
        f"{subject} (part {number:,} of {len(parts):,} of its {len(text):,} characters of {what}).\n{part}"
        for number, part in enumerate(parts, start=1)
    ]


def _list(approvals: Sequence[Approval]) -> Iterator[str]:
    """Yield a heading for each function and account, and a numbered line for each call."""
    numbers = count(1)
    for group in grouped(approvals):
        yield f"{_deed(group[0])}: {exposed(group[0].about)}"
        yield from map(exposed, group[0].flows)
        for approval in group:
            why = f" ({exposed(approval.why)})" if approval.why else ""
            yield f"{next(numbers)}. {', '.join(_arguments(approval)) or 'without arguments'}{why}"


def _deed(approval: Approval) -> str:
    """Return a call's effect, function and account, and whether it can be undone."""
    way_back = exposed(approval.way_back).replace("cannot be undone", "CANNOT BE UNDONE")
    said = f", which {way_back}" if way_back else ""
    return f"{approval.effect} with {approval.path}, account {approval.account}{said}"


def _arguments(approval: Approval) -> list[str]:
    """Return a line for each argument, with what it replaces and with the known name of an id's object."""
    literal = partial(json.dumps, ensure_ascii=False, default=str)
    return [exposed(f"{name} = {shown}") for name, shown in shown_arguments(approval._asdict(), literal).items()]
