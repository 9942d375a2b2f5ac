"""Questions to the person at an MCP client about calls that need approval: their text, their form, and the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import count
from threading import Event
from typing import Any

from mcp_types import ClientCapabilities, ElicitResult

from kosmolua.broker.approvals import Approval
from kosmolua.escaping import exposed

ONCE, EVERY = "this call", "every call of this function in this script"
THESE, EACH, ALIKE = "these calls", "none yet: ask about each", "every call of these functions in this script"
MORE = "nothing yet: show the rest"
MAX_PAGE = 4_000
"""The maximum length of a question, in characters. A longer text is divided into several questions, in full."""


class Answer(Enum):
    """A person's answer to a question about calls."""

    NO = "no"
    """Refuse the calls."""
    YES = "yes"
    """Approve the calls."""
    ALWAYS = "always"
    """Approve the calls, and further calls of the same functions with the same accounts in this script."""
    EACH = "each"
    """Ask about each of the calls."""
    MORE = "more"
    """Show the next part of the question."""
    NEVER = "never"
    """Refuse the calls, and all further calls in this script that need approval."""


class Question:
    """A question to a person about one or several calls. The thread that makes the calls waits for the answer.

    Args:
        approvals: The calls to decide.
        page: The part of the text that this question shows, counted from 0. Only a long text has several parts.
    """

    def __init__(self, *approvals: Approval, page: int = 0) -> None:
        pages = _pages(approvals)
        self._approvals = approvals
        self._page = page
        self._is_last = page + 1 >= len(pages)
        self._answer: Answer | None = None
        self._answered = Event()
        self.message = pages[page]
        """The text for the person."""

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the form in which the person answers."""
        choices = [THESE, EACH, ALIKE] if self._is_list else [ONCE, EVERY]
        choices = choices if self._is_last else [MORE, *choices]
        choice = {"type": "string", "title": "Allow", "enum": choices, "default": choices[0]}
        return {"type": "object", "properties": {"allow": choice}}

    def next_page(self) -> Question:
        """Return the question that shows the next part of the text; after the last part, the last part again."""
        return Question(*self._approvals, page=self._page + (not self._is_last))

    def wait(self, seconds: float) -> Answer | None:
        """Wait at most ``seconds`` for the answer. Return the answer, or None if there is none yet."""
        self._answered.wait(seconds)
        return self._answer

    def answer(self, answer: Answer) -> None:
        """Set the answer, which ends :meth:`wait` in the other thread. Only the first answer counts."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def meaning(self, reply: object) -> Answer:
        """Return the answer that a client's reply means.

        A dismissed form means :attr:`Answer.NEVER`, and a reply that is not valid means :attr:`Answer.NO`. A client
        that cannot show choices only accepts the form: this approves the calls at the last part of the text, and shows
        the next part before that.
        """
        if not isinstance(reply, ElicitResult) or reply.action == "decline":
            return Answer.NO
        if reply.action == "cancel":
            return Answer.NEVER
        allowed = (reply.content or {}).get("allow")
        if allowed in (EVERY, ALIKE):
            return Answer.ALWAYS
        if self._is_list and allowed == EACH:
            return Answer.EACH
        return Answer.YES if self._is_last or allowed in (ONCE, THESE) else Answer.MORE

    @property
    def _is_list(self) -> bool:
        return len(self._approvals) > 1


def can_be_asked(client: ClientCapabilities | None) -> bool:
    """Return True if a client can show a form to a person, which MCP calls elicitation.

    A client that supports elicitation and names no mode can show forms.
    """
    mode = client.elicitation if client else None
    return mode is not None and (mode.form is not None or mode.url is None)


def _pages(approvals: Sequence[Approval]) -> list[str]:
    """Return the text of a question about calls, in parts of limited length.

    Each part begins with a line that says what the script wants to do.
    """
    if len(approvals) == 1:
        subject, sentence = f"A script wants to {_deed(approvals[0])}", approvals[0].about
        lines, what = _arguments(approvals[0]), "arguments"
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
    """Yield the lines that list calls: for each function and account a heading, then a numbered line for each call."""
    groups: dict[tuple[str, str], list[Approval]] = {}
    for approval in approvals:
        groups.setdefault((approval.path, approval.account), []).append(approval)
    numbers = count(1)
    for group in groups.values():
        yield f"{_deed(group[0])}: {exposed(group[0].about)}"
        for approval in group:
            yield f"{next(numbers)}. {', '.join(_arguments(approval)) or 'without arguments'}"


def _deed(approval: Approval) -> str:
    """Return a phrase with the effect, function and account of a call, and a warning if it destroys something."""
    warning = ", WHICH CANNOT BE UNDONE" if approval.effect == "destroy" else ""
    return f"{approval.effect} with {approval.path}, account {approval.account}{warning}"


def _arguments(approval: Approval) -> list[str]:
    """Return a line for each argument of a call. If it is an id that has a name, the line has the name too."""
    named = {name: f" ({exposed(said)})" for name, said in approval.names.items()}
    return [f"{exposed(name)} = {_shown(value)}{named.get(name, '')}" for name, value in approval.arguments.items()]


def _shown(value: object) -> str:
    """Return a value as JSON text in which invisible characters are escaped."""
    return exposed(json.dumps(value, ensure_ascii=False, default=str))
