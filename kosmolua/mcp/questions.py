"""Approval questions: how a call is shown to the person at the client, and what the answer means."""

from __future__ import annotations

import json
from enum import Enum
from threading import Event
from typing import Any

from mcp_types import ClientCapabilities, ElicitResult

from kosmolua.broker.approvals import Approval
from kosmolua.escaping import exposed

ONCE, EVERY = "this call", "every call of this function in this script"
MORE = "nothing yet: show the rest"
MAX_PAGE = 4_000
"""Characters of one question. What does not fit is on further pages; nothing is left out."""


class Answer(Enum):
    """A person's answer: no, yes, yes to all such calls, show the rest, or do not ask again."""

    NO = "no"
    YES = "yes"
    ALWAYS = "always"
    MORE = "more"
    NEVER = "never"


class Question:
    """A call that waits for an answer: asked in the thread that makes the call, answered in another.

    Args:
        approval: The call.
        page: Which part of it is shown, counted from 0, if it is too long for one question.
    """

    def __init__(self, approval: Approval, page: int = 0) -> None:
        pages = _pages(approval)
        self._approval = approval
        self._page = page
        self._is_last = page + 1 >= len(pages)
        self._answer: Answer | None = None
        self._answered = Event()
        self.message = pages[page]
        """What the person reads."""

    @property
    def schema(self) -> dict[str, Any]:
        """The form for the answer; without a choice, accepting it means this call, once all of it was shown."""
        choices = [ONCE, EVERY] if self._is_last else [MORE, ONCE, EVERY]
        choice = {"type": "string", "title": "Allow", "enum": choices, "default": choices[0]}
        return {"type": "object", "properties": {"allow": choice}}

    def next_page(self) -> Question:
        """Return the question that shows the next part of the call."""
        return Question(self._approval, self._page + (not self._is_last))

    def wait(self, seconds: float) -> Answer | None:
        """Return the answer, or None if none comes within ``seconds``."""
        self._answered.wait(seconds)
        return self._answer

    def answer(self, answer: Answer) -> None:
        """Answer the question. Only the first answer counts."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def meaning(self, reply: object) -> Answer:
        """Return the answer in a client's reply. Dismissing the form means that no further question is wanted."""
        if not isinstance(reply, ElicitResult) or reply.action == "decline":
            return Answer.NO
        if reply.action == "cancel":
            return Answer.NEVER
        allowed = (reply.content or {}).get("allow")
        if not self._is_last and allowed not in (ONCE, EVERY):
            return Answer.MORE
        return Answer.ALWAYS if allowed == EVERY else Answer.YES


def can_be_asked(client: ClientCapabilities | None) -> bool:
    """Return True if a client shows forms to a person; one that names no mode of elicitation means forms."""
    mode = client.elicitation if client else None
    return mode is not None and (mode.form is not None or mode.url is None)


def _pages(approval: Approval) -> list[str]:
    """Return the text of a question in parts that a client can show, each under a line that says what is asked."""
    subject = f"A script wants to {approval.effect} with {approval.path}, account {approval.account}"
    lines = [f"{exposed(name)} = {_shown(value)}" for name, value in approval.arguments.items()]
    text = "\n".join(lines)
    if len(text) <= MAX_PAGE:
        return ["\n".join([f"{subject}.", *lines])]
    parts = [text[start : start + MAX_PAGE] for start in range(0, len(text), MAX_PAGE)]
    return [
        f"{subject} (part {number:,} of {len(parts):,} of its {len(text):,} characters of arguments).\n{part}"
        for number, part in enumerate(parts, start=1)
    ]


def _shown(value: object) -> str:
    """Return a value as JSON in which nothing hides."""
    return exposed(json.dumps(value, ensure_ascii=False, default=str))
