"""A question to the person at the client: may this call be made, how it is worded, and what the answer means."""

from __future__ import annotations

import json
from enum import Enum
from threading import Event
from typing import Any

from mcp_types import ClientCapabilities, ElicitResult

from kosmolua.broker.permissions import Approval
from kosmolua.escaping import exposed, shortened

ONCE, EVERY = "this call", "every call of this function in this script"
LONGEST_VALUE, HEAD, TAIL = 300, 200, 100
MOST_ARGUMENTS = 30
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"allow": {"type": "string", "title": "Allow", "enum": [ONCE, EVERY], "default": ONCE}},
}


class Answer(Enum):
    """What a person said: no, yes, yes to all such calls, or that they do not want to be asked any more."""

    NO = "no"
    YES = "yes"
    ALWAYS = "always"
    NEVER = "never"


class Question:
    """A call that waits for an answer: asked in the thread that makes the call, answered in another.

    Args:
        approval: The call.
    """

    def __init__(self, approval: Approval) -> None:
        self._approval = approval
        self._answer: Answer | None = None
        self._answered = Event()

    def wait(self, seconds: float) -> Answer | None:
        """Return the answer, or None when there is none within so many seconds."""
        self._answered.wait(seconds)
        return self._answer

    def answer(self, answer: Answer) -> None:
        """Let the call go on. Only the first answer counts."""
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    @property
    def message(self) -> str:
        """What the person reads."""
        return _worded(self._approval)


def meaning(reply: object) -> Answer:
    """Return what a client's reply to an elicitation says; a dismissed one says that nothing more is to be asked."""
    if not isinstance(reply, ElicitResult) or reply.action == "decline":
        return Answer.NO
    if reply.action == "cancel":
        return Answer.NEVER
    return Answer.ALWAYS if (reply.content or {}).get("allow") == EVERY else Answer.YES


def can_be_asked(client: ClientCapabilities | None) -> bool:
    """Say whether a client shows forms to a person; a client that names no mode of elicitation means forms."""
    mode = client.elicitation if client else None
    return mode is not None and (mode.form is not None or mode.url is None)


def _worded(approval: Approval) -> str:
    lines = [f"A script wants to {approval.effect} with {approval.path}, account {approval.account}."]
    for name, value in list(approval.arguments.items())[:MOST_ARGUMENTS]:
        lines.append(f"{exposed(name)} = {_shown(value)}")
    if (more := len(approval.arguments) - MOST_ARGUMENTS) > 0:
        lines.append(f"and {more} more arguments")
    return "\n".join(lines)


def _shown(value: object) -> str:
    """Return a value as JSON in which nothing hides; of a long one both ends, and how much is between them."""
    text = exposed(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= LONGEST_VALUE else shortened(text, HEAD, TAIL)
