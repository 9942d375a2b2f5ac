"""Questions to the person at an MCP client about calls that need approval: the text, the form, and the answers."""

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
"""The maximum length of a question, in characters. A longer text is divided, without loss, into several questions."""


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
    """A question to a person about one or more calls. The thread that makes the calls waits for the answer.

    Args:
        approvals: The calls to decide about.
        page: The number of the part of the text that this question shows, beginning with 0. Only a long text has
            several parts.
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
        """Return the question that shows the next part of the text. If this is the last part, show it again."""
        return Question(*self._approvals, page=self._page + (not self._is_last))

    def wait(self, seconds: float) -> Answer | None:
        """Wait at most ``seconds`` for the answer. Return the answer; None if there is still no answer then."""
        self._answered.wait(seconds)
        return self._answer

    def answer(self, answer: Answer) -> None:
        """Set the answer, so that :meth:`wait` returns it in the other thread. Only the first answer counts."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def meaning(self, reply: object) -> Answer:
        """Return the answer that is meant by a client's reply.

        If the person dismissed the form, this is :attr:`Answer.NEVER`. If the reply is not valid, it is
        :attr:`Answer.NO`. A client that cannot show choices may accept the form without a choice. This approves the
        calls if the question shows the last part of the text; otherwise it shows the next part.
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
    """Return True if a client can show forms to a person. MCP calls this elicitation.

    A client that supports elicitation but names no mode can show forms too.
    """
    mode = client.elicitation if client else None
    return mode is not None and (mode.form is not None or mode.url is None)


def _pages(approvals: Sequence[Approval]) -> list[str]:
    """Return the text of a question about calls, divided into parts of limited length.

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
    """Yield the lines that list calls: a heading for each function and account, then a numbered line for each call."""
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
    """Return a line for each argument of a call. For an id, the line also has the object's name if it is known."""
    named = {name: f" ({exposed(said)})" for name, said in approval.names.items()}
    return [f"{exposed(name)} = {_shown(value)}{named.get(name, '')}" for name, value in approval.arguments.items()]


def _shown(value: object) -> str:
    """Return a value as JSON text in which invisible characters are escaped."""
    return exposed(json.dumps(value, ensure_ascii=False, default=str))
